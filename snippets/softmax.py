"""Softmax, its Jacobian and its backward pass: `docs/derivations/softmax.md`.

Shapes: `n` is the length of the axis that softmax normalises; `...` are any leading axes.
"""

import torch
from torch import Tensor


# --8<-- [start:softmax]
def softmax(z: Tensor, dim: int = -1) -> Tensor:
    """Turn scores into weights that are positive and sum to one along `dim`.

    Subtracting the largest score first changes nothing in exact arithmetic, because the common
    factor cancels, and keeps `exp` from overflowing. A slice whose scores are all `-inf` has no
    distribution to return: it comes out as zeros. A slice without scores stays without weights.

    Args:
        z: Scores, any shape, floating point; `-inf` is allowed and gets the weight 0. In half
            precision the sum is made in float32: in float16 it overflows at 65,520 equal scores.
        dim: The axis to normalise.

    Returns:
        Weights of the shape and dtype of `z`, in [0, 1].

    Raises:
        TypeError: If `z` is not floating point.

    Source: the softmax of equation (1) of Vaswani et al. (2017), section 3.2.1.
    """
    if not z.is_floating_point():
        raise TypeError(f"softmax expects floating-point scores but got {z.dtype}")
    if z.numel() == 0:
        return z.clone()  # there is no largest of no scores
    wide = z.to(torch.promote_types(z.dtype, torch.float32))
    largest = wide.detach().amax(dim, keepdim=True)  # it cancels, so it has no gradient
    exponentials = torch.exp(wide - largest.masked_fill(largest == -torch.inf, 0.0))
    total = exponentials.sum(dim, keepdim=True)
    return (exponentials / total.masked_fill(total == 0, 1.0)).to(z.dtype)


# --8<-- [end:softmax]


# --8<-- [start:softmax_jacobian]
def softmax_jacobian(y: Tensor) -> Tensor:
    """Return how every weight changes with every score, from the weights alone.

        ∂yᵢ/∂zₖ = yᵢ (δᵢₖ - yₖ), as a matrix diag(y) - y yᵀ

    It is for looking at, not for training: it holds n² numbers where `softmax_backward` needs n.

    Args:
        y: (..., n), weights that `softmax` returned for its last axis, floating point.

    Returns:
        The Jacobian (..., n, n) in the dtype of `y`; entry (i, k) is ∂yᵢ/∂zₖ.

    Raises:
        TypeError: If `y` is not floating point.
        ValueError: If `y` is a single number, without an axis.
    """
    if not y.is_floating_point():
        raise TypeError(f"softmax_jacobian expects floating-point weights but got {y.dtype}")
    if y.dim() == 0:
        raise ValueError("softmax_jacobian expects shape (..., n) but got a single number")
    return torch.diag_embed(y) - y.unsqueeze(-1) * y.unsqueeze(-2)  # (..., n, n)


# --8<-- [end:softmax_jacobian]


# --8<-- [start:softmax_backward]
def softmax_backward(y: Tensor, grad_y: Tensor) -> Tensor:
    """Carry the gradient of a loss from the weights back to the scores, in O(n) for each slice.

        ∂L/∂z = y ⊙ (g - Σᵢ gᵢ yᵢ), where g = ∂L/∂y

    This is g times the Jacobian, without the Jacobian.

    Args:
        y: (..., n), weights that `softmax` returned for its last axis, floating point.
        grad_y: (..., n), the gradient g of the loss with respect to `y`, in the dtype of `y`.

    Returns:
        The gradient of the loss with respect to the scores (..., n), in the dtype of `y`; in half
        precision the mean is taken in float32, where the products of small weights are not 0.

    Raises:
        TypeError: If `y` is not floating point, or `grad_y` has another dtype.
        ValueError: If the shapes differ, which would broadcast, or `y` is a single number.
    """
    if not y.is_floating_point():
        raise TypeError(f"softmax_backward expects floating-point weights but got {y.dtype}")
    if grad_y.dtype != y.dtype:
        raise TypeError(f"y is {y.dtype} but grad_y is {grad_y.dtype}")
    if grad_y.shape != y.shape:
        raise ValueError(f"y has shape {tuple(y.shape)} but grad_y has {tuple(grad_y.shape)}")
    if y.dim() == 0:
        raise ValueError("softmax_backward expects shape (..., n) but got a single number")
    dtype = torch.promote_types(y.dtype, torch.float32)
    weights, g = y.to(dtype), grad_y.to(dtype)
    mean = (g * weights).sum(-1, keepdim=True)  # (..., 1): the mean of g under the weights
    return (weights * (g - mean)).to(y.dtype)


# --8<-- [end:softmax_backward]
