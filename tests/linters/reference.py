"""Holds the reference pages to the other pages: their links lead somewhere, and nothing is missing.

`notation_problems`, `glossary_problems` and `bibliography_problems` say what is wrong with a page,
each with its file and line; `test_reference.py` damages the pages and expects to be told.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests import ROOT
from tests.runner.pages import expand

DOCS = ROOT / "docs"
REFERENCE = DOCS / "reference"
THE_PAPER = "1706.03762"  # nearly every page cites it, so its entry does not list them

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
MATH = re.compile(r"\$([^$]+)\$")
CODE = re.compile(r"`([^`]+)`")
CHINESE = re.compile(r"[\u4e00-\u9fff]")
ARXIV = re.compile(r"arxiv\.org/(?:abs|pdf|html)/(\d{4}\.\d{4,5})")
DOI = re.compile(r"doi\.org/(10\.[^)\s>\"]+)")
# Authors (year). [*Title*](address). Venue. Cited in [Page](address), [Page](address).
ENTRY = re.compile(
    r"- (?P<authors>.+?) \((?P<year>\d{4})\)\. (?:\[\*(?P<linked>.+?)\*\]\((?P<url>\S+)\)|"
    r"\*(?P<title>.+?)\*)\. (?P<venue>.+?)\.(?: (?P<cited>Cited .+)\.)?"
)


@dataclass
class Row:
    """One row of a table."""

    where: str  # file and line, for messages
    section: str
    cells: dict[str, str]  # by the heading of the column


@dataclass
class Work:
    """One entry of the bibliography."""

    where: str
    authors: str
    year: int
    title: str
    url: str
    venue: str
    cited: list[str]  # the pages that the entry lists, relative to docs/


def rows(markdown: str, name: str, first: str) -> list[Row]:
    """The rows of the tables whose first column is headed `first`."""
    found: list[Row] = []
    section, header = "", None
    for number, line in enumerate(markdown.splitlines(), 1):
        if line.startswith("#"):
            section = line
        if not line.startswith("|"):
            header = None
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if header is None:
            header = cells
        elif header[0] == first and not re.fullmatch(r"[-|: ]+", line):
            where = f"docs/reference/{name}:{number}"
            found.append(Row(where, section, dict(zip(header, cells, strict=True))))
    return found


def flat(text: str) -> str:
    return " ".join(text.split())


def symbols_in(latex: str) -> list[str]:
    """A formula cut into letters, words and commands, without braces and spaces."""
    cut = re.findall(r"\\(?:text|mathrm|operatorname)\{[^}]*\}|\\[A-Za-z]+|\\.|\S", latex)
    upright = [re.sub(r"\\(?:text|mathrm)\{(.*)\}", r"\1", part) for part in cut]
    return [part for part in upright if part not in {"{", "}", r"\,", r"\;", r"\ ", r"\!"}]


@cache
def text_of(page: Path) -> str:
    """What a page says and embeds."""
    if page.suffix == ".py":
        return page.read_text(encoding="utf-8")
    return "\n".join(line.text for line in expand(page, ROOT))


@cache
def formulas_of(page: Path) -> list[list[str]]:
    found = re.findall(r"\$\$.+?\$\$|\$[^$]+\$", text_of(page), re.DOTALL)
    return [symbols_in(formula.strip("$")) for formula in found]


def has_symbol(page: Path, symbol: list[str]) -> bool:
    """Whether a formula of the page has these symbols, one after the other."""
    return any(
        symbol == formula[start : start + len(symbol)]
        for formula in formulas_of(page)
        for start in range(len(formula))
    )


def linked_pages(cell: str) -> list[tuple[Path, str]]:
    """The files that a cell of a reference page links to, each with the fragment."""
    parts = [link.partition("#") for link in LINK.findall(cell)]
    return [((REFERENCE / file).resolve(), fragment) for file, _, fragment in parts]


def link_problems(row: Row) -> Iterator[str]:
    pages = linked_pages(row.cells["page"])
    if not pages:
        yield f"{row.where}: the page column has no link"
    for page, fragment in pages:
        name = page.relative_to(ROOT) if page.is_relative_to(ROOT) else page
        if not page.is_file():
            yield f"{row.where}: the page {name} does not exist"
        elif fragment and not re.search(rf"(#|id: ){re.escape(fragment)}\b", page.read_text()):
            yield f"{row.where}: {name} has no heading with the id {fragment}"


def on_one_of(pages: list[Path], holds: Callable[[Path], bool]) -> bool:
    """Whether one of the pages holds it; pages that do not exist have been reported already."""
    present = [page for page in pages if page.is_file()]
    return not present or any(holds(page) for page in present)


# what is wrong with a page


def notation_problems(markdown: str) -> Iterator[str]:
    seen: dict[tuple[str, str], str] = {}
    found = rows(markdown, "notation.md", "symbol")
    if not found:
        yield "docs/reference/notation.md: there is no table with a column headed symbol"
    for row in found:
        yield from link_problems(row)
        symbols = MATH.findall(row.cells["symbol"])
        names = CODE.findall(row.cells["in code"])
        pages = [page for page, _ in linked_pages(row.cells["page"])]
        listed = ", ".join(page.stem for page in pages)
        if not symbols and not names:
            yield f"{row.where}: the row has neither a symbol nor a name in code"
        if not row.cells["what it is"]:
            yield f"{row.where}: the row does not say what the symbol is"
        for symbol in symbols:
            parts = symbols_in(symbol)
            if not on_one_of(pages, lambda page, parts=parts: has_symbol(page, parts)):
                yield f"{row.where}: ${symbol}$ is in no formula of {listed}"
        for name in names:
            pattern = re.compile(rf"\b{re.escape(name)}\b")
            if not on_one_of(pages, lambda page, p=pattern: bool(p.search(text_of(page)))):
                yield f"{row.where}: `{name}` is not on the page {listed}"
        for symbol in symbols or names:
            first = seen.setdefault((row.section, symbol), row.where)
            if first != row.where:
                yield f"{row.where}: {symbol} has a row already, at {first}"


def term_pattern(term: str) -> re.Pattern[str]:
    """Finds a term in running text: any case, a hyphen or a space, with or without a plural s."""
    name, _, short = term.partition(" (")
    wordings = [re.sub(r"\\?[- ]", r"[-\\s]+", re.escape(name))]
    if short:
        wordings.append(re.escape(short.rstrip(")")))
    return re.compile(rf"\b(?:{'|'.join(wordings)})", re.IGNORECASE)


def glossary_problems(markdown: str, notes: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    before = ""
    for row in rows(markdown, "glossary.md", "English"):
        english, chinese = row.cells["English"], row.cells["中文"]
        yield from link_problems(row)
        if not re.search(r"[A-Za-z]{2}", english) or CHINESE.search(english):
            yield f"{row.where}: the English term is missing, or is not English: {english!r}"
        if not CHINESE.search(chinese):
            yield f"{row.where}: {english} has no Chinese term"
        if not row.cells["definition"]:
            yield f"{row.where}: {english} has no definition"
        if english.casefold() < before:
            yield f"{row.where}: {english} comes before {before} in the alphabet"
        before = english.casefold()
        for term in (english.casefold(), chinese):
            first = seen.setdefault(term, row.where)
            if term and first != row.where:
                yield f"{row.where}: {term} has a row already, at {first}"
        pages = [page for page, _ in linked_pages(row.cells["page"])]
        pattern = term_pattern(english)
        if not on_one_of(pages, lambda page, p=pattern: bool(p.search(text_of(page)))):
            yield f"{row.where}: the linked page does not have the term {english}"
    for row in rows(markdown, "glossary.md", "in the notes"):
        yield from link_problems(row)
        for column in ("standard", "English", "remark"):
            if not row.cells[column]:
                yield f"{row.where}: the column {column} is empty"
        if not CHINESE.search(row.cells["standard"]):
            yield f"{row.where}: {row.cells['in the notes']} has no Chinese standard form"
        for _, fragment in linked_pages(row.cells["page"]):
            quote = re.search(rf"id: {fragment}\}}(.*?)\n///", notes, re.DOTALL)
            if not quote or row.cells["in the notes"] not in quote[1]:
                yield f"{row.where}: {row.cells['in the notes']} is not in the quote {fragment}"


def works(markdown: str) -> tuple[list[Work], list[str]]:
    """The entries, and what could not be read as one."""
    found, wrong = [], []
    for number, line in enumerate(markdown.splitlines(), 1):
        where = f"docs/reference/bibliography.md:{number}"
        if not line.startswith("- "):
            continue
        entry = ENTRY.fullmatch(line)
        if entry is None:
            wrong.append(f"{where}: not of the form Authors (year). [*Title*](address). Venue.")
            continue
        pages = [page for page, _ in linked_pages(entry["cited"] or "")]
        found.append(
            Work(
                where=where,
                authors=entry["authors"],
                year=int(entry["year"]),
                title=entry["linked"] or entry["title"],
                url=entry["url"] or "",
                venue=entry["venue"],
                cited=[page.relative_to(DOCS).as_posix() for page in pages],
            )
        )
    return found, wrong


def identifiers(text: str) -> list[str]:
    """The arXiv numbers and DOIs of the links in a text, in order."""
    return [*ARXIV.findall(text), *DOI.findall(text)]


@cache
def citations(text: str) -> tuple[set[str], str]:
    """The identifiers that a page links to, and its text on one line."""
    return set(identifiers(text)), flat(text)


def cites(text: str, work: Work) -> bool:
    """Whether a page links to a work, or names its title in italics without a link."""
    linked, line = citations(text)
    own = identifiers(work.url)
    by_address = bool(work.url) and not own and work.url in line
    return not linked.isdisjoint(own) or by_address or f"*{work.title}*" in line


def bibliography_problems(markdown: str, pages: dict[str, str]) -> Iterator[str]:
    """What is wrong with the bibliography of the given pages, which are named relative to docs/."""
    found, wrong = works(markdown)
    yield from wrong
    seen: dict[str, str] = {}
    for work, before in zip(found, [found[0], *found], strict=False):
        if (work.authors.casefold(), work.year) < (
            before.authors.casefold(),
            before.year,
        ):
            yield f"{work.where}: {work.authors} comes before {before.authors} in the alphabet"
        for key in filter(None, (work.title.casefold(), work.url)):
            first = seen.setdefault(key, work.where)
            if first != work.where:
                yield f"{work.where}: {key} has an entry already, at {first}"
        for number in ARXIV.findall(work.url):
            submitted = 2000 + int(number[:2])
            if not submitted - 1 <= work.year <= submitted + 2:  # some come after the conference
                yield f"{work.where}: arXiv:{number} is of {submitted}, the entry of {work.year}"
            if work.venue.startswith("arXiv:") and work.venue != f"arXiv:{number}":
                yield f"{work.where}: the venue is {work.venue}, the link leads to {number}"
        if THE_PAPER in work.url:
            continue
        citing = [page for page, text in pages.items() if cites(text, work)]
        for page in work.cited:
            if page not in citing:
                yield f"{work.where}: docs/{page} does not cite {work.title}"
        for page in citing:
            if page not in work.cited:
                yield f"{work.where}: docs/{page} cites {work.title}: add it to Cited in"
    known = {number for work in found for number in identifiers(work.url)}
    for page, text in pages.items():
        for line, content in enumerate(text.splitlines(), 1):
            for number in identifiers(content):
                if number not in known:
                    yield f"docs/{page}:{line}: {number} is not in docs/reference/bibliography.md"


def all_pages() -> dict[str, str]:
    """Every page and lab but the bibliography."""
    files = sorted([*DOCS.rglob("*.md"), *DOCS.glob("lab/*.py")])
    named = {file.relative_to(DOCS).as_posix(): file.read_text(encoding="utf-8") for file in files}
    return {name: text for name, text in named.items() if name != "reference/bibliography.md"}


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")
