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
CELL, PITCH = 5, 90  # of a grid, and from one to the next, in the figure's units
TOP, ROW = 46, 120  # of the first row, and from one to the next
ROWS = [
    ("self-attention", "", lambda: itertools.repeat(MultiHeadAttention(D_MODEL, 2))),
    ("recurrent", "steps", lambda: itertools.repeat(RecurrentLayer(D_MODEL))),
    ("contiguous", "k = 3", lambda: itertools.repeat(ConvolutionLayer(D_MODEL, 3))),
    ("dilated", "k = 3", lambda: (ConvolutionLayer(D_MODEL, 3, 2**i) for i in itertools.count())),
    ("restricted", "r = 2", lambda: itertools.repeat(RestrictedSelfAttention(D_MODEL, 2, 2))),
]
HEAD = f"""\
<svg class="diagram upright" viewBox="0 0 {4 * PITCH - 2} {TOP + 5 * ROW - 22}" role="img" \
aria-labelledby="path-length-title path-length-desc" xmlns="http://www.w3.org/2000/svg">
<title id="path-length-title">Which outputs see which inputs after one to four layers</title>
<desc id="path-length-desc">Twenty grids of {N} outputs (rows) by {N} inputs (columns), five kinds \
of layer one under the other, one to four layers from left to right. Self-attention fills its grid \
with one layer. The recurrent layer adds one diagonal below the main one with each step. The \
contiguous convolution widens its band by 1 on either side with each layer, restricted \
self-attention by 2. The dilated convolution doubles what it sees and fills its grid with the \
fourth layer. Over each \
row stands after how many layers the grid is full: {{}}.</desc>"""


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
    lengths = [maximum_path_length(make(), N) for _, _, make in ROWS]
    print(HEAD.format(", ".join(map(str, lengths))))
    for depth in range(DEPTH):
        label = f"{depth + 1} layer{'s' if depth else ''}"
        print(f'<text class="shape" x="{4 + depth * PITCH + N * CELL // 2}" y="14">{label}</text>')
    for row, (name, remark, make) in enumerate(ROWS):
        y, hops, before = TOP + row * ROW, [], torch.zeros(N, N, dtype=torch.bool)
        title = f"{name}, {remark}" if remark else name
        print(f'<text x="4" y="{y - 8}" style="text-anchor:start">{title}</text>')
        right = 4 + (DEPTH - 1) * PITCH + N * CELL
        full = f'<text x="{right}" y="{y - 8}" style="text-anchor:end">'
        print(f"{full}full after {lengths[row]}</text>")
        for depth, layer in enumerate(itertools.islice(make(), DEPTH)):
            hops.append(layer.double())
            seen = reach(hops, N)
            print(grid(4 + depth * PITCH, y, seen, before))
            before = seen
    print("</svg>")


if __name__ == "__main__":
    main()
