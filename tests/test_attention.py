"""Scaled dot-product attention against `torch.nn.functional` and against what theory says."""

import itertools
import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional
from torch.testing import assert_close

from snippets.attention import scaled_dot_product_attention
from tests.oracle import F64, MASKS, PRIMES, close, make_inputs, make_mask


@given(
    sizes=st.permutations(PRIMES),
    n_leading=st.integers(0, 2),
    kind=st.sampled_from(MASKS),
    seed=st.integers(0, 2**16),
)
def test_matches_torch_forward_and_backward(
    sizes: list[int], n_leading: int, kind: str, seed: int
) -> None:
    n_query, n_key, d_k, d_v, *rest = sizes
    leading = tuple(rest[:n_leading])
    inputs = make_inputs(leading, n_query, n_key, d_k, d_v, seed)
    mask = make_mask(kind, leading, n_query, n_key)
    output, weights = scaled_dot_product_attention(*inputs, mask)
    expected = functional.scaled_dot_product_attention(*inputs, attn_mask=mask)
    assert weights.shape == (*leading, n_query, n_key)
    close(output, expected)

    grad_output = torch.randn(
        output.shape, dtype=F64, generator=torch.Generator().manual_seed(seed)
    )
    gradients = torch.autograd.grad(output, inputs, grad_output)
    expected_gradients = torch.autograd.grad(expected, inputs, grad_output)
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        close(gradient, expected_gradient)


@given(
    n_query=st.integers(1, 4),
    n_key=st.integers(1, 4),
    d_k=st.integers(1, 4),
    d_v=st.integers(1, 4),
    kind=st.sampled_from(MASKS),
)
def test_matches_torch_at_the_smallest_sizes(
    n_query: int, n_key: int, d_k: int, d_v: int, kind: str
) -> None:
    inputs = make_inputs((2,), n_query, n_key, d_k, d_v)
    mask = make_mask(kind, (2,), n_query, n_key)
    output, _ = scaled_dot_product_attention(*inputs, mask)
    expected = functional.scaled_dot_product_attention(*inputs, attn_mask=mask)
    close(output, expected)


@pytest.mark.parametrize("kind", MASKS)
def test_gradients_match_finite_differences(kind: str) -> None:
    inputs = make_inputs((2,), 3, 5, 7, 4)
    mask = make_mask(kind, (2,), 3, 5)
    assert torch.autograd.gradcheck(
        lambda q, k, v: scaled_dot_product_attention(q, k, v, mask), inputs
    )


def test_scores_are_divided_by_the_root_of_the_width() -> None:
    query, key, value = torch.full((1, 16), 2.0), torch.ones(2, 16), torch.eye(2)
    key[1] = 0.0
    _, weights = scaled_dot_product_attention(query, key, value)
    odds = weights[0, 0] / weights[0, 1]
    assert_close(odds, torch.tensor(math.exp(2.0 * 16 / 4)))


@pytest.mark.parametrize("kind", MASKS)
def test_weights_sum_to_one_where_anything_may_be_attended(kind: str) -> None:
    inputs = make_inputs((3, 2), 5, 7, 11, 13)
    mask = make_mask(kind, (3, 2), 5, 7)
    _, weights = scaled_dot_product_attention(*inputs, mask)
    sees_something = torch.ones(3, 2, 5, dtype=torch.bool)
    if mask is not None:
        allowed = mask.broadcast_to(3, 2, 5, 7)
        sees_something = allowed.any(-1)
        assert (weights[~allowed] == 0).all()
        assert (weights[allowed] > 0).all()
    close(weights.sum(-1), sees_something.double())
    assert sees_something.all() == (kind != "empty row")


def test_output_is_the_weighted_sum_of_the_values() -> None:
    query, key, value = make_inputs((2,), 3, 5, 7, 11)
    output, weights = scaled_dot_product_attention(query, key, value)
    for b, i in itertools.product(range(2), range(3)):
        expected = sum(weights[b, i, j] * value[b, j] for j in range(5))
        close(output[b, i], expected)


