"""Attention without its n x n matrix: `docs/why-attention/self-attention.md`.

Shapes: `n_query` and `n_key` are sequence lengths, `d_k` is the width of queries and keys, `d_v`
that of values; `...` are any leading axes, such as (batch,) or (batch, n_heads).
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from snippets.attention import check_attention


# --8<-- [start:partial_attention]
class PartialAttention(NamedTuple):
    """Attention over some of the keys, before the division by the sum of the exponentials."""

    largest: Tensor  # (..., n_query, 1): the largest score, -inf where no key was allowed
    total: Tensor  # (..., n_query, 1): the sum of exp(score - largest)
    mixture: Tensor  # (..., n_query, d_v): the sum of exp(score - largest) times the value


def finite(largest: Tensor) -> Tensor:
    """Put 0 for -inf, because exp(-inf - 0) is 0 and exp(-inf - -inf) is NaN."""
    return largest.masked_fill(largest == -torch.inf, 0.0)


def partial_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> PartialAttention:
    """Attend to these keys only, and divide by nothing yet; `merge` adds other keys.

    The shapes are those of `blockwise_attention`, which checks them; n_key is the number of these
    keys, at least 1. The sums are made in float32 at least, because they overflow in float16.
    """
    dtype = torch.promote_types(query.dtype, torch.float32)
    scores = query.to(dtype) / math.sqrt(query.shape[-1]) @ key.to(dtype).mT
    # (..., n_query, n_key)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    largest = scores.detach().amax(-1, keepdim=True)  # it cancels, so it has no gradient
    exponentials = torch.exp(scores - finite(largest))  # (..., n_query, n_key)
    total = exponentials.sum(-1, keepdim=True)  # (..., n_query, 1)
    return PartialAttention(largest, total, exponentials @ value.to(dtype))


def merge(one: PartialAttention, other: PartialAttention) -> PartialAttention:
    """Attention over the keys of both, which must have none in common; the order is free."""
    largest = torch.maximum(one.largest, other.largest)
    a, b = (torch.exp(part.largest - finite(largest)) for part in (one, other))
    total = a * one.total + b * other.total
    return PartialAttention(largest, total, a * one.mixture + b * other.mixture)


# --8<-- [end:partial_attention]


# --8<-- [start:blockwise_attention]
def blockwise_attention(
    query: Tensor, key: Tensor, value: Tensor, block: int, mask: Tensor | None = None
) -> Tensor:
    """Scaled dot-product attention that never holds more than a block of its weights.

    The keys are gone through in blocks. Between two blocks it keeps the largest score so far, the
    sum of the exponentials and the sum of the values, (n_query, d_v + 2) numbers in all; within
    one it makes (n_query, block) scores. The matrix products are those of the whole, cut up.

    Autograd keeps every block for the backward pass, and so the whole matrix. To train in little
    memory, recompute the blocks there, as PyTorch's fused kernels do.

    Args:
        query: (..., n_query, d_k).
        key: (..., n_key, d_k).
        value: (..., n_key, d_v), in the dtype of the others.
        block: How many keys at a time, at least 1; the last block may have fewer.
        mask: Boolean, True where a query may attend to a key, broadcastable to
            (..., n_query, n_key). A query that may attend to nothing gets the output 0.

    Returns:
        The output (..., n_query, d_v) in the dtype of `query`.

    Raises:
        ValueError: If shapes do not fit, or `block` is less than 1.
        TypeError: If `mask` is not boolean, or the others have not one floating-point dtype.

    Source: Milakov and Gimelshein (2018) for the running sum; Rabe and Staats (2021) for attention
        by it.
    """
    check_attention(query, key, value, mask)
    if block < 1:
        raise ValueError(f"block must be at least 1, not {block}")
    dtypes = (query.dtype, key.dtype, value.dtype)
    if len(set(dtypes)) > 1 or not query.is_floating_point():
        raise TypeError(
            "query, key and value must have one floating-point dtype, "
            f"not {dtypes[0]}, {dtypes[1]} and {dtypes[2]}"
        )
    n_key, d_v = value.shape[-2:]
    if mask is not None:  # an axis of length 1 is repeated, so that it can be cut; no copy is made
        mask = mask.expand(torch.broadcast_shapes(mask.shape, (n_key,)))
    nothing = query.new_zeros(*query.shape[:-1], 1)  # (..., n_query, 1)
    seen = PartialAttention(nothing - torch.inf, nothing, nothing.expand(*query.shape[:-1], d_v))
    for start in range(0, n_key, block):
        keys = slice(start, start + block)
        allowed = None if mask is None else mask[..., keys]
        part = partial_attention(query, key[..., keys, :], value[..., keys, :], allowed)
        seen = merge(seen, part)
    return (seen.mixture / seen.total.masked_fill(seen.total == 0, 1.0)).to(query.dtype)


# --8<-- [end:blockwise_attention]
