"""The formulas of the costs against layers that run: counted, weighed and connected."""

from collections.abc import Callable

import pytest
import torch

from snippets.convolution import ConvolutionLayer
from snippets.layer_costs import (
    Cost,
    Hardware,
    convolutional,
    fused_attention,
    recurrent,
    restricted,
    stored_attention,
)
from snippets.multi_head import MultiHeadAttention
from snippets.operations import count_flops, sequential_operations
from snippets.path_length import maximum_path_length
from snippets.recurrent import RecurrentLayer
from snippets.restricted import RestrictedSelfAttention
from snippets.seconds_and_bytes import MemoryMode, peak_memory

SIZES = [(16, 32, 2, 5, 3), (64, 32, 4, 3, 8), (120, 48, 3, 7, 16), (257, 24, 4, 9, 40)]
SIZES += [(600, 16, 2, 3, 32)]  # n, d, h, k, r


def pairs(n: int, d: int, h: int, k: int, r: int) -> dict[str, tuple[Cost, Callable]]:
    """Each formula's cost, and the layer that it is about."""
    torch.manual_seed(0)
    attention = MultiHeadAttention(d, h)
    return {
        "stored": (stored_attention(n, d, h), lambda x: attention(x, x, x, need_weights=True)),
        "fused": (fused_attention(n, d), lambda x: attention(x, x, x)),
        "recurrent": (recurrent(n, d), RecurrentLayer(d)),
        "convolutional": (convolutional(n, d, k), ConvolutionLayer(d, k)),
        "restricted": (restricted(n, d, r), RestrictedSelfAttention(d, h, r)),
    }


class TrafficMode(MemoryMode):
    """Adds up all that is made, also what goes again."""

    made = 0

    def add(self, size: int) -> None:
        super().add(size)
        self.made += size


@pytest.mark.parametrize("sizes", [*SIZES, (64, 32, 1, 3, 64), (9, 8, 2, 11, 5), (2, 8, 2, 3, 4)])
def test_operations_are_those_counted(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        assert count_flops(layer, torch.randn(1, n, d)) == cost.flops, name


@pytest.mark.parametrize("sizes", SIZES)
def test_steps_are_those_counted(sizes: tuple[int, ...]) -> None:
    n, d, _, _, r = sizes
    for name, (cost, layer) in pairs(*sizes).items():
        with torch.no_grad():
            counted = sequential_operations(layer, torch.randn(1, n, d))
        saved = name == "restricted" and n % r > 0  # one copy, where the last block is filled up
        assert counted == cost.steps - saved, name


def left_out(n: int, d: int, h: int, k: int, r: int) -> dict[str, tuple[int, int]]:
    """Bytes that the formulas leave out, of all that is made and of what is alive at the peak.

    They are counted here one by one, so that nothing else in a formula can be off by a byte.
    """
    queries = -(-n // r) * r
    blocks, aligned = queries // r, queries == n
    normaliser = 4 * h * queries  # what the fused kernel gives for a backward pass
    places = 8 * (r + 3 * r)  # of queries and keys within a block, int64
    keys = 3 * r * blocks  # positions of keys: 8 bytes, and 1 where they are in the sequence
    made = places + 8 * blocks + (8 + 3) * keys + 2 * 4 + normaliser
    return {
        "stored": (18 * h * n, 0),  # four numbers and two truth values for each row of scores
        "fused": (4 * h * n, 0),
        "recurrent": (4 * d, 0),  # the state before the first position
        "convolutional": (0, 0),
        "restricted": (
            made - 4 * n * d * aligned,  # the output is copied if the last block was filled up
            places + (8 + 1) * keys + normaliser,
        ),
    }


@pytest.mark.parametrize("sizes", SIZES)
def test_memory_is_that_weighed(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        x = torch.randn(1, n, d)
        with torch.no_grad():
            weighed = peak_memory(lambda layer=layer, x=x: layer(x))
        rest = left_out(*sizes)[name][1]
        assert cost.memory == weighed - rest, name
        assert abs(rest) < 0.05 * weighed, name


@pytest.mark.parametrize("sizes", SIZES)
def test_traffic_is_twice_all_that_is_made(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        account = TrafficMode()
        x = torch.randn(1, n, d)
        with torch.no_grad(), account:
            layer(x)
        rest = left_out(*sizes)[name][0]
        assert cost.traffic == 2 * (account.made - rest), name
        assert abs(rest) < 0.09 * account.made, name


@pytest.mark.parametrize(
    ("n", "k", "r"), [(1, 3, 2), (2, 3, 1), (9, 5, 3), (10, 3, 4), (17, 7, 30)]
)
def test_paths_are_those_measured(n: int, k: int, r: int) -> None:
    d = 4
    assert stored_attention(n, d, 2).path == maximum_path_length(MultiHeadAttention(d, 2), n)
    assert fused_attention(n, d).path == maximum_path_length(MultiHeadAttention(d, 2), n)
    assert recurrent(n, d).path == maximum_path_length(RecurrentLayer(d), n)
    assert convolutional(n, d, k).path == maximum_path_length(ConvolutionLayer(d, k), n)
    assert restricted(n, d, r).path == maximum_path_length(RestrictedSelfAttention(d, 2, r), n)


def test_time_is_the_sum_of_computing_moving_and_waiting() -> None:
    cost = Cost(flops=600, memory=1, traffic=80, steps=7, path=1)
    hardware = Hardware(flops=300.0, bandwidth=20.0, latency=0.5)
    assert cost.seconds(hardware) == 600 / 300 + 80 / 20 + 7 * 0.5
