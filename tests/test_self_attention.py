"""Attention block by block against attention at once, ours and PyTorch's, and its memory."""

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

from snippets.attention import scaled_dot_product_attention
from snippets.operations import count_flops
from snippets.self_attention import (
    PartialAttention,
    blockwise_attention,
    merge,
    partial_attention,
)
from tests.oracle import F64, MASKS, PRIMES, close, make_inputs, make_mask


def output_of(part: PartialAttention) -> Tensor:
    return part.mixture / part.total


@given(
    sizes=st.permutations(PRIMES),
    n_leading=st.integers(0, 2),
    kind=st.sampled_from(MASKS),
    block=st.integers(1, 20),
    seed=st.integers(0, 2**16),
)
def test_matches_attention_at_once_forward_and_backward(
    sizes: list[int], n_leading: int, kind: str, block: int, seed: int
) -> None:
    n_query, n_key, d_k, d_v, *rest = sizes
    leading = tuple(rest[:n_leading])
    inputs = make_inputs(leading, n_query, n_key, d_k, d_v, seed)
    mask = make_mask(kind, leading, n_query, n_key)
    output = blockwise_attention(*inputs, block, mask)
    direction = make_inputs((), 1, 1, 1, output.numel(), seed)[2].detach().view(output.shape)
    gradients = torch.autograd.grad(output, inputs, direction)
    ours, _ = scaled_dot_product_attention(*inputs, mask)
    theirs = functional.scaled_dot_product_attention(*inputs, attn_mask=mask)
    for expected in (ours, theirs):
        close(output, expected)
        expected_gradients = torch.autograd.grad(expected, inputs, direction)
        for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
            close(gradient, expected_gradient)


@pytest.mark.parametrize("block", [1, 2, 3, 6, 7, 8, 100])
@pytest.mark.parametrize("kind", MASKS)
def test_the_block_size_changes_nothing(block: int, kind: str) -> None:
    inputs, mask = make_inputs((2, 3), 5, 7, 11, 13), make_mask(kind, (2, 3), 5, 7)
    close(blockwise_attention(*inputs, block, mask), scaled_dot_product_attention(*inputs, mask)[0])


@pytest.mark.parametrize(("n_query", "n_key"), [(1, 1), (1, 5), (5, 1)])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("block", [1, 2])
def test_matches_torch_at_length_one(n_query: int, n_key: int, kind: str, block: int) -> None:
    inputs = make_inputs((2,), n_query, n_key, 3, 4)
    mask = make_mask(kind, (2,), n_query, n_key)
    expected = functional.scaled_dot_product_attention(*inputs, attn_mask=mask)
    close(blockwise_attention(*inputs, block, mask), expected)


def test_no_keys_at_all_give_zeros_as_in_torch() -> None:
    inputs = make_inputs((2,), 3, 0, 5, 7)
    output = blockwise_attention(*inputs, 4)
    assert torch.equal(output, functional.scaled_dot_product_attention(*inputs))
    assert torch.equal(output, torch.zeros(2, 3, 7, dtype=F64))


@pytest.mark.parametrize("kind", MASKS)
def test_gradients_match_finite_differences(kind: str) -> None:
    inputs, mask = make_inputs((2,), 3, 5, 7, 4), make_mask(kind, (2,), 3, 5)
    assert torch.autograd.gradcheck(lambda q, k, v: blockwise_attention(q, k, v, 2, mask), inputs)


@pytest.mark.parametrize("block", [1, 2, 3])
@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]])
def test_scores_of_a_thousand_do_not_overflow_wherever_the_largest_stands(
    block: int, order: list[int]
) -> None:
    scores = torch.tensor([-1000.0, -1.0, 0.0, 999.0, 1000.0], dtype=F64)[order]
    query = torch.ones(1, 1, dtype=F64)
    key, value = scores.unsqueeze(-1).requires_grad_(), make_inputs((), 1, 5, 1, 3)[2]
    output = blockwise_attention(query, key, value, block)
    expected = functional.scaled_dot_product_attention(query, key, value)
    close(output, expected)
    gradients = torch.autograd.grad(output.sum(), [key, value])
    expected_gradients = torch.autograd.grad(expected.sum(), [key, value])
    for gradient, expected_gradient in zip(gradients, expected_gradients, strict=True):
        close(gradient, expected_gradient)


def test_scores_far_below_zero_do_not_vanish() -> None:
    query = torch.ones(1, 1, dtype=F64)
    key = torch.tensor([[-1003.0], [-1001.0], [-1000.0], [-1002.0]], dtype=F64)
    value = make_inputs((), 1, 4, 1, 3)[2]
    expected = functional.scaled_dot_product_attention(query, key, value)
    close(blockwise_attention(query, key, value, 2), expected)


