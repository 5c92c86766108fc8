"""The residual connection against the two formulas written with `torch.nn`."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snippets.layer_norm import LayerNorm
from snippets.residual import Residual
from tests.oracle import F64, close, random, variable


@pytest.mark.parametrize("norm_first", [False, True])
@settings(max_examples=15)
@given(shape=st.lists(st.integers(1, 5), max_size=3), d_model=st.integers(2, 9))
def test_matches_torch_forward_and_backward(
    norm_first: bool, shape: list[int], d_model: int
) -> None:
    torch.manual_seed(d_model)
    ours, sublayer = Residual(d_model, 0.0, norm_first).to(F64), nn.Linear(d_model, d_model).to(F64)
    norm = nn.LayerNorm(d_model, dtype=F64)
    with torch.no_grad():
        ours.norm.weight.copy_(variable(d_model, seed=1))
        ours.norm.bias.copy_(variable(d_model, seed=2))
    norm.load_state_dict(ours.norm.state_dict())
    x = variable(*shape, d_model, seed=0)
    output = ours(x, sublayer)
    expected = x + sublayer(norm(x)) if norm_first else norm(x + sublayer(x))
    close(output, expected)
    direction = random(*expected.shape, seed=3)
    shared = [x, *sublayer.parameters()]
    gradients = torch.autograd.grad((direction * output).sum(), [*shared, *ours.parameters()])
    wanted = torch.autograd.grad((direction * expected).sum(), [*shared, *norm.parameters()])
    for gradient, other in zip(gradients, wanted, strict=True):
        close(gradient, other)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_sublayer_of_zeros_leaves_the_identity(norm_first: bool) -> None:
    ours, x = Residual(7, 0.0, norm_first).to(F64), variable(2, 5, 7, seed=0)
    close(ours(x, torch.zeros_like), x if norm_first else nn.functional.layer_norm(x, (7,)))


@pytest.mark.parametrize("norm_first", [False, True])
def test_the_sublayer_sees_the_normalised_input_in_pre_norm_only(norm_first: bool) -> None:
    ours, x, seen = Residual(7, 0.0, norm_first).to(F64), variable(2, 5, 7, seed=0), []
    ours(x, lambda y: seen.append(y) or y)
    assert len(seen) == 1
    close(seen[0], nn.functional.layer_norm(x, (7,)) if norm_first else x)


@pytest.mark.parametrize("p", [0.1, 0.4])
@pytest.mark.parametrize("norm_first", [False, True])
def test_dropout_acts_on_the_sublayers_output_before_the_sum(norm_first: bool, p: float) -> None:
    torch.manual_seed(0)
    ours, x = Residual(200, p, norm_first).to(F64), variable(100, 200, seed=0)
    totals = []
    if not norm_first:  # what is normalised is the sum
        ours.norm.register_forward_pre_hook(lambda module, inputs: totals.append(inputs[0]))

    def total() -> Tensor:
        output = ours(x, torch.ones_like)
        return output if norm_first else totals[-1]

    added = total() - x
    kept = added.abs() > 1e-6
    close(added[kept], torch.full_like(added[kept], 1 / (1 - p)))
    assert abs(kept.double().mean() - (1 - p)) < 0.011  # 20000 draws: 3 standard deviations
    assert not torch.equal(total(), total())
    ours.eval()
    close(total() - x, torch.ones_like(x))
    assert torch.equal(total(), total())


def test_is_post_norm_with_the_dropout_of_the_paper_by_default() -> None:
    ours = Residual(7)
    assert not ours.norm_first
    assert ours.dropout.p == 0.1
    assert isinstance(ours.norm, LayerNorm)


@pytest.mark.parametrize("norm_first", [False, True])
def test_rejects_a_sublayer_that_returns_another_shape(norm_first: bool) -> None:
    """Of shape (2, 1, 7) it would be added to every position without an error."""
    message = "sublayer must return (2, 5, 7), as it got, not (2, 1, 7)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Residual(7, 0.0, norm_first)(torch.zeros(2, 5, 7), lambda y: y.mean(1, keepdim=True))


def test_rejects_sizes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^d_model must be at least 1, not 0$"):
        Residual(0)
    for dropout in (1.0, -0.1):
        with pytest.raises(ValueError, match=re.escape(f"must be in [0, 1), not {dropout}")):
            Residual(7, dropout)
    with pytest.raises(ValueError, match=re.escape("x must be (..., 7), not (2, 5, 6)")):
        Residual(7)(torch.zeros(2, 5, 6), nn.Identity())
