"""The recurrent layer against `nn.RNN` with its weights, the rest against autograd and loops."""

import re

import pytest
import torch
from torch import nn

from snippets.recurrent import RecurrentLayer, last_state_jacobian
from tests.oracle import F64, close, random, variable

SIZES = [(2, 5, 3), (3, 1, 4), (1, 7, 2), (4, 6, 1)]  # batch, n, d_model


def layer_of(d_model: int) -> RecurrentLayer:
    torch.manual_seed(d_model)
    return RecurrentLayer(d_model).to(F64)


@pytest.mark.parametrize(("batch", "n", "d_model"), SIZES)
def test_matches_torch_forward_and_backward(batch: int, n: int, d_model: int) -> None:
    ours = layer_of(d_model)
    theirs = nn.RNN(d_model, d_model, batch_first=True, dtype=F64)
    with torch.no_grad():
        theirs.weight_ih_l0.copy_(ours.W_x.weight)
        theirs.weight_hh_l0.copy_(ours.W_h.weight)
        theirs.bias_ih_l0.copy_(ours.W_x.bias / 3)  # two biases that add up to ours
        theirs.bias_hh_l0.copy_(ours.W_x.bias * 2 / 3)
    x = variable(batch, n, d_model, seed=0)
    output, (expected, last) = ours(x), theirs(x)
    close(output, expected)
    close(output[:, -1], last[0])
    direction = random(batch, n, d_model, seed=1)
    mine = [x, ours.W_x.weight, ours.W_h.weight, ours.W_x.bias]
    other = [x, theirs.weight_ih_l0, theirs.weight_hh_l0, theirs.bias_ih_l0]
    gradients = torch.autograd.grad((direction * output).sum(), mine)
    wanted = torch.autograd.grad((direction * expected).sum(), other)
    for gradient, expected_gradient in zip(gradients, wanted, strict=True):
        close(gradient, expected_gradient)


def test_a_state_sees_no_future() -> None:
    layer, x, other = layer_of(3), variable(2, 7, 3, seed=0), variable(2, 7, 3, seed=1)
    mixed = torch.cat([x[:, :4], other[:, 4:]], dim=1)
    close(layer(x)[:, :4], layer(mixed)[:, :4])
    assert not torch.allclose(layer(x)[:, 4:], layer(mixed)[:, 4:])


def test_steps_from_zeros_are_the_layer() -> None:
    layer, x = layer_of(3), variable(2, 7, 3, seed=0)
    h = torch.zeros(2, 3, dtype=F64)
    for t in range(7):
        h = layer.step(layer.W_x(x[:, t]), h)
        close(layer(x)[:, t], h)


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 4), (2, 0, 3), (2, 5, 1, 3)])
def test_rejects_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"x must be (batch, n, 3), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RecurrentLayer(3)(torch.zeros(shape))


# last_state_jacobian


@pytest.mark.parametrize(("batch", "n", "d_model"), SIZES)
def test_the_product_of_steps_is_the_jacobian_of_autograd(batch: int, n: int, d_model: int) -> None:
    layer, x = layer_of(d_model), variable(batch, n, d_model, seed=0)
    jacobians = last_state_jacobian(layer, x)
    assert jacobians.shape == (batch, n, d_model, d_model)
    full = torch.autograd.functional.jacobian(lambda x: layer(x)[:, -1], x)
    for b in range(batch):  # the sequences of a batch do not meet
        close(jacobians[b], full[b, :, b].transpose(0, 1))


def test_without_input_the_jacobian_is_a_power_of_the_state_matrix() -> None:
    layer = layer_of(3)
    nn.init.zeros_(layer.W_x.bias)
    jacobians = last_state_jacobian(layer, torch.zeros(1, 6, 3, dtype=F64))[0]
    for s in range(6):
        power = torch.linalg.matrix_power(layer.W_h.weight, 5 - s)
        close(jacobians[s], power @ layer.W_x.weight)


def test_the_jacobian_is_no_larger_than_its_matrices_allow() -> None:
    layer, x = layer_of(5), variable(2, 9, 5, seed=0)
    norms = torch.linalg.matrix_norm(last_state_jacobian(layer, x), 2)  # (batch, n)
    step = torch.linalg.matrix_norm(layer.W_h.weight, 2)
    bound = step ** torch.arange(8, -1, -1) * torch.linalg.matrix_norm(layer.W_x.weight, 2)
    assert (norms < bound).all()


def test_the_jacobian_rejects_inputs_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"^x must be \(batch, n, 3\), not \(2, 0, 3\)$"):
        last_state_jacobian(layer_of(3), torch.zeros(2, 0, 3, dtype=F64))