@pytest.mark.parametrize(
    ("dtype", "atol"),
    [(torch.float16, 2e-3), (torch.bfloat16, 2e-2), (torch.float32, 2e-5), (F64, 1e-10)],
)
def test_scores_of_a_thousand_in_every_precision(dtype: torch.dtype, atol: float) -> None:
    query, key, value = (x.detach().to(dtype) for x in make_inputs((2,), 5, 11, 4, 3))
    query, key = 32 * query, 32 * key  # scores of about 1000, by powers of two: no rounding
    largest = (query.to(F64) @ key.to(F64).mT / 2).abs().max()
    assert 1000 < largest < 10_000
    output = blockwise_attention(query, key, value, 4)
    assert output.dtype == dtype
    expected = functional.scaled_dot_product_attention(query.to(F64), key.to(F64), value.to(F64))
    torch.testing.assert_close(output.to(F64), expected, rtol=0, atol=atol)


def test_sums_beyond_the_range_of_float16_do_not_overflow() -> None:
    query, key = torch.zeros(1, 2, dtype=torch.float16), torch.zeros(70_000, 2, dtype=torch.float16)
    value = torch.full((70_000, 3), 100.0, dtype=torch.float16)
    output = blockwise_attention(query, key, value, 1000)  # total 7e4, mixture 7e6
    assert torch.equal(output, torch.full((1, 3), 100.0, dtype=torch.float16))


@pytest.mark.parametrize("block", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, F64])
def test_a_row_that_sees_nothing_is_zero_and_leaves_finite_gradients(
    block: int, dtype: torch.dtype
) -> None:
    inputs = [x.detach().to(dtype).requires_grad_() for x in make_inputs((2,), 5, 7, 3, 11)]
    output = blockwise_attention(*inputs, block, make_mask("empty row", (2,), 5, 7))
    assert (output[:, 2] == 0).all()
    query, key, value = torch.autograd.grad(output.square().sum(), inputs)
    assert (query[:, 2] == 0).all()
    for tensor in (output, query, key, value):
        assert tensor.isfinite().all()


@pytest.mark.parametrize("hidden", [[0, 1], [2, 3], [4, 5], [0, 1, 2, 3], [0, 1, 4, 5]])
def test_blocks_that_are_wholly_hidden_count_for_nothing(hidden: list[int]) -> None:
    query, key, value = make_inputs((2,), 3, 6, 5, 4)
    mask = torch.ones(6, dtype=torch.bool)
    mask[hidden] = False
    output = blockwise_attention(query, key, value, 2, mask)
    expected = functional.scaled_dot_product_attention(query, key[:, mask], value[:, mask])
    close(output, expected)
    for gradient in torch.autograd.grad(output.sum(), [query, key, value]):
        assert gradient.isfinite().all()


@pytest.mark.parametrize(
    "shape", [(5, 7), (1, 7), (5, 1), (1, 1), (7,), (1,), (), (2, 1, 1, 7), (3, 5, 1), (2, 3, 5, 7)]
)
def test_accepts_every_mask_that_broadcasts(shape: tuple[int, ...]) -> None:
    inputs = make_inputs((2, 3), 5, 7, 11, 13)
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < 0.7
    expected = functional.scaled_dot_product_attention(
        *inputs, attn_mask=mask.broadcast_to(2, 3, 5, 7)
    )
    close(blockwise_attention(*inputs, 3, mask), expected)


def test_keys_and_values_broadcast_over_leading_axes() -> None:
    query = make_inputs((2, 3), 5, 7, 11, 13)[0]
    _, key, value = make_inputs((3,), 5, 7, 11, 13)
    expected, _ = scaled_dot_product_attention(query, key, value)
    close(blockwise_attention(query, key, value, 2), expected)
    expected, _ = scaled_dot_product_attention(query[0, 0], key, value)
    close(blockwise_attention(query[0, 0], key, value, 2), expected)


def test_changes_none_of_its_arguments() -> None:
    inputs = [x.detach() for x in make_inputs((2,), 5, 7, 3, 11)]
    mask = make_mask("empty row", (2,), 5, 7)
    copies = [tensor.clone() for tensor in (*inputs, mask)]
    blockwise_attention(*inputs, 3, mask)
    for tensor, copy in zip((*inputs, mask), copies, strict=True):
        assert torch.equal(tensor, copy)


def test_parts_merge_in_any_order_and_grouping() -> None:
    query, key, value = make_inputs((2,), 3, 9, 5, 4)
    cuts = [slice(0, 2), slice(2, 3), slice(3, 9)]
    parts = [partial_attention(query, key[:, cut], value[:, cut]) for cut in cuts]
    whole = partial_attention(query, key, value)
    for a, b, c in itertools.permutations(parts):
        for merged in (merge(merge(a, b), c), merge(a, merge(b, c))):
            for actual, expected in zip(merged, whole, strict=True):
                close(actual, expected)


