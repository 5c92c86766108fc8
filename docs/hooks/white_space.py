"""MkDocs hook: leaves out the empty lines and the indents of a page's HTML.

The theme's templates leave many of them: two in a hundred of the bytes that a host sends. Where
white space counts, it stays.
"""

import re

SPACE = re.compile(
    r"(?P<kept><(?P<tag>pre|script|style|textarea)\b.*?</(?P=tag)>)|\s*\n\s*",
    re.DOTALL | re.IGNORECASE,
)


def on_post_page(output: str, **_: object) -> str:
    """A page with one line end where there was white space with several, or with an indent."""
    return SPACE.sub(lambda found: found["kept"] or "\n", output)
