"""Softmax, its Jacobian and its backward pass against PyTorch, autograd and sympy."""

import math

import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from snippets.softmax import softmax, softmax_backward, softmax_jacobian
from tests.oracle import F64, close, random

shapes = st.lists(st.integers(1, 7), min_size=1, max_size=4).map(tuple)
seeds = st.integers(0, 2**31)
scales = st.sampled_from([0.0, 0.1, 1.0, 10.0, 100.0, 1000.0])


@st.composite
def scores_and_dim(draw: st.DrawFn, minus_infinity: bool = False) -> tuple[Tensor, int]:
    """Scores of any shape and size, and an axis, counted from either end."""
    shape = draw(shapes)
    dim = draw(st.integers(-len(shape), len(shape) - 1))
    seed = draw(seeds)
    z = random(*shape, seed=seed, scale=draw(scales))
    if minus_infinity:
        generator = torch.Generator().manual_seed(seed + 1)
        hidden = torch.rand(shape, generator=generator) < 0.4
        hidden.select(dim, 0).fill_(False)  # every slice keeps a score, as torch.softmax needs
        z = z.masked_fill(hidden, -torch.inf)
    return z, dim


# softmax


@given(scores_and_dim(), seeds)
def test_matches_torch_forward_and_backward(case: tuple[Tensor, int], seed: int) -> None:
    z, dim = case
    z.requires_grad_()
    ours, theirs = softmax(z, dim), torch.softmax(z, dim)
    close(ours, theirs)
    weight = random(*z.shape, seed=seed)
    close(
        torch.autograd.grad((weight * ours).sum(), z)[0],
        torch.autograd.grad((weight * theirs).sum(), z)[0],
    )


@given(scores_and_dim(minus_infinity=True), seeds)
def test_matches_torch_where_scores_are_minus_infinity(case: tuple[Tensor, int], seed: int) -> None:
    z, dim = case
    hidden = z == -torch.inf
    z.requires_grad_()
    ours, theirs = softmax(z, dim), torch.softmax(z, dim)
    close(ours, theirs)
    assert (ours[hidden] == 0).all()
    weight = random(*z.shape, seed=seed)
    gradient = torch.autograd.grad((weight * ours).sum(), z)[0]
    close(gradient, torch.autograd.grad((weight * theirs).sum(), z)[0])
    assert (gradient[hidden] == 0).all()


@given(scores_and_dim())
def test_weights_are_in_the_unit_interval_and_sum_to_one_along_dim(
    case: tuple[Tensor, int],
) -> None:
    z, dim = case
    y = softmax(z, dim)
    assert y.shape == z.shape
    assert ((y >= 0) & (y <= 1)).all()
    close(y.sum(dim), torch.ones_like(y.sum(dim)))


def test_the_last_axis_is_the_default() -> None:
    z = random(3, 5, 2, seed=0)
    close(softmax(z), softmax(z, 2))
    assert not torch.allclose(softmax(z).sum(0), torch.ones(5, 2, dtype=F64))


@given(scores_and_dim(), st.floats(-1000, 1000))
def test_adding_a_constant_changes_nothing(case: tuple[Tensor, int], constant: float) -> None:
    z, dim = case
    close(softmax(z + constant, dim), softmax(z, dim), atol=1e-9)


def test_neither_very_large_nor_very_small_scores_overflow() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, F64):
        largest = torch.finfo(dtype).max / 2
        z = torch.tensor([[largest, largest, 0.0], [-largest, -largest, -largest]], dtype=dtype)
        y = softmax(z)
        assert y.dtype == dtype
        expected = torch.tensor([[1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3]], dtype=dtype)
        torch.testing.assert_close(y, expected)


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_a_slice_of_nothing_but_minus_infinity_gets_zeros_and_a_finite_gradient(dim: int) -> None:
    z = random(3, 5, 2, seed=0)
    z.select(dim, 0).fill_(7.0)
    z.movedim(dim, -1)[0, 1] = -torch.inf
    z.requires_grad_()
    y = softmax(z, dim)
    empty = y.movedim(dim, -1)
    assert (empty[0, 1] == 0).all()
    assert torch.isnan(torch.softmax(z, dim).movedim(dim, -1)[0, 1]).all()
    sums = torch.ones(empty.shape[:-1], dtype=F64)
    sums[0, 1] = 0
    close(empty.sum(-1), sums)
    gradient = torch.autograd.grad((random(3, 5, 2, seed=1) * y).sum(), z)[0]
    assert torch.isfinite(gradient).all()
    assert (gradient.movedim(dim, -1)[0, 1] == 0).all()
    assert gradient.abs().max() > 0


def test_a_single_score_gets_all_the_weight_and_no_gradient() -> None:
    z = random(3, 1, seed=0).requires_grad_()
    y = softmax(z)
    assert (y == 1).all()
    assert (torch.autograd.grad((2 * y).sum(), z)[0] == 0).all()


