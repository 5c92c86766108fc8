"""The backward pass of attention by hand, against autograd and against what theory says."""

import itertools
import math
import re

import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from snippets.attention import attention_backward, scaled_dot_product_attention
from tests.oracle import F64, MASKS, PRIMES, close, make_inputs, make_mask


def make_grad_output(inputs: list[Tensor], seed: int = 0) -> Tensor:
    query, _, value = inputs
    generator = torch.Generator().manual_seed(seed + 1000)
    return torch.randn(*query.shape[:-1], value.shape[-1], dtype=query.dtype, generator=generator)


def by_hand(inputs: list[Tensor], mask: Tensor | None, grad_output: Tensor) -> tuple[Tensor, ...]:
    query, key, value = (x.detach() for x in inputs)
    _, weights = scaled_dot_product_attention(query, key, value, mask)
    return attention_backward(query, key, value, weights, grad_output)


@given(
    sizes=st.permutations(PRIMES),
    n_leading=st.integers(0, 2),
    kind=st.sampled_from(MASKS),
    seed=st.integers(0, 2**16),
)
def test_matches_autograd_through_torchs_attention(
    sizes: list[int], n_leading: int, kind: str, seed: int
) -> None:
    n_query, n_key, d_k, d_v, *rest = sizes
    leading = tuple(rest[:n_leading])
    inputs = make_inputs(leading, n_query, n_key, d_k, d_v, seed)
    mask = make_mask(kind, leading, n_query, n_key)
    grad_output = make_grad_output(inputs, seed)
    gradients = by_hand(inputs, mask, grad_output)
    output = functional.scaled_dot_product_attention(*inputs, attn_mask=mask)
    expected = torch.autograd.grad(output, inputs, grad_output)
    for gradient, expected_gradient in zip(gradients, expected, strict=True):
        close(gradient, expected_gradient)


@given(
    n_query=st.integers(1, 4),
    n_key=st.integers(1, 4),
    d_k=st.integers(1, 4),
    d_v=st.integers(1, 4),
    kind=st.sampled_from(MASKS),
)
def test_matches_autograd_at_the_smallest_sizes(
    n_query: int, n_key: int, d_k: int, d_v: int, kind: str
) -> None:
    inputs = make_inputs((2,), n_query, n_key, d_k, d_v)
    mask = make_mask(kind, (2,), n_query, n_key)
    grad_output = make_grad_output(inputs)
    output, _ = scaled_dot_product_attention(*inputs, mask)
    expected = torch.autograd.grad(output, inputs, grad_output)
    gradients = by_hand(inputs, mask, grad_output)
    for x, gradient, expected_gradient in zip(inputs, gradients, expected, strict=True):
        assert gradient.shape == x.shape
        close(gradient, expected_gradient)


def test_serves_as_the_backward_of_an_autograd_function() -> None:
    class Attention(torch.autograd.Function):
        @staticmethod
        def forward(
            ctx: torch.autograd.function.FunctionCtx, query: Tensor, key: Tensor, value: Tensor
        ) -> Tensor:
            output, weights = scaled_dot_product_attention(query, key, value)
            ctx.save_for_backward(query, key, value, weights)
            return output

        @staticmethod
        def backward(
            ctx: torch.autograd.function.FunctionCtx, grad_output: Tensor
        ) -> tuple[Tensor, Tensor, Tensor]:
            return attention_backward(*ctx.saved_tensors, grad_output)

    assert torch.autograd.gradcheck(Attention.apply, make_inputs((2,), 3, 5, 7, 4))


