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


@pytest.mark.parametrize("sizes", [*SIZES, (64, 32, 1, 3, 64), (9, 8, 2, 11, 5)])
def test_operations_are_those_counted(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        assert count_flops(layer, torch.randn(1, n, d)) == cost.flops, name


@pytest.mark.parametrize("sizes", SIZES)
def test_steps_are_those_counted(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        with torch.no_grad():
            counted = sequential_operations(layer, torch.randn(1, n, d))
        assert cost.steps - 2 <= counted <= cost.steps, name  # copies are saved at times


@pytest.mark.parametrize("sizes", SIZES)
def test_memory_is_that_weighed(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        x = torch.randn(1, n, d)
        with torch.no_grad():
            weighed = peak_memory(lambda layer=layer, x=x: layer(x))
        assert cost.memory == pytest.approx(weighed, rel=0.05), name


@pytest.mark.parametrize("sizes", SIZES)
def test_traffic_is_twice_all_that_is_made(sizes: tuple[int, ...]) -> None:
    n, d = sizes[:2]
    for name, (cost, layer) in pairs(*sizes).items():
        account = TrafficMode()
        x = torch.randn(1, n, d)
        with torch.no_grad(), account:
            layer(x)
        tolerance = 0.2 if name == "restricted" else 0.06  # the formula leaves positions out
        assert cost.traffic == pytest.approx(2 * account.made, rel=tolerance), name


@pytest.mark.parametrize(("n", "k", "r"), [(2, 3, 1), (9, 5, 3), (10, 3, 4), (17, 7, 30)])
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