@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_first_and_second_derivatives_pass_gradcheck(dim: int) -> None:
    z = random(2, 5, 3, seed=0).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: softmax(z, dim), z)
    assert torch.autograd.gradgradcheck(lambda z: softmax(z, dim), z)


@pytest.mark.parametrize("dtype", [torch.int64, torch.bool])
def test_rejects_scores_that_are_not_floating_point(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=f"softmax expects floating-point scores but got {dtype}"):
        softmax(torch.ones(3, dtype=dtype))


# softmax_jacobian


@given(st.integers(1, 9), seeds, scales)
def test_jacobian_matches_autograd(n: int, seed: int, scale: float) -> None:
    z = random(n, seed=seed, scale=scale)
    expected = torch.autograd.functional.jacobian(lambda z: torch.softmax(z, -1), z)
    close(softmax_jacobian(torch.softmax(z, -1)), expected)


def test_jacobian_keeps_leading_axes_apart() -> None:
    z = random(2, 3, 5, seed=0)
    jacobian = softmax_jacobian(softmax(z))
    assert jacobian.shape == (2, 3, 5, 5)
    full = torch.autograd.functional.jacobian(softmax, z)  # (2, 3, 5, 2, 3, 5)
    for a in range(2):
        for b in range(3):
            close(jacobian[a, b], full[a, b, :, a, b])
            full[a, b, :, a, b] = 0
    assert (full == 0).all()


def test_jacobian_of_an_empty_row_is_zero() -> None:
    assert (softmax_jacobian(softmax(torch.full((4,), -torch.inf))) == 0).all()


@given(st.integers(1, 9), seeds, scales)
def test_jacobian_is_symmetric_positive_semidefinite_and_blind_to_a_shift(
    n: int, seed: int, scale: float
) -> None:
    y = softmax(random(n, seed=seed, scale=scale))
    jacobian = softmax_jacobian(y)
    assert torch.equal(jacobian, jacobian.T)
    assert torch.linalg.eigvalsh(jacobian).min() >= -1e-15
    close(jacobian.sum(-1), torch.zeros(n, dtype=F64), atol=1e-15)
    close(jacobian.trace(), 1 - (y * y).sum())
    v = random(n, seed=seed + 1)
    variance = (y * (v - (y * v).sum()) ** 2).sum()  # of v under the weights y
    close(v @ jacobian @ v, variance)


@given(st.integers(2, 9), seeds, scales)
def test_largest_eigenvalue_stays_under_every_bound(n: int, seed: int, scale: float) -> None:
    z = random(n, seed=seed, scale=scale)
    y = softmax(z)
    jacobian = softmax_jacobian(y)
    largest = torch.linalg.eigvalsh(jacobian)[-1].item()
    first, second = z.sort(descending=True).values[:2].tolist()
    slack = 1e-15
    assert largest <= 2 * (y * (1 - y)).max() + slack  # Gershgorin
    assert largest <= y.max() + slack
    assert largest <= 1 / 2 + slack
    assert largest <= jacobian.trace() + slack
    assert largest <= 2 * (1 - y.max()) + slack
    assert largest <= 2 * (n - 1) * math.exp(second - first) + slack
    assert largest >= jacobian.trace() / (n - 1) - slack


def test_the_bounds_on_the_largest_eigenvalue_are_attained() -> None:
    two = torch.tensor([0.5, 0.5], dtype=F64)
    close(torch.linalg.eigvalsh(softmax_jacobian(two)), torch.tensor([0, 0.5], dtype=F64))
    uniform = torch.full((7,), 1 / 7, dtype=F64)
    expected = torch.tensor([0] + 6 * [1 / 7], dtype=F64)
    close(torch.linalg.eigvalsh(softmax_jacobian(uniform)), expected)


@pytest.mark.parametrize("gap", [1, 4, 16, 64, 256, 1024])
def test_largest_eigenvalue_vanishes_with_the_gap(gap: int) -> None:
    z = torch.tensor([gap, 0, 0, 0], dtype=F64)
    largest = torch.linalg.eigvalsh(softmax_jacobian(softmax(z)))[-1].item()
    assert largest <= 6 * math.exp(-gap) + 1e-15


