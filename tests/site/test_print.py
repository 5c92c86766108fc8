"""The site on paper: dark on white from either palette, whole, and without what only screens do."""

import ctypes
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pypdfium2
import pytest
from pypdfium2 import raw

from tests.runner.pages import shown_python
from tests.site.built import built, parsed
from tests.site.visit import Visit

PAGES = ["index.md", "model/attention.md", "why-attention/complexity.md", "lab/saturation.py"]
HEIGHTS = [f"{height}mm" for height in range(200, 300, 12)]  # each breaks the pages elsewhere
BUTTONS = "button, [role=button], .md-button, input, select, nav, .md-skip, .md-header, .md-footer"
Colour = tuple[int, int, int, int]


def squeezed(text: str) -> str:
    """Text without spaces, which a line break may have added or taken; PDFium marks a hyphen."""
    return "".join(text.replace("\ufffe", "-").replace("\x02", "-").split())


class Paper:
    """A page of the site as a PDF.

    A browser that turns to paper asks for its fonts again, and prints without those that have not
    come; so it is turned first, and printed when they are there.
    """

    def __init__(self, visit: Visit, **options: object) -> None:
        visit.change(media="print")
        self.document = pypdfium2.PdfDocument(visit.page.pdf(**options))
        self.texts = [page.get_textpage() for page in self.document]

    def close(self) -> None:
        for text in self.texts:
            text.close()
        self.document.close()

    def pages(self) -> list[str]:
        return [text.get_text_range() for text in self.texts]

    def colours(self) -> dict[Colour, str]:
        """The colours of all that is written, with the first words in each."""
        found: dict[Colour, str] = {}
        for text in self.texts:
            written = text.get_text_range()
            for index, character in enumerate(written[: text.count_chars()]):
                parts = [ctypes.c_uint() for _ in range(4)]
                if not character.isspace() and raw.FPDFText_GetFillColor(text, index, *parts):
                    colour = tuple(part.value for part in parts)
                    found.setdefault(colour, written[index : index + 40])
        return found

    def brightness(self) -> list[float]:
        """The mean of every page, from 0, black, to 255, white."""
        images = [page.render(scale=0.3, grayscale=True).to_numpy() for page in self.document]
        return [float(image.mean()) for image in images]


@pytest.fixture
def paper() -> Iterator[Callable[..., Paper]]:
    """Prints a page that is visited, and closes the PDF after the test."""
    papers: list[Paper] = []

    def printed(visit: Visit, **options: object) -> Paper:
        papers.append(Paper(visit, **options))
        return papers[-1]

    yield printed
    for one in papers:
        one.close()


def contrast_with_white(colour: Colour) -> float:
    """The contrast of WCAG 2.1, from 1 to 21, of a colour as it shows on white paper."""
    *channels, alpha = (value / 255 for value in colour)
    seen = [1 - alpha * (1 - channel) for channel in channels]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in seen]
    red, green, blue = linear
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 1.05 / (luminance + 0.05)


def lines_of(file: Path) -> list[list[str]]:
    """The lines of every block of Python that a built page shows, squeezed."""
    blocks = shown_python(file.read_text(encoding="utf-8"))
    return [[squeezed(line) for line in code.splitlines() if line.strip()] for code in blocks]


@pytest.mark.parametrize("source", PAGES)
def test_paper_is_white_and_whole_from_either_palette_and_has_no_button(
    source: str, visit: Callable[[str], Visit], path: Callable[[str], str], site: Path, paper
) -> None:
    opened = visit(path(source))
    light = paper(opened)
    written = squeezed("".join(light.pages()))
    lost = [
        line for lines in lines_of(built(site, source)) for line in lines if line not in written
    ]
    assert not lost, f"docs/{source}: not on paper: {lost}"
    for summary in parsed(built(site, source)).select("article summary"):
        assert squeezed(summary.get_text()) in written

    opened.change(color_scheme="dark")
    assert opened.page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    dark = paper(opened)
    colours = dark.colours()
    for colour, words in colours.items():
        contrast = contrast_with_white(colour)
        assert contrast >= 4.5, f"{source}: {contrast:.1f} of {words!r}, printed in {colour}"
    assert colours == light.colours()
    assert dark.pages() == light.pages()
    assert min(paper(opened, print_background=True).brightness()) > 200

    left = [node for node in opened.page.locator(BUTTONS).all() if node.is_visible()]
    assert not left, [node.evaluate("node => node.outerHTML.slice(0, 99)") for node in left]


def test_no_heading_ends_a_page_and_no_figure_is_cut(visit: Callable[[str], Visit], paper) -> None:
    opened = visit("model/attention/")
    headings = opened.page.locator("article :is(h2, h3)").evaluate_all(
        "nodes => nodes.map(node => node.firstChild.textContent)"
    )
    figures = opened.page.locator("article figure svg").evaluate_all(
        "nodes => nodes.map(node => [...node.querySelectorAll('text')].map(t => t.textContent))"
    )
    assert figures
    for height in HEIGHTS:
        pages = paper(opened, width="210mm", height=height).pages()
        for page, after in pairwise(pages):
            last = page.strip().splitlines()[-1]
            assert last.strip() not in headings, f"{height}: {last} stands above {after[:60]!r}"
        for words in figures:
            whole = [all(squeezed(word) in squeezed(page) for word in words) for page in pages]
            assert any(whole), f"{height}: the figure with {words[:3]} is on no one page"


def test_a_box_longer_than_the_rest_of_a_page_goes_on_on_the_next(
    visit: Callable[[str], Visit], site: Path, paper
) -> None:
    longest = max(lines_of(built(site, "model/attention.md")), key=len)
    opened = visit("model/attention/")
    heads = []
    for height in (140, 148, 156):  # so that it is no luck where the box begins
        print_out = paper(opened, width="105mm", height=f"{height}mm")
        pages = [squeezed(page) for page in print_out.pages()]
        first = next(n for n, page in enumerate(pages) if longest[0] in page)
        last = next(n for n, page in enumerate(pages) if longest[-1] in page)
        assert last > first
        heads.append(pages[first].startswith(longest[0]))
    assert not all(heads), "the box begins on a page of its own, however high the page is"
