"""Lets the released model translate a sentence, and draws its cross-attention: `translator.svg`.

The translation is greedy; a row is the mean over all heads of all layers. `make generated` writes
the figure.
"""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[3]))  # where `docs` and `snippets` are

from docs.assets.weight_grid import WeightGrid
from snippets.training.attention_maps import recorded_weights
from snippets.training.batching import make_batch
from snippets.training.data import END
from snippets.training.decode import greedy_decode
from snippets.training.translate import load_translator

MODEL = Path(__file__).parents[1] / "models/de-en/model.safetensors"
SENTENCE = "Der schwarze Hund jagt die weiße Katze."

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
WeightGrid(
    "translator", columns, rows, mean, cell=21, left=74, top=66, right=22,
    levels=[(0.08, 0.2), (0.2, 0.4), (0.4, 0.7), (0.7, 1.0)],
).draw(f"{SENTENCE} {tokenizer.decode(tgt)}")  # fmt: skip
