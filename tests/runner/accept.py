"""Writes what a page's blocks print and draw: `python -m tests.runner.accept docs/model/masks.md`.

The output goes into the page, and the drawings to `docs/assets/drawings/`.

For an author: read the difference before committing it, because a wrong output is accepted as
readily as a right one. Blocks that raise, and fences that a runner would pass over, are refused as
in the tests, and the page is then left as it is.
"""

import sys
from itertools import count
from pathlib import Path

from docs.palette import PaletteError
from tests import ROOT
from tests.runner import drawings
from tests.runner.pages import OUTPUT_MARK, PageError, read_blocks
from tests.runner.program import Program


def accept(page: Path, root: Path = ROOT) -> None:
    """Write the page's drawings; write, replace or take away the output fence under every block.

    Raises:
        PageError: If a block cannot be read or raises.
        PaletteError: If a drawing cannot follow the palette.
    """
    program = Program(root, read_blocks(page, root))
    try:
        for block in program.blocks:
            program.execute(block)
        saved = [drawing for drawn in program.drawn for drawing in drawn]
        drawn = {drawing.name: drawings.read_drawing(drawing) for drawing in saved}
    finally:
        program.close()
    lines = page.read_text(encoding="utf-8").split("\n")
    for block, output in reversed(list(zip(program.blocks, program.outputs, strict=True))):
        opening = lines[block.number - 1]
        indent = opening[: len(opening) - len(opening.lstrip())]
        printed = [f"{indent}{line}" if line else "" for line in output.splitlines()]
        end = closing(lines, block.number - 1)
        if block.expected_output is None:
            mark, fence = f"{indent}<!--{OUTPUT_MARK}-->", f"{indent}```"
            lines[end + 1 : end + 1] = ["", mark, f"{fence}text", *printed, fence] if output else []
            continue
        mark = next(n for n in count(end) if OUTPUT_MARK in lines[n])
        start = next(n for n in count(mark) if lines[n].lstrip().startswith("```"))
        if output:
            lines[start + 1 : closing(lines, start)] = printed
        else:
            del lines[mark if lines[mark - 1].strip() else mark - 1 : closing(lines, start) + 1]
    page.write_text("\n".join(lines), encoding="utf-8")
    for name, drawing in drawn.items():
        (root / drawings.FOLDER).mkdir(parents=True, exist_ok=True)
        (root / drawings.FOLDER / name).write_text(drawing, encoding="utf-8")


def closing(lines: list[str], opening: int) -> int:
    """The index of the line that closes the fence opening at an index."""
    fence = lines[opening].strip()
    marker = fence[: len(fence) - len(fence.lstrip("`"))]
    return next(n for n in count(opening + 1) if lines[n].strip() == marker)


def main(names: list[str], root: Path = ROOT) -> None:
    try:
        for name in names:
            accept(Path(name).resolve(), root)
    except (PageError, PaletteError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(sys.argv[1:])
