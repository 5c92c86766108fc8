"""Restricted self-attention against full attention under a band mask, and what it saves."""

import re

import pytest
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from snippets.multi_head import MultiHeadAttention
from snippets.restricted import RestrictedSelfAttention, banded_attention, pieces
from snippets.seconds_and_bytes import fastest_seconds, peak_memory
from tests.oracle import F64, close, random, variable

SIZES = [  # batch, n_heads, n, d_model, r
    (2, 3, 11, 12, 1),
    (4, 5, 7, 10, 2),
    (3, 2, 13, 8, 5),
    (2, 1, 5, 7, 0),
    (2, 3, 4, 6, 3),  # r = n - 1: full attention
    (3, 2, 5, 4, 9),  # r beyond the sequence
    (5, 3, 1, 6, 2),
]


def band(n: int, r: int) -> Tensor:
    """Boolean (n, n), True where |i - j| <= r, written as two loops."""
    return torch.tensor([[abs(i - j) <= r for j in range(n)] for i in range(n)])


@pytest.mark.parametrize(("batch", "n_heads", "n", "d_model", "r"), SIZES)
def test_equals_masked_full_attention_forward_and_backward(
    batch: int, n_heads: int, n: int, d_model: int, r: int
) -> None:
    torch.manual_seed(n)
    ours = RestrictedSelfAttention(d_model, n_heads, r).to(F64)
    full = MultiHeadAttention(d_model, n_heads).to(F64)
    full.load_state_dict(ours.state_dict())
    x = variable(batch, n, d_model, seed=0)
    output, expected = ours(x), full(x, x, x, band(n, r))
    close(output, expected)
    direction = random(batch, n, d_model, seed=1)
    mine = torch.autograd.grad((direction * output).sum(), [x, *ours.parameters()])
    other = torch.autograd.grad((direction * expected).sum(), [x, *full.parameters()])
    for gradient, wanted in zip(mine, other, strict=True):
        close(gradient, wanted)


@pytest.mark.parametrize("block", [1, 2, 3, 4, 11, 20])
def test_blocks_of_every_size_give_the_same(block: int) -> None:
    batch, n_heads, n, d_k, d_v, r = 2, 3, 11, 5, 4, 3
    sizes = ((batch, n_heads, n, d_k), (batch, n_heads, n, d_k), (batch, n_heads, n, d_v))
    inputs = [variable(*size, seed=i) for i, size in enumerate(sizes)]
    output = banded_attention(*inputs, r, block)
    expected = nn.functional.scaled_dot_product_attention(*inputs, attn_mask=band(n, r))
    close(output, expected)
    direction = random(*output.shape, seed=3)
    mine = torch.autograd.grad((direction * output).sum(), inputs)
    other = torch.autograd.grad((direction * expected).sum(), inputs)
    for gradient, wanted in zip(mine, other, strict=True):
        close(gradient, wanted)


def test_matches_torch_under_a_band_mask() -> None:
    """The oracle of the test above is ours; this one is PyTorch's own module."""
    torch.manual_seed(0)
    ours = RestrictedSelfAttention(12, 3, 2).to(F64)
    theirs = nn.MultiheadAttention(12, 3, batch_first=True, dtype=F64)
    with torch.no_grad():
        projections = (ours.W_q, ours.W_k, ours.W_v)
        theirs.in_proj_weight.copy_(torch.cat([W.weight for W in projections]))
        theirs.in_proj_bias.copy_(torch.cat([W.bias for W in projections]))
        theirs.out_proj.load_state_dict(ours.W_o.state_dict())
    x = variable(2, 11, 12, seed=0)
    close(ours(x), theirs(x, x, x, attn_mask=~band(11, 2), need_weights=False)[0])


@pytest.mark.parametrize("r", [0, 1, 4])
def test_a_position_sees_its_window_and_nothing_else(r: int) -> None:
    layer, n = RestrictedSelfAttention(6, 2, r).to(F64), 13
    x = variable(1, n, 6, seed=0)
    output = layer(x)
    for i in range(n):
        (gradient,) = torch.autograd.grad(output[0, i].sum(), x, retain_graph=True)
        assert torch.equal(gradient[0].ne(0).any(-1), band(n, r)[i])


def test_memory_grows_with_n_and_not_with_its_square() -> None:
    layer = RestrictedSelfAttention(d_model=6, n_heads=2, r=4)
    for backend in (SDPBackend.MATH, SDPBackend.FLASH_ATTENTION):  # the first stores the scores
        with torch.no_grad(), sdpa_kernel(backend):
            peaks = [peak_memory(lambda n=n: layer(torch.zeros(1, n, 6))) for n in (256, 512, 768)]
        assert peaks[2] - peaks[1] == peaks[1] - peaks[0] < 256 * 256 * 4


