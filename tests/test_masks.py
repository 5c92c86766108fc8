"""The causal and the padding mask, by their entries and by what attention does with them."""

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torch.testing import assert_close

from snippets.attention import scaled_dot_product_attention
from snippets.masks import causal_mask, padding_mask
from tests.oracle import F64, close, random

TOKENS = torch.tensor([[7, 3, 9, 4, 8], [5, 3, 0, 0, 0], [6, 0, 0, 0, 0]])  # (batch, n)
N_REAL = [5, 2, 1]


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_a_causal_row_allows_the_past_and_itself(n: int) -> None:
    mask = causal_mask(n)
    assert mask.shape == (n, n)
    assert mask.dtype == torch.bool
    for query, key in itertools.product(range(n), repeat=2):
        assert mask[query, key].item() == (key <= query)


def test_a_padding_mask_allows_the_real_keys_for_every_query() -> None:
    mask = padding_mask(TOKENS, pad_id=0)
    assert mask.shape == (3, 1, 5)
    assert mask.dtype == torch.bool
    for row, n_real in zip(mask[:, 0].tolist(), N_REAL, strict=True):
        assert row == [True] * n_real + [False] * (5 - n_real)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_a_padding_mask_takes_any_integer_and_any_pad_id(dtype: torch.dtype) -> None:
    tokens = torch.tensor([[9, 0, 4], [0, 9, 9]], dtype=dtype)
    expected = torch.tensor([[[False, True, True]], [[True, False, False]]])
    assert torch.equal(padding_mask(tokens, pad_id=9), expected)


def test_nothing_is_hidden_where_there_is_no_padding() -> None:
    assert padding_mask(TOKENS[:1], pad_id=0).all()


def test_masks_combine_by_broadcasting() -> None:
    both = causal_mask(5) & padding_mask(TOKENS, pad_id=0)
    assert both.shape == (3, 5, 5)
    assert both.dtype == torch.bool
    for sentence, query, key in itertools.product(range(3), range(5), range(5)):
        expected = key <= query and key < N_REAL[sentence]
        assert both[sentence, query, key].item() == expected


@given(n=st.integers(2, 12), data=st.data())
def test_a_causal_row_sees_no_future(n: int, data: st.DataObject) -> None:
    first_changed = data.draw(st.integers(1, n - 1))
    x = random(3, n, 7)
    changed = torch.cat([x[:, :first_changed], 10 * random(3, n - first_changed, 7, seed=1)], dim=1)
    output, _ = scaled_dot_product_attention(x, x, x, causal_mask(n))
    new_output, _ = scaled_dot_product_attention(changed, changed, changed, causal_mask(n))
    assert_close(new_output[:, :first_changed], output[:, :first_changed], rtol=0, atol=1e-14)
    moved = (new_output != output).any(-1)[:, first_changed:]
    assert moved.all(), "what follows the change sees it"


def test_the_gradient_reaches_no_later_input_and_every_earlier_one() -> None:
    def attend(x: Tensor) -> Tensor:
        return scaled_dot_product_attention(x, x, x, causal_mask(5))[0]

    jacobian = torch.autograd.functional.jacobian(attend, random(5, 3))  # (n, d, n, d)
    influence = (jacobian != 0).any(dim=3).any(dim=1)  # (n, n): output i depends on input j
    assert torch.equal(influence, torch.arange(5).unsqueeze(1) >= torch.arange(5))


def test_a_causal_pass_equals_one_pass_for_every_prefix() -> None:
    x = random(3, 6, 5)
    output, _ = scaled_dot_product_attention(x, x, x, causal_mask(6))
    for length in range(1, 7):
        prefix = x[:, :length]
        last = scaled_dot_product_attention(prefix, prefix, prefix)[0][:, -1]
        close(output[:, length - 1], last)


@pytest.mark.parametrize("is_causal", [False, True])
def test_padding_changes_nothing_at_the_real_positions(is_causal: bool) -> None:
    x = random(3, 5, 7)
    mask = padding_mask(TOKENS, pad_id=0)
    mask = mask & causal_mask(5) if is_causal else mask
    output, _ = scaled_dot_product_attention(x, x, x, mask)
    for sentence, n_real in enumerate(N_REAL):
        alone = x[sentence, :n_real]
        own_mask = causal_mask(n_real) if is_causal else None
        expected, _ = scaled_dot_product_attention(alone, alone, alone, own_mask)
        close(output[sentence, :n_real], expected)


