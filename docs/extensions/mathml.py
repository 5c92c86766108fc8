r"""Markdown extension: sets the formulas that `pymdownx.arithmatex` finds as MathML.

Needs `pymdownx.arithmatex` with `generic: true`. All formulas of a page are converted together, so
an equation number made by `\label` can be referred to by `\eqref` from anywhere on the page. What
looks like a formula but is not found, so that a reader would see its TeX, is an error too.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from markdown import Extension, Markdown
from markdown.treeprocessors import Treeprocessor
from math_core import LatexError, LatexToMathML

from docs.extensions.breaking import make_breakable

DELIMITERS = {"span": ("\\(", "\\)"), "div": ("\\[", "\\]")}
ENTITY = re.compile(r"&\w+;")
FAILED = re.compile(r"input(?P<index>\d+):(?P<column>\d+): (?P<reason>.*)", re.DOTALL)
ROW_SPACING = re.compile(r"\\\\\s*\[[\d.]+\s*[a-z]{2}\]")  # which math-core takes for text
PUNCTUATION = re.compile(r"[.,;:!?)]+")
LABEL = re.compile(r"\\label\{([^}]*)\}")
REFERENCE = re.compile(r"\\(?:eq)?ref\{([^}]*)\}")
# TeX that arithmatex left alone; a price, $5, is none.
LEFT_OVER = re.compile(r"\$\$|\\\(|\\begin\{|\$[^$\n]*[\\^_{][^$\n]*\$")


class MathError(Exception):
    """Something wrong with a formula; the message starts with its file and line."""


class MathMLTreeprocessor(Treeprocessor):
    """Replaces the text of every arithmatex element by MathML."""

    def run(self, root: ElementTree.Element) -> None:
        elements = [element for element in root.iter() if element.get("class") == "arithmatex"]
        formulas = [(formula_of(element), element.tag == "div") for element in elements]
        self.check_labels([latex for latex, _ in formulas])
        known = [(ROW_SPACING.sub(plain_row_end, latex), display) for latex, display in formulas]
        try:
            converted = LatexToMathML(fancy_error=False).convert_all(known)
        except LatexError as error:
            failed = FAILED.match(str(error))
            latex = formulas[int(failed["index"])][0]
            raise self.error(failed["reason"], latex, int(failed["column"])) from None
        for element, mathml, (latex, display) in zip(elements, converted, formulas, strict=True):
            if not display and (element.tail or "").startswith("$"):
                raise self.error("A $$ formula stands in a paragraph of its own.", f"$${latex}$$")
            element.text = None
            element.append(math_element(mathml, latex))
            if display:
                make_breakable(element[0])
            if not display and (mark := PUNCTUATION.match(element.tail or "")):
                # It stays on the formula's line.
                element[0].tail, element.tail = mark[0], element.tail[mark.end() :]
        for text in shown_texts(root):
            if left_over := LEFT_OVER.search(text):
                raise self.error("This TeX is not taken for a formula.", text, left_over.start())

    def check_labels(self, formulas: list[str]) -> None:
        """Hold labels and references together, because math-core shows (??) and goes on."""
        labels = Counter(label for latex in formulas for label in LABEL.findall(latex))
        for latex in formulas:
            for label in LABEL.finditer(latex):
                if labels[label[1]] > 1:
                    raise self.error(f'The label "{label[1]}" is used twice.', latex, label.start())
            for reference in REFERENCE.finditer(latex):
                if reference[1] not in labels:
                    reason = f'No formula of this page has the label "{reference[1]}".'
                    raise self.error(reason, latex, reference.start())

    def error(self, reason: str, source: str, column: int = 0) -> MathError:
        """Says where on the page the character at `column` of a formula or a text stands."""
        if "relpath" in self.md.treeprocessors:  # MkDocs' own, which knows the page's file
            relpath = self.md.treeprocessors["relpath"]
            uri = relpath.file.src_uri  # of a lab too, whose page is made from another file
            lines = Path(relpath.config.docs_dir, uri).read_text(encoding="utf-8").split("\n")
            where = f"docs/{uri}"
        else:
            lines = self.md.lines
            where = "line"
        number = line_of(source, lines)
        if number is not None:
            where = f"{where}:{number + source[:column].count(chr(10))}"
        return MathError(f"{where}: {reason} In: {source}")


class MathExtension(Extension):
    """Registers the tree processor between attr_list and toc, whose entries then hold no TeX."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.treeprocessors.register(MathMLTreeprocessor(md), "mathml", 7)


def makeExtension(**options: str) -> MathExtension:  # noqa: N802 (the name is Python-Markdown's)
    return MathExtension(**options)


def formula_of(element: ElementTree.Element) -> str:
    """The LaTeX of an arithmatex element, without its delimiters and escapes."""
    opening, closing = DELIMITERS[element.tag]
    text = html.unescape(element.text or "") if element.tag == "div" else (element.text or "")
    return text.strip().removeprefix(opening).removesuffix(closing).strip()


def math_element(mathml: str, latex: str) -> ElementTree.Element:
    """MathML text as an element with its LaTeX as `data-latex`; a lone reference as a link."""
    # XML knows five of HTML's entities by name; math-core writes others as well.
    known = ENTITY.sub(lambda entity: html.escape(html.unescape(entity[0])), mathml)
    math = ElementTree.fromstring(known)
    if REFERENCE.fullmatch(latex):
        return math.find(".//a")  # a link within a formula is hidden from screen readers
    math.set("data-latex", latex)
    return math


def plain_row_end(row_end: re.Match[str]) -> str:
    r"""`\\[1ex]` without the distance, and as long, so that columns are counted alike."""
    return "\\\\".ljust(len(row_end[0]))


def shown_texts(element: ElementTree.Element) -> Iterator[str]:
    """The texts within an element, code and formulas left out, and the words for its pictures."""
    if element.tag in ("code", "pre", "math"):
        return
    yield element.text or ""
    yield element.get("alt") or ""
    for child in element:
        yield from shown_texts(child)
        yield child.tail or ""


def line_of(source: str, lines: list[str]) -> int | None:
    """The number of the first line from which the lines of a source stand one below the other."""
    for text in (f"${source}$", source.strip(), re.sub(r"\\[()]", "$", source)):
        wanted = [line.strip() for line in text.split("\n")]
        for index in range(len(lines) - len(wanted) + 1):
            pairs = zip(wanted, lines[index:], strict=False)
            if all(part in line for part, line in pairs):
                return index + 1
    return None
