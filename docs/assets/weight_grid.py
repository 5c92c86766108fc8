"""Draws a matrix of attention weights as a grid of shaded cells, for the programs in `figures/`."""

from dataclasses import dataclass
from html import escape


@dataclass
class WeightGrid:
    """A row for each token that is written, a column for each token of the source.

    Args:
        name: Of the figure; the ids of its title and its description begin with it.
        columns: The tokens of the source.
        rows: The tokens that are written.
        weights: A list for each row, with a number for each column.
        cell: Side of a cell.
        left, top, right: Room for the names around the cells.
        levels: From which weight on a cell is how opaque, in rising order.
    """

    name: str
    columns: list[str]
    rows: list[str]
    weights: list[list[float]]
    cell: int
    left: int
    top: int
    right: int
    levels: list[tuple[float, float]]

    def draw(self, title: str) -> None:
        """Print the drawing, with a title and a description that names the largest weights."""
        cell, left, top = self.cell, self.left, self.top
        width, height = len(self.columns) * cell, len(self.rows) * cell
        largest = (self.columns[row.index(max(row))] for row in self.weights)
        best = [f"{written}: {read}" for written, read in zip(self.rows, largest, strict=True)]
        print(
            f'<svg class="diagram upright" viewBox="0 0 {left + width + self.right} '
            f'{top + height + 4}" role="img" aria-labelledby="{self.name}-title {self.name}-desc" '
            'xmlns="http://www.w3.org/2000/svg">'
        )
        print(f'<title id="{self.name}-title">{escape(title)}</title>')
        print(
            f'<desc id="{self.name}-desc">A grid: a row for each token that is written, a column '
            "for each token of the source, darker where the mean weight of all cross-attention "
            f"heads is larger. The largest weight of each row: {escape(', '.join(best))}.</desc>"
        )
        for j, token in enumerate(self.columns):
            x = left + j * cell + cell / 2 + 4
            print(
                f'<text style="text-anchor:start" transform="translate({x:g} {top - 6}) '
                f'rotate(-60)">{escape(token)}</text>'
            )
        for i, token in enumerate(self.rows):
            y = top + i * cell + cell / 2 + 4
            print(f'<text x="{left - 6}" y="{y:g}" style="text-anchor:end">{escape(token)}</text>')
        ends = [least for least, _ in self.levels[1:]] + [2.0]  # no weight is larger than 1
        for (least, opacity), end in zip(self.levels, ends, strict=True):
            path = "".join(
                f"M{left + j * cell} {top + i * cell}h{cell}v{cell}h-{cell}z"
                for i, row in enumerate(self.weights)
                for j, weight in enumerate(row)
                if least <= weight < end
            )
            if path:
                style = f"fill:var(--link);stroke:none;opacity:{opacity:g}"
                print(f'<path d="{path}" style="{style}"/>')
        print(f'<rect x="{left}" y="{top}" width="{width}" height="{height}" style="fill:none"/>')
        print("</svg>")