def test_what_padding_holds_is_never_seen() -> None:
    key, value, query = random(3, 5, 7), random(3, 5, 11, seed=1), random(3, 4, 7, seed=2)
    is_padding = (TOKENS == 0).unsqueeze(-1)
    mask = padding_mask(TOKENS, pad_id=0)
    output, weights = scaled_dot_product_attention(query, key, value, mask)
    other, _ = scaled_dot_product_attention(
        query, key.masked_fill(is_padding, 50.0), value.masked_fill(is_padding, -50.0), mask
    )
    assert torch.equal(other, output)
    assert (weights[~mask.expand(3, 4, 5)] == 0).all()
    assert (weights[mask.expand(3, 4, 5)] > 0).all()


def test_one_source_mask_serves_queries_of_any_number() -> None:
    memory, mask = random(3, 5, 7), padding_mask(TOKENS, pad_id=0)
    for n_query in [1, 4, 5, 8]:
        query = random(3, n_query, 7, seed=n_query)
        output, _ = scaled_dot_product_attention(query, memory, memory, mask)
        expected = functional.scaled_dot_product_attention(query, memory, memory, attn_mask=mask)
        close(output, expected)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_causal_mask_is_the_one_of_torch_nn_transformer(n: int) -> None:
    added = nn.Transformer.generate_square_subsequent_mask(n)  # 0 where allowed, -inf where not
    assert torch.equal(causal_mask(n), added == 0)
    assert torch.equal(~causal_mask(n), added == -torch.inf)


@pytest.mark.parametrize("n", [1, 2, 7])
def test_causal_mask_is_is_causal(n: int) -> None:
    query, key, value = random(3, n, 5), random(3, n, 5, seed=1), random(3, n, 11, seed=2)
    output, _ = scaled_dot_product_attention(query, key, value, causal_mask(n))
    expected = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    close(output, expected)


@pytest.mark.parametrize("use", ["causal", "padding", "both"])
def test_inverted_masks_do_the_same_in_torch_multi_head_attention(use: str) -> None:
    """`nn.MultiheadAttention` means "hidden" by True. One head, and projections that do nothing."""
    layer = nn.MultiheadAttention(7, num_heads=1, bias=False, batch_first=True, dtype=F64)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(7).repeat(3, 1))
        layer.out_proj.weight.copy_(torch.eye(7))
    x, causal, padding = random(3, 5, 7), causal_mask(5), padding_mask(TOKENS, pad_id=0)
    mask = {"causal": causal, "padding": padding, "both": causal & padding}[use]
    output, weights = scaled_dot_product_attention(x, x, x, mask)
    expected, expected_weights = layer(
        x,
        x,
        x,
        attn_mask=None if use == "padding" else ~causal,
        key_padding_mask=None if use == "causal" else ~padding.squeeze(1),
    )
    close(output, expected)
    close(weights, expected_weights)


def test_padding_on_the_left_leaves_rows_that_are_zero_and_not_nan() -> None:
    tokens = torch.tensor([[0, 0, 6, 2], [5, 3, 8, 4]])
    mask = causal_mask(4) & padding_mask(tokens, pad_id=0)
    x = random(2, 4, 7).requires_grad_()
    output, _ = scaled_dot_product_attention(x, x, x, mask)
    assert (output[0, :2] == 0).all()
    assert (output[0, 2:] != 0).all()
    (gradient,) = torch.autograd.grad(output.sum(), x)
    assert gradient.isfinite().all()


def test_masks_are_made_on_the_device_that_is_named() -> None:
    assert causal_mask(3).device.type == "cpu"
    assert causal_mask(3, device="meta").device.type == "meta"
    assert causal_mask(3, torch.device("meta")).shape == (3, 3)
    assert padding_mask(TOKENS.to("meta"), pad_id=0).device.type == "meta"


@pytest.mark.parametrize("n", [0, -1])
def test_rejects_a_length_below_one(n: int) -> None:
    with pytest.raises(ValueError, match=rf"^a causal mask needs a length of at least 1, not {n}$"):
        causal_mask(n)


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5)])
def test_rejects_tokens_without_two_axes(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        ValueError, match=r"^tokens must have the shape \(batch, n\), not "
    ) as raised:
        padding_mask(torch.zeros(shape, dtype=torch.long), pad_id=0)
    assert str(raised.value).endswith(f"not {shape}")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bool, torch.complex64])
def test_rejects_tokens_that_are_not_integers(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"^tokens must be integers, not {dtype}$"):
        padding_mask(torch.zeros(2, 5, dtype=dtype), pad_id=0)