def test_jacobian_rejects_integers_and_single_numbers() -> None:
    with pytest.raises(TypeError, match=r"expects floating-point weights but got torch\.int64"):
        softmax_jacobian(torch.ones(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"expects shape \(\.\.\., n\) but got a single number"):
        softmax_jacobian(torch.tensor(1.0))


# softmax_backward


@given(shapes, seeds, scales)
def test_backward_matches_autograd(shape: tuple[int, ...], seed: int, scale: float) -> None:
    z = random(*shape, seed=seed, scale=scale).requires_grad_()
    grad_y = random(*shape, seed=seed + 1)
    y = torch.softmax(z, -1)
    expected = torch.autograd.grad(y, z, grad_y)[0]
    actual = softmax_backward(y.detach(), grad_y)
    close(actual, expected)
    product = (grad_y.unsqueeze(-2) @ softmax_jacobian(y.detach())).squeeze(-2)
    close(actual, product)
    close(actual.sum(-1), torch.zeros(shape[:-1], dtype=F64))


def test_backward_differentiates_softmax_as_its_own_autograd_function() -> None:
    class Softmax(torch.autograd.Function):
        @staticmethod
        def forward(ctx: torch.autograd.function.FunctionCtx, z: Tensor) -> Tensor:
            y = softmax(z)
            ctx.save_for_backward(y)
            return y

        @staticmethod
        def backward(ctx: torch.autograd.function.FunctionCtx, grad_y: Tensor) -> Tensor:
            (y,) = ctx.saved_tensors
            return softmax_backward(y, grad_y)

    z = random(3, 2, 5, seed=0).requires_grad_()
    assert torch.autograd.gradcheck(Softmax.apply, z)
    assert torch.autograd.gradgradcheck(Softmax.apply, z)


def test_backward_through_an_empty_row_is_zero() -> None:
    y = softmax(torch.full((2, 3), -torch.inf))
    assert (softmax_backward(y, torch.ones(2, 3)) == 0).all()


def test_backward_keeps_the_dtype() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32, F64):
        y = torch.full((2, 4), 0.25, dtype=dtype)
        assert softmax_backward(y, torch.ones_like(y)).dtype == dtype


def test_backward_rejects_what_would_broadcast_or_promote() -> None:
    y = torch.full((2, 3), 1 / 3)
    with pytest.raises(ValueError, match=r"y has shape \(2, 3\) but grad_y has \(3,\)"):
        softmax_backward(y, torch.ones(3))
    with pytest.raises(TypeError, match=r"y is torch\.float32 but grad_y is torch\.float64"):
        softmax_backward(y, torch.ones(2, 3, dtype=F64))
    with pytest.raises(TypeError, match=r"expects floating-point weights but got torch\.int64"):
        softmax_backward(torch.ones(3, dtype=torch.int64), torch.ones(3))
    with pytest.raises(ValueError, match=r"expects shape \(\.\.\., n\) but got a single number"):
        softmax_backward(torch.tensor(1.0), torch.tensor(1.0))


# the derivation, with symbols in place of numbers

Z = sympy.symbols("z_1:4", real=True)
TOTAL = sum(sympy.exp(z) for z in Z)
Y = [sympy.exp(z) / TOTAL for z in Z]


@pytest.mark.parametrize("i", range(3))
@pytest.mark.parametrize("k", range(3))
def test_sympy_derives_the_same_formula(i: int, k: int) -> None:
    derivative = sympy.diff(Y[i], Z[k])
    if i == k:
        quotient_rule = (sympy.exp(Z[i]) * TOTAL - sympy.exp(Z[i]) ** 2) / TOTAL**2
        case = Y[i] * (1 - Y[i])
    else:
        quotient_rule = (0 - sympy.exp(Z[i]) * sympy.exp(Z[k])) / TOTAL**2
        case = -Y[i] * Y[k]
    both = Y[i] * (sympy.KroneckerDelta(i, k) - Y[k])
    for claimed in (quotient_rule, case, both):
        assert sympy.simplify(derivative - claimed) == 0
    assert sympy.simplify(derivative + both) != 0  # the comparison can tell a wrong sign


def test_sympy_derives_the_matrix_the_backward_pass_and_the_trace() -> None:
    jacobian = sympy.Matrix(3, 3, lambda i, k: sympy.diff(Y[i], Z[k]))
    y, g = sympy.Matrix(Y), sympy.Matrix(sympy.symbols("g_1:4"))
    zeros = sympy.zeros(3, 3)
    assert sympy.simplify(jacobian - (sympy.diag(*Y) - y * y.T)) == zeros
    backward = y.multiply_elementwise(g - (g.T * y)[0] * sympy.ones(3, 1))
    assert sympy.simplify((g.T * jacobian).T - backward) == sympy.zeros(3, 1)
    assert sympy.simplify(jacobian * sympy.ones(3, 1)) == sympy.zeros(3, 1)
    assert sympy.simplify(jacobian.trace() - (1 - sum(p**2 for p in Y))) == 0


def test_the_code_gives_the_numbers_of_the_symbolic_derivative() -> None:
    numbers = [sympy.Rational(1, 2), sympy.Rational(-3, 4), sympy.Integer(2)]
    at = dict(zip(Z, numbers, strict=True))
    expected = [[float(sympy.diff(p, z).subs(at).evalf(30)) for z in Z] for p in Y]
    y = softmax(torch.tensor([float(number) for number in numbers], dtype=F64))
    close(softmax_jacobian(y), torch.tensor(expected, dtype=F64), atol=1e-15)