def test_a_part_is_what_its_fields_say() -> None:
    query, key, value = make_inputs((2,), 3, 5, 4, 7)
    mask = make_mask("empty row", (2,), 3, 5)
    part = partial_attention(query, key, value, mask)
    for b, i in itertools.product(range(2), range(3)):
        seen = [j for j in range(5) if mask[b, i, j]]
        scores = [query[b, i] @ key[b, j] / 2 for j in seen]
        largest = max(scores, default=torch.tensor(-torch.inf, dtype=F64))
        close(part.largest[b, i, 0], largest)
        close(part.total[b, i, 0], sum((s - largest).exp() for s in scores) + 0 * query.sum())
        terms = [(s - largest).exp() * value[b, j] for s, j in zip(scores, seen, strict=True)]
        close(part.mixture[b, i], sum(terms) + 0 * value[b, 0])
    assert not part.largest.requires_grad


def test_a_part_alone_is_attention_over_its_keys() -> None:
    query, key, value = make_inputs((2,), 3, 9, 5, 4)
    part = partial_attention(query, key[:, 2:7], value[:, 2:7])
    close(
        output_of(part),
        functional.scaled_dot_product_attention(query, key[:, 2:7], value[:, 2:7]),
    )


class LargestMode(TorchDispatchMode):
    """Notes how many elements the largest tensor has that is made."""

    largest = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        result = operation(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            elements = result.untyped_storage().nbytes() // result.element_size()
            self.largest = max(self.largest, elements)
        return result


def largest_tensor(function: Callable[..., Any], *inputs: Tensor) -> int:
    mode = LargestMode()
    with mode:
        function(*inputs)
    return mode.largest


@pytest.mark.parametrize("n", [64, 128, 256])
@pytest.mark.parametrize("block", [1, 7, 16])
def test_the_largest_tensor_grows_with_n_and_not_with_its_square(n: int, block: int) -> None:
    heads, d = 3, 8
    x = torch.zeros(2, heads, n, d)
    padding = torch.arange(n) < n - 3
    for mask in (None, padding):
        largest = largest_tensor(lambda x, mask=mask: blockwise_attention(x, x, x, block, mask), x)
        assert largest == 2 * heads * n * max(block, d)
    assert largest_tensor(lambda x: scaled_dot_product_attention(x, x, x), x) == 2 * heads * n * n


@pytest.mark.parametrize("block", [1, 5, 8, 64, 100])
def test_the_matrix_products_cost_the_same(block: int) -> None:
    query, key, value = make_inputs((2, 3), 16, 64, 5, 7)
    counted = count_flops(lambda q: blockwise_attention(q, key, value, block), query)
    assert counted == 2 * 3 * 16 * 64 * 2 * (5 + 7)


@pytest.mark.parametrize("block", [0, -1])
def test_rejects_a_block_without_keys(block: int) -> None:
    with pytest.raises(ValueError, match=f"^block must be at least 1, not {block}$"):
        blockwise_attention(*make_inputs((), 3, 5, 7, 11), block)


@pytest.mark.parametrize(
    "dtypes",
    [
        (torch.float16, torch.float32, torch.float32),
        (torch.float32, torch.float32, F64),
        (torch.int64, torch.int64, torch.int64),
    ],
)
def test_rejects_dtypes_that_differ_or_are_not_floating_point(
    dtypes: tuple[torch.dtype, ...],
) -> None:
    inputs = [torch.zeros(3, 5, dtype=dtype) for dtype in dtypes]
    message = (
        "query, key and value must have one floating-point dtype, "
        f"not {dtypes[0]}, {dtypes[1]} and {dtypes[2]}"
    )
    with pytest.raises(TypeError, match=f"^{re.escape(message)}$"):
        blockwise_attention(*inputs, 2)


def test_rejects_what_attention_rejects() -> None:
    x, mask = torch.zeros(2, 3, 8), torch.ones(3, 3)
    with pytest.raises(ValueError, match=r"^query has d_k = 8 but key has d_k = 9$"):
        blockwise_attention(x, torch.zeros(2, 3, 9), x, 2)
    with pytest.raises(ValueError, match=r"^key has length 3 but value has length 4$"):
        blockwise_attention(x, x, torch.zeros(2, 4, 8), 2)
    with pytest.raises(TypeError, match=r"^mask must be boolean, True where attention is allowed"):
        blockwise_attention(x, x, x, 2, mask)
    message = "mask of shape (4, 3) does not broadcast to the scores' (2, 3, 3)"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        blockwise_attention(x, x, x, 2, torch.ones(4, 3, dtype=torch.bool))
