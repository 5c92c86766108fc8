"""Lints what readers copy: each page's Python, embedded code included, as the program that it is.

`python -m tests.linters.programs [PAGE ...]` prints the findings, by default those of every page.
Which rules do not hold on pages, and why, is said in `pyproject.toml`, under `docs/**/*.md.py`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT
from tests.runner.pages import Line, place, read_blocks


def program(page: Path, root: Path) -> list[Line]:
    """The lines of a page's blocks, in order, each with its origin."""
    return [line for block in read_blocks(page, root) for line in block.lines]


def findings(page: Path, root: Path) -> Iterator[str]:
    """What ruff finds in a page's program, each with its file and line, the rule and the reason.

    Raises:
        PageError: If the page's blocks cannot be read.
        RuntimeError: If ruff itself fails.
    """
    lines = program(page, root)
    if not lines:
        return
    name = page.relative_to(root).with_suffix(".md.py").as_posix()
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json"]
    result = subprocess.run(
        [*command, "--stdin-filename", name, "-"],
        cwd=root,
        input="".join(f"{line.text}\n" for line in lines),
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    if result.returncode not in (0, 1):  # 1 is a finding
        raise RuntimeError(f"ruff failed at {name}: {result.stderr.strip()}")
    for found in json.loads(result.stdout):
        line = lines[min(found["location"]["row"], len(lines)) - 1]
        yield f"{place(line, page, root)}: {found['code']} {found['message']}"


def main(pages: list[str]) -> None:
    paths = [Path(page).resolve() for page in pages] or sorted((ROOT / "docs").rglob("*.md"))
    found = [finding for page in paths for finding in findings(page, ROOT)]
    sys.exit("\n".join(found) if found else None)


if __name__ == "__main__":
    main(sys.argv[1:])