@pytest.mark.parametrize("block", [1, 4, 16, 32])
def test_the_fused_kernel_reads_the_pieces_without_copying_them(block: int) -> None:
    n, n_heads, d_k, r = 1024, 4, 32, 16
    query, key, value = torch.zeros(3, 1, n_heads, n, d_k)
    with torch.no_grad(), sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        peak = peak_memory(lambda: banded_attention(query, key, value, r, block))
    mask = 5 * n * (block + 2 * r)  # bytes: once as truth values, once as numbers to add
    padded = 2 * n_heads * 2 * r * d_k * 4
    assert peak - mask < 5 * query.nbytes + padded  # query, key, value and output, once each


def test_pieces_share_the_memory_of_one_padded_sequence() -> None:
    x = torch.randn(2, 3, 11, 5)
    cut = pieces(x, 4, 3)
    assert cut.shape == (2, 3, 3, 10, 5)
    assert cut.untyped_storage().nbytes() == 2 * 3 * (12 + 2 * 3) * 5 * 4


@pytest.mark.parametrize("n", range(1, 14))
@pytest.mark.parametrize("r", [0, 1, 2, 3, 5, 20])
def test_no_query_of_a_default_block_is_without_a_key(
    n: int, r: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks: list[Tensor] = []
    attention = nn.functional.scaled_dot_product_attention

    def spy(*args: Tensor, attn_mask: Tensor) -> Tensor:
        masks.append(attn_mask)
        return attention(*args, attn_mask=attn_mask)

    monkeypatch.setattr(nn.functional, "scaled_dot_product_attention", spy)
    banded_attention(*torch.randn(3, 1, 1, n, 2), r)
    assert masks[0].any(-1).all()


@pytest.mark.parametrize("need_weights", [False, True])
def test_takes_a_tenth_of_the_time_and_memory_of_masked_full_attention(need_weights: bool) -> None:
    """Against the fused kernel and against the explicit matrix, the whole layer, one thread."""
    n, r, d_model, n_heads = 8192, 64, 64, 1
    torch.manual_seed(0)
    banded = RestrictedSelfAttention(d_model, n_heads, r)
    full = MultiHeadAttention(d_model, n_heads)
    full.load_state_dict(banded.state_dict())
    x, position = torch.randn(1, n, d_model), torch.arange(n)

    near = (position.unsqueeze(1) - position).abs() <= r

    def masked() -> Tensor:
        output = full(x, x, x, near, need_weights=need_weights)
        return output[0] if need_weights else output

    with torch.no_grad():
        torch.testing.assert_close(banded(x), masked(), rtol=0, atol=1e-5)
        assert peak_memory(lambda: banded(x)) < peak_memory(masked) / 10
        assert fastest_seconds(lambda: banded(x)) < fastest_seconds(masked) / 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 3, 1), "d_model = 10 does not divide into n_heads = 3"),
        ((10, 0, 1), "d_model = 10 does not divide into n_heads = 0"),
        ((10, 2, -1), "r must be at least 0, not -1"),
    ],
)
def test_rejects_sizes_that_do_not_fit(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RestrictedSelfAttention(*arguments)


@pytest.mark.parametrize("shape", [(5, 6), (2, 5, 4), (2, 5, 1, 6), (2, 0, 6)])
def test_rejects_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"x must be (batch, n, 6), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        RestrictedSelfAttention(6, 2, 1)(torch.zeros(shape))


X, LONGER, WIDER = (2, 3, 5, 4), (2, 3, 7, 4), (2, 3, 5, 6)
ONE_N = "query and key must be (batch, n_heads, n, d_k) with one n, at least 1, not"


@pytest.mark.parametrize(
    ("shapes", "r", "block", "message"),
    [
        ((X, WIDER, X), 1, None, "query has d_k = 4 but key has d_k = 6"),
        ((X, LONGER, LONGER), 1, None, f"{ONE_N} (2, 3, 5, 4) and (2, 3, 7, 4)"),
        ((X[1:], X[1:], X[1:]), 1, None, f"{ONE_N} (3, 5, 4) and (3, 5, 4)"),
        ((X, X, X), -1, None, "r must be at least 0, not -1"),
        ((X, X, X), 1, 0, "block must be at least 1, not 0"),
    ],
)
def test_rejects_arguments_that_do_not_fit(
    shapes: tuple, r: int, block: int | None, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        banded_attention(*(torch.zeros(shape) for shape in shapes), r, block)
