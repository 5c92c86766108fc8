"""Lets the released model translate a sentence, and draws its cross-attention: `translator.svg`.

The translation is greedy; a row is the mean over all heads of all layers. `make generated` writes
the figure.
"""

import sys
from html import escape
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `snippets` is

from snippets.training.attention_maps import recorded_weights
from snippets.training.batching import make_batch
from snippets.training.data import END
from snippets.training.decode import greedy_decode
from snippets.training.translate import load_translator

MODEL = Path(__file__).parents[1] / "models/de-en/model.safetensors"
SENTENCE = "Der schwarze Hund jagt die weiße Katze."
CELL, LEFT, TOP = 21, 74, 66
LEVELS = [(0.08, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.0)]  # from which weight on, and how opaque

torch.set_num_threads(1)
model, tokenizer, _ = load_translator(MODEL)
src = [*tokenizer.encode(SENTENCE).ids, END]
with torch.no_grad():
    tgt = greedy_decode(model, torch.tensor([src]))[0]
    batch = make_batch([(src, [*tgt, END])])
    with recorded_weights(model) as weights:
        model(batch.src, batch.tgt, *batch.masks())
heads = torch.cat([w[0] for name, w in weights.items() if name.endswith("cross_attention")])
mean = heads.mean(0).tolist()  # (len(tgt) + 1, len(src)): row i wrote token i of tgt, or the end
columns, rows = (
    [tokenizer.id_to_token(token).replace("▁", "").replace("</s>", "end") for token in ids]
    for ids in (src, [*tgt, END])
)
best = [f"{rows[i]}: {columns[row.index(max(row))]}" for i, row in enumerate(mean)]
width, height = LEFT + len(columns) * CELL + 22, TOP + len(rows) * CELL + 4
print(
    f'<svg class="diagram upright" viewBox="0 0 {width} {height}" role="img" '
    'aria-labelledby="translator-title translator-desc" xmlns="http://www.w3.org/2000/svg">'
)
print(
    f'<title id="translator-title">{escape(SENTENCE)} {escape(tokenizer.decode(tgt))}</title>\n'
    '<desc id="translator-desc">A grid: a row for each token that is written, a column for each '
    "token of the source, darker where the mean weight of all cross-attention heads is larger. "
    f"The largest weight of each row: {escape(', '.join(best))}.</desc>"
)
for j, name in enumerate(columns):
    x = LEFT + j * CELL + CELL / 2 + 4
    print(
        f'<text style="text-anchor:start" transform="translate({x:g} {TOP - 6}) rotate(-60)">'
        f"{escape(name)}</text>"
    )
for i, name in enumerate(rows):
    y = TOP + i * CELL + CELL / 2 + 4
    print(f'<text x="{LEFT - 6}" y="{y:g}" style="text-anchor:end">{escape(name)}</text>')
for level, (least, opacity) in enumerate(LEVELS):
    above = LEVELS[level + 1][0] if level + 1 < len(LEVELS) else 2
    path = "".join(
        f"M{LEFT + j * CELL} {TOP + i * CELL}h{CELL}v{CELL}h-{CELL}z"
        for i, row in enumerate(mean)
        for j, weight in enumerate(row)
        if least <= weight < above
    )
    if path:
        print(f'<path d="{path}" style="fill:var(--link);stroke:none;opacity:{opacity:g}"/>')
print(
    f'<rect x="{LEFT}" y="{TOP}" width="{len(columns) * CELL}" height="{len(rows) * CELL}" '
    'style="fill:none"/>\n</svg>'
)
