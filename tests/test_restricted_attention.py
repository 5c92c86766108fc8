"""Restricted self-attention against full attention under a band mask, and its memory."""

import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snippets.multi_head import MultiHeadAttention
from snippets.restricted_attention import RestrictedSelfAttention

F64 = torch.float64
SIZES = [  # batch, n_heads, n, d_model, r
    (2, 3, 11, 12, 1),
    (4, 5, 7, 10, 2),
    (3, 2, 13, 8, 5),
    (2, 1, 5, 7, 0),
    (2, 3, 4, 6, 3),  # r = n - 1: full attention
    (3, 2, 5, 4, 9),  # r beyond the sequence
    (5, 3, 1, 6, 2),
]


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=F64, generator=generator, requires_grad=True)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def band(n: int, r: int) -> Tensor:
    """Boolean (n, n), True where |i - j| <= r, written as two loops."""
    return torch.tensor([[abs(i - j) <= r for j in range(n)] for i in range(n)])


@pytest.mark.parametrize(("batch", "n_heads", "n", "d_model", "r"), SIZES)
def test_equals_masked_full_attention_forward_and_backward(
    batch: int, n_heads: int, n: int, d_model: int, r: int
) -> None:
    torch.manual_seed(n)
    ours = RestrictedSelfAttention(d_model, n_heads, r).to(F64)
    full = MultiHeadAttention(d_model, n_heads).to(F64)
    full.load_state_dict(ours.state_dict())
    x = random(batch, n, d_model, seed=0)
    output, expected = ours(x), full(x, x, x, band(n, r))
    close(output, expected)
    direction = random(batch, n, d_model, seed=1).detach()
    mine = torch.autograd.grad((direction * output).sum(), [x, *ours.parameters()])
    other = torch.autograd.grad((direction * expected).sum(), [x, *full.parameters()])
    for gradient, wanted in zip(mine, other, strict=True):
        close(gradient, wanted)


def test_matches_torch_under_a_band_mask() -> None:
    """The oracle of the test above is ours; this one is PyTorch's own module."""
    torch.manual_seed(0)
    ours = RestrictedSelfAttention(12, 3, 2).to(F64)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True, dtype=F64)
    with torch.no_grad():
        projections = (ours.W_q, ours.W_k, ours.W_v)
        theirs.in_proj_weight.copy_(torch.cat([W.weight for W in projections]))
        theirs.in_proj_bias.copy_(torch.cat([W.bias for W in projections]))
        theirs.out_proj.load_state_dict(ours.W_o.state_dict())
    x = random(2, 11, 12, seed=0)
    close(ours(x), theirs(x, x, x, attn_mask=~band(11, 2), need_weights=False)[0])


@pytest.mark.parametrize("r", [0, 1, 4])
def test_a_position_sees_its_window_and_nothing_else(r: int) -> None:
    layer, n = RestrictedSelfAttention(6, 2, r).to(F64), 13
    x = random(1, n, 6, seed=0)
    output = layer(x)
    for i in range(n):
        (gradient,) = torch.autograd.grad(output[0, i].sum(), x, retain_graph=True)
        assert torch.equal(gradient[0].ne(0).any(-1), band(n, r)[i])


class LargestMode(TorchDispatchMode):
    """Notes the storage of the largest tensor that is made."""

    largest = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            elements = result.untyped_storage().nbytes() // result.element_size()
            self.largest = max(self.largest, elements)
        return result


def largest_tensor(layer: nn.Module, *inputs: Tensor) -> int:
    mode = LargestMode()
    with mode:
        layer(*inputs)
    return mode.largest


@pytest.mark.parametrize("n", [256, 512, 1024])
def test_memory_grows_with_n_and_not_with_its_square(n: int) -> None:
    r, d_model = 2, 8
    layer, x = RestrictedSelfAttention(d_model, 2, r), torch.zeros(1, n, d_model)
    assert largest_tensor(layer, x) == (2 * r + 1) * n * d_model < n * n


def test_the_measure_of_memory_sees_the_matrix_of_full_attention() -> None:
    layer, x = MultiHeadAttention(8, 2), torch.zeros(1, 256, 8)
    assert largest_tensor(lambda x: layer(x, x, x, need_weights=True), x) == 2 * 256 * 256


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 3, 1), "d_model = 10 does not divide into n_heads = 3"),
        ((10, 0, 1), "d_model = 10 does not divide into n_heads = 0"),
        ((10, 2, -1), "r must be at least 0, not -1"),
    ],
)
def test_rejects_sizes_that_do_not_fit(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RestrictedSelfAttention(*arguments)


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 4), (2, 5, 1, 6)])
def test_rejects_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"x must be (batch, n, 6), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RestrictedSelfAttention(6, 2, 1)(torch.zeros(shape))
