"""One step of Adam, the optimizer of section 5.3 of the paper: `docs/training/optimizer.md`."""

import torch
from torch import Tensor


# --8<-- [start:adam_step]
@torch.no_grad()
def adam_step(
    weight: Tensor,
    gradient: Tensor,
    m: Tensor,
    v: Tensor,
    step: int,
    rate: float,
    betas: tuple[float, float] = (0.9, 0.98),
    eps: float = 1e-9,
) -> None:
    """Move a weight against the running mean of its gradients, measured by their usual size.

        m ← β₁ m + (1 - β₁) g,  v ← β₂ v + (1 - β₂) g²
        w ← w - rate · m̂ / (√v̂ + ε),  m̂ = m / (1 - β₁ᵗ),  v̂ = v / (1 - β₂ᵗ)

    Args:
        weight: Of any shape; changed in place.
        gradient: Of the loss by the weight, of the same shape.
        m: Running mean of the gradients, of the same shape, zeros at first; changed in place.
        v: Running mean of their squares, of the same shape, zeros at first; changed in place.
        step: Number of the update t, from 1.
        rate: The learning rate.
        betas: β₁ and β₂, in [0, 1).
        eps: ε, keeps the divisor from 0.

    Raises:
        ValueError: If `step` is less than 1.

    Source: Kingma and Ba (2015), algorithm 1; the values are those of Vaswani et al. (2017),
    section 5.3.
    """
    if step < 1:
        raise ValueError(f"step must be at least 1, not {step}")
    beta1, beta2 = betas
    m.lerp_(gradient, 1 - beta1)
    v.lerp_(gradient**2, 1 - beta2)
    mean, square = m / (1 - beta1**step), v / (1 - beta2**step)
    weight -= rate * mean / (square.sqrt() + eps)


# --8<-- [end:adam_step]
