"""Markdown extension: leaves out of highlighted code the marks that no colour follows.

Names, operators, punctuation and white space are shown in the page's ink. Pygments marks each of
them all the same, which is half of a long page's HTML.
"""

import re

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

PLAIN = re.compile(r'<span class="(?:n|o|p|w)">([^<]*)</span>')


class LeanPostprocessor(Postprocessor):
    """Keeps the text of a plain piece and not its mark."""

    def run(self, text: str) -> str:
        return PLAIN.sub(r"\1", text)


class LeanExtension(Extension):
    """Registers the postprocessor between the one that puts code in its place and the folds."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.postprocessors.register(LeanPostprocessor(md), "lean", 29)


def makeExtension(**options: object) -> LeanExtension:  # noqa: N802 (as above)
    """Find the extension by the module's name, as Python-Markdown does."""
    return LeanExtension(**options)
