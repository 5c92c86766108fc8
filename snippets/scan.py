"""Linear recurrences, step by step and by a parallel scan: `docs/why-attention/recurrence.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of a state; `...` are any leading
axes, such as (batch,).
"""

import torch
from torch import Tensor


# --8<-- [start:scan]
def check_recurrence(a: Tensor, b: Tensor) -> None:
    """Raise ValueError if the shapes differ, which would broadcast, or there is no position."""
    if a.shape != b.shape or a.dim() < 2 or a.shape[-2] == 0:
        raise ValueError(f"a and b must be (..., n, d), not {tuple(a.shape)} and {tuple(b.shape)}")


def linear_recurrence(a: Tensor, b: Tensor) -> Tensor:
    """The states of h_t = a_t * h_(t-1) + b_t one after the other; the rest is as in `scan`."""
    check_recurrence(a, b)
    h = b[..., 0, :]  # (..., d_model)
    states = [h]
    for t in range(1, b.shape[-2]):
        h = a[..., t, :] * h + b[..., t, :]
        states.append(h)
    return torch.stack(states, dim=-2)  # (..., n, d_model)


def scan(a: Tensor, b: Tensor) -> Tensor:
    """The states of h_t = a_t * h_(t-1) + b_t from h_0 = 0, in ceil(log2 n) rounds.

    A round takes all positions at once. Before it, (a_t, b_t) stands for the last `distance` steps
    up to t, made into one; the round joins it with the pair that stands `distance` to the left.

    Args:
        a: (..., n, d_model), the factors.
        b: (..., n, d_model), what is added.

    Returns:
        The states (..., n, d_model).

    Raises:
        ValueError: If the shapes differ, or there is no position.

    Source: Kogge and Stone (1973); for recurrent networks Martin and Cundy (2018).
    """
    check_recurrence(a, b)
    distance = 1
    while distance < b.shape[-2]:
        a_late, b_late = a[..., distance:, :], b[..., distance:, :]
        a_early, b_early = a[..., :-distance, :], b[..., :-distance, :]
        a = torch.cat([a[..., :distance, :], a_late * a_early], dim=-2)
        b = torch.cat([b[..., :distance, :], a_late * b_early + b_late], dim=-2)
        distance *= 2
    return b


# --8<-- [end:scan]
