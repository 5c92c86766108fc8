"""The backward pass of layer normalisation against autograd and against the derivation's facts."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from snippets.layer_norm import LayerNorm, layer_norm_backward
from tests.oracle import F64, close, random

SHAPES = st.lists(st.integers(1, 5), min_size=0, max_size=3)


def case(leading: list[int], d_model: int, scale: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    """An input that is not centred, weights that are not 1, and a gradient."""
    x = scale * (random(*leading, d_model, seed=0) + 3)
    return x, random(d_model, seed=1) + 0.5, random(*leading, d_model, seed=2)


@given(SHAPES, st.integers(1, 11), st.sampled_from([1e-8, 1e-5, 0.3, 2.0]))
def test_matches_autograd_through_torch(leading: list[int], d_model: int, eps: float) -> None:
    x, weight, grad_y = case(leading, d_model)
    inputs = [x.requires_grad_(), weight.requires_grad_(), torch.zeros(d_model, dtype=F64)]
    y = functional.layer_norm(x, (d_model,), weight, inputs[2].requires_grad_(), eps)
    expected = torch.autograd.grad(y, inputs, grad_y)
    actual = layer_norm_backward(x.detach(), weight.detach(), grad_y, eps)
    for gradient, wanted in zip(actual, expected, strict=True):
        assert gradient.shape == wanted.shape
        close(gradient, wanted, atol=1e-11)  # one feature: rounding is divided by eps


@given(st.integers(1, 4), st.integers(2, 9))
def test_matches_autograd_through_our_forward_pass(batch: int, d_model: int) -> None:
    x, weight, grad_y = case([batch, 3], d_model)
    layer = LayerNorm(d_model).to(F64)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(random(d_model, seed=3))
    expected = torch.autograd.grad(layer(x.requires_grad_()), [x, *layer.parameters()], grad_y)
    actual = layer_norm_backward(x.detach(), weight, grad_y, layer.eps)
    for gradient, wanted in zip(actual, expected, strict=True):
        close(gradient, wanted)


def test_matches_central_differences() -> None:
    """No autograd on either side: move every number a little and look at the loss."""
    x, weight, grad_y = case([2], 5)
    bias, step = random(5, seed=3), 1e-6

    def loss(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        centred = x - x.mean(-1, keepdim=True)
        sigma = torch.sqrt((centred**2).mean(-1, keepdim=True) + 1e-5)
        return ((centred / sigma * weight + bias) * grad_y).sum()

    inputs = [x, weight, bias]
    for place, gradient in enumerate(layer_norm_backward(x, weight, grad_y)):
        for index in range(inputs[place].numel()):
            moved = []
            for sign in (1, -1):
                changed = [tensor.clone() for tensor in inputs]
                changed[place].view(-1)[index] += sign * step
                moved.append(loss(*changed))
            difference = (moved[0] - moved[1]) / (2 * step)
            torch.testing.assert_close(gradient.view(-1)[index], difference, rtol=1e-6, atol=1e-8)


class OurLayerNorm(torch.autograd.Function):
    """`torch.nn.functional.layer_norm` forward, and our formula backward."""

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return functional.layer_norm(x, weight.shape, weight, bias, 1e-5)

    @staticmethod
    def backward(ctx, grad_y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return layer_norm_backward(*ctx.saved_tensors, grad_y)


def test_passes_gradcheck_as_the_backward_pass_of_a_function() -> None:
    x, weight, _ = case([2, 3], 5)
    inputs = (x.requires_grad_(), weight.requires_grad_(), random(5, seed=3).requires_grad_())
    assert torch.autograd.gradcheck(OurLayerNorm.apply, inputs)


@given(st.integers(1, 6), st.integers(2, 11), st.sampled_from([1e-5, 0.3]))
def test_is_orthogonal_to_ones_and_up_to_eps_to_the_normalised_input(
    n: int, d_model: int, eps: float
) -> None:
    x, weight, grad_y = case([n], d_model)
    grad_x = layer_norm_backward(x, weight, grad_y, eps)[0]
    close(grad_x.sum(-1), torch.zeros(n, dtype=F64))
    centred = x - x.mean(-1, keepdim=True)
    sigma = (centred.square().mean(-1) + eps).sqrt()
    normalised = centred / sigma.unsqueeze(-1)
    left_over = eps / sigma**3 * (grad_y * weight * normalised).sum(-1)
    close((grad_x * normalised).sum(-1), left_over)


@given(st.sampled_from([0.25, 3.0, 1000.0]), st.integers(2, 11))
def test_shrinks_as_the_input_grows(a: float, d_model: int) -> None:
    x, weight, grad_y = case([3], d_model)
    once = layer_norm_backward(x, weight, grad_y, eps=0.0)
    scaled = layer_norm_backward(a * x + 7, weight, grad_y, eps=0.0)
    close(a * scaled[0], once[0], atol=1e-8)
    close(scaled[1], once[1], atol=1e-8)
    close(scaled[2], once[2])


def test_a_position_of_equal_numbers_has_a_finite_gradient() -> None:
    grad_y = random(2, 5, seed=2)
    x, weight = torch.full((2, 5), 3.0, dtype=F64), torch.ones(5, dtype=F64)
    grad_x, grad_weight, _ = layer_norm_backward(x, weight, grad_y)
    close(grad_x, (grad_y - grad_y.mean(-1, keepdim=True)) / 1e-5**0.5)
    assert torch.equal(grad_weight, torch.zeros(5, dtype=F64))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x, weight, grad_y = (tensor.to(dtype) for tensor in case([300], 7, scale=400))
    half = layer_norm_backward(x, weight, grad_y)
    wide = layer_norm_backward(x.float(), weight.float(), grad_y.float())
    for gradient, wanted in zip(half, wide, strict=True):
        assert gradient.dtype == dtype
        assert torch.equal(gradient, wanted.to(dtype))


@pytest.mark.parametrize(
    ("x", "weight", "grad_y", "eps", "error", "message"),
    [
        ((2, 5), (4,), (2, 5), 1e-5, ValueError, "x has shape (2, 5) but weight has (4,)"),
        ((2, 5), (1,), (2, 5), 1e-5, ValueError, "x has shape (2, 5) but weight has (1,)"),
        ((), (), (), 1e-5, ValueError, "x has shape () but weight has ()"),
        ((2, 5), (5,), (5,), 1e-5, ValueError, "x has shape (2, 5) but grad_y has (5,)"),
        ((2, 5), (5,), (2, 1), 1e-5, ValueError, "x has shape (2, 5) but grad_y has (2, 1)"),
        ((2, 5), (5,), (2, 5), -1.0, ValueError, "eps must not be negative, and is -1.0"),
    ],
)
def test_rejects_shapes_that_do_not_fit(
    x: tuple, weight: tuple, grad_y: tuple, eps: float, error: type, message: str
) -> None:
    with pytest.raises(error, match=f"^{re.escape(message)}$"):
        layer_norm_backward(torch.zeros(x), torch.zeros(weight), torch.zeros(grad_y), eps)


def test_rejects_integers() -> None:
    zeros = torch.zeros(2, 5)
    with pytest.raises(TypeError, match=r"floating-point inputs but got torch\.int64"):
        layer_norm_backward(zeros.long(), zeros[0], zeros)
