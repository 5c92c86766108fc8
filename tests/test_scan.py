"""The parallel scan against the loop, with gradients, and how long each of them waits."""

import math
import re

import pytest
import torch

from snippets.operations import sequential_operations
from snippets.scan import linear_recurrence, scan
from tests.oracle import F64, close, random, variable

SIZES = [(2, 5, 3), (3, 1, 4), (1, 7, 2), (4, 6, 1)]  # batch, n, d_model


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 8, 9, 21])
@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_scan_is_the_loop_forward_and_backward(n: int, leading: tuple[int, ...]) -> None:
    a, b = variable(*leading, n, 7, seed=0), variable(*leading, n, 7, seed=1)
    direction = random(*leading, n, 7, seed=2)
    states, expected = scan(a, b), linear_recurrence(a, b)
    h = torch.zeros(*leading, 7, dtype=F64)
    for t in range(n):
        h = a[..., t, :] * h + b[..., t, :]
        torch.testing.assert_close(expected[..., t, :], h, rtol=0, atol=0)
    torch.testing.assert_close(states, expected, rtol=1e-10, atol=1e-10)
    gradients = torch.autograd.grad((direction * states).sum(), [a, b], materialize_grads=True)
    wanted = torch.autograd.grad((direction * expected).sum(), [a, b], materialize_grads=True)
    for gradient, expected_gradient in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, expected_gradient, rtol=1e-10, atol=1e-10)


def test_scan_with_ones_is_a_cumulative_sum() -> None:
    b = variable(2, 13, 3, seed=0)
    close(scan(torch.ones_like(b), b), b.cumsum(-2))


def test_a_linear_state_depends_on_an_input_by_the_factors_between() -> None:
    a, b = variable(6, 1, seed=0), variable(6, 1, seed=1)
    jacobian = torch.autograd.functional.jacobian(lambda b: scan(a, b)[-1, 0], b)[:, 0]
    close(jacobian, torch.stack([a[s + 1 :].prod() for s in range(6)]))


@pytest.mark.parametrize("n", [1, 2, 8, 9, 64, 100])
def test_scan_waits_a_logarithm_and_the_loop_waits_n(n: int) -> None:
    x = torch.rand(n, 3)
    rounds = math.ceil(math.log2(n))
    assert sequential_operations(lambda x: scan(x, x), x) == 3 * rounds
    assert sequential_operations(lambda x: linear_recurrence(x, x), x) == 2 * n - 1


@pytest.mark.parametrize(
    ("a", "b"), [((5, 3), (5, 4)), ((5, 3), (6, 3)), ((3,), (3,)), ((2, 0, 3), (2, 0, 3))]
)
def test_scan_rejects_shapes_that_do_not_fit(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    message = f"a and b must be (..., n, d), not {a} and {b}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        scan(torch.zeros(a), torch.zeros(b))
