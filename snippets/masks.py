"""The two masks of the Transformer: `docs/model/masks.md`.

A mask is boolean and True means "may attend", as in `torch.nn.functional`;
`torch.nn.MultiheadAttention` means the reverse. Masks combine with `&`.
"""

import torch
from torch import Tensor


# --8<-- [start:causal_mask]
def causal_mask(n: int, device: torch.device | str | None = None) -> Tensor:
    """Let position i attend to the positions 0 to i, itself included, and to none after it.

    Args:
        n: Length of the sequence, at least 1.
        device: Where the mask is made.

    Returns:
        Boolean (n, n); row i, the query, is True in the columns 0 to i, the keys.

    Raises:
        ValueError: If `n` is less than 1.

    Source: Vaswani et al. (2017), section 3.2.3.
    """
    if n < 1:
        raise ValueError(f"a causal mask needs a length of at least 1, not {n}")
    return torch.ones(n, n, dtype=torch.bool, device=device).tril()


# --8<-- [end:causal_mask]


# --8<-- [start:padding_mask]
def padding_mask(tokens: Tensor, pad_id: int) -> Tensor:
    """Hide padding as a key: no query may attend to it.

    A hidden key gets the weight 0, so it does not matter which finite numbers stand there. NaN and
    infinity do matter: 0 times either is NaN.

    Args:
        tokens: Token ids, integer (batch, n).
        pad_id: The id that fills a sentence up to the batch's length, an integer.

    Returns:
        Boolean (batch, 1, n), True at the real tokens; the axis of length 1 is the queries'.

    Raises:
        ValueError: If `tokens` has not two axes.
        TypeError: If `tokens` is not an integer tensor, or `pad_id` is no integer.
    """
    if not isinstance(pad_id, int) or isinstance(pad_id, bool):
        raise TypeError(f"pad_id must be an integer, not {pad_id!r}")
    if tokens.dim() != 2:
        raise ValueError(f"tokens must have the shape (batch, n), not {tuple(tokens.shape)}")
    if tokens.is_floating_point() or tokens.is_complex() or tokens.dtype == torch.bool:
        raise TypeError(f"tokens must be integers, not {tokens.dtype}")
    return (tokens.long() != pad_id).unsqueeze(1)  # (batch, 1, n); in uint8, -1 would be 255


# --8<-- [end:padding_mask]
