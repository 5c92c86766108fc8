"""The third column of the paper's Table 1, measured: `docs/why-attention/path-length.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of every layer's input and output.
"""

import copy
import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from snippets.complexity import apply_layer
from snippets.recurrent import RecurrentLayer


# --8<-- [start:maximum_path_length]
def after_hops(hops: Sequence[nn.Module], x: Tensor) -> Tensor:
    """What every position knows after so many hops, each made by all positions at once.

    A hop is one layer of a stack; for a recurrent layer it is one step, in which each position
    takes up the state of its left neighbour as it was before.
    """
    state = torch.zeros_like(x) if isinstance(hops[0], RecurrentLayer) else x
    for hop in hops:
        if isinstance(hop, RecurrentLayer):
            left = nn.functional.pad(state, (0, 0, 1, 0))[:, :-1]  # (batch, n, d_model)
            state = hop.step(hop.W_x(x), left)
        else:
            state = apply_layer(hop, state)
    return state


def reach(hops: Sequence[nn.Module], n: int) -> Tensor:
    """Boolean (n, n): True in row i, column j, where output i has a gradient at input j."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, hops[0].d_model, generator=generator, dtype=torch.float64)
    copies = x.expand(n, *x.shape).clone().requires_grad_()  # copy i is there for output i
    outputs = after_hops(hops, copies).diagonal()  # (d_model, n)
    direction = torch.randn(outputs.shape, generator=generator, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((direction * outputs).sum(), copies)  # (n, n, d_model)
    return gradient.ne(0).any(-1)  # (n, n)


def maximum_path_length(layer: nn.Module | Iterable[nn.Module], n: int) -> int:
    """How many hops it takes until the two positions farthest apart are connected.

    Args:
        layer: The layer that is stacked, or the layers of the stack from the bottom up.
        n: Length of the sequence, at least 1.

    Returns:
        The smallest number of hops after which the Jacobian of output i with respect to input j
        is not zero for any i and j; for a recurrent layer, which never looks ahead, for j <= i.

    Raises:
        ValueError: If n layers of the stack do not connect all positions.
    """
    stack = itertools.repeat(layer) if isinstance(layer, nn.Module) else layer
    hops: list[nn.Module] = []
    for _, hop in zip(range(n), stack, strict=False):
        hops.append(copy.deepcopy(hop).double().eval())
        connected = reach(hops, n)
        if isinstance(hop, RecurrentLayer):
            connected |= torch.ones(n, n, dtype=torch.bool).triu(1)  # the future is out of reach
        if connected.all():
            return len(hops)
    raise ValueError(f"{len(hops)} layers do not connect all {n} positions")


# --8<-- [end:maximum_path_length]
