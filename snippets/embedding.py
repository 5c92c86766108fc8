"""Token embeddings, section 3.4 of the paper: `docs/model/embedding.md`.

Shapes: `vocab_size` is the number of different tokens, `d_model` the width of a row, `n` the length
of a sequence; `...` are any leading axes, such as (batch,).
"""

import math

import torch
from torch import Tensor, nn


# --8<-- [start:TokenEmbedding]
class TokenEmbedding(nn.Module):
    """Look up a row of numbers for each token, and multiply it by √d_model.

        Embedding(t) = √d_model E[t]

    Every entry of the table E starts as N(0, 1/d_model), so that a row has a norm of about 1. The
    paper gives no initialisation; this one makes the same table a good output projection. To tie
    it to one, set `projection.weight = embedding.weight`, where `projection` is an
    `nn.Linear(d_model, vocab_size)`. The factor acts on the way in and not on the way out.

    Args:
        vocab_size: Number of different tokens, at least 1.
        d_model: Width of an embedding, at least 1.

    Raises:
        ValueError: If `vocab_size` or `d_model` is less than 1.

    Source: Vaswani et al. (2017), section 3.4.
    """

    def __init__(self, vocab_size: int, d_model: int) -> None:
        super().__init__()
        if vocab_size < 1 or d_model < 1:
            raise ValueError(
                f"vocab_size and d_model must be at least 1, not {vocab_size} and {d_model}"
            )
        self.vocab_size, self.d_model = vocab_size, d_model
        self.weight = nn.Parameter(torch.empty(vocab_size, d_model))
        nn.init.normal_(self.weight, std=d_model**-0.5)

    def forward(self, tokens: Tensor) -> Tensor:
        """Turn token ids into vectors.

        Args:
            tokens: Ids in [0, vocab_size), int64 or int32 (..., n).

        Returns:
            (..., n, d_model), of the table's dtype.

        Raises:
            TypeError: If `tokens` is not int64 or int32.
            ValueError: If an id is not in [0, vocab_size). On a GPU it is an assertion inside
                PyTorch's kernel: reading the ids back would make every step wait.
        """
        if tokens.dtype not in (torch.int64, torch.int32):
            raise TypeError(f"token ids must be int64 or int32, not {tokens.dtype}")
        try:
            rows = nn.functional.embedding(tokens, self.weight)  # (..., n, d_model)
        except IndexError:
            low, high = tokens.min().item(), tokens.max().item()
            raise ValueError(
                f"token ids must be in [0, {self.vocab_size}), but they run from {low} to {high}"
            ) from None
        return rows * math.sqrt(self.d_model)


# --8<-- [end:TokenEmbedding]
