"""Markdown extension: `/// drawing | name` shows what a block of the page drew, with a caption.

The drawing is `docs/assets/drawings/name.svg`, which `python -m tests.runner.accept PAGE` writes
from the run of the page; the block that draws it calls `figure.savefig("name.svg")`. The caption is
the block's content: it names the drawing for those who do not see it.
"""

import re
from pathlib import Path
from xml.etree import ElementTree

from markdown import Markdown
from pymdownx.blocks import BlocksExtension
from pymdownx.blocks.block import Block

from docs.svg import proportioned

NAME = re.compile(r"[a-z0-9-]+")
DRAWINGS = Path(__file__).parents[1] / "assets" / "drawings"
# The cells of a matrix, as matplotlib's pcolormesh draws them: one rectangle, one path.
CELLS = re.compile(r'(?:<path d="[^"]*" clip-path="[^"]*" style="fill: color-mix[^"]*"/>)+')
CELL = re.compile(
    r'<path d="M (\S+) (\S+) L (\S+) \2 L \3 (\S+) L \1 \4 L \1 \2" '
    r'clip-path="([^"]*)" style="([^"]*)"/>'
)
UNSEEN = " 0%, transparent"
NO_TURN = re.compile(r' transform="rotate\(-?0 [^"]*\)"')


def light(svg: str) -> str:
    """The same drawing in fewer bytes: without what is not seen, one path a colour of cells."""
    svg = NO_TURN.sub("", CELLS.sub(by_colour, svg)).replace("<g/>", "")
    return svg if "<g " in svg else re.sub("</?g>", "", svg)


def by_colour(cells: re.Match[str]) -> str:
    """Cells that lie beside each other, a path a colour."""
    found = list(CELL.finditer(cells[0]))
    if len(found) != cells[0].count("<path"):
        return cells[0]  # not all are rectangles
    paths: dict[str, str] = {}
    for x, y, right, bottom, clip, style in (cell.groups() for cell in found):
        if UNSEEN not in style:
            look = f'clip-path="{clip}" style="{style}"'
            paths[look] = paths.get(look, "") + f"M{x} {y}H{right}V{bottom}H{x}Z"
    return "".join(f'<path d="{path}" {look}/>' for look, path in paths.items())


class DrawingError(Exception):
    """A drawing that is named on a page and is not there."""


class Drawing(Block):
    """A figure with the drawing and its caption."""

    NAME = "drawing"
    ARGUMENT = True

    def on_validate(self, parent: ElementTree.Element) -> bool:
        return NAME.fullmatch(self.argument) is not None

    def on_create(self, parent: ElementTree.Element) -> ElementTree.Element:
        file = DRAWINGS / f"{self.argument}.svg"
        if not file.is_file():
            raise DrawingError(
                f"docs/assets/drawings/{file.name} does not exist: let a block save {file.name}, "
                "and write it with `python -m tests.runner.accept PAGE`"
            )
        caption_id = f"{self.argument}-caption"
        named = f'<svg role="img" aria-labelledby="{caption_id}"'
        svg = light(file.read_text(encoding="utf-8")).replace("<svg", named, 1).rstrip()
        # Material's instant navigation sets every href anew, which an SVG element does not allow.
        svg = svg.replace("<use href=", "<use xlink:href=")
        figure = ElementTree.SubElement(parent, "figure", {"class": "plot drawing"})
        figure.text = self.md.htmlStash.store(proportioned(svg))
        self.caption = ElementTree.SubElement(figure, "figcaption", {"id": caption_id})
        return figure

    def on_add(self, block: ElementTree.Element) -> ElementTree.Element:
        return self.caption

    def on_end(self, block: ElementTree.Element) -> None:
        """A caption of one paragraph needs none of its own."""
        if len(self.caption) == 1 and self.caption[0].tag == "p":
            paragraph = self.caption[0]
            self.caption.text = paragraph.text
            self.caption[:] = list(paragraph)


class DrawingExtension(BlocksExtension):
    """Registers the block."""

    def extendMarkdownBlocks(self, md: Markdown, block_mgr: object) -> None:  # noqa: N802
        block_mgr.register(Drawing, self.getConfigs())


def makeExtension(**options: str) -> DrawingExtension:  # noqa: N802 (Python-Markdown's name)
    return DrawingExtension(**options)
