"""Measures the reach of five kinds of layer and prints it as the figure `path-length.svg`.

`make generated` writes it there.
"""

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `snippets` is

from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.path_length import maximum_path_length, reach
from snippets.recurrent import RecurrentLayer
from snippets.restricted import RestrictedSelfAttention

N, D_MODEL, DEPTH = 16, 4, 4
CELL, PITCH, LEFT, TOP = 6, 110, 66, 44  # of a grid and between grids, in the figure's units
COLUMNS = [
    ("self-attention", "", lambda: itertools.repeat(MultiHeadAttention(D_MODEL, 2))),
    ("recurrent", "steps", lambda: itertools.repeat(RecurrentLayer(D_MODEL))),
    ("contiguous", "k = 3", lambda: itertools.repeat(ConvolutionLayer(D_MODEL, 3))),
    ("dilated", "k = 3", lambda: (ConvolutionLayer(D_MODEL, 3, 2**i) for i in itertools.count())),
    ("restricted", "r = 2", lambda: itertools.repeat(RestrictedSelfAttention(D_MODEL, 2, 2))),
]
HEAD = f"""\
<svg class="diagram" viewBox="0 0 {LEFT + 5 * PITCH} {TOP + 4 * PITCH + 22}" role="img" \
aria-labelledby="path-length-title path-length-desc" xmlns="http://www.w3.org/2000/svg">
<title id="path-length-title">Which outputs see which inputs after one to four layers</title>
<desc id="path-length-desc">Twenty grids of {N} outputs (rows) by {N} inputs (columns), five kinds \
of layer side by side, one to four layers from top to bottom. Self-attention fills its grid with \
one layer. The recurrent layer adds one diagonal below the main one with each step. The contiguous \
convolution widens its band by 1 on either side with each layer, restricted self-attention by 2. \
The dilated convolution doubles what it sees and fills its grid with the fourth layer. Under each \
column stands after how many layers the grid is full: {{}}.</desc>"""


def runs(cells: Tensor) -> Iterator[str]:
    """The cells that are True, as strips of a path, one unit a cell."""
    for y, row in enumerate(cells.tolist()):
        x = 0
        for filled, group in itertools.groupby(row):
            width = len(list(group))
            if filled:
                yield f"M{x} {y}h{width}v1h-{width}z"
            x += width


def grid(x: int, y: int, seen: Tensor, before: Tensor) -> str:
    """One grid: what the last layer has added in one colour, what was seen before in another."""
    paths = "".join(
        f'<path shape-rendering="crispEdges" style="fill:var(--fill-{colour});stroke:none" '
        f'd="{"".join(runs(cells))}"/>'
        for colour, cells in (("operation", before), ("highlight", seen & ~before))
        if cells.any()
    )
    return (
        f'<g transform="translate({x} {y}) scale({CELL})">'
        f'{paths}<rect width="{N}" height="{N}"/></g>'
    )


def main() -> None:
    torch.manual_seed(0)
    lengths = [maximum_path_length(make(), N) for _, _, make in COLUMNS]
    print(HEAD.format(", ".join(map(str, lengths))))
    for column, (name, remark, make) in enumerate(COLUMNS):
        x = LEFT + column * PITCH
        middle, hops, before = x + N * CELL // 2, [], torch.zeros(N, N, dtype=torch.bool)
        print(f'<text x="{middle}" y="16">{name}</text>')
        if remark:
            print(f'<text class="shape" x="{middle}" y="34">{remark}</text>')
        for depth, layer in enumerate(itertools.islice(make(), DEPTH)):
            hops.append(layer.double())
            seen = reach(hops, N)
            print(grid(x, TOP + depth * PITCH, seen, before))
            before = seen
        below = TOP + DEPTH * PITCH + 6
        print(f'<text x="{middle}" y="{below}">full after {lengths[column]}</text>')
    for depth in range(DEPTH):
        label = f"{depth + 1} layer{'s' if depth else ''}"
        print(f'<text x="30" y="{TOP + depth * PITCH + N * CELL // 2 + 4}">{label}</text>')
    print("</svg>")


if __name__ == "__main__":
    main()
