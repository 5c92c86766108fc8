"""Holds `docs/notes.md` to the notes: every line quoted, translated, judged and given its place.

The page is read as a reader sees it, rendered with the site's own Markdown extensions. `problems`
says what is wrong with a page; `test_notes.py` damages the page and expects to be told.
"""

# ruff: noqa: RUF001 (the notes are Chinese, and a range takes an en dash)

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import zip_longest
from pathlib import Path

from bs4 import BeautifulSoup, Tag
from markdown import Markdown

from tests import ROOT
from tests.runner.pages import site_config

PAGE = ROOT / "docs/notes.md"
ORIGINAL = ROOT / "docs/assets/notes.zh.txt"

VERDICTS = {"Explained", "Checked", "Corrected", "Incomplete", "Unreadable"}
ARROW = "→"
FOLDERS = "model|derivations|why-attention|training|pytorch|lab|reference"
PAGE_NAME = re.compile(rf"(?:{FOLDERS})/[a-z-]+")

# The pages that may be called planned, so that a slip in a name is not taken for a plan.
PLAN = {
    "model": "overview embedding positional-encoding attention masks multi-head feed-forward "
    "residual-and-norm encoder decoder transformer",
    "derivations": "softmax scale cross-entropy attention-backward layer-norm counting",
    "why-attention": "complexity self-attention recurrence convolution restricted path-length "
    "inductive-bias",
    "training": "data batching optimizer loop decoding bleu results scaling-out",
    "pytorch": "contiguous shapes",
    "reference": "notation glossary verification bibliography",
}
PLANNED = {f"{folder}/{name}" for folder, names in PLAN.items() for name in names.split()}


@dataclass
class Answer:
    """One quote of the notes and what the page says to it."""

    where: str  # the line of the page and the line of the notes, for messages
    id: str
    title: str
    quoted: list[str]
    translation: str
    verdict: str
    links: list[str]  # addresses after the arrow
    codes: list[str]  # names of pages after the arrow that are no links
    place: str  # all the text after the arrow


def words(text: str) -> str:
    return " ".join(text.split())


def stripped_lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def render(markdown: str) -> BeautifulSoup:
    config = site_config(ROOT)
    md = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    front_matter = re.match(r"---\n.*?\n---\n", markdown, re.DOTALL)
    return BeautifulSoup(md.convert(markdown[front_matter.end() if front_matter else 0 :]), "lxml")


@cache
def answers(markdown: str) -> list[Answer]:
    """The page's quotes in order, each with what follows it up to the next quote or heading."""
    source = markdown.splitlines()
    found = []
    for box in render(markdown).select(".notes"):
        title = words(box.select_one(".admonition-title").extract().get_text())
        line = next((n for n, text in enumerate(source, 1) if text.endswith(f"| {title}")), 0)
        quoted = [line for pre in box.select("pre") for line in stripped_lines(pre.get_text())]
        for pre in box.select(".highlight"):
            pre.extract()
        following: list[Tag] = []
        for sibling in box.find_next_siblings():
            if sibling.name in {"h2", "h3"} or "notes" in sibling.get("class", []):
                break
            following.append(sibling)
        verdict = following[0].find("strong") if following else None
        answer = BeautifulSoup("".join(map(str, following)), "lxml")
        after = BeautifulSoup(str(answer).rpartition(ARROW)[2], "lxml") if following else answer
        placed = ARROW in answer.get_text()
        found.append(
            Answer(
                where=f"docs/notes.md:{line} ({title.lower()} of the notes)",
                id=box.get("id", ""),
                title=title,
                quoted=quoted,
                translation=words(box.get_text()),
                verdict=words(verdict.get_text()).removesuffix(".") if verdict else "",
                links=[link["href"] for link in after.select("a[href]")] if placed else [],
                codes=[words(code.get_text()) for code in after.select("code")] if placed else [],
                place=words(after.get_text()) if placed else "",
            )
        )
    return found


