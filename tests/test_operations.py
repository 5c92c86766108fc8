"""The counts of operations and of steps against formulas and other counts."""

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.operations import count_flops, sequential_operations
from snippets.recurrent import RecurrentLayer
from snippets.restricted import RestrictedSelfAttention, banded_attention

SIZES = [(1, 13, 8, 2), (2, 5, 12, 3), (3, 40, 8, 4), (1, 1, 6, 1)]  # batch, n, d, n_heads


# count_flops


@pytest.mark.parametrize(("batch", "n", "d", "n_heads"), SIZES)
def test_attention_costs_its_polynomial_whatever_the_heads(
    batch: int, n: int, d: int, n_heads: int
) -> None:
    expected = batch * (8 * n * d**2 + 4 * n**2 * d)
    x = torch.randn(batch, n, d)
    layer = MultiHeadAttention(d, n_heads)
    assert count_flops(layer, x) == expected
    assert count_flops(lambda x: layer(x, x, x, need_weights=True), x) == expected
    theirs = nn.MultiheadAttention(d, n_heads, batch_first=True)
    assert count_flops(lambda x: theirs(x, x, x), x) == expected
    core = count_flops(lambda x: nn.functional.scaled_dot_product_attention(x, x, x), x)
    assert core == batch * 4 * n**2 * d


def test_the_bare_counter_passes_over_a_fused_kernel() -> None:
    """Why `count_flops` asks for matrix products; if this fails, a warning on the page is old."""
    layer, x = MultiHeadAttention(8, 2), torch.randn(1, 13, 8)
    counter = FlopCounterMode(display=False)
    with counter:
        layer(x, x, x)
    assert counter.get_total_flops() == 8 * 13 * 8**2
    lstm = nn.LSTM(8, 8, batch_first=True)  # oneDNN's kernel where there is one
    assert count_flops(lstm, x) == (0 if torch.backends.mkldnn.is_available() else 16 * 13 * 8**2)


@pytest.mark.parametrize(("batch", "n", "d", "n_heads"), SIZES)
def test_recurrent_layers_cost_their_gates(batch: int, n: int, d: int, n_heads: int) -> None:
    x = torch.randn(batch, n, d, dtype=torch.float64)
    assert count_flops(RecurrentLayer(d).double(), x) == 4 * batch * n * d**2
    for module, gates in ((nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)):
        layer = module(d, d, batch_first=True, dtype=torch.float64)
        assert count_flops(layer, x) == gates * 4 * batch * n * d**2


@pytest.mark.parametrize(("batch", "n", "d", "n_heads"), SIZES)
@pytest.mark.parametrize(("k", "dilation"), [(1, 1), (3, 1), (7, 2)])
def test_convolutions_cost_their_kernel(
    batch: int, n: int, d: int, n_heads: int, k: int, dilation: int
) -> None:
    x = torch.randn(batch, n, d)
    expected = 2 * batch * k * n * d**2
    assert count_flops(ConvolutionLayer(d, k, dilation), x) == expected
    theirs = nn.Conv1d(d, d, k, padding="same", dilation=dilation)
    assert count_flops(theirs, x.mT) == expected
    separable = nn.Sequential(nn.Conv1d(d, d, k, padding="same", groups=d), nn.Conv1d(d, d, 1))
    assert count_flops(separable, x.mT) == batch * (2 * k * n * d + 2 * n * d**2)


@pytest.mark.parametrize(("batch", "n", "d", "n_heads"), SIZES)
@pytest.mark.parametrize("r", [0, 1, 3, 100])
def test_restricted_attention_costs_its_window(
    batch: int, n: int, d: int, n_heads: int, r: int
) -> None:
    seen = min(r, n - 1)
    block = max(seen, 1)
    queries = math.ceil(n / block) * block  # the last block is filled up
    layer = RestrictedSelfAttention(d, n_heads, r)
    expected = batch * (8 * n * d**2 + 4 * queries * (block + 2 * seen) * d)
    assert count_flops(layer, torch.randn(batch, n, d)) == expected


@pytest.mark.parametrize("r", [0, 1, 3])
def test_banded_attention_in_blocks_of_one_makes_no_product_in_vain(r: int) -> None:
    batch, n_heads, n, d_k = 2, 3, 11, 5
    q = torch.randn(batch, n_heads, n, d_k)
    counted = count_flops(lambda q: banded_attention(q, q, q, r, block=1), q)
    assert counted == batch * n_heads * 4 * (2 * r + 1) * n * d_k


def test_elementwise_operations_count_as_nothing() -> None:
    x = torch.randn(2, 5, 8)
    for operation in (torch.tanh, lambda x: torch.softmax(x, -1), nn.LayerNorm(8), lambda x: x + x):
        assert count_flops(operation, x) == 0


# sequential_operations


def chain(layer: nn.Module, n: int, d: int) -> int:
    dtype = next(layer.parameters()).dtype
    return sequential_operations(layer, torch.randn(2, n, d, dtype=dtype))


def test_only_the_recurrent_chain_grows_with_n() -> None:
    d = 6
    parallel = [
        MultiHeadAttention(d, 2),
        ConvolutionLayer(d, 3),
        ConvolutionLayer(d, 5, 2),
        RestrictedSelfAttention(d, 3, 2),
    ]
    for layer in parallel:
        assert chain(layer, 6, d) == chain(layer, 14, d) == chain(layer, 40, d)
    for n in (1, 2, 13):
        assert chain(RecurrentLayer(d), n, d) == 3 * n + 1  # the last one lays them side by side
    theirs = nn.RNN(d, d, batch_first=True)
    assert chain(theirs, 23, d) - chain(theirs, 3, d) == 20 * 3


def test_the_chain_is_that_of_the_graph_and_not_the_number_of_operations() -> None:
    x = torch.randn(3, 3)
    other = torch.randn(3, 3)
    assert sequential_operations(lambda x: x, x) == 0
    assert sequential_operations(lambda x: x.mT.reshape(9, 1).mT, x) == 1  # the copy
    assert sequential_operations(lambda x: x.unsqueeze(0).mT, x) == 0  # views
    assert sequential_operations(lambda x: torch.tanh(other).exp().sin(), x) == 0
    assert sequential_operations(lambda x: [torch.tanh(x), torch.sin(x), torch.exp(x)], x) == 1
    assert sequential_operations(lambda x: torch.tanh(x).exp() + torch.sin(x), x) == 3
    assert sequential_operations(lambda x: torch.cat([x, torch.tanh(x).exp()]), x) == 3
    assert sequential_operations(lambda x: torch.sort(torch.tanh(x)).values.exp(), x) == 3


def test_a_stack_adds_its_layers_chains() -> None:
    x = torch.randn(2, 7, 6)
    one, two = ConvolutionLayer(6, 3), RecurrentLayer(6)
    both = sequential_operations(nn.Sequential(one, two), x)
    assert both == sequential_operations(one, x) + sequential_operations(two, x)
