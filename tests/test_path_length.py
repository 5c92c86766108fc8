"""The measured path lengths against formulas and against the Jacobian of autograd."""

import itertools
import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor, nn

from snippets.convolution import ConvolutionLayer
from snippets.masks import causal_mask
from snippets.multi_head import MultiHeadAttention
from snippets.path_length import after_hops, maximum_path_length, reach
from snippets.recurrent import RecurrentLayer
from snippets.restricted import RestrictedSelfAttention
from tests.oracle import close


def ceil_log(base: int, n: int) -> int:
    """The smallest L with base to the L at least n, in integers."""
    return next(length for length in itertools.count() if base**length >= n)


def dilated(k: int, base: int) -> Iterator[ConvolutionLayer]:
    return (ConvolutionLayer(4, k, base**i) for i in itertools.count())


class Wrapped(nn.Module):
    """A layer inside a function of the layer and its input."""

    def __init__(self, layer: nn.Module, function: Callable[[nn.Module, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function, self.d_model = layer, function, layer.d_model

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer, x)


def causal(layer: nn.Module, x: Tensor) -> Tensor:
    return layer(x, x, x, causal_mask(x.shape[1]))


LENGTHS = [1, 2, 3, 4, 5, 8, 9, 10, 17, 27, 28]


@pytest.mark.parametrize("n", LENGTHS)
def test_path_lengths_are_their_formulas_and_at_least_one_hop(n: int) -> None:
    assert maximum_path_length(MultiHeadAttention(4, 2), n) == 1
    assert maximum_path_length(RecurrentLayer(4), n) == n
    for k in (3, 5, 7):
        expected = max(1, math.ceil(2 * (n - 1) / (k - 1)))
        assert maximum_path_length(ConvolutionLayer(4, k), n) == expected
        b = (k + 1) // 2
        assert maximum_path_length(dilated(k, b), n) == max(1, ceil_log(b, n))
    for r in (1, 2, 3, 30):
        expected = max(1, math.ceil((n - 1) / r))
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
        close(state[:, :length], layer(x)[:, :length])
        assert length == n or not torch.allclose(state[:, length], layer(x)[:, length])


def test_a_causal_layer_connects_the_past_and_never_the_future() -> None:
    n, r = 9, 2
    attention = Wrapped(MultiHeadAttention(4, 2), causal)
    window = Wrapped(
        MultiHeadAttention(4, 2), lambda layer, x: layer(x, x, x, causal_mask(n).triu(-r))
    )
    assert torch.equal(reach([attention.double()], n), causal_mask(n))
    with pytest.raises(ValueError, match="9 layers do not connect all 9 positions"):
        maximum_path_length(attention, n)
    assert maximum_path_length(attention, n, causal=True) == 1
    assert maximum_path_length(window, n, causal=True) == math.ceil((n - 1) / r)
    assert maximum_path_length(RecurrentLayer(4), n, causal=True) == n


@pytest.mark.parametrize("taps", [[0], [1, 2]])
def test_causal_still_asks_for_the_past_and_for_a_positions_own_input(taps: list[int]) -> None:
    layer = ConvolutionLayer(4, 3)
    with torch.no_grad():
        layer.W.weight.unflatten(1, (4, 3))[..., taps] = 0  # no look to the left, or only that
    with pytest.raises(ValueError, match="2 layers do not connect all 2 positions"):
        maximum_path_length(layer, 2, causal=True)


def test_a_stack_that_ends_too_early_says_after_how_many_layers() -> None:
    stack = [ConvolutionLayer(4, 3) for _ in range(2)]
    with pytest.raises(ValueError, match="2 layers do not connect all 9 positions"):
        maximum_path_length(stack, 9)
    assert maximum_path_length(stack, 3) == 2


def test_recurrent_steps_do_not_mix_with_other_layers() -> None:
    x = torch.randn(1, 3, 4)
    recurrent, convolution = RecurrentLayer(4), ConvolutionLayer(4, 3)
    for hops in ([recurrent, convolution], [convolution, recurrent]):
        with pytest.raises(ValueError, match="recurrent steps do not mix with a ConvolutionLayer"):
            after_hops(hops, x)


def test_a_residual_connection_neither_shortens_nor_lengthens_the_longest_path() -> None:
    def with_residual(layer: nn.Module) -> nn.Module:
        return Wrapped(layer, lambda layer, x: x + layer(x))

    n = 17
    for layer in (ConvolutionLayer(4, 5), RestrictedSelfAttention(4, 2, 3)):
        assert maximum_path_length(with_residual(layer), n) == maximum_path_length(layer, n)
    assert maximum_path_length(map(with_residual, dilated(3, 2)), n) == ceil_log(2, n)


@pytest.mark.parametrize("ending", [nn.Softmax(-1), nn.LayerNorm(4).double()])
def test_reach_is_not_fooled_by_features_whose_sum_is_constant(ending: nn.Module) -> None:
    torch.manual_seed(0)
    layer = Wrapped(ConvolutionLayer(4, 3).double(), lambda layer, x: ending(layer(x)))
    x = torch.randn(1, 7, 4, dtype=torch.float64, requires_grad=True)
    (of_the_sum,) = torch.autograd.grad(layer(x).sum(), x)
    close(of_the_sum, torch.zeros_like(x))
    band = torch.ones(7, 7, dtype=torch.bool).tril(1).triu(-1)
    assert torch.equal(reach([layer], 7), band)


def test_reach_is_the_jacobian_that_autograd_gives() -> None:
    torch.manual_seed(0)
    n, d = 6, 4
    shifted = ConvolutionLayer(d, 3)
    with torch.no_grad():
        shifted.W.weight.unflatten(1, (d, 3))[..., 2].zero_()  # it looks to the left only
    masked = Wrapped(MultiHeadAttention(d, 2), causal)
    for layer in (shifted, masked, RestrictedSelfAttention(d, 2, 2), RecurrentLayer(d)):
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