def problems(markdown: str, original: str, docs: Path, nav: set[str]) -> list[str]:
    """What is wrong with the page, each with the line of the page and of the notes."""
    found = answers(markdown)
    return [
        *(list(quote_problems(found, original)) or title_problems(found, original)),
        *(message for answer in found for message in answer_problems(answer)),
        *(message for answer in found for message in place_problems(answer, docs, nav)),
    ]


def quote_problems(found: list[Answer], original: str) -> Iterator[str]:
    """The first place where the quotes, one after another, are not the notes."""
    written = [(n, line.strip()) for n, line in enumerate(original.splitlines(), 1) if line.strip()]
    quoted = [(answer, line) for answer in found for line in answer.quoted]
    for note, quote in zip_longest(written, quoted):
        if note is None:
            yield f'{quote[0].where}: "{quote[1]}" is quoted, but the notes have ended'
        elif quote is None:
            yield f'docs/notes.md: line {note[0]} of the notes is not quoted: "{note[1]}"'
        elif note[1] != quote[1]:
            yield (
                f"{quote[0].where}: here line {note[0]} of the notes should be quoted, "
                f'"{note[1]}", but the page has "{quote[1]}"'
            )
        else:
            continue
        return


def title_problems(found: list[Answer], original: str) -> Iterator[str]:
    """Titles and ids that do not name the lines under them."""
    numbers = iter([n for n, line in enumerate(original.splitlines(), 1) if line.strip()])
    for answer in found:
        own = [n for _, n in zip(answer.quoted, numbers)]  # noqa: B905 (the quotes are shorter)
        if not own:
            yield f"{answer.where}: nothing is quoted"
            continue
        right = f"Line {own[0]}" if own[0] == own[-1] else f"Lines {own[0]}–{own[-1]}"
        if answer.title != right:
            yield f"{answer.where}: the title should be {right}"
        if answer.id != f"line-{own[0]}":
            yield f"{answer.where}: the id should be line-{own[0]}, not {answer.id or 'none'}"


def answer_problems(answer: Answer) -> Iterator[str]:
    if not answer.translation:
        yield f"{answer.where}: the quote has no translation"
    if answer.verdict not in VERDICTS:
        yield (
            f"{answer.where}: the answer should open with one of {', '.join(sorted(VERDICTS))} in "
            f"bold, not with {answer.verdict or 'nothing'}"
        )
    if answer.verdict == "Checked" and not answer.links:
        yield f"{answer.where}: Checked needs a link to the page whose program checks it"


def place_problems(answer: Answer, docs: Path, nav: set[str]) -> Iterator[str]:
    """Places that are missing, do not exist, or are called planned although they exist."""
    if answer.verdict == "Unreadable" and answer.place == "no page":
        return
    if not answer.links and "planned" not in answer.place:
        yield f"{answer.where}: no place: end with {ARROW} and a link, or `folder/name`, planned"
    for link in answer.links:
        file = link.partition("#")[0]
        if not re.fullmatch(rf"{PAGE_NAME.pattern}\.(md|py)", file):
            yield f"{answer.where}: the place {link} is not a page of this site"
        elif not (docs / file).is_file():
            yield f"{answer.where}: the linked page docs/{file} does not exist"
        elif file not in nav:
            yield f"{answer.where}: the linked page {file} is not in the nav of mkdocs.yml"
    for code in answer.codes:
        if f"{code}, planned" not in answer.place:
            yield f"{answer.where}: write `{code}`, planned"
        if code not in PLANNED:
            yield f"{answer.where}: {code} is called planned, but PLAN in {__name__} lacks it"
        for name in (f"{code}.md", f"{code}.py"):
            if (docs / name).exists() or name in nav:
                yield f"{answer.where}: {code} is called planned, but docs/{name} exists: link it"
    if answer.place.count("planned") != len(answer.codes):
        yield f"{answer.where}: each planned page is written `folder/name`, planned"


def navigation(items: object) -> set[str]:
    """The files that the nav of mkdocs.yml names."""
    if isinstance(items, str):
        return {items}
    if isinstance(items, dict):
        items = items.values()
    return {name for item in items for name in navigation(item)}
