"""The third column of the paper's Table 1, measured: `docs/why-attention/path-length.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of every layer's input and output.
"""

import copy
import itertools
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from snippets.operations import apply_layer
from snippets.recurrent import RecurrentLayer


# --8<-- [start:maximum_path_length]
def after_hops(hops: Sequence[nn.Module], x: Tensor) -> Tensor:
    """What every position knows after so many hops, each made by all positions at once.

    A hop is one layer of a stack. For a recurrent layer it is one step, in which each position
    takes up its own input and the state of its left neighbour as it was before; n steps give the
    layer's output.

    Args:
        hops: The layers from the bottom up, each from (batch, n, d_model) to the same shape, or
            recurrent layers only.
        x: (batch, n, d_model).

    Returns:
        (batch, n, d_model).

    Raises:
        ValueError: If some hops are recurrent and others are not.
    """
    if not any(isinstance(hop, RecurrentLayer) for hop in hops):
        for hop in hops:
            x = apply_layer(hop, x)
        return x
    state = torch.zeros_like(x)
    for hop in hops:
        if not isinstance(hop, RecurrentLayer):
            raise ValueError(f"recurrent steps do not mix with a {type(hop).__name__}")
        left = nn.functional.pad(state, (0, 0, 1, 0))[:, :-1]  # (batch, n, d_model)
        state = hop.step(hop.W_x(x), left)
    return state


def reach(hops: Sequence[nn.Module], n: int) -> Tensor:
    """Which outputs of a stack depend on which of its inputs, by one backward pass.

    Args:
        hops: The layers from the bottom up, on the CPU and in float64, each with a `d_model`. They
            keep the sequences of a batch apart and draw nothing at random.
        n: Length of the sequence, at least 1.

    Returns:
        Boolean (n, n): True in row i, column j, where output i has a derivative at input j that
        is not zero. The inputs and one direction for each output are drawn from a fixed seed.
    """
    generator = torch.Generator("cpu").manual_seed(0)
    options = {"generator": generator, "dtype": torch.float64, "device": "cpu"}
    x = torch.randn(n, hops[0].d_model, **options)
    copies = x.expand(n, *x.shape).clone().requires_grad_()  # copy i is there for output i
    outputs = after_hops(hops, copies).diagonal()  # (d_model, n)
    direction = torch.randn(outputs.shape, **options)
    (gradient,) = torch.autograd.grad((direction * outputs).sum(), copies)  # (n, n, d_model)
    return gradient.ne(0).any(-1)  # (n, n)


def maximum_path_length(
    layer: nn.Module | Iterable[nn.Module], n: int, causal: bool = False
) -> int:
    """How many hops it takes until the two positions farthest apart are connected.

    Args:
        layer: The layer that is stacked, or the layers of the stack from the bottom up. They are
            measured in float64 and evaluation mode, on copies that are on the CPU, because some
            devices have no float64.
        n: Length of the sequence, at least 1.
        causal: Ask only that each output sees itself and what comes before it. A recurrent layer
            never looks ahead and is always measured so.

    Returns:
        The smallest number of hops after which the Jacobian of output i with respect to input j is
        not zero for any i and j; if causal, for any j <= i.

    Raises:
        ValueError: If n layers of the stack, or all it has, do not connect the positions.

    Source: Vaswani et al. (2017), section 4, the third column of Table 1.
    """
    stack = itertools.repeat(layer) if isinstance(layer, nn.Module) else layer
    hops: list[nn.Module] = []
    for _, hop in zip(range(n), stack, strict=False):
        hops.append(copy.deepcopy(hop).to("cpu", torch.float64).eval())
        connected = reach(hops, n)
        if causal or isinstance(hop, RecurrentLayer):
            connected |= torch.ones_like(connected).triu(1)  # the future is not asked for
        if connected.all():
            return len(hops)
    raise ValueError(f"{len(hops)} layers do not connect all {n} positions")


# --8<-- [end:maximum_path_length]
