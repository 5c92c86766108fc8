"""What the drawings of pages and labs have in common when they are put into HTML."""

import re

SIZE = re.compile(r'(<svg\b[^>]*?\bviewBox="\S+ \S+ (\S+) (\S+)")')


def proportioned(svg: str) -> str:
    """A drawing that says how high it is at a width, so that a browser need not look into it.

    Raises:
        ValueError: If the drawing has no viewBox.
    """
    text, found = SIZE.subn(r'\1 style="aspect-ratio:\2/\3"', svg, count=1)
    if not found:
        raise ValueError(f"a drawing has no viewBox: {svg[:80]}")
    return text
