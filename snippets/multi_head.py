"""Multi-head attention, section 3.2.2 of the paper: `docs/model/multi-head.md`.

Shapes: `n_query` and `n_key` are sequence lengths, `d_model` is the width of every input and of the
output, `d_k` = `d_model` / `n_heads` is the width of one head.
"""

import torch
from torch import Tensor, nn

from snippets.attention import check_attention, scaled_dot_product_attention


# --8<-- [start:split_heads]
def split_heads(x: Tensor, n_heads: int) -> Tensor:
    """Cut the features into heads: (batch, n, d_model) to (batch, n_heads, n, d_k)."""
    return x.unflatten(-1, (n_heads, -1)).transpose(1, 2)  # (batch, n_heads, n, d_k)


def merge_heads(x: Tensor) -> Tensor:
    """Lay the heads side by side again: (batch, n_heads, n, d_k) to (batch, n, d_model)."""
    return x.transpose(1, 2).flatten(-2)  # (batch, n, d_model)


# --8<-- [end:split_heads]


# --8<-- [start:MultiHeadAttention]
class MultiHeadAttention(nn.Module):
    """Attention in several heads at once, each on its own projection of the input.

        MultiHead(Q, K, V) = Concat(head_1, ..., head_h) W_o
        head_i = Attention(Q W_q_i, K W_k_i, V W_v_i)

    One matrix holds the projections of all heads side by side. The paper writes the projections
    without biases; they have biases here, as in `torch.nn.MultiheadAttention`.

    Args:
        d_model: Width of inputs and output.
        n_heads: Number of heads; it divides `d_model`, and each head is `d_model / n_heads` wide.
        dropout: Probability in [0, 1) of dropping an attention weight in training. Section 5.4 of
            the paper does not list it; section 6.3 mentions attention dropout.

    Raises:
        ValueError: If `n_heads` does not divide `d_model`, or `dropout` is not in [0, 1).

    The weights have the same shapes whatever `n_heads` is, so that loading cannot check it.

    Source: Vaswani et al. (2017), section 3.2.2.
    """

    def __init__(self, d_model: int, n_heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        if n_heads < 1 or d_model < 1 or d_model % n_heads != 0:
            raise ValueError(f"d_model = {d_model} does not divide into n_heads = {n_heads}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.d_model, self.n_heads, self.dropout = d_model, n_heads, dropout
        self.W_q = nn.Linear(d_model, d_model)
        self.W_k = nn.Linear(d_model, d_model)
        self.W_v = nn.Linear(d_model, d_model)
        self.W_o = nn.Linear(d_model, d_model)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None = None,
        need_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]:
        """Attend in every head and project the heads' outputs together.

        Args:
            query: (batch, n_query, d_model).
            key: (batch, n_key, d_model).
            value: (batch, n_key, d_model).
            mask: Boolean, True where a query may attend to a key, broadcastable to
                (batch, n_query, n_key) and the same for all heads. A query that may attend to
                nothing gets 0 from every head, so the bias of `W_o` is its output.
            need_weights: Return the weights too. Without them PyTorch's own function is used,
                whose fused kernels never store them.

        Returns:
            The output (batch, n_query, d_model); with `need_weights` also the weights before
            dropout (batch, n_heads, n_query, n_key).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If `mask` is not boolean.
        """
        for name, x in (("query", query), ("key", key), ("value", value)):
            if x.dim() != 3 or x.shape[-1] != self.d_model:
                raise ValueError(f"{name} must be (batch, n, {self.d_model}), not {tuple(x.shape)}")
            if x.shape[0] != query.shape[0]:
                raise ValueError(
                    f"query has batch size {query.shape[0]} but {name} has {x.shape[0]}"
                )
        check_attention(query, key, value, mask)
        if mask is not None:
            mask = mask.expand(query.shape[0], query.shape[1], key.shape[1]).unsqueeze(1)
            # (batch, 1, n_query, n_key)
        q = split_heads(self.W_q(query), self.n_heads)  # (batch, n_heads, n_query, d_k)
        k = split_heads(self.W_k(key), self.n_heads)  # (batch, n_heads, n_key, d_k)
        v = split_heads(self.W_v(value), self.n_heads)  # (batch, n_heads, n_key, d_k)
        dropout_p = self.dropout if self.training else 0.0
        if need_weights:
            heads, weights = scaled_dot_product_attention(q, k, v, mask, dropout_p)
            return self.W_o(merge_heads(heads)), weights
        heads = nn.functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, dropout_p=dropout_p
        )
        if mask is not None and torch.compiler.is_exporting():  # ONNX would answer with the mean
            heads = heads.masked_fill(~mask.any(-1, keepdim=True), 0.0)
        return self.W_o(merge_heads(heads))  # (batch, n_query, d_model)


# --8<-- [end:MultiHeadAttention]
