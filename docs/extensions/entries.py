"""Markdown extension: gives every row of a reference table an id, and its cells their labels.

It works on tables within `<div class="entries" markdown>`. The id of a row is the text of its first
cell, or of its second where the first is empty: `causal mask` becomes `causal-mask`. Within
`<div class="entries symbols" markdown>`, where a letter may stand for one thing here and another
there, the id of the section comes before it, capitals are kept, and of LaTeX only the letters:
`$W_i^Q$` of the section `attention` becomes `attention-W_i-Q`. A cell has the heading of its column
as `data-label`, which the style sheet shows where a narrow screen makes a card of every row. Above
the table within `<div class="entries terms" markdown>` a line of letters leads to the first term of
each.
"""

import re
from collections.abc import Iterator
from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

COMMAND_OF_WORDS = re.compile(r"\\(?:text|mathrm|operatorname)\{([^}]*)\}")
COMMAND_OF_ONE = re.compile(r"\\([A-Za-z]+)\s*\{")


class EntriesError(Exception):
    """A row that gets no id of its own."""


class EntriesTreeprocessor(Treeprocessor):
    """Gives rows their ids and cells their labels."""

    def run(self, root: ElementTree.Element) -> None:
        taken = {element.get("id") for element in root.iter() if element.get("id")}
        for section, block, table in entry_tables(root):
            classes = block.get("class").split()
            letters: dict[str, str] = {}
            labels = ["".join(cell.itertext()).strip() for cell in table.iter("th")]
            for row in table.iter("tr"):
                cells = row.findall("td")
                if not cells:
                    continue
                for cell, label in zip(cells, labels, strict=True):
                    cell.set("data-label", label)
                name = next(filter(None, map(text_of, cells)), "")
                entry = f"{section}-{symbol_slug(name)}" if "symbols" in classes else slug(name)
                if not entry.strip("-") or entry in taken:
                    raise EntriesError(
                        f'The row "{name}" of a reference table would get the id "{entry}", '
                        "which is empty or used already on this page."
                    )
                taken.add(entry)
                row.set("id", entry)
                letters.setdefault(name[:1].upper(), entry)
            if "terms" in classes:
                line = ElementTree.Element("p", {"class": "letters"})
                for letter, entry in letters.items():
                    ElementTree.SubElement(line, "a", {"href": f"#{entry}"}).text = letter
                block.insert(list(block).index(table), line)


class EntriesExtension(Extension):
    """Registers the tree processor after attr_list, and before formulas become MathML."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.treeprocessors.register(EntriesTreeprocessor(md), "entries", 7.5)


def makeExtension(**options: str) -> EntriesExtension:  # noqa: N802 (Python-Markdown's name)
    return EntriesExtension(**options)


def entry_tables(
    element: ElementTree.Element, section: str = ""
) -> Iterator[tuple[str, ElementTree.Element, ElementTree.Element]]:
    """The tables of entries: the id of the section, the block around the table, and the table."""
    for child in element:
        if re.fullmatch("h[1-6]", child.tag):
            section = child.get("id", "")
        if "entries" in child.get("class", "").split():
            for table in child.findall("table"):
                yield section, child, table
        else:
            yield from entry_tables(child, section)


def text_of(cell: ElementTree.Element) -> str:
    """What a cell says, its formulas as LaTeX without delimiters."""
    return re.sub(r"\\[()]", "", "".join(cell.itertext())).strip()


def slug(name: str) -> str:
    """The id of a term: its letters and digits in lower case, with hyphens between the words."""
    return re.sub(
        r"[\W_]+", "-", re.sub(r"['\N{RIGHT SINGLE QUOTATION MARK}]", "", name.lower())
    ).strip("-")


def symbol_slug(name: str) -> str:
    """The id of a symbol: its letters, digits and subscripts, and the names of its commands."""
    words = COMMAND_OF_ONE.sub(r"\1-", COMMAND_OF_WORDS.sub(r"\1", name))
    return re.sub(r"[^\w]+", "-", re.sub(r"[\\{}]", "", words)).strip("-")
