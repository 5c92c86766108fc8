"""Two columns of the paper's Table 1, counted: `docs/why-attention/complexity.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of every layer's input and output.
"""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from snippets.multi_head import MultiHeadAttention


# --8<-- [start:apply_layer]
def apply_layer(layer: Callable[..., Any], x: Tensor) -> Any:
    """Call a layer on one sequence; attention gets it as query, key and value."""
    return layer(x, x, x) if isinstance(layer, MultiHeadAttention) else layer(x)


# --8<-- [end:apply_layer]


# --8<-- [start:count_flops]
def count_flops(layer: Callable[..., Any], x: Tensor) -> int:
    """Count the FLOPs of the matrix products and convolutions that a layer computes.

    A multiply-add counts as two. Softmax, biases and all other elementwise operations count as
    nothing. Attention is computed by matrix products here and not by a fused kernel, because the
    counter passes over a kernel for which it has no formula.

    Args:
        layer: A module or a function of `x`.
        x: The input, usually (batch, n, d_model).

    Returns:
        The number of floating-point operations of one forward pass.
    """
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        apply_layer(layer, x)
    return counter.get_total_flops()


# --8<-- [end:count_flops]


# --8<-- [start:sequential_operations]
class ChainMode(TorchDispatchMode):
    """Follows every tensor that depends on `x` and notes how many operations it is away."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.length = {id(x): 0}
        self.kept = [x]  # so that no identity is used twice

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        result = operation(*args, **kwargs)
        parts = [p if isinstance(p, list) else [p] for p in (*args, *kwargs.values())]
        before = [self.length[id(p)] for p in itertools.chain(*parts) if id(p) in self.length]
        if before:
            free = operation.is_view or operation is torch.ops.aten._unsafe_view.default
            length = max(before) + (not free)  # a view computes nothing
            for tensor in result if isinstance(result, (list, tuple)) else [result]:
                self.length[id(tensor)] = length
                self.kept.append(tensor)
        return result


def sequential_operations(layer: Callable[..., Any], x: Tensor) -> int:
    """The longest chain of operations, from `x` on, each of which needs the one before it.

    One operation is one tensor operation, however many numbers it works on: a matrix product, a
    sum, a tanh, a copy. Parameters are there from the start, and views are free. In-place writes
    are not followed.

    Args:
        layer: A module or a function of `x`.
        x: The input, usually (batch, n, d_model).

    Returns:
        The length of the chain. What the paper's column says is how it grows with n.
    """
    chain = ChainMode(x)
    with sdpa_kernel(SDPBackend.MATH), chain:
        apply_layer(layer, x)
    return max(chain.length.values())


# --8<-- [end:sequential_operations]
