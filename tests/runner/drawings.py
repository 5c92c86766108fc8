"""The drawings of a page: what its blocks save, held to the committed files that the page shows.

A block saves `figure.savefig("attention-turning.svg")`, and the page shows the drawing with
`/// drawing | attention-turning`. Another processor rounds otherwise, so positions may differ by as
much as nobody sees, and shares of a colour by two in a hundred; words and marks may not differ.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import zip_longest
from pathlib import Path

import matplotlib

from docs.palette import PaletteError, themed
from snippets.plots import plot_style
from tests.runner.pages import Block, PageError, location

FOLDER = Path("docs/assets/drawings")
SHOWN = re.compile(r"^/// drawing \| (?P<name>\S+)$", re.MULTILINE)
NUMBER = re.compile(r"(?<![\w#-])-?\d+(?:\.\d+)?")
TEXT = re.compile(r"(<text[^>]*>)([^<]*)")
TOLERANCE = 1.0  # points; a drawing is some 200 high
# What a drawing needs that follows the page, beside the style of the labs' plots.
STYLE = {"figure.figsize": (5.2, 2.8), "figure.autolayout": True, "path.simplify": False}


@contextmanager
def drawing_style(blocks: list[Block]) -> Iterator[None]:
    """Set how a page's drawings look, where it draws at all, and leave matplotlib as it was."""
    if not any("matplotlib" in block.code for block in blocks):
        yield
        return
    with matplotlib.rc_context():
        matplotlib.use("Agg")
        plot_style("drawing", **STYLE)
        yield
        matplotlib.pyplot.close("all")


def shown(page: Path) -> list[str]:
    """The names of the drawings that a page shows."""
    return [found["name"] for found in SHOWN.finditer(page.read_text(encoding="utf-8"))]


def read_drawing(path: Path) -> str:
    """A drawing that a block saved, as the site shows it."""
    return themed(path.read_text(encoding="utf-8"), path.stem)


def check_drawing(path: Path, block: Block, root: Path) -> None:
    """Hold a drawing that a block saved to the committed one.

    Raises:
        PageError: If the page does not show it, if no such drawing is committed, or if the two
            differ by more than what rounding explains.
    """
    here = location(block.page, block.number, root)
    accept = f"write it with `python -m tests.runner.accept {block.page.relative_to(root)}`"
    if not path.stem.startswith(f"{block.page.stem}-"):
        raise PageError(f"{here}: {path.name} has to begin with {block.page.stem}-")
    if path.stem not in shown(block.page):
        raise PageError(f"{here}: the page does not show {path.name}: /// drawing | {path.stem}")
    committed = root / FOLDER / path.name
    if not committed.is_file():
        raise PageError(f"{here}: {FOLDER / path.name} does not exist: {accept}")
    try:
        drawn = read_drawing(path)
    except PaletteError as error:
        raise PageError(f"{here}: {error}") from None
    difference = first_difference(committed.read_text(encoding="utf-8"), drawn)
    if difference:
        raise PageError(f"{here}: the drawing {path.name} is not the one shown, {difference}")


def check_all_drawn(drawn: list[Path], page: Path, root: Path) -> None:
    """Raise where a page shows a drawing that none of its blocks saved."""
    for name in shown(page):
        if name not in {path.stem for path in drawn}:
            lines = page.read_text(encoding="utf-8").split("\n")
            here = location(page, lines.index(f"/// drawing | {name}") + 1, root)
            raise PageError(f"{here}: no block of this page saves {name}.svg")


def first_difference(committed: str, drawn: str) -> str | None:
    """What differs first between two drawings, or nothing."""
    words = [[found[2] for found in TEXT.finditer(svg)] for svg in (committed, drawn)]
    for old, new in zip_longest(*words):
        if old != new:
            return f'which says "{old}" where this says "{new}"'
    committed, drawn = (TEXT.sub(r"\1", svg) for svg in (committed, drawn))
    if NUMBER.sub("", committed) != NUMBER.sub("", drawn):
        return "which is made of other parts"
    pairs = zip(NUMBER.findall(committed), NUMBER.findall(drawn), strict=True)
    for old, new in pairs:
        if abs(float(old) - float(new)) > TOLERANCE:
            return f"which has {old} where this has {new}"
    return None
