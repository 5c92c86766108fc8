"""Where a displayed formula may be broken on a narrow screen.

MathML has no line breaks that browsers follow. So what belongs together becomes an `mrow`, which
leaves a formula as it is where it fits, and which the style sheet lays out as words of a line where
it does not. A row holds one `part` for each of the formulas in it; a part begins its further lines
with a relation, where that is not enough with an operator, and in the end within brackets.
"""

from xml.etree.ElementTree import Element

RELATIONS = frozenset("=≠≤≥<>≈≡∼≃≪≫∝∈∉⊂⊆→←⇒⇔⟶⟹⟺⟸↦≔:")  # noqa: RUF001 (as MathML has them)
OPERATORS = frozenset("+−±∓⋅·×⊙∘⊕")  # noqa: RUF001 (as MathML has them)
OPENING = frozenset("([{⟨⌊⌈")
CLOSING = frozenset(")]}⟩⌋⌉")
SCRIPTS = ("msub", "msup", "msubsup")
GAP = 1.0  # em; a space from which on two formulas stand in one line
# Signs before which a row is cut, within how many brackets, and from how many characters on; at
# first, after wide spaces.
Levels = tuple[tuple[frozenset[str], int, int], ...]
LEVELS: Levels = (
    (frozenset(), 0, 0),
    (RELATIONS, 0, 8),
    (OPERATORS, 0, 12),
    (OPERATORS, 1, 28),
    (OPERATORS, 2, 28),
)


def make_breakable(math: Element) -> None:
    """Group what a displayed formula is made of; of a table, what stands in its cells."""
    if [child.tag for child in math] == ["mtable"]:
        (table,) = math
        if "width: 100%" in table.get("style", ""):
            table.set("class", "numbered")
            for row in table:
                row[0].set("class", "margin")
                row[-1].set("class", "number")
                for cell in row[1:-1]:
                    break_cell(cell)
        else:
            break_table(table)
    else:
        break_row(math)


def break_cell(cell: Element) -> None:
    """A cell holds a row, or the aligned rows of one equation."""
    if [child.tag for child in cell] == ["mtable"]:
        break_table(cell[0])
    else:
        break_row(cell)


def break_table(table: Element) -> None:
    table.set("class", "aligned")
    for row in table:
        for cell in row:
            break_row(cell)


def break_row(row: Element) -> None:
    """Put the children of a row into groups that may stand one under the other."""
    children = list(row)
    for child in children[1:]:
        if child.tag == "mo" and (child.text or " ") in RELATIONS | OPERATORS:
            child.attrib.setdefault("form", "infix")  # as it is, though it begins a group
    row[:] = nested(children, LEVELS)
    if children and row[0] is children[0]:
        row[:] = [group(children)]


def nested(children: list[Element], levels: Levels) -> list[Element]:
    """The children in groups of groups; a level that cuts nothing makes none."""
    if not levels:
        return children
    (signs, depth, least), *further = levels
    if sum(len(text_of(child)) for child in children) < least:
        return children
    pieces = split(children, signs, depth)
    if len(pieces) == 1:
        return nested(children, tuple(further))
    return [group(nested(piece, tuple(further))) for piece in pieces]


def text_of(element: Element) -> str:
    return "".join(element.itertext())


def group(children: list[Element]) -> Element:
    """A group that stays together, unless what it holds is grouped again."""
    within = any(child.get("class") in ("part", "parts") for child in children)
    element = Element("mrow", {"class": "parts" if within else "part"})
    element.extend(children)
    return element


def split(children: list[Element], signs: frozenset[str], within: int) -> list[list[Element]]:
    """Cut before each of the signs within so many brackets; for no sign, after each wide space."""
    pieces: list[list[Element]] = [[]]
    depth = 0
    for child in children:
        sign = child.text if child.tag == "mo" else None
        of_one_side = child.get("rspace") == "0"  # the minus of -1
        if sign in signs and depth <= within and not of_one_side and pieces[-1]:
            pieces.append([])
        pieces[-1].append(child)
        depth += bracket(child)
        if not signs and depth == 0 and child.tag == "mspace" and width(child) >= GAP:
            pieces.append([])
    joined: list[list[Element]] = []
    for piece in pieces:
        # A sign with nothing but words would be a sign with space around, and lose its own.
        if joined and all(child.tag in ("mo", "mtext", "mspace") for child in piece):
            joined[-1] += piece
        elif piece:
            joined.append(piece)
    return joined


def bracket(element: Element) -> int:
    """1 for a bracket that opens, -1 for one that closes, with or without an index, 0 otherwise."""
    if element.tag in SCRIPTS:
        element = element[0]
    if element.tag != "mo":
        return 0
    if element.text in OPENING:
        return 1
    if element.text in CLOSING:
        return -1
    if element.text in ("|", "∥", "‖"):
        return {"prefix": 1, "postfix": -1}.get(element.get("form", ""), 0)
    return 0


def width(space: Element) -> float:
    """The width of an `mspace` in em."""
    written = space.get("width", "0")
    return float(written.removesuffix("em")) if written.endswith("em") else 0.0