def test_every_gradient_is_the_sum_over_indices_that_the_page_derives() -> None:
    n_query, n_key, d_k, d_v = 2, 3, 5, 4
    inputs = make_inputs((), n_query, n_key, d_k, d_v)
    q, k, v = (x.detach() for x in inputs)
    _, w = scaled_dot_product_attention(q, k, v)
    g = make_grad_output(inputs)
    dw = [
        [sum(g[i, c] * v[j, c] for c in range(d_v)) for j in range(n_key)] for i in range(n_query)
    ]
    ds = [
        [w[i, j] * (dw[i][j] - sum(w[i, m] * dw[i][m] for m in range(n_key))) for j in range(n_key)]
        for i in range(n_query)
    ]
    root = math.sqrt(d_k)
    grad_query, grad_key, grad_value = by_hand(inputs, None, g)
    for i, a in itertools.product(range(n_query), range(d_k)):
        assert_close(grad_query[i, a], sum(ds[i][j] * k[j, a] for j in range(n_key)) / root)
    for j, a in itertools.product(range(n_key), range(d_k)):
        assert_close(grad_key[j, a], sum(ds[i][j] * q[i, a] for i in range(n_query)) / root)
    for j, c in itertools.product(range(n_key), range(d_v)):
        assert_close(grad_value[j, c], sum(w[i, j] * g[i, c] for i in range(n_query)))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, F64])
def test_a_row_that_sees_nothing_gets_and_gives_exactly_zero(dtype: torch.dtype) -> None:
    inputs = [x.detach().to(dtype) for x in make_inputs((2,), 5, 7, 3, 11)]
    mask = make_mask("empty row", (2,), 5, 7)
    grad_output = make_grad_output(inputs)
    gradients = by_hand(inputs, mask, grad_output)
    assert (gradients[0][:, 2] == 0).all()
    assert (gradients[0][:, 3] != 0).any()
    for gradient in gradients:
        assert gradient.dtype == dtype
        assert gradient.isfinite().all()
    other = grad_output.clone()
    other[:, 2] = 1e3  # what arrives at the row changes nothing
    for gradient, again in zip(gradients, by_hand(inputs, mask, other), strict=True):
        assert torch.equal(gradient, again)


def test_a_key_that_nobody_sees_gets_exactly_zero() -> None:
    inputs = make_inputs((2,), 5, 7, 3, 11)
    mask = torch.arange(7) < 5  # the last two keys are padding
    _, grad_key, grad_value = by_hand(inputs, mask, make_grad_output(inputs))
    for gradient in (grad_key, grad_value):
        assert (gradient[:, 5:] == 0).all()
        assert (gradient[:, :5] != 0).all()


def test_a_hidden_pair_passes_no_gradient() -> None:
    inputs = make_inputs((), 5, 5, 3, 7)
    mask = make_mask("causal", (), 5, 5)
    grad_output = make_grad_output(inputs)
    for i in range(5):
        row = torch.zeros_like(grad_output)
        row[i] = grad_output[i]
        grad_query, grad_key, grad_value = by_hand(inputs, mask, row)
        assert (grad_query[torch.arange(5) != i] == 0).all()
        assert (grad_key[i + 1 :] == 0).all()
        assert (grad_value[i + 1 :] == 0).all()
        assert (grad_value[: i + 1] != 0).all()


@pytest.mark.parametrize("kind", MASKS)
def test_the_row_sum_is_the_product_of_gradient_and_output(kind: str) -> None:
    inputs = make_inputs((2, 3), 5, 7, 11, 13)
    output, weights = scaled_dot_product_attention(*inputs, make_mask(kind, (2, 3), 5, 7))
    grad_output = make_grad_output(inputs)
    grad_weights = grad_output @ inputs[2].mT
    close((weights * grad_weights).sum(-1), (grad_output * output).sum(-1))


def test_one_hot_weights_pass_a_gradient_to_the_values_alone() -> None:
    inputs = [x.detach() for x in make_inputs((2,), 5, 7, 3, 11)]
    weights = functional.one_hot(torch.tensor([[0, 3, 3, 6, 1], [2, 2, 2, 2, 5]]), 7).double()
    grad_output = make_grad_output(inputs)
    grad_query, grad_key, grad_value = attention_backward(*inputs, weights, grad_output)
    assert (grad_query == 0).all()
    assert (grad_key == 0).all()
    assert_close(grad_value[0, 3], grad_output[0, 1] + grad_output[0, 2])
    assert_close(grad_value[1, 2], grad_output[1, :4].sum(0))


