"""Scaled dot-product attention, equation (1) of the paper: `docs/model/attention.md`.

Shapes: `n_query` and `n_key` are sequence lengths, `d_k` is the width of queries and keys, `d_v`
that of values; `...` are any leading axes, such as (batch,) or (batch, n_heads).
"""

import math

import torch
from torch import Tensor

from snippets.softmax import softmax, softmax_backward


# --8<-- [start:check_attention]
def check_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    """Raise one clear sentence where PyTorch would broadcast, or fail inside a product.

    Raises:
        ValueError: If one of the three has fewer than two axes, if leading axes do not broadcast,
            if the widths of `query` and `key` differ, if `key` and `value` differ in length, or if
            `mask` does not broadcast to (..., n_query, n_key).
        TypeError: If `mask` is not boolean.
    """
    shapes = [tuple(x.shape) for x in (query, key, value)]
    if min(map(len, shapes)) < 2:
        raise ValueError("query, key and value must be (..., n, d), not {}, {}, {}".format(*shapes))
    if query.shape[-1] != key.shape[-1]:
        raise ValueError(f"query has d_k = {query.shape[-1]} but key has d_k = {key.shape[-1]}")
    if key.shape[-2] != value.shape[-2]:
        raise ValueError(f"key has length {key.shape[-2]} but value has length {value.shape[-2]}")
    if shapes[0][:-2] != shapes[1][:-2] or shapes[1][:-2] != shapes[2][:-2]:
        try:
            torch.broadcast_shapes(*(shape[:-2] for shape in shapes))
        except RuntimeError:
            raise ValueError(
                "the leading axes of {}, {} and {} do not broadcast".format(*shapes)
            ) from None
    if mask is None:
        return
    if mask.dtype != torch.bool:
        raise TypeError(f"mask must be boolean, True where attention is allowed, not {mask.dtype}")
    scores_shape = (*query.shape[:-1], key.shape[-2])
    trailing = zip(reversed(mask.shape), reversed(scores_shape), strict=False)
    if mask.dim() > len(scores_shape) or any(size not in (1, wanted) for size, wanted in trailing):
        raise ValueError(
            f"mask of shape {tuple(mask.shape)} does not broadcast to the scores' {scores_shape}"
        )


# --8<-- [end:check_attention]


# --8<-- [start:scaled_dot_product_attention]
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    dropout_p: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """Average the values, weighted by how well each key matches the query.

        Attention(Q, K, V) = softmax(Q Kᵀ / √d_k) V

    Args:
        query: (..., n_query, d_k).
        key: (..., n_key, d_k).
        value: (..., n_key, d_v).
        mask: Boolean, True where a query may attend to a key, broadcastable to
            (..., n_query, n_key). A query that may attend to nothing, or that has no keys, gets the
            output 0. A value that a query may not attend to has the weight 0, so it must be finite:
            0 times NaN, or infinity, is NaN.
        dropout_p: Probability in [0, 1) of dropping a weight. It acts in training and evaluation
            alike, so pass 0 to evaluate. Section 5.4 of the paper, which lists what is dropped,
            does not list the weights; many libraries drop them.

    Returns:
        The output (..., n_query, d_v) and the weights before dropout (..., n_query, n_key).

    Raises:
        ValueError: If shapes do not fit.
        TypeError: If `mask` is not boolean.

    Source: Vaswani et al. (2017), section 3.2.1, equation (1).
    """
    check_attention(query, key, value, mask)
    d_k = query.shape[-1]
    # Divided before the product, so that scores in float16 do not overflow on the way.
    scores = query / math.sqrt(d_k) @ key.transpose(-2, -1)  # (..., n_query, n_key)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    weights = softmax(scores)
    kept = torch.dropout(weights, dropout_p, train=True) if dropout_p > 0 else weights
    return kept @ value, weights  # (..., n_query, d_v)


# --8<-- [end:scaled_dot_product_attention]


# --8<-- [start:attention_backward]
def attention_backward(
    query: Tensor, key: Tensor, value: Tensor, weights: Tensor, grad_output: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Carry the gradient of a loss from the output of attention back to its three inputs.

        dV = Wᵀ dO,  dW = dO Vᵀ,  dS = softmax_backward(W, dW)
        dQ = dS K / √d_k,  dK = dSᵀ Q / √d_k

    dX stands for the gradient of the loss with respect to X, O for the output, W for the weights
    and S for the scores. No mask is needed: a weight of 0 has a score without a gradient.

    Args:
        query: (..., n_query, d_k).
        key: (..., n_key, d_k).
        value: (..., n_key, d_v).
        weights: (..., n_query, n_key), as `scaled_dot_product_attention` returned them, without
            dropout.
        grad_output: (..., n_query, d_v), the gradient of the loss with respect to the output, in
            the dtype of the others.

    Returns:
        The gradients with respect to `query`, `key` and `value`, each of its input's shape.

    Raises:
        ValueError: If shapes do not fit. Leading axes have to be equal: where one input was
            broadcast, its gradient would have to be summed.

    Source: Dao et al. (2022), appendix B.2; the forward pass is equation (1) of Vaswani et al.
        (2017), section 3.2.1.
    """
    check_attention(query, key, value, None)
    *leading, n_query, d_k = query.shape
    n_key, d_v = value.shape[-2:]
    for name, tensor, shape in (
        ("key", key, (*leading, n_key, d_k)),
        ("value", value, (*leading, n_key, d_v)),
        ("weights", weights, (*leading, n_query, n_key)),
        ("grad_output", grad_output, (*leading, n_query, d_v)),
    ):
        if tensor.shape != shape:
            raise ValueError(f"{name} must have the shape {shape}, not {tuple(tensor.shape)}")
    grad_value = weights.mT @ grad_output  # (..., n_key, d_v)
    grad_weights = grad_output @ value.mT  # (..., n_query, n_key)
    grad_scores = softmax_backward(weights, grad_weights) / math.sqrt(d_k)
    grad_query = grad_scores @ key  # (..., n_query, d_k)
    grad_key = grad_scores.mT @ query  # (..., n_key, d_k)
    return grad_query, grad_key, grad_value


# --8<-- [end:attention_backward]
