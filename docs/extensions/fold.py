"""Markdown extension: folds what guards the code of a Python block, so that what works is seen.

Of a function or class the signature, the first paragraph of its docstring and its statements stay;
the rest of the docstring, and the checks of arguments of what has one, are folded in place, behind
a button. The button has no text of its own, so the text of a block in the built HTML is the block's
code, letter for letter, folded or not. The style sheet folds only on a screen that runs scripts:
elsewhere, and on paper, everything is open. `program.js` opens and closes.
"""

import ast
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

BLOCK = re.compile(
    r'(<div class="language-python[^"]*">\s*<pre[^>]*>(?:<span></span>)?<code[^>]*>)'
    r"(.*?)(?=</code>)",
    re.DOTALL,
)
TOKEN = re.compile(r"<[^>]*>|&#?\w+;|[^<&]", re.DOTALL)
SECTION = re.compile(r"^\s*(Args|Attributes|Returns|Yields|Raises|Source):", re.MULTILINE)


@dataclass(frozen=True)
class Fold:
    """A part of a block's code, from one character up to another, and what it is called."""

    start: int
    end: int
    name: str
    indent: int = 0  # of the button, in characters


class FoldPostprocessor(Postprocessor):
    """Wraps the folds of every Python block of a page."""

    def __init__(self, md: Markdown, more: str, checks: str) -> None:
        super().__init__(md)
        self.more = more
        self.checks = checks

    def run(self, text: str) -> str:
        return BLOCK.sub(lambda block: block[1] + self.folded(block[2]), text)

    def folded(self, highlighted: str) -> str:
        """The HTML of a block's code with its folds wrapped."""
        code = html.unescape(re.sub(r"<[^>]*>", "", highlighted))
        found = list(folds(code, self.more, self.checks))
        return wrapped(highlighted, found) if found else highlighted


class FoldExtension(Extension):
    """Registers the postprocessor after the one that puts highlighted code in its place."""

    def __init__(self, **options: str) -> None:
        self.config = {
            "more": ["more", "The button's words where a docstring goes on without sections."],
            "checks": ["checks of the arguments", "The button's words for checks."],
        }
        super().__init__(**options)

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        processor = FoldPostprocessor(md, self.getConfig("more"), self.getConfig("checks"))
        md.postprocessors.register(processor, "fold", 25)


def makeExtension(**options: str) -> FoldExtension:  # noqa: N802 (the name is Python-Markdown's)
    return FoldExtension(**options)


def folds(code: str, more: str, checks: str) -> Iterator[Fold]:
    """The parts of a block's code to be folded, in order and apart from each other."""
    try:
        tree = ast.parse(code)
    except SyntaxError:  # a notebook's magic command, in a lab
        return
    # The columns of a syntax tree count bytes.
    lines = [line.encode() for line in code.splitlines(keepends=True)]
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line.decode()))

    def position(number: int, column: int) -> int:
        return starts[number - 1] + len(lines[number - 1][:column].decode())

    found = []
    documented = set()  # what has a docstring, and the methods of classes that have one
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        body = node.body
        if ast.get_docstring(node) is not None:
            string = body[0]
            start = position(string.lineno, string.col_offset)
            end = position(string.end_lineno, string.end_col_offset) - len('"""')
            paragraph = re.search(r"\n[ \t]*\n", code[start:end])
            if paragraph is not None:
                # The button stands on a line of its own, where a phone shows it too.
                rest = start + paragraph.start() + 1
                name = ", ".join(SECTION.findall(code[rest:end])) or more
                found.append(Fold(rest, end, name, string.col_offset))
            body = body[1:]
            documented |= {node, *body}
        if not body or isinstance(node, ast.ClassDef) or node not in documented:
            continue
        if is_check(body[-1]):
            continue  # a function that ends with a check does nothing else
        for first, last in runs(body):
            start = position(first.lineno, first.col_offset)
            found.append(Fold(start, position(last.end_lineno, last.end_col_offset), checks))
    yield from sorted(found, key=lambda fold: fold.start)


def is_check(statement: ast.stmt) -> bool:
    """Whether a statement raises or does nothing."""
    return (
        isinstance(statement, ast.If)
        and not statement.orelse
        and all(isinstance(inner, ast.Raise) for inner in statement.body)
    )


def runs(body: list[ast.stmt]) -> Iterator[tuple[ast.stmt, ast.stmt]]:
    """The first and the last of each run of checks."""
    run: list[ast.stmt] = []
    for statement in [*body, None]:
        if statement is not None and is_check(statement):
            run.append(statement)
        elif run:
            yield run[0], run[-1]
            run = []


def wrapped(highlighted: str, found: list[Fold]) -> str:
    """Highlighted code with each fold in a span behind a button; tags are closed and reopened."""
    starts = {fold.start: fold for fold in found}
    ends = {fold.end for fold in found}
    pieces: list[str] = []
    opened: list[str] = []  # the tags around the place that has been reached
    reached = 0

    def interrupted(between: str) -> None:
        pieces.extend(["</span>"] * len(opened))
        pieces.append(between)
        pieces.extend(opened)

    for token in TOKEN.findall(highlighted):
        if token.startswith("</"):
            opened.pop()
        elif token.startswith("<"):
            opened.append(token)
        else:
            if reached in ends:
                interrupted("</span>")
            if reached in starts:
                fold = starts[reached]
                name = html.escape(fold.name)
                shift = f' style="margin-left: {fold.indent}ch"' if fold.indent else ""
                interrupted(
                    f'<button type="button" class="fold"{shift} aria-expanded="false" '
                    f'aria-label="{name}" data-fold="{name}"></button><span class="folded">'
                )
            reached += 1
        pieces.append(token)
    if reached in ends:
        interrupted("</span>")
    return re.sub(r"<span[^>]*></span>", "", "".join(pieces))