def test_gradients_of_query_and_key_weigh_the_same_when_contracted() -> None:
    """Scaling Q up and K down leaves every score, so Σ dQ·Q = Σ dK·K."""
    inputs = make_inputs((2, 3), 5, 7, 11, 13)
    query, key, _ = (x.detach() for x in inputs)
    grad_query, grad_key, _ = by_hand(inputs, None, make_grad_output(inputs))
    close((grad_query * query).sum((-2, -1)), (grad_key * key).sum((-2, -1)))


def test_a_common_shift_of_the_keys_would_change_nothing() -> None:
    """It adds the same number to every score of a row, so the keys' gradients sum to zero."""
    inputs = make_inputs((2,), 1, 7, 3, 11)
    _, grad_key, _ = by_hand(inputs, None, make_grad_output(inputs))
    close(grad_key.sum(-2), torch.zeros(2, 3, dtype=F64))


def test_changes_none_of_its_arguments() -> None:
    inputs = [x.detach() for x in make_inputs((2,), 5, 7, 3, 11)]
    _, weights = scaled_dot_product_attention(*inputs)
    arguments = [*inputs, weights, make_grad_output(inputs)]
    copies = [x.clone() for x in arguments]
    attention_backward(*arguments)
    for argument, copy in zip(arguments, copies, strict=True):
        assert torch.equal(argument, copy)


SHAPES = {
    "query": (2, 3, 8),
    "key": (2, 5, 8),
    "value": (2, 5, 7),
    "weights": (2, 3, 5),
    "grad_output": (2, 3, 7),
}


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("key", (2, 5, 9), "query has d_k = 8 but key has d_k = 9"),
        ("value", (2, 6, 7), "key has length 5 but value has length 6"),
        ("key", (1, 5, 8), "key must have the shape (2, 5, 8), not (1, 5, 8)"),
        ("value", (5, 7), "value must have the shape (2, 5, 7), not (5, 7)"),
        ("weights", (2, 5, 3), "weights must have the shape (2, 3, 5), not (2, 5, 3)"),
        ("weights", (3, 5), "weights must have the shape (2, 3, 5), not (3, 5)"),
        ("grad_output", (2, 3, 1), "grad_output must have the shape (2, 3, 7), not (2, 3, 1)"),
        ("grad_output", (3, 7), "grad_output must have the shape (2, 3, 7), not (3, 7)"),
    ],
)
def test_rejects_what_would_broadcast_or_not_fit(
    name: str, wrong: tuple[int, ...], message: str
) -> None:
    attention_backward(*(torch.zeros(shape) for shape in SHAPES.values()))
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        attention_backward(*(torch.zeros(shape) for shape in (SHAPES | {name: wrong}).values()))
    assert str(raised.value) == message


# the derivation, with symbols in place of numbers


def test_sympy_derives_the_same_gradients() -> None:
    """One query and two keys of width one, values of width two; dO is any row of symbols."""
    q, k1, k2 = sympy.symbols("q k_1 k_2", real=True)
    v, g = sympy.Matrix(2, 2, sympy.symbols("v_1:5")), sympy.Matrix(1, 2, sympy.symbols("g_1:3"))
    exponentials = [sympy.exp(q * k1), sympy.exp(q * k2)]
    w = sympy.Matrix(1, 2, [e / sum(exponentials) for e in exponentials])
    output = w * v
    loss = (g * output.T)[0]  # its gradient with respect to the output is g
    dw = g * v.T
    D = (g * output.T)[0]
    ds = sympy.Matrix(1, 2, [w[j] * (dw[j] - D) for j in range(2)])
    assert sympy.simplify(sympy.diff(loss, q) - (ds[0] * k1 + ds[1] * k2)) == 0
    assert sympy.simplify(sympy.diff(loss, k1) - ds[0] * q) == 0
    assert sympy.simplify(sympy.diff(loss, k2) - ds[1] * q) == 0
    assert sympy.simplify(sympy.diff(loss, v[1, 0]) - w[1] * g[0]) == 0
