"""A site of a few labs and pages for tests, built as this site is, without its theme."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.runner.pages import site_config
from tests.runner.small_site import ROOT

HEADER = """\
# ---
# jupyter:
#   description: A lab for tests.
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
#   kernelspec: {display_name: Python 3, language: python, name: python3}
# ---
"""
HOOKS = ("extensions", "labs", "link_lines", "description", "build_error")


def make_lab_site(root: Path, files: dict[str, str]) -> None:
    """Write a project of these files: labs, snippets and pages, by their paths."""
    jupyter = dict(site_config(ROOT).plugins["mkdocs-jupyter"].config)
    config = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "theme": {"name": None, "custom_dir": "theme"},
        "extra_css": [],
        "extra_javascript": [],
        "plugins": [{"mkdocs-jupyter": jupyter}],
        "hooks": [str(ROOT / "docs" / "hooks" / f"{name}.py") for name in HOOKS],
        "watch": [],
        "nav": None,
    }
    for name, text in {
        "mkdocs.yml": json.dumps(config),
        "theme/main.html": "{{ page.content }}",
        "snippets/empty.py": "",
        "docs/index.md": "---\ndescription: A page.\n---\n\n# Home { #home }\n",
        **files,
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def lab(*cells: str) -> str:
    """The script of a lab, from its cells; each may begin with what stands behind `# %%`."""
    return HEADER + "".join(f"\n# %%{cell}\n" for cell in cells)


def build(root: Path, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Build a site strictly, as typed in its folder, with variables of the environment."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=root,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"} | (variables or {}),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
