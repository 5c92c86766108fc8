"""The counts of operations, of steps and of path lengths against formulas and other counts."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snippets.complexity import (
    after_hops,
    count_flops,
    maximum_path_length,
    reach,
    sequential_operations,
)
from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.recurrent import RecurrentLayer
from snippets.restricted_attention import RestrictedSelfAttention

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
    window = 2 * min(r, n - 1) + 1
    layer = RestrictedSelfAttention(d, n_heads, r)
    expected = batch * (8 * n * d**2 + 4 * window * n * d)
    assert count_flops(layer, torch.randn(batch, n, d)) == expected


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
        assert chain(layer, 5, d) == chain(layer, 13, d) == chain(layer, 40, d)
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


# maximum_path_length


def ceil_log(base: int, n: int) -> int:
    """The smallest L with base to the L at least n, in integers."""
    return next(length for length in itertools.count() if base**length >= n)


def dilated(k: int, base: int) -> Iterator[ConvolutionLayer]:
    return (ConvolutionLayer(4, k, base**i) for i in itertools.count())


LENGTHS = [2, 3, 4, 5, 8, 9, 10, 17, 27, 28]


@pytest.mark.parametrize("n", LENGTHS)
def test_path_lengths_are_their_formulas(n: int) -> None:
    assert maximum_path_length(MultiHeadAttention(4, 2), n) == 1
    assert maximum_path_length(RecurrentLayer(4), n) == n
    for k in (3, 5, 7):
        expected = math.ceil(2 * (n - 1) / (k - 1))
        assert maximum_path_length(ConvolutionLayer(4, k), n) == expected
        b = (k + 1) // 2
        assert maximum_path_length(dilated(k, b), n) == ceil_log(b, n)
    for r in (1, 2, 3, 30):
        expected = math.ceil((n - 1) / r)
        assert maximum_path_length(RestrictedSelfAttention(4, 2, r), n) == expected


@pytest.mark.parametrize("k", [3, 5])
def test_dilations_by_the_kernel_reach_k_to_the_l_positions_away_from_the_ends(k: int) -> None:
    for depth in (1, 2, 3):
        width = k**depth
        n = 2 * width + 1
        hops = [layer.double() for _, layer in zip(range(depth), dilated(k, k), strict=False)]
        seen = reach(hops, n)[n // 2].nonzero().flatten().tolist()
        assert seen == list(range(n // 2 - width // 2, n // 2 + width // 2 + 1))


def test_dilations_by_the_kernel_never_connect_some_positions_near_the_ends() -> None:
    with pytest.raises(ValueError, match="5 layers do not connect all 5 positions"):
        maximum_path_length(dilated(3, 3), 5)


def test_a_layer_that_moves_nothing_connects_nothing() -> None:
    for layer in (ConvolutionLayer(4, 1), RestrictedSelfAttention(4, 2, 0)):
        assert maximum_path_length(layer, 1) == 1
        with pytest.raises(ValueError, match="3 layers do not connect all 3 positions"):
            maximum_path_length(layer, 3)


def test_hops_of_all_positions_at_once_become_the_recurrent_layer_after_n() -> None:
    torch.manual_seed(0)
    layer, n = RecurrentLayer(4).double(), 9
    x = torch.randn(2, n, 4, dtype=torch.float64)
    for length in range(1, n + 1):
        state = after_hops([layer] * length, x)
        torch.testing.assert_close(state[:, :length], layer(x)[:, :length], rtol=0, atol=1e-12)
        assert length == n or not torch.allclose(state[:, length], layer(x)[:, length])


def test_reach_is_the_jacobian_that_autograd_gives() -> None:
    torch.manual_seed(0)
    n, d = 6, 4
    shifted = ConvolutionLayer(d, 3)
    with torch.no_grad():
        shifted.W.weight.unflatten(1, (d, 3))[..., 2].zero_()  # it looks to the left only
    for layer in (shifted, RestrictedSelfAttention(d, 2, 2), RecurrentLayer(d)):
        hops = [layer.double()] * 2

        def stacked(x: Tensor, hops: list[nn.Module] = hops) -> Tensor:
            return after_hops(hops, x.unsqueeze(0))[0]

        x = torch.randn(n, d, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(stacked, x)  # (n, d, n, d)
        assert torch.equal(reach(hops, n), jacobian.abs().sum((1, 3)).ne(0))
    assert not torch.equal(reach(hops, n), reach(hops, n).T)


def test_measuring_leaves_the_layer_and_the_seed_alone() -> None:
    torch.manual_seed(0)
    layer = MultiHeadAttention(4, 2, dropout=0.5)
    before = torch.get_rng_state()
    assert maximum_path_length(layer, 5) == 1
    assert torch.equal(torch.get_rng_state(), before)
    assert layer.training
    assert layer.W_q.weight.dtype == torch.float32
