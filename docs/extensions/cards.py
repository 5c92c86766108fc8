"""Markdown extension: a table that is too wide for a phone becomes one card a row there.

Every cell of such a table carries the head of its column as `data-label`, which the style sheet
shows above the cell on a narrow screen. Whether a table is too wide is judged by its words: what
may not be broken, and how much text a column is asked to hold.
"""

from xml.etree.ElementTree import Element

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor

PHONE = 47  # characters that a line of a table holds on a screen of 390 px
MARGIN = 2  # characters between two columns
COMFORT = 14  # characters below which a column with more text is a chimney
LONG = 20  # characters from which on a cell takes the whole width of its card
POWERS = {"2": "²", "3": "³", "⊤": "ᵀ"}  # noqa: RUF001 (as MathML has it)
ROLES = {"tr": "row", "th": "columnheader", "td": "cell"}


class CardsTreeprocessor(Treeprocessor):
    """Marks the tables that are too wide for a phone, and gives their cells the columns' heads."""

    def run(self, root: Element) -> None:
        for table in root.iter("table"):
            head, rows = table.find("thead/tr"), table.findall("tbody/tr")
            if head is None or table.get("class") or not rows:
                continue
            if need([head, *rows]) > PHONE:
                make_cards(table, [line(cell) for cell in head], rows)


def make_cards(table: Element, labels: list[str], rows: list[Element]) -> None:
    """A table without the layout of one is none for a screen reader, unless its roles say so."""
    table.set("data-cards", "")
    table.set("role", "table")
    for part in table:
        part.set("role", "rowgroup")
    for element in table.iter():
        if element.tag in ROLES:
            element.set("role", ROLES[element.tag])
    for row in rows:
        for cell, label in zip(row, labels, strict=False):
            if label:
                cell.set("data-label", label)
            if len(line(cell)) > LONG:
                cell.set("data-long", "")


def need(rows: list[Element]) -> int:
    """The characters of a line that the columns of a table ask for."""
    total = 0
    for column in zip(*rows, strict=False):
        texts = [line(cell) for cell in column]
        word = max((len(word) for cell in column for word in words(cell)), default=0)
        total += max(word, min(COMFORT, max(map(len, texts)))) + MARGIN
    return total - MARGIN


def words(cell: Element) -> list[str]:
    """What of a cell stays on one line: a word, and a formula or a piece of code as a whole."""
    if cell.tag in ("math", "code"):
        return [line(cell)]
    found = (cell.text or "").split()
    for child in cell:
        found += words(child) + (child.tail or "").split()
    return found


def line(element: Element) -> str:
    """The text of an element in one line, with indices and powers as they are written there."""
    if element.tag in ("msub", "msup", "mfrac") and len(element) == 2:
        first, second = map(line, element)
        if element.tag == "msup":
            return first + POWERS.get(second, f"^{second}")
        return f"{first}{'_' if element.tag == 'msub' else '/'}{second}"
    if element.tag == "msubsup" and len(element) == 3:
        base, below, above = map(line, element)
        return f"{base}_{below}{POWERS.get(above, f'^{above}')}"
    if element.tag == "msqrt":
        return "√" + "".join(map(line, element))
    text = element.text or ""
    for child in element:
        text += line(child) + (child.tail or "")
    return " ".join(text.split())


class CardsExtension(Extension):
    """Registers the tree processor after the formulas are set."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.treeprocessors.register(CardsTreeprocessor(md), "cards", 5)


def makeExtension(**options: str) -> CardsExtension:  # noqa: N802 (the name is Python-Markdown's)
    return CardsExtension(**options)
