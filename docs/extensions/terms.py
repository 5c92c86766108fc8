"""Markdown extension: links the first use of every term on a page to its row of the glossary.

The terms and their definitions are those of `docs/reference/glossary.md`, the only place where they
stand; the link carries the definition, which `terms.js` shows beside it. A term is left alone in a
heading, a link, code, a formula, a figure, an emphasis, a quotation, a closed box and the boxes at
a page's head, and on the glossary itself. A word that has another sense as well is listed in the
glossary's front matter: under `only_on` with the pages on which it is the term, or under `not_on`
with those on which it is not.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from posixpath import dirname, relpath
from xml.etree import ElementTree

import yaml
from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString

from docs.extensions.entries import slug

GLOSSARY = "reference/glossary.md"
DOCS = Path(__file__).parents[1]
LEFT_ALONE = {
    *("a", "code", "pre", "math", "figure", "th", "blockquote", "details"),
    *("em", "strong", "h1", "h2", "h3", "h4", "h5", "h6"),
}
CLASSES_LEFT_ALONE = {
    *("arithmatex", "admonition-title", "know", "learn", "essentials"),
    *("entries", "hero", "cards", "pages"),
}
# A place in a text where Python-Markdown will put a piece of raw HTML, by its number.
RAW = re.compile("\x02wzxhzdk:([0-9]+)\x03")
# The LaTeX of a definition, which a tooltip shows as plain text.
PLAIN = {
    r"\\(?:text|mathrm)\{([^}]*)\}": r"\1",
    r"\\sqrt\{([^}]*)\}": "\N{SQUARE ROOT}\\1",
    r"\\log_2\s*": "log\N{SUBSCRIPT TWO} ",
}


class TermsError(Exception):
    """Something wrong with the glossary; the message starts with its file."""


@dataclass(frozen=True)
class Term:
    """A row of the glossary."""

    name: str
    definition: str  # as plain text
    only_on: tuple[str, ...] | None  # the pages on which it is the term; None: on all
    not_on: tuple[str, ...]  # the pages on which it is not

    def is_meant_on(self, page: str) -> bool:
        return page not in self.not_on and (self.only_on is None or page in self.only_on)

    @property
    def wordings(self) -> list[str]:
        """Patterns that find the term in running text, in the singular and in the plural."""
        name, _, rest = self.name.partition(" (")
        *before, last = re.split(r"[- ]", name)
        plural = {"axis": "axes"}.get(last) or (
            f"{last[:-1]}ies" if re.search(r"[^aeiou]y$", last) else f"{last}s"
        )
        endings = "|".join(map(re.escape, (plural, f"{last}es", last)))
        found = [r"[-\s]".join([*map(re.escape, before), f"(?:{endings})"])]
        short = rest.rstrip(")")
        if short.isupper():
            found.append(f"(?-i:{re.escape(short)}s?)")
        return found


class TermsTreeprocessor(Treeprocessor):
    """Puts a link around the first use of each term."""

    def run(self, root: ElementTree.Element) -> None:
        page = self.page()
        if page is None or page == GLOSSARY:
            return
        terms = glossary()
        self.href = f"{relpath(GLOSSARY, dirname(page) or '.')}#"
        self.left = {term.name: term for term in terms if term.is_meant_on(page)}
        # All are found, the longest first, so that "padding" is not taken out of "padding mask".
        wordings = [(wording, term.name) for term in terms for wording in term.wordings]
        wordings.sort(key=lambda pair: -len(pair[0]))
        self.names = [name for _, name in wordings]
        alternatives = "|".join(f"({wording})" for wording, _ in wordings)
        self.pattern = re.compile(rf"(?<![\w-])(?:{alternatives})(?![\w-])", re.IGNORECASE)
        self.walk(root)

    def page(self) -> str | None:
        """The page's source within docs/; None where it is unknown or the site has no glossary."""
        if "relpath" in self.md.treeprocessors:  # MkDocs' own, which knows the page's file
            known = self.md.treeprocessors["relpath"]
            has_glossary = known.files.get_file_from_path(GLOSSARY) is not None
            return known.file.src_uri if has_glossary else None
        if "zrelpath" in self.md.treeprocessors:  # Zensical's
            return self.md.treeprocessors["zrelpath"].path
        return None

    def walk(self, element: ElementTree.Element) -> None:
        if element.tag in LEFT_ALONE or CLASSES_LEFT_ALONE & set(element.get("class", "").split()):
            return
        if self.has_raw_elements(element):  # of which only the tags are known, not what is within
            return
        children = list(element)
        position = self.link(element, 0, element.text)
        for child in children:
            self.walk(child)
            position = self.link(element, position + 1, child.tail, child)

    def has_raw_elements(self, element: ElementTree.Element) -> bool:
        texts = [element.text, *(child.tail for child in element)]
        numbers = [int(number) for text in texts if text for number in RAW.findall(text)]
        raw = [str(self.md.htmlStash.rawHtmlBlocks[number]) for number in numbers]
        return any(re.match(r"<[a-zA-Z]", html) for html in raw)

    def link(
        self,
        parent: ElementTree.Element,
        position: int,
        text: str | None,
        before: ElementTree.Element | None = None,
    ) -> int:
        """Link the terms of a text in front of the child at `position`.

        Returns the position of that child afterwards.
        """
        if not text or isinstance(text, AtomicString):
            return position
        start = 0
        for found in self.pattern.finditer(text):
            term = self.left.pop(self.names[found.lastindex - 1], None)
            if term is None:
                continue
            between = text[start : found.start()]
            if before is None:
                parent.text = between
            else:
                before.tail = between
            attributes = {"class": "term", "href": self.href + slug(term.name)}
            before = ElementTree.Element("a", attributes | {"data-definition": term.definition})
            before.text = AtomicString(found[0])
            parent.insert(position, before)
            position += 1
            start = found.end()
        if start:
            before.tail = text[start:]
        return position


