"""Small models and sentences that the tests of training share."""

import random

import torch

from snippets.training.config import Config
from snippets.training.data import END
from snippets.transformer import Transformer

V = 11
TINY = Config(
    vocab_size=120, d_model=8, n_heads=2, n_layers=2, d_ff=12, max_tokens=256, steps=12, warmup=4
)


def small_model(norm_first: bool = True, seed: int = 0) -> Transformer:
    """An untrained model in float64 and evaluation mode, whose sentences end now and then."""
    torch.manual_seed(seed)
    model = Transformer(
        V, V, 8, 2, 2, 12, dropout=0.2, norm_first=norm_first, share_embeddings=True
    )
    return model.double().eval()


def sentences(count: int, longest: int = 7, seed: int = 0) -> list[list[int]]:
    """Random token ids of different lengths, each sentence with the end token."""
    draw = random.Random(seed)
    return [
        [*(draw.randrange(4, V) for _ in range(draw.randint(1, longest))), END]
        for _ in range(count)
    ]
