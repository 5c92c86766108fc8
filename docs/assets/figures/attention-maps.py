"""Draws the cross-attention of a trained model on one sentence, as `attention-maps.svg`.

The weights are those of `docs/assets/data/attention-maps.json`. `make generated` writes the figure.
"""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `docs` is

from docs.assets.weight_grid import WeightGrid

facts = json.loads(
    (Path(__file__).parents[1] / "data" / "attention-maps.json").read_text(encoding="utf-8")
)
layers = facts["weights"]["decoder.cross_attention"]
heads = [head for layer in layers for head in layer]
src, tgt = ([token.replace("▁", "") for token in facts[side]] for side in ("src", "tgt"))
mean = [
    [sum(head[i][j] for head in heads) / len(heads) for j in range(len(src))]
    for i in range(len(tgt))
]
WeightGrid(
    "attention-maps", src, tgt, mean, cell=17, left=92, top=84, right=24,
    levels=[(0.1, 0.25), (0.25, 0.55), (0.5, 1.0)],
).draw("Which source word each target word reads")  # fmt: skip
