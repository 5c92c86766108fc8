"""Markdown extension: says of a long block of code how many of its lines are seen.

A browser need not lay out what is far from the view, if it knows how high it is. A line of code is
never broken, so the style sheet tells the height from `--lines`. Links to what stands below, and
the place to which a reader returns, are then where they would be if everything were laid out.
"""

import re

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

BLOCK = re.compile(
    r'(<div class="language-[^"]*highlight">\s*<pre)((?: lang="\w+")?>(.*?)</code></pre>)',
    re.DOTALL,
)
TAG = re.compile(r"(<[^>]*>)")
LONG = 4  # lines; what is shorter is laid out as soon as it is counted


class LinesPostprocessor(Postprocessor):
    """Writes the number of lines at the blocks of a page."""

    def run(self, text: str) -> str:
        return BLOCK.sub(counted, text)


class LinesExtension(Extension):
    """Registers the postprocessor after the folds."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.postprocessors.register(LinesPostprocessor(md), "lines", 20)


def makeExtension(**options: object) -> LinesExtension:  # noqa: N802 (Python-Markdown's name)
    return LinesExtension(**options)


def counted(block: re.Match[str]) -> str:
    """A block with its number of lines, if it is a long one."""
    number = lines_seen(block[3])
    return f'{block[1]} style="--lines:{number}"{block[2]}' if number >= LONG else block[0]


def lines_seen(highlighted: str) -> int:
    """How many lines of highlighted code are seen while what is folded is closed."""
    seen: list[str] = []
    spans: list[bool] = []  # of the spans that are open, which are folds
    for piece in TAG.split(highlighted):
        if piece.startswith("</span"):
            spans.pop()
        elif piece.startswith("<span"):
            spans.append('class="folded"' in piece)
        elif not piece.startswith("<") and not any(spans):
            seen.append(piece)
    return "".join(seen).strip("\n").count("\n") + 1
