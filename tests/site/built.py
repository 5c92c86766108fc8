"""The site as a build leaves it: its sources, and the file that each of them becomes."""

import functools
import gc
import os
import subprocess
import sys
from pathlib import Path

from bs4 import BeautifulSoup

from tests import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
LABS = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.glob("lab/*.py"))
SOURCES = [*PAGES, *LABS]
WITHOUT_A_BLOCK = [
    "notes.md",
    "reference/bibliography.md",
    "reference/glossary.md",
    "reference/notation.md",
]
PROGRAMS = [page for page in PAGES if page not in WITHOUT_A_BLOCK]


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the site into a folder as `make build` does, with what it prints."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def built(site: Path, source: str) -> Path:
    """The HTML file of a page or lab."""
    stem = Path(source).with_suffix("")
    folder = stem.parent if stem.name == "index" else stem
    return site / folder / "index.html"


@functools.cache
def parsed(path: Path) -> BeautifulSoup:
    """A built page, to be read and not changed: the next test gets the same one."""
    soup = BeautifulSoup(path.read_bytes(), "lxml")
    gc.freeze()  # else the collector walks through all pages again and again
    return soup


def html_files(site: Path) -> list[Path]:
    return sorted(site.rglob("*.html"))


def path_of(source: str, site: Path) -> str:
    """The address of a page or lab, seen from the home page."""
    folder = built(site, source).parent.relative_to(site).as_posix()
    return "" if folder == "." else f"{folder}/"
