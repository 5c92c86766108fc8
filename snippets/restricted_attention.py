"""Restricted self-attention, row 4 of the paper's Table 1: `docs/why-attention/complexity.md`.

Shapes: `n` is the length of the sequence, `d_k` = `d_model` / `n_heads`, `w` = 2r + 1 the window.
"""

import torch
from torch import Tensor, nn

from snippets.attention import scaled_dot_product_attention
from snippets.multi_head import merge_heads, split_heads


# --8<-- [start:RestrictedSelfAttention]
def sliding_windows(x: Tensor, r: int) -> Tensor:
    """Set beside each position its neighbours: (..., n, d_k) to (..., n, w, d_k), zeros outside."""
    padded = nn.functional.pad(x, (0, 0, r, r))  # (..., n + 2r, d_k)
    return padded.unfold(-2, 2 * r + 1, 1).transpose(-2, -1)  # (..., n, w, d_k)


class RestrictedSelfAttention(nn.Module):
    """Self-attention in which a query sees only the keys at most `r` positions away.

    Every position is a small attention of its own, one query over its 2r + 1 keys, so that time
    and memory are O(r n d) and no matrix of the size n x n is made. The result is that of
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
        if n_heads < 1 or d_model % n_heads != 0:
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
            ValueError: If `x` has another shape.
        """
        if x.dim() != 3 or x.shape[-1] != self.d_model:
            raise ValueError(f"x must be (batch, n, {self.d_model}), not {tuple(x.shape)}")
        n = x.shape[1]
        r = min(self.r, max(n - 1, 0))  # no key is farther away than that
        q = split_heads(self.W_q(x), self.n_heads).unsqueeze(-2)  # (batch, n_heads, n, 1, d_k)
        k = sliding_windows(split_heads(self.W_k(x), self.n_heads), r)
        v = sliding_windows(split_heads(self.W_v(x), self.n_heads), r)
        # (batch, n_heads, n, w, d_k)
        offsets = torch.arange(-r, r + 1, device=x.device)
        positions = torch.arange(n, device=x.device).unsqueeze(-1) + offsets  # (n, w)
        inside = (positions >= 0) & (positions < n)  # False where the window leaves the sequence
        heads, _ = scaled_dot_product_attention(q, k, v, inside.unsqueeze(-2))
        return self.W_o(merge_heads(heads.squeeze(-2)))  # (batch, n, d_model)


# --8<-- [end:RestrictedSelfAttention]
