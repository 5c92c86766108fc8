"""A page is a program: reads its Python blocks, which `tests.runner.program` runs.

Includes are expanded by the preprocessor of `pymdownx.snippets` itself and blocks are found by
`pytest_codeblocks`, so what runs is what MkDocs shows. What is added here is bookkeeping: which
file and line every line of a block came from, and the rules that keep a block from being passed
over.
"""

import io
import re
from dataclasses import dataclass, replace
from functools import cache
from itertools import zip_longest
from pathlib import Path

from bs4 import BeautifulSoup
from markdown import Markdown
from mkdocs.config import load_config
from mkdocs.config.defaults import MkDocsConfig
from pymdownx.snippets import SnippetMissingError
from pytest_codeblocks import extract_from_buffer
from pytest_codeblocks.main import CodeBlock

from docs.hooks import extensions

FENCE = re.compile(r"(?P<indent>\s*)(?P<marker>`{3,}|~{3,})(?P<info>.*)")
PYTHON = re.compile(r"\s*(\{(.*[\s.])?)?\.?(i?py|numpy|cython)", re.IGNORECASE)
MARK = re.compile(r"<!--[-\s]*(pytest[-.](?:codeblocks:|mark\.).*?)[-\s]*-->")
OUTPUT_MARK = "pytest-codeblocks:expected-output"
SHOWN_PYTHON = (
    ".language-python pre, pre.language-python, pre:has(.language-python),"
    ".language-python code:not(pre *)"
)


class PageError(Exception):
    """Something wrong with a page; the message starts with its file and line."""


@dataclass(frozen=True)
class Line:
    """A line of an expanded page and where it was written."""

    text: str
    path: Path
    number: int
    page_number: int  # the line of the page that is it or embeds it


@dataclass
class Block:
    """A Python block: its lines, and the output that the page shows for it."""

    page: Path
    number: int  # the line of the page on which the fence opens
    lines: list[Line]
    expected_output: str | None

    @property
    def code(self) -> str:
        return "".join(f"{line.text}\n" for line in self.lines)


@cache
def site_config(root: Path) -> MkDocsConfig:
    """A site's configuration, with the Markdown extensions that stand in `docs/extensions/`."""
    return extensions.on_config(load_config(str(root / "mkdocs.yml")))


def location(path: Path, number: int, root: Path) -> str:
    return f"{path.relative_to(root)}:{number}"


def place(line: Line, page: Path, root: Path) -> str:
    """Where a line of a page was written; where it is embedded comes first."""
    here = location(line.path, line.number, root)
    return here if line.path == page else f"{location(page, line.page_number, root)}: {here}"


def expand(page: Path, root: Path) -> list[Line]:
    """The lines of a page as `pymdownx.snippets` leaves them, each with its origin."""
    name = "pymdownx.snippets"
    md = Markdown(extensions=[name], extension_configs={name: site_config(root).mdx_configs[name]})
    preprocessor = md.preprocessors["snippet"]
    lines = []
    for number, text in enumerate(page.read_text(encoding="utf-8").split("\n"), 1):
        if "-8<-" not in text:
            lines.append(Line(text, page, number, number))
            continue
        include = preprocessor.RE_ALL_SNIPPETS.match(text)
        try:
            expanded = preprocessor.run([text])
        except SnippetMissingError as error:
            here = location(page, number, root)
            raise PageError(f"{here}: this include failed: {error}") from None
        if include is None or include["escape"]:
            lines.extend(Line(kept, page, number, number) for kept in expanded)
            continue
        target = preprocessor.parse_snippet_target((include["snippet"] or "")[1:-1])
        source = preprocessor.get_snippet_path(target["path"]) if target else None
        if source is None or target["start"]:
            here = location(page, number, root)
            raise PageError(f'{here}: write one include a line, as --8<-- "path:region"')
        written = Path(source).read_text(encoding="utf-8").split("\n")
        marks = [preprocessor.match_section(line) for line in written]
        names = [mark["name"] if mark else None for mark in marks]
        index = names.index(target["section"]) if target["section"] else 0
        for embedded in expanded:
            while index < len(written) - 1 and written[index].strip() != embedded.strip():
                index += 1  # past the mark of this region and those of regions within it
            lines.append(Line(embedded, Path(source), index + 1, number))
            index += 1
    return lines


