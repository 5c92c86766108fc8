"""What the drawings of pages and labs have in common when they are put into HTML."""

import re

SIZE = re.compile(r'(<svg\b[^>]*?\bviewBox="\S+ \S+ (\S+) (\S+)")')


def proportioned(svg: str) -> str:
    """A drawing that says how high it is at a width, so that a browser need not look into it.

    One without a viewBox stays as it is, and is looked into.
    """
    return SIZE.sub(r'\1 style="aspect-ratio:\2/\3"', svg, count=1)