def test_a_row_that_sees_nothing_is_zero_and_leaves_finite_gradients() -> None:
    inputs = make_inputs((2,), 5, 7, 3, 11)
    mask = make_mask("empty row", (2,), 5, 7)
    output, weights = scaled_dot_product_attention(*inputs, mask)
    assert (output[:, 2] == 0).all()
    assert (weights[:, 2] == 0).all()
    query, key, value = torch.autograd.grad(output.square().sum(), inputs)
    assert (query[:, 2] == 0).all()
    for gradient in (query, key, value):
        assert gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, F64])
def test_a_row_that_sees_nothing_is_not_nan_in_any_precision(dtype: torch.dtype) -> None:
    inputs = [x.detach().to(dtype).requires_grad_() for x in make_inputs((2,), 5, 7, 3, 11)]
    output, weights = scaled_dot_product_attention(*inputs, make_mask("empty row", (2,), 5, 7))
    gradients = torch.autograd.grad(output.sum(), inputs)
    for tensor in (output, weights, *gradients):
        assert tensor.dtype == dtype
        assert tensor.isfinite().all()


def test_large_scores_do_not_overflow() -> None:
    query, key, value = make_inputs((2,), 3, 5, 7, 11)
    output, _ = scaled_dot_product_attention(1e4 * query, 1e4 * key, value)
    expected = functional.scaled_dot_product_attention(1e4 * query, 1e4 * key, value)
    close(output, expected)


def test_shuffled_keys_and_values_change_nothing() -> None:
    query, key, value = make_inputs((2,), 3, 5, 7, 11)
    mask = make_mask("random", (2,), 3, 5)
    order = torch.tensor([3, 0, 4, 2, 1])
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    shuffled, shuffled_weights = scaled_dot_product_attention(
        query, key[:, order], value[:, order], mask[..., order]
    )
    close(shuffled, output)
    close(shuffled_weights, weights[..., order])


def test_shuffled_queries_shuffle_the_output() -> None:
    query, key, value = make_inputs((2,), 5, 3, 7, 11)
    order = torch.tensor([3, 0, 4, 2, 1])
    output, _ = scaled_dot_product_attention(query, key, value)
    shuffled, _ = scaled_dot_product_attention(query[:, order], key, value)
    close(shuffled, output[:, order])


def test_self_attention_is_permutation_equivariant() -> None:
    x = make_inputs((2,), 5, 3, 7, 11)[0]
    order = torch.tensor([3, 0, 4, 2, 1])
    output, _ = scaled_dot_product_attention(x, x, x)
    shuffled, _ = scaled_dot_product_attention(x[:, order], x[:, order], x[:, order])
    close(shuffled, output[:, order])


def test_a_single_key_hands_over_its_value() -> None:
    query, key, value = make_inputs((2,), 3, 1, 7, 11)
    output, weights = scaled_dot_product_attention(query, key, value)
    assert_close(weights, torch.ones(2, 3, 1, dtype=F64))
    assert_close(output, value.expand(2, 3, 11))


def test_a_sequence_of_length_one_is_its_own_output() -> None:
    x = make_inputs((2,), 1, 1, 7, 7)[0]
    mask = torch.ones(1, 1, dtype=torch.bool)
    assert_close(scaled_dot_product_attention(x, x, x, mask)[0], x)


def test_keys_and_values_broadcast_over_leading_axes() -> None:
    query = make_inputs((2, 3), 5, 7, 11, 13)[0]
    _, key, value = make_inputs((), 5, 7, 11, 13)
    output, _ = scaled_dot_product_attention(query, key, value)
    key, value = key.expand(2, 3, 7, 11), value.expand(2, 3, 7, 13)
    expected = functional.scaled_dot_product_attention(query, key, value)
    close(output, expected)


@pytest.mark.parametrize(
    "shape", [(5, 7), (1, 7), (5, 1), (7,), (2, 1, 1, 7), (3, 5, 7), (2, 3, 5, 7)]
)
def test_accepts_every_mask_that_broadcasts(shape: tuple[int, ...]) -> None:
    inputs = make_inputs((2, 3), 5, 7, 11, 13)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.7
    output, _ = scaled_dot_product_attention(*inputs, mask)
    expected = functional.scaled_dot_product_attention(
        *inputs, attn_mask=mask.broadcast_to(2, 3, 5, 7)
    )
    close(output, expected)