def find_fences(lines: list[Line], page: Path, root: Path) -> list[CodeBlock]:
    """The fences of a page as pytest-codeblocks finds them, those with Python as plain `python`.

    Raises:
        PageError: At a fence that would be read in another way by pytest-codeblocks than by
            MkDocs, and at a mark that skips or excuses a block.
    """

    def here() -> str:
        return place(line, page, root)

    text = []
    marker = None  # of the fence that is open
    indent = opened = ""
    above = None  # the info string of the last fence, or the mark that stands under it
    for line in lines:
        fence, mark = FENCE.match(line.text), MARK.search(line.text)
        if marker is None and fence:
            marker, indent, opened = fence["marker"], fence["indent"], here()
            if line.path != page:
                raise PageError(f"{here()}: a fence has to stand on the page, not in an include")
            if above == OUTPUT_MARK and fence["info"].strip() != "text":
                raise PageError(f"{here()}: a ```text fence has to follow the mark for output")
            above = check_info(fence, here())
            text.append(f"{indent}{marker}{above}")
            continue
        # Without its indent pytest-codeblocks would lose an empty line of an indented block.
        text.append(line.text if line.text.strip() or marker is None else indent)
        if marker is not None and line.text.strip() == marker:
            marker = None
        elif marker is not None and line.text.lstrip().startswith(marker):
            raise PageError(f"{here()}: the fence of {opened} is not closed before this one")
        elif marker is None and mark:
            if mark[1] != OUTPUT_MARK:
                raise PageError(f"{here()}: every block runs, so the mark {mark[1]} is refused")
            if above != "python":
                raise PageError(f"{here()}: the mark for output has to follow a Python block")
            above = OUTPUT_MARK
    if marker is not None:
        raise PageError(f"{opened}: this fence is never closed")
    return extract_from_buffer(io.StringIO("".join(f"{line}\n" for line in text)))


def check_info(fence: re.Match[str], here: str) -> str:
    """A fence's info string, without the options that pytest-codeblocks does not read past."""
    info = fence["info"]
    wanted = "would not be run; open a block with ```python"
    if fence["marker"].startswith("~"):
        raise PageError(f"{here}: a {fence['marker']}{info} fence {wanted}")
    if not PYTHON.match(info):
        return info
    if not re.match(r"python(\s|$)", info):
        raise PageError(f"{here}: a {fence['marker']}{info} fence {wanted}")
    return "python"


def read_blocks(page: Path, root: Path) -> list[Block]:
    """The Python blocks of a page, in order.

    Raises:
        PageError: At a fence that a runner would pass over, at a mark that skips or excuses a
            block, at an include that does not exist, and at a fence that never closes.
    """
    lines = expand(page, root)
    blocks = []
    for fence in find_fences(lines, page, root):
        if fence.syntax == "python":
            dedented = fence.code.split("\n")[:-1]
            written = lines[fence.lineno : fence.lineno + len(dedented)]
            pairs = zip(dedented, written, strict=True)
            body = [replace(line, text=text) for text, line in pairs]
            number = lines[fence.lineno - 1].number
            blocks.append(Block(page, number, body, fence.expected_output))
    return blocks


@cache
def blocks_of(page: Path, root: Path) -> list[Block]:
    """The blocks of a page that stays as it is while the process lives: read once for all tests."""
    return read_blocks(page, root)


def shown_python(html: str) -> list[str]:
    """The Python that a built page shows, block by block, as its copy buttons give it."""
    return [trimmed(code.get_text()) for code in BeautifulSoup(html, "lxml").select(SHOWN_PYTHON)]


def trimmed(code: str) -> str:
    """Code without the empty lines around it, which are not shown."""
    return code.strip("\n").rstrip()


def check_shown_is_run(blocks: list[Block], html: str, page: Path, root: Path) -> None:
    """Hold the code that a built page shows against the Python that runs.

    Raises:
        PageError: At the first block that runs without being shown or is shown without being run,
            and at code of any language that the page shows without a fence.
    """
    shown, run = shown_python(html), [trimmed(block.code) for block in blocks]
    for index, (code, ran) in enumerate(zip_longest(shown, run)):
        if code == ran:
            continue
        if ran is not None and ran not in shown[index:]:
            here = location(page, blocks[index].number, root)
            raise PageError(f"{here}: this block runs but the built page does not show it")
        if code not in run[index:]:
            raise PageError(f"{line_of(code, page, root)}: this Python is shown but never runs")
        here = location(page, blocks[index].number, root)
        raise PageError(f"{here}: the built page shows this block elsewhere than it runs")
    fences = find_fences(expand(page, root), page, root)
    known = {
        squeezed(text) for fence in fences for text in (fence.code, fence.expected_output or "")
    }
    for pre in BeautifulSoup(html, "lxml").select(f"pre:not({SHOWN_PYTHON})"):
        if squeezed(pre.get_text()) not in known:
            here = line_of(trimmed(pre.get_text()), page, root)
            raise PageError(f"{here}: this code is shown from no fence, so nothing says if it runs")


def squeezed(code: str) -> str:
    return " ".join(code.split())


def line_of(code: str, page: Path, root: Path) -> str:
    """Where shown code stands on its page, as far as its first line tells."""
    first = code.split("\n")[0]
    lines = enumerate(page.read_text(encoding="utf-8").split("\n"), 1)
    return location(page, next((number for number, text in lines if first in text), 1), root)
