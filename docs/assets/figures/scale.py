"""Measures what the scale does at eleven widths: the rows of the table in `scale.html`.

Queries and keys are those of the page, `docs/derivations/scale.md`. `make generated` writes the
rows.
"""

import math

import torch
from torch import Tensor

from snippets.attention import scaled_dot_product_attention
from snippets.softmax import softmax_jacobian

N_QUERIES, N_KEYS = 200, 64
FARTHEST = 65.0  # a bin of the histogram is 2 wide, and the middle one lies over 0
SHARES = 10_000  # weights and norms are written in whole parts of this


def cell(value: Tensor, form: str, curve: list[int]) -> str:
    """A cell that shows a number, and holds it to six digits, with the curve that is drawn."""
    number, drawn = value.item(), " ".join(map(str, curve))
    return f'<td data-value="{number:.6g}" data-curve="{drawn}">{number:{form}}</td>'


def parts(values: Tensor) -> list[int]:
    return (SHARES * values).round().int().tolist()


def row(d_k: int) -> str:
    """The row of a width: scores, weights and gradients, each with the scale and without it."""
    torch.manual_seed(0)
    query = torch.randn(N_QUERIES, 1, d_k, dtype=torch.float64)
    key = torch.randn(N_QUERIES, N_KEYS, d_k, dtype=torch.float64)
    columns = []
    for factor in (1.0, math.sqrt(d_k)):  # attention divides by the root, and the factor undoes it
        scores = factor * query @ key.mT / math.sqrt(d_k)  # (n_queries, 1, n_keys)
        weights = scaled_dot_product_attention(factor * query, key, key)[1]  # as scores
        mean = weights.sort(-1, descending=True)[0].mean((0, 1))  # (n_keys,)
        norms = softmax_jacobian(weights[:, 0]).flatten(1).norm(dim=1)  # (n_queries,)
        counts = torch.histc(scores, int(FARTHEST), -FARTHEST, FARTHEST)
        spread = norms.quantile(torch.linspace(0, 1, 21, dtype=torch.float64))
        columns.append(
            (
                cell(scores.std(), ".1f", counts.int().tolist()),
                cell(mean[0], ".2f", parts(mean)),
                cell(norms.median(), ".2g", parts(spread)),
            )
        )
    cells = "".join(a + b for a, b in zip(*columns, strict=True))
    return f'<tr><th scope="row">{d_k}</th>{cells}</tr>'


def rows() -> str:
    """The rows of all widths, a line each."""
    return "".join(f"{row(2**doubling)}\n" for doubling in range(11))
