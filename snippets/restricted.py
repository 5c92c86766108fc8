"""Restricted self-attention, row 4 of the paper's Table 1: `docs/why-attention/restricted.md`.

Shapes: `n` is the length of the sequence, `d_k` = `d_model` / `n_heads`; `n_blocks` blocks of
`block` queries each see `block` + 2r keys.
"""

import torch
from torch import Tensor, nn

from snippets.attention import check_attention
from snippets.multi_head import merge_heads, split_heads


# --8<-- [start:banded_attention]
def pieces(x: Tensor, block: int, margin: int) -> Tensor:
    """Cut a sequence into blocks, each with its neighbours up to `margin` positions away.

    (..., n, d_k) to (..., n_blocks, block + 2 margin, d_k), with zeros outside the sequence. The
    pieces overlap in memory: only the padded sequence is copied.
    """
    missing = -x.shape[-2] % block  # what the last block lacks
    padded = nn.functional.pad(x, (0, 0, margin, margin + missing))
    return padded.unfold(-2, block + 2 * margin, block).transpose(-2, -1)


def banded_attention(
    query: Tensor, key: Tensor, value: Tensor, r: int, block: int | None = None
) -> Tensor:
    """Attention in which a query sees the keys at most `r` positions away, in O(r n d_k).

    Neighbouring queries see nearly the same keys, so they are taken in blocks: each block of
    queries attends to its own keys and the `r` on either side, under a mask that leaves each
    query its window. No matrix of the size n x n is made. The result is that of
    `scaled_dot_product_attention` with the mask |i - j| <= r.

    Args:
        query: (batch, n_heads, n, d_k).
        key: (batch, n_heads, n, d_k).
        value: (batch, n_heads, n, d_v).
        r: The largest distance, at least 0.
        block: Queries in a block. With 1 no product is made in vain; the default, `r`, makes
            3r products a query where 2r + 1 are needed, in matrices large enough to be fast.

    Returns:
        (batch, n_heads, n, d_v).

    Raises:
        ValueError: If shapes do not fit, `r` is negative, or `block` is less than 1.

    Source: Vaswani et al. (2017), section 4.
    """
    check_attention(query, key, value, None)
    n = query.shape[-2]
    if query.dim() != 4 or key.shape[:-1] != query.shape[:-1] or n == 0:
        raise ValueError(
            f"query and key must be (batch, n_heads, n, d_k) with one n, at least 1, "
            f"not {tuple(query.shape)} and {tuple(key.shape)}"
        )
    if r < 0:
        raise ValueError(f"r must be at least 0, not {r}")
    r = min(r, n - 1)  # no key is farther away than that
    block = max(r, 1) if block is None else block
    if block < 1:
        raise ValueError(f"block must be at least 1, not {block}")
    q = pieces(query, block, 0).flatten(0, 1)  # (batch * n_heads, n_blocks, block, d_k)
    k = pieces(key, block, r).flatten(0, 1)  # (batch * n_heads, n_blocks, block + 2r, d_k)
    v = pieces(value, block, r).flatten(0, 1)
    i = torch.arange(block, device=query.device).unsqueeze(-1)  # places within a block
    j = torch.arange(-r, block + r, device=query.device)
    key_position = torch.arange(0, n, block, device=query.device).view(-1, 1, 1) + j
    inside = (key_position >= 0) & (key_position < n)  # (n_blocks, 1, block + 2r)
    near = ((i - j).abs() <= r) & inside  # (n_blocks, block, block + 2r)
    out = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=near.unsqueeze(0))
    return out.flatten(1, 2)[:, :n].unflatten(0, query.shape[:2])  # (batch, n_heads, n, d_v)


# --8<-- [end:banded_attention]


# --8<-- [start:RestrictedSelfAttention]
class RestrictedSelfAttention(nn.Module):
    """Self-attention in which a query sees only the keys at most `r` positions away.

    Time and memory are O(r n d_model), beside the four projections. The result is that of
    multi-head attention with the mask |i - j| <= r.

    Args:
        d_model: Width of inputs and outputs.
        n_heads: Number of heads; it divides `d_model`.
        r: The largest distance, at least 0. The paper's r is the size of the neighbourhood,
            here 2r + 1.

    Raises:
        ValueError: If `n_heads` does not divide `d_model`, or `r` is negative.

    Source: Vaswani et al. (2017), section 4.
    """

    def __init__(self, d_model: int, n_heads: int, r: int) -> None:
        super().__init__()
        if n_heads < 1 or d_model < 1 or d_model % n_heads != 0:
            raise ValueError(f"d_model = {d_model} does not divide into n_heads = {n_heads}")
        if r < 0:
            raise ValueError(f"r must be at least 0, not {r}")
        self.d_model, self.n_heads, self.r = d_model, n_heads, r
        self.W_q = nn.Linear(d_model, d_model)
        self.W_k = nn.Linear(d_model, d_model)
        self.W_v = nn.Linear(d_model, d_model)
        self.W_o = nn.Linear(d_model, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Attend within the window.

        Args:
            x: (batch, n, d_model).

        Returns:
            (batch, n, d_model).

        Raises:
            ValueError: If `x` has another shape, or no position.
        """
        if x.dim() != 3 or x.shape[-1] != self.d_model or x.shape[1] == 0:
            raise ValueError(f"x must be (batch, n, {self.d_model}), not {tuple(x.shape)}")
        q, k, v = (split_heads(W(x), self.n_heads) for W in (self.W_q, self.W_k, self.W_v))
        heads = banded_attention(q, k, v, self.r)  # (batch, n_heads, n, d_k)
        return self.W_o(merge_heads(heads))  # (batch, n, d_model)


# --8<-- [end:RestrictedSelfAttention]
