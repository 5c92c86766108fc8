"""The feed-forward network against `nn.Sequential` with the weights copied across."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snippets.feed_forward import FeedForward
from tests.oracle import F64, close, random, variable

WIDTHS = st.integers(1, 9)


@settings(max_examples=25)
@given(shape=st.lists(st.integers(1, 5), max_size=3), d_model=WIDTHS, d_ff=WIDTHS, seed=WIDTHS)
def test_matches_torch_forward_and_backward(
    shape: list[int], d_model: int, d_ff: int, seed: int
) -> None:
    torch.manual_seed(seed)
    ours = FeedForward(d_model, d_ff).to(F64)
    theirs = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Linear(d_ff, d_model)).to(F64)
    names = {"W_1.weight": "0.weight", "W_1.bias": "0.bias"}
    names |= {"W_2.weight": "2.weight", "W_2.bias": "2.bias"}
    theirs.load_state_dict({names[name]: value for name, value in ours.state_dict().items()})
    x = variable(*shape, d_model, seed=seed)
    output, expected = ours(x), theirs(x)
    close(output, expected)
    direction = random(*expected.shape, seed=seed + 1)
    gradients = torch.autograd.grad((direction * output).sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad((direction * expected).sum(), [x, *theirs.parameters()])
    for gradient, other in zip(gradients, wanted, strict=True):
        close(gradient, other)


def test_is_the_formula_of_the_paper() -> None:
    ours, x = FeedForward(5, 7).to(F64), variable(2, 3, 5, seed=0)
    W_1, b_1, W_2, b_2 = ours.W_1.weight.T, ours.W_1.bias, ours.W_2.weight.T, ours.W_2.bias
    close(ours(x), torch.clamp(x @ W_1 + b_1, min=0) @ W_2 + b_2)


def test_every_position_is_transformed_by_itself() -> None:
    ours, x = FeedForward(5, 7).to(F64), variable(2, 3, 5, seed=0)
    for i in range(3):
        close(ours(x)[:, i], ours(x[:, i]))
    order = torch.tensor([2, 0, 1])
    close(ours(x[:, order]), ours(x)[:, order])


def test_dropout_acts_on_the_activations_in_training_only() -> None:
    """With W_1 = 0, b_1 = 1 and W_2 the identity, the output shows every activation."""
    torch.manual_seed(0)
    n, p = 200, 0.25
    ours = FeedForward(n, n, dropout=p).to(F64)
    with torch.no_grad():
        ours.W_1.weight.zero_(), ours.W_1.bias.fill_(1)
        ours.W_2.weight.copy_(torch.eye(n)), ours.W_2.bias.zero_()
    x = variable(100, n, seed=0)
    assert torch.equal(ours.eval()(x), torch.ones(100, n, dtype=F64))
    output = ours.train()(x)
    kept = output != 0
    close(output[kept], torch.full_like(output[kept], 1 / (1 - p)))
    assert abs(kept.double().mean() - (1 - p)) < 0.01  # 20000 draws: 3 standard deviations
    assert not torch.equal(ours(x), ours(x))


def test_dropout_leaves_the_output_itself_alone() -> None:
    """It acts before W_2: one dropped activation changes the outputs, but zeroes none."""
    torch.manual_seed(0)
    output = FeedForward(50, 50, dropout=0.5).to(F64).train()(variable(40, 50, seed=0))
    assert (output != 0).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3), "widths must be at least 1, not d_model = 0, d_ff = 3"),
        ((3, 0), "widths must be at least 1, not d_model = 3, d_ff = 0"),
        ((3, 4, 1.0), "dropout must be in [0, 1), not 1.0"),
        ((3, 4, -0.1), "dropout must be in [0, 1), not -0.1"),
    ],
)
def test_rejects_sizes_that_do_not_fit(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        FeedForward(*arguments)


@pytest.mark.parametrize("shape", [(2, 3, 4), (1,), ()])
def test_rejects_inputs_of_another_width(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=re.escape(f"x must be (..., 5), not {shape}")):
        FeedForward(5, 7)(torch.zeros(shape))