def test_changes_none_of_its_arguments() -> None:
    inputs = [x.detach() for x in make_inputs((2,), 5, 7, 3, 11)]
    mask = make_mask("random", (2,), 5, 7)
    copies = [tensor.clone() for tensor in (*inputs, mask)]
    scaled_dot_product_attention(*inputs, mask)
    for tensor, copy in zip((*inputs, mask), copies, strict=True):
        assert torch.equal(tensor, copy)


def test_without_dropout_two_calls_agree() -> None:
    inputs = make_inputs((2,), 5, 7, 3, 11)
    default, _ = scaled_dot_product_attention(*inputs)
    for _ in range(3):
        again, _ = scaled_dot_product_attention(*inputs, dropout_p=0.0)
        assert torch.equal(again, default)


def test_without_dropout_the_random_state_is_untouched() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    scaled_dot_product_attention(*make_inputs((2,), 5, 7, 3, 11))
    assert torch.equal(torch.get_rng_state(), before)


def test_dropout_zeroes_weights_and_scales_the_rest() -> None:
    torch.manual_seed(0)
    query, key, _ = make_inputs((50,), 20, 30, 7, 2)
    identity = torch.eye(30, dtype=F64).expand(50, 30, 30)
    dropped, weights = scaled_dot_product_attention(query, key, identity, dropout_p=0.3)
    is_dropped = dropped == 0
    assert abs(is_dropped.double().mean().item() - 0.3) < 0.02
    close(dropped[~is_dropped], weights[~is_dropped] / 0.7)


def test_dropout_keeps_the_expected_output() -> None:
    torch.manual_seed(0)
    inputs = [x.expand(20_000, -1, -1) for x in make_inputs((1,), 3, 5, 7, 2)]
    output, _ = scaled_dot_product_attention(*inputs)
    dropped, _ = scaled_dot_product_attention(*inputs, dropout_p=0.4)
    assert_close(dropped.mean(0), output.mean(0), rtol=0, atol=0.05)
    assert not torch.equal(dropped[0], dropped[1])


def test_dropout_leaves_the_returned_weights_whole() -> None:
    inputs = make_inputs((2,), 5, 7, 3, 11)
    _, weights = scaled_dot_product_attention(*inputs)
    dropped, with_dropout = scaled_dot_product_attention(*inputs, dropout_p=0.5)
    assert torch.equal(with_dropout, weights)
    assert not torch.equal(dropped, weights @ inputs[2])


def test_rejects_keys_of_another_width() -> None:
    query, key, value = torch.zeros(2, 3, 8), torch.zeros(2, 5, 9), torch.zeros(2, 5, 7)
    with pytest.raises(ValueError, match=r"^query has d_k = 8 but key has d_k = 9$"):
        scaled_dot_product_attention(query, key, value)


def test_rejects_values_of_another_length() -> None:
    query, key, value = torch.zeros(2, 3, 8), torch.zeros(2, 5, 8), torch.zeros(2, 6, 7)
    with pytest.raises(ValueError, match=r"^key has length 5 but value has length 6$"):
        scaled_dot_product_attention(query, key, value)


@pytest.mark.parametrize("dtype", [torch.float32, torch.int64])
def test_rejects_a_mask_that_is_not_boolean(dtype: torch.dtype) -> None:
    x = torch.zeros(2, 3, 8)
    message = rf"^mask must be boolean, True where attention is allowed, not {dtype}$"
    with pytest.raises(TypeError, match=message):
        scaled_dot_product_attention(x, x, x, torch.ones(3, 3, dtype=dtype))


@pytest.mark.parametrize("shape", [(5, 3), (4, 5), (3, 3, 5), (2, 2, 3, 5), (1, 1, 3, 5)])
def test_rejects_a_mask_that_does_not_broadcast(shape: tuple[int, ...]) -> None:
    query, key, value = torch.zeros(2, 3, 8), torch.zeros(2, 5, 8), torch.zeros(2, 5, 7)
    with pytest.raises(ValueError, match=r"^mask of shape \(.*\) does not broadcast") as raised:
        scaled_dot_product_attention(query, key, value, torch.ones(shape, dtype=torch.bool))
    assert str(raised.value) == (
        f"mask of shape {shape} does not broadcast to the scores' (2, 3, 5)"
    )
