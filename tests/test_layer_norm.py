"""Layer normalisation against `nn.LayerNorm` with the weights copied across."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from snippets.layer_norm import LayerNorm, layer_norm
from tests.oracle import F64, close, random, variable


def pair(d_model: int, eps: float) -> tuple[LayerNorm, nn.LayerNorm]:
    """Ours and PyTorch's with the same weights, none of them as it starts."""
    ours, theirs = LayerNorm(d_model, eps).to(F64), nn.LayerNorm(d_model, eps, dtype=F64)
    with torch.no_grad():
        ours.weight.copy_(variable(d_model, seed=1)), ours.bias.copy_(variable(d_model, seed=2))
    theirs.load_state_dict(ours.state_dict())  # strict: the names are the same
    return ours, theirs


@given(
    shape=st.lists(st.integers(1, 5), max_size=3),
    d_model=st.integers(1, 9),
    eps=st.sampled_from([1e-5, 1e-12, 0.1, 2.0]),
    spread=st.sampled_from([1e-3, 1.0, 50.0]),
    centre=st.sampled_from([0.0, -3.0, 40.0]),
)
def test_matches_torch_forward_and_backward(
    shape: list[int], d_model: int, eps: float, spread: float, centre: float
) -> None:
    if d_model == 1:
        eps = max(eps, 1e-5)  # the variance is 0, and rounding is divided by eps
    ours, theirs = pair(d_model, eps)
    x = (spread * variable(*shape, d_model, seed=0) + centre).detach().requires_grad_()
    expected = theirs(x)
    direction = random(*expected.shape, seed=3)
    wanted = torch.autograd.grad((direction * expected).sum(), [x, theirs.weight, theirs.bias])
    for output in (ours(x), layer_norm(x, ours.weight, ours.bias, eps)):  # kernel and formula
        torch.testing.assert_close(output, expected, rtol=1e-9, atol=1e-10)
        gradients = torch.autograd.grad((direction * output).sum(), [x, ours.weight, ours.bias])
        for gradient, other in zip(gradients, wanted, strict=True):
            torch.testing.assert_close(gradient, other, rtol=1e-8, atol=1e-10)


def test_the_output_has_mean_0_and_biased_variance_1() -> None:
    output = LayerNorm(7, eps=0.0).to(F64)(40 + 3 * variable(2, 5, 7, seed=0))
    close(output.mean(-1), torch.zeros(2, 5, dtype=F64))
    close(output.var(-1, correction=0), torch.ones(2, 5, dtype=F64))


def test_shifting_and_scaling_the_input_changes_nothing() -> None:
    ours, x = LayerNorm(7, eps=0.0).to(F64), variable(2, 5, 7, seed=0)
    close(ours(3 * x + 40), ours(x))


def test_every_position_is_normalised_by_itself() -> None:
    ours, _ = pair(7, 1e-5)
    x = variable(2, 5, 7, seed=0)
    for i in range(5):
        close(ours(x)[:, i], ours(x[:, i]))


def test_a_position_of_equal_numbers_gives_the_bias() -> None:
    ours, _ = pair(7, 1e-5)
    x = torch.full((2, 5, 7), 8.0, dtype=F64, requires_grad=True)
    close(ours(x), ours.bias.expand(2, 5, 7))
    (gradient,) = torch.autograd.grad(ours(x).sum(), x)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("spread", [1.0, 1000.0, 20000.0])
def test_half_precision_is_computed_in_float32_and_rounded_once(
    dtype: torch.dtype, spread: float
) -> None:
    """From a spread of 256 on, a square no longer fits into float16."""
    ours, theirs = pair(7, 1e-5)
    x = (variable(2, 5, 7, seed=0) * spread).clamp(-60000, 60000).to(dtype)
    ours = ours.to(dtype)
    exact = theirs.to(dtype).to(F64)(x.to(F64))  # the same rounded weights
    for output in (ours(x), layer_norm(x, ours.weight, ours.bias)):
        assert output.dtype == dtype
        torch.testing.assert_close(output, exact.to(dtype), rtol=torch.finfo(dtype).eps, atol=1e-4)


def test_starts_as_weight_1_and_bias_0() -> None:
    ours = LayerNorm(7)
    assert torch.equal(ours.weight, torch.ones(7))
    assert torch.equal(ours.bias, torch.zeros(7))
    assert [name for name, _ in ours.named_parameters()] == ["weight", "bias"]


def test_rejects_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^d_model must be at least 1, not 0$"):
        LayerNorm(0)
    with pytest.raises(ValueError, match=r"^eps must not be negative, and is -1e-05$"):
        LayerNorm(5, eps=-1e-5)
    with pytest.raises(TypeError, match=r"floating-point inputs but got torch\.int64"):
        LayerNorm(5)(torch.zeros(2, 5, dtype=torch.int64))
    for shape in ((2, 3, 4), (2, 1), ()):
        with pytest.raises(ValueError, match=re.escape(f"x must be (..., 5), not {shape}")):
            LayerNorm(5)(torch.zeros(shape))


@pytest.mark.parametrize(
    ("shapes", "eps", "message"),
    [
        (((2, 5), (1,), (5,)), 1e-5, "x has shape (2, 5) but weight has (1,)"),
        (((2, 5), (5,), (2, 5)), 1e-5, "x has shape (2, 5) but bias has (2, 5)"),
        (((), (5,), (5,)), 1e-5, "x has shape () but weight has (5,)"),
        (((2, 5), (5,), (5,)), -1.0, "eps must not be negative, and is -1.0"),
    ],
)
def test_the_formula_rejects_what_would_broadcast(shapes: tuple, eps: float, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        layer_norm(*(torch.zeros(shape) for shape in shapes), eps)


def test_the_formula_rejects_integers() -> None:
    with pytest.raises(TypeError, match=r"floating-point inputs but got torch\.int64"):
        layer_norm(torch.zeros(2, 5, dtype=torch.int64), torch.ones(5), torch.zeros(5))
