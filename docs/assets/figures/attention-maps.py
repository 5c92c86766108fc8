"""Draws the cross-attention of a trained model on one sentence, as `attention-maps.svg`.

The weights are those of `docs/assets/data/attention-maps.json`. `make generated` writes the figure.
"""

import json
from html import escape
from pathlib import Path

CELL, LEFT, TOP = 17, 92, 84
LEVELS = [(0.1, 0.25), (0.25, 0.55), (0.5, 1.0)]  # from which weight on, and how opaque
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
best = [f"{tgt[i]}: {src[row.index(max(row))]}" for i, row in enumerate(mean)]
width, height = LEFT + len(src) * CELL + 24, TOP + len(tgt) * CELL + 4
print(
    f'<svg class="diagram upright" viewBox="0 0 {width} {height}" role="img" '
    'aria-labelledby="attention-maps-title attention-maps-desc" '
    'xmlns="http://www.w3.org/2000/svg">'
)
print('<title id="attention-maps-title">Which source word each target word reads</title>')
print(
    '<desc id="attention-maps-desc">A grid: a row for each token that is written, a column for '
    "each source token, darker where the mean weight of all cross-attention heads is larger. The "
    f"largest weight of each row: {escape(', '.join(best))}.</desc>"
)
for j, token in enumerate(src):
    x = LEFT + j * CELL + CELL / 2 + 4
    print(
        f'<text style="text-anchor:start" transform="translate({x:g} {TOP - 6}) rotate(-60)">'
        f"{escape(token)}</text>"
    )
for i, token in enumerate(tgt):
    y = TOP + i * CELL + CELL / 2 + 4
    print(f'<text x="{LEFT - 6}" y="{y:g}" style="text-anchor:end">{escape(token)}</text>')
for least, opacity in LEVELS:
    above = min((low for low, _ in LEVELS if low > least), default=2)
    path = "".join(
        f"M{LEFT + j * CELL} {TOP + i * CELL}h{CELL}v{CELL}h-{CELL}z"
        for i, row in enumerate(mean)
        for j, weight in enumerate(row)
        if least <= weight < above
    )
    if path:
        print(f'<path d="{path}" style="fill:var(--link);stroke:none;opacity:{opacity:g}"/>')
print(
    f'<rect x="{LEFT}" y="{TOP}" width="{len(src) * CELL}" height="{len(tgt) * CELL}" '
    'style="fill:none"/>'
)
print("</svg>")
