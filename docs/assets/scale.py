"""Measures what the scale does at eleven widths, for the figure of the page: `make generated`.

Queries and keys are those of the page's own program, `docs/derivations/scale.md`. The figure shows
the numbers of `data/scale.json` and computes none.
"""

import json
import math
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snippets.attention import scaled_dot_product_attention
from snippets.softmax import softmax_jacobian

RECORD = Path(__file__).parent / "data" / "scale.json"
N_QUERIES, N_KEYS = 200, 64
FARTHEST = 65  # a bin of the histogram is 2 wide, and the middle one lies over 0
SHARES = 10_000  # weights and norms are written in whole parts of this


def panel(value: Tensor, form: str, curve: Tensor) -> dict[str, Any]:
    """A number, how it is written, and the whole numbers of a curve."""
    number = float(f"{value.item():.6g}")  # the same on another processor
    return {"value": number, "text": f"{number:{form}}", "curve": curve.round().int().tolist()}


def measured(d_k: int) -> dict[str, Any]:
    """The panels of a width: scores, weights and gradients, divided by the root and not."""
    torch.manual_seed(0)
    query = torch.randn(N_QUERIES, 1, d_k, dtype=torch.float64)
    key = torch.randn(N_QUERIES, N_KEYS, d_k, dtype=torch.float64)
    panels = {}
    for way, factor in ("scaled", 1.0), ("raw", math.sqrt(d_k)):  # the factor undoes the division
        scores = factor * query @ key.mT / math.sqrt(d_k)  # (n_queries, 1, n_keys)
        # (n_queries, 1, n_keys)
        _, weights = scaled_dot_product_attention(factor * query, key, key)
        mean = weights.sort(-1, descending=True)[0].mean((0, 1))  # (n_keys,)
        norms = softmax_jacobian(weights[:, 0]).flatten(1).norm(dim=1)  # (n_queries,)
        counts = torch.histc(scores, FARTHEST, -FARTHEST, FARTHEST)
        ranks = torch.linspace(0, 1, 21, dtype=torch.float64)
        panels |= {
            f"{way} scores": panel(scores.std(), ".1f", counts),
            f"{way} weights": panel(mean[0], ".2f", SHARES * mean),
            f"{way} gradients": panel(norms.median(), ".2g", SHARES * norms.quantile(ranks)),
        }
    return panels


def written() -> str:
    """The text of the record: an object with a line for every width."""
    lines = [
        f'"{d_k}": {json.dumps(measured(d_k), separators=(",", ":"))}'
        for d_k in (2**doubling for doubling in range(11))
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"
