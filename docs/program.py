"""The program of a page: its Python blocks, one after another, and what its last run was like.

The build reads the blocks from the HTML that it shows; the runner reads them from the page's
source. Both call what is here, so that a run and a page that belong together are known by the
digest of the same text.
"""

import ast
import hashlib
import html
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

RECORD = Path(__file__).parent / "assets" / "data" / "record.json"
SLOW = 10.0  # seconds; a program that takes longer says so beforehand
SHOWN = re.compile(r'<div class="language-python[^"]*">\s*<pre[^>]*>(.*?)</pre>', re.DOTALL)
TAG = re.compile(r"<[^>]*>")


@dataclass(frozen=True)
class Run:
    """The last run of a page's program in which every block printed what the page shows."""

    program: str  # the digest of its text
    date: str  # as 2026-11-25
    python: str
    torch: str
    seconds: float  # of the processor, so that whatever else it had to do does not count


def shown_blocks(content: str) -> list[str]:
    """The Python blocks of a page's HTML, in order."""
    return [
        html.unescape(TAG.sub("", block)).strip("\n").rstrip() for block in SHOWN.findall(content)
    ]


def program_text(blocks: list[str]) -> str:
    """The blocks as one program."""
    return "\n\n".join(block.strip("\n").rstrip() for block in blocks) + "\n"


def digest(blocks: list[str]) -> str:
    return hashlib.sha256(program_text(blocks).encode()).hexdigest()


@cache
def requirements(code: str) -> list[str]:
    """The packages that a program imports and Python does not bring along, torch first."""
    names = set()
    for node in statements(ast.parse(code).body):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return sorted(names - sys.stdlib_module_names, key=lambda name: (name != "torch", name))


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements and those within them; expressions, which hold none, are passed by."""
    for statement in body:
        yield statement
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from statements(getattr(statement, name, []))


def read_record(path: Path = RECORD) -> dict[str, Run]:
    """The recorded runs by page, as `model/attention.md`; none where there is no record."""
    if not path.is_file():
        return {}
    return {page: Run(**run) for page, run in json.loads(path.read_text(encoding="utf-8")).items()}


def write_record(runs: dict[str, Run], path: Path = RECORD) -> None:
    """Write the record in one step, so that no build reads half of it."""
    written = {page: asdict(run) for page, run in sorted(runs.items())}
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(written, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(path)
