"""Layer normalisation, which follows every residual: `docs/model/residual-and-norm.md`.

Shapes: `d_model` is the width that is normalised; `...` are any leading axes, such as (batch, n).
"""

import torch
from torch import Tensor, nn


# --8<-- [start:layer_norm]
def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float = 1e-5) -> Tensor:
    """Give every position mean 0 and variance 1 over its features, then scale and shift them.

        LayerNorm(x) = (x - μ) / √(σ² + eps) ⊙ weight + bias

    μ and σ² are the mean and the variance of one position's `d_model` numbers. The variance divides
    by `d_model`, not by `d_model - 1`, and `eps` stands inside the root. This is the formula as it
    is written; `LayerNorm` computes the same by PyTorch's kernel, which is faster.

    Args:
        x: (..., d_model), floating point. In half precision the mean and the variance are taken in
            float32: a square of 256 would overflow float16.
        weight: (d_model), the scale.
        bias: (d_model), the shift.
        eps: What is added to the variance, so that a position of equal numbers divides by no 0.

    Returns:
        (..., d_model), in the dtype of `x`.

    Raises:
        ValueError: If `weight` or `bias` is not as wide as `x`, which could broadcast, or `eps` is
            negative.
        TypeError: If `x` is not floating point.

    Source: Ba, Kiros and Hinton (2016), *Layer Normalization*, section 3; Vaswani et al. (2017),
    section 3.1.
    """
    if not x.is_floating_point():
        raise TypeError(f"layer_norm expects floating-point inputs but got {x.dtype}")
    for name, vector in (("weight", weight), ("bias", bias)):
        if x.dim() == 0 or vector.shape != x.shape[-1:]:
            raise ValueError(f"x has shape {tuple(x.shape)} but {name} has {tuple(vector.shape)}")
    if eps < 0:
        raise ValueError(f"eps must not be negative, and is {eps}")
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    centred = wide - wide.mean(-1, keepdim=True)  # (..., d_model)
    variance = centred.square().mean(-1, keepdim=True)  # (..., 1)
    normalised = centred * torch.rsqrt(variance + eps)  # (..., d_model)
    return (normalised * weight + bias).to(x.dtype)


# --8<-- [end:layer_norm]


# --8<-- [start:LayerNorm]
class LayerNorm(nn.Module):
    """Give every position mean 0 and variance 1 over its features, then scale and shift them.

        LayerNorm(x) = (x - μ) / √(σ² + eps) ⊙ weight + bias

    μ and σ² are the mean and the variance of one position's `d_model` numbers. The variance divides
    by `d_model`, not by `d_model - 1`, and `eps` stands inside the root. The paper names no `eps`.
    PyTorch's kernel computes it, which reads its input once.

    Args:
        d_model: Width of the last axis, which is normalised.
        eps: What is added to the variance, so that a position of equal numbers divides by no 0.

    Raises:
        ValueError: If `d_model` is less than 1 or `eps` is negative.

    Source: Ba, Kiros and Hinton (2016), *Layer Normalization*, section 3; Vaswani et al. (2017),
    section 3.1.
    """

    def __init__(self, d_model: int, eps: float = 1e-5) -> None:
        super().__init__()
        if d_model < 1:
            raise ValueError(f"d_model must be at least 1, not {d_model}")
        if eps < 0:
            raise ValueError(f"eps must not be negative, and is {eps}")
        self.d_model, self.eps = d_model, eps
        self.weight = nn.Parameter(torch.ones(d_model))
        self.bias = nn.Parameter(torch.zeros(d_model))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise every position by its own mean and variance.

        Args:
            x: (..., d_model), floating point. In half precision the mean and the variance are
                taken in float32: a square of 256 would overflow float16.

        Returns:
            (..., d_model), in the dtype of `x`.

        Raises:
            ValueError: If `x` has another width.
            TypeError: If `x` is not floating point.
        """
        if x.dim() == 0 or x.shape[-1] != self.d_model:
            raise ValueError(f"x must be (..., {self.d_model}), not {tuple(x.shape)}")
        if not x.is_floating_point():
            raise TypeError(f"LayerNorm expects floating-point inputs but got {x.dtype}")
        return nn.functional.layer_norm(x, (self.d_model,), self.weight, self.bias, self.eps)


# --8<-- [end:LayerNorm]


# --8<-- [start:layer_norm_backward]
def layer_norm_backward(
    x: Tensor, weight: Tensor, grad_y: Tensor, eps: float = 1e-5
) -> tuple[Tensor, Tensor, Tensor]:
    """Carry the gradient of a loss back through layer normalisation, in O(d_model) a position.

        ∂L/∂x = (ĝ - mean(ĝ) - x̂ mean(ĝ ⊙ x̂)) / √(σ² + eps),  ĝ = g ⊙ weight
        ∂L/∂weight = Σ g ⊙ x̂,  ∂L/∂bias = Σ g

    g is ∂L/∂y and x̂ = (x - μ) / √(σ² + eps). The means run over the features of one position, the
    sums over all positions.

    Args:
        x: (..., d_model), the input of the forward pass, floating point.
        weight: (d_model), the scale of the forward pass.
        grad_y: (..., d_model), the gradient g of the loss with respect to the output.
        eps: What the forward pass added to the variance.

    Returns:
        The gradients with respect to `x` (..., d_model), to the weight (d_model) and to the bias
        (d_model), in the dtypes of `x` and of `weight`; in half precision they are computed in
        float32.

    Raises:
        TypeError: If `x` is not floating point.
        ValueError: If shapes differ, which would broadcast, or `eps` is negative.
    """
    if not x.is_floating_point():
        raise TypeError(f"layer_norm_backward expects floating-point inputs but got {x.dtype}")
    if x.dim() == 0 or weight.shape != x.shape[-1:]:
        raise ValueError(f"x has shape {tuple(x.shape)} but weight has {tuple(weight.shape)}")
    if grad_y.shape != x.shape:
        raise ValueError(f"x has shape {tuple(x.shape)} but grad_y has {tuple(grad_y.shape)}")
    if eps < 0:
        raise ValueError(f"eps must not be negative, and is {eps}")
    dtype = torch.promote_types(x.dtype, torch.float32)
    wide, g = x.to(dtype), grad_y.to(dtype)
    centred = wide - wide.mean(-1, keepdim=True)  # (..., d_model)
    one_over_sigma = torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)  # (..., 1)
    normalised = centred * one_over_sigma  # (..., d_model)
    g_hat = g * weight.to(dtype)  # (..., d_model)
    along_ones = g_hat.mean(-1, keepdim=True)  # (..., 1)
    along_normalised = (g_hat * normalised).mean(-1, keepdim=True)  # (..., 1)
    grad_x = one_over_sigma * (g_hat - along_ones - normalised * along_normalised)
    grad_weight = (g * normalised).reshape(-1, x.shape[-1]).sum(0)  # (d_model)
    grad_bias = g.reshape(-1, x.shape[-1]).sum(0)  # (d_model)
    return grad_x.to(x.dtype), grad_weight.to(weight.dtype), grad_bias.to(weight.dtype)


# --8<-- [end:layer_norm_backward]
