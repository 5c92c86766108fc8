"""The measured path lengths against formulas and against the Jacobian of autograd."""

import itertools
import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.path_length import after_hops, maximum_path_length, reach
from snippets.recurrent import RecurrentLayer
from snippets.restricted_attention import RestrictedSelfAttention


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
