"""Holds the reference pages to the other pages: their links lead somewhere, and nothing is missing.

`notation_problems`, `glossary_problems` and `bibliography_problems` say what is wrong with a page,
each with its file and line; the tests at the end damage the pages and expect to be told.
"""

import inspect
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from snippets.transformer import Transformer
from tests.pages import expand

ROOT = Path(__file__).parents[1]
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


# the pages


def read(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def test_every_symbol_names_a_page_that_uses_it() -> None:
    wrong = list(notation_problems(read("notation.md")))
    assert not wrong, "\n".join(wrong)


def test_the_base_model_is_the_one_of_the_code() -> None:
    """The sizes of the table are the defaults of the model, and fit together."""
    table = {}
    for row in rows(read("notation.md"), "notation.md", "symbol"):
        if "base model" in row.cells:
            (name,) = CODE.findall(row.cells["in code"])
            table[name] = (row.cells["base model"], row.where)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Transformer).parameters.items()
    }
    for name in ("d_model", "d_ff", "n_heads", "n_layers", "dropout"):
        value, where = table[name]
        assert float(value) == defaults[name], f"{where}: {name} is {defaults[name]} in the code"
    heads, (d_model, where) = int(table["n_heads"][0]), table["d_model"]
    for name in ("d_k", "d_v"):
        assert int(table[name][0]) * heads == int(d_model), f"{where}: {name} is not d_model / h"


def test_every_term_has_both_languages_and_a_page() -> None:
    wrong = list(glossary_problems(read("glossary.md"), (DOCS / "notes.md").read_text("utf-8")))
    assert not wrong, "\n".join(wrong)


def test_the_glossary_has_terms_and_words_of_the_notes() -> None:
    markdown = read("glossary.md")
    assert len(rows(markdown, "glossary.md", "English")) >= 40
    assert len(rows(markdown, "glossary.md", "in the notes")) >= 10


def test_every_cited_work_has_an_entry_that_names_the_page() -> None:
    wrong = list(bibliography_problems(read("bibliography.md"), all_pages()))
    assert not wrong, "\n".join(wrong)


# the checks


def replaced(markdown: str, old: str, new: str) -> str:
    assert old in markdown, f"the page no longer has {old!r}: choose another damage"
    return markdown.replace(old, new, 1)


NOTATION_DAMAGES = {
    "a page that is not there": (
        "(../model/masks.md)",
        "(../model/mask.md)",
        "the page docs/model/mask.md does not exist",
    ),
    "a heading that is not there": (
        "#three-uses",
        "#four-uses",
        "no heading with the id four-uses",
    ),
    "a page deleted": ("a set | keys", "a set | keys | |\n| $A_j$ | | a set | keys", "has no link"),
    "another symbol": ("$A_i$", "$A_{ij}$", "$A_{ij}$ is in no formula of masks"),
    "another name in code": ("`n_query`", "`len_q`", "`len_q` is not on the page attention"),
    "a row without a symbol": ("| $A_i$ |", "| |", "neither a symbol nor a name"),
    "a row twice": ("| $q$, $k$ |", "| $Q$, $k$ |", "Q has a row already"),
}


@pytest.mark.parametrize(("old", "new", "message"), NOTATION_DAMAGES.values(), ids=NOTATION_DAMAGES)
def test_a_damaged_notation_is_noticed(old: str, new: str, message: str) -> None:
    found = list(notation_problems(replaced(read("notation.md"), old, new)))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/reference/notation\.md:\d+: ", problem) for problem in found)


def test_a_renamed_column_is_noticed() -> None:
    found = list(notation_problems(read("notation.md").replace("| symbol |", "| sign |")))
    assert found == ["docs/reference/notation.md: there is no table with a column headed symbol"]


GLOSSARY_DAMAGES = {
    "no Chinese": ("| attention | 注意力 |", "| attention | |", "attention has no Chinese term"),
    "no English": ("| attention | 注意力 |", "| | 注意力 |", "the English term is missing"),
    "columns exchanged": ("| query | 查询 |", "| 查询 | query |", "is not English"),
    "out of order": ("| attention | 注意力 |", "| query key | 注意力 |", "in the alphabet"),
    "a term twice": ("| 多头注意力 |", "| 注意力 |", "注意力 has a row already"),
    "a page without the term": (
        "what a position looks for | [Scaled dot-product attention](../model/attention.md)",
        "what a position looks for | [Cross-entropy and label smoothing]"
        "(../derivations/cross-entropy.md)",
        "does not have the term query",
    ),
    "a word that is not in that line": ("| 线形层 |", "| 线状层 |", "is not in the quote line-9"),
    "a remark deleted": ("| one word in English |", "| |", "the column remark is empty"),
}


@pytest.mark.parametrize(("old", "new", "message"), GLOSSARY_DAMAGES.values(), ids=GLOSSARY_DAMAGES)
def test_a_damaged_glossary_is_noticed(old: str, new: str, message: str) -> None:
    damaged = replaced(read("glossary.md"), old, new)
    found = list(glossary_problems(damaged, (DOCS / "notes.md").read_text("utf-8")))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/reference/glossary\.md:\d+: ", problem) for problem in found)


BIBLIOGRAPHY_DAMAGES = {
    "a digit of an arXiv number": (
        "arxiv.org/abs/1704.00805",
        "arxiv.org/abs/1704.00806",
        "1704.00805 is not in docs/reference/bibliography.md",
    ),
    "a digit of a DOI": (
        "PhysRevB.24.2613",
        "PhysRevB.24.2614",
        "10.1103/PhysRevB.24.2613 is not in docs/reference/bibliography.md",
    ),
    "another year": ("(2015). [*Adam", "(2005). [*Adam", "is of 2014, the entry of 2005"),
    "no year": ("(2015). [*Adam", "[*Adam", "not of the form"),
    "out of order": ("- Bahdanau, D.", "- Zahdanau, D.", "in the alphabet"),
    "an entry twice": ("*Xception: ", "*Xception: ", "has an entry already"),
    "another number as venue": ("arXiv:1607.06450", "arXiv:1607.06451", "the link leads to"),
    "a page that does not cite": (
        "(../derivations/softmax.md)",
        "(../model/masks.md)",
        "docs/model/masks.md does not cite",
    ),
    "a page left out": (
        "Cited in [The notes](../notes.md), [Path length]",
        "Cited in [Path length]",
        "docs/notes.md cites Longformer",
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "message"), BIBLIOGRAPHY_DAMAGES.values(), ids=BIBLIOGRAPHY_DAMAGES
)
def test_a_damaged_bibliography_is_noticed(old: str, new: str, message: str) -> None:
    damaged = replaced(read("bibliography.md"), old, new)
    if old == new:
        line = next(line for line in damaged.splitlines() if old in line)
        damaged = replaced(damaged, line, f"{line}\n{line}")
    found = list(bibliography_problems(damaged, all_pages()))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/[\w/-]+\.(md|py):\d+: ", problem) for problem in found)


def test_a_new_citation_without_an_entry_is_noticed() -> None:
    pages = all_pages() | {"model/new.md": "text\n[A work](https://arxiv.org/pdf/2401.01234v2)\n"}
    found = list(bibliography_problems(read("bibliography.md"), pages))
    assert "docs/model/new.md:2: 2401.01234 is not in docs/reference/bibliography.md" in found