class TermsExtension(Extension):
    """Registers the tree processor after the formulas are set, and before links are resolved."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.treeprocessors.register(TermsTreeprocessor(md), "terms", 6.5)


def makeExtension(**options: str) -> TermsExtension:  # noqa: N802 (the name is Python-Markdown's)
    return TermsExtension(**options)


def glossary() -> list[Term]:
    """The terms of the glossary.

    Raises:
        TermsError: If the glossary has no terms, its `only_on` or `not_on` names a term or a page
            that does not exist, or a definition holds LaTeX that has no plain form here.
    """
    _, front, text = (DOCS / GLOSSARY).read_text(encoding="utf-8").split("---\n", 2)
    pages = {key: yaml.safe_load(front).get(key, {}) for key in ("only_on", "not_on")}
    found = []
    for name, definition in rows(text):
        only_on, not_on = (pages[key].get(name) for key in ("only_on", "not_on"))
        meant = None if only_on is None else tuple(only_on)
        found.append(Term(name, plain(definition), meant, tuple(not_on or ())))
    if not found:
        raise TermsError(f'docs/{GLOSSARY}: there is no <div class="entries terms"> with a table')
    for key, listed in pages.items():
        for name in listed.keys() - {term.name for term in found}:
            raise TermsError(f"docs/{GLOSSARY}:1: {key} names {name}, which is no term")
        for page in {page for some in listed.values() for page in some}:
            if not (DOCS / page).is_file():
                raise TermsError(f"docs/{GLOSSARY}:1: {key} names {page}, which is no page")
    return found


def rows(text: str) -> Iterator[tuple[str, str]]:
    """The first and the third cell of every row of the table of terms."""
    table = re.search(r'<div class="entries terms" markdown>\n(.*?)\n</div>', text, re.DOTALL)
    lines = [line for line in table[1].splitlines() if line.startswith("|")] if table else []
    for line in lines[2:]:  # without the heads of the columns and the line under them
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        yield cells[0], cells[2]


def plain(definition: str) -> str:
    """A definition without Markdown: its formulas as text."""

    def formula(found: re.Match[str]) -> str:
        latex = found[1]
        for pattern, replacement in PLAIN.items():
            latex = re.sub(pattern, replacement, latex)
        if re.search(r"[\\{}^]", latex):
            raise TermsError(f"docs/{GLOSSARY}: no plain text is known for ${found[1]}$")
        return latex

    return re.sub(r"\$([^$]+)\$", formula, definition)
