"""The committed measurements: every table says what its data say, and the data what theory says."""

import json
from typing import Any

import pytest
import torch

from benchmarks.record import DATA
from snippets.layer_costs import restricted, stored_attention
from snippets.operations import sequential_operations
from snippets.recurrent import RecurrentLayer
from snippets.seconds_and_bytes import fit_exponent
from tests import ROOT


def facts(name: str) -> dict[str, Any]:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


# Table 1


@pytest.mark.parametrize(
    ("layer", "exponents"),
    [
        ("attention", {"n": 2, "d": 1}),
        ("recurrent", {"n": 1, "d": 2}),
        ("convolutional", {"n": 1, "d": 2, "k": 1}),
        ("restricted attention", {"n": 1, "d": 1, "r": 1}),
    ],
)
def test_the_counted_products_have_the_papers_exponents(layer: str, exponents: dict) -> None:
    fits = facts("complexity")["core_fits"][layer]
    assert {size: fit[0] for size, fit in fits.items()} == pytest.approx(exponents, abs=1e-9)


def test_the_counted_products_are_their_formulas() -> None:
    n, d, k, r = 1024, 512, 5, 16
    formulas = {
        "attention": (4 * n**2 * d, "$4n^2d$"),
        "recurrent": (4 * n * d**2, "$4nd^2$"),
        "convolutional": (2 * k * n * d**2, "$2knd^2$"),
        "restricted attention": (12 * r * n * d, "$12rnd$"),
    }
    counted = facts("complexity")["counted"]
    assert {layer: tuple(cell) for layer, cell in counted.items()} == formulas
    assert (facts("complexity")["sizes"]["k"], facts("complexity")["sizes"]["r"]) == (k, r)


def test_only_the_recurrent_chain_has_an_exponent() -> None:
    recorded = facts("complexity")
    for layer, (exponent, low, high) in recorded["chain_fits"].items():
        expected = 1 if layer == "recurrent" else 0
        assert exponent == pytest.approx(expected, abs=0.01)
        assert high - low < 0.02
    n = recorded["chained"][0]
    counted = sequential_operations(RecurrentLayer(64), torch.randn(1, n, 64))
    assert counted == recorded["chains"]["recurrent"][0] == 3 * n + 1


def test_paths_have_the_papers_exponents() -> None:
    fits = facts("complexity")["path_fits"]
    expected = {
        "attention": {"n": 0},
        "recurrent": {"n": 1},
        "convolutional": {"n - 1": 1, "k - 1": -1},
        "the same, dilated": {"log n": 1},
        "restricted attention": {"n - 1": 1, "r": -1},
    }
    assert {layer: set(sizes) for layer, sizes in fits.items()} == {
        layer: set(sizes) for layer, sizes in expected.items()
    }
    for layer, sizes in expected.items():
        for size, exponent in sizes.items():
            assert fits[layer][size][0] == pytest.approx(exponent, abs=0.01), (layer, size)


def test_the_exponents_of_time_are_fitted_to_the_recorded_seconds() -> None:
    recorded = facts("complexity")
    for size, sizes, seconds, least in (
        ("n", recorded["sizes"]["lengths"], recorded["seconds_over_n"], 724),
        ("d", recorded["sizes"]["widths"], recorded["seconds_over_d"], 256),
    ):
        for layer, column in seconds.items():
            upper = [(s, v) for s, v in zip(sizes, column, strict=True) if s >= least]
            fit = fit_exponent(*zip(*upper, strict=True))
            assert recorded["time_fits"][layer][size] == pytest.approx(fit), (layer, size)


def test_the_exponents_of_time_depart_as_the_page_says() -> None:
    fits = facts("complexity")["time_fits"]
    for layer, table in (
        ("attention, weights stored", 2),
        ("recurrent", 1),
        ("convolutional", 1),
        ("restricted attention", 1),
    ):
        assert fits[layer]["n"][0] == pytest.approx(table, abs=0.5), layer
    assert fits["attention, weights stored"]["n"][1] > 2
    for layer in ("attention, weights stored", "restricted attention"):
        assert fits[layer]["d"][1] > 1.4
    assert fits["recurrent"]["d"][0] < fits["convolutional"]["d"][0]


def test_the_page_reads_the_fits_with_their_intervals() -> None:
    """What docs/why-attention/complexity.md says of the times, held to the recorded fits."""
    recorded = facts("complexity")
    fits = recorded["time_fits"]
    for layer in ("recurrent", "restricted attention", "attention, fused kernel"):
        table = 2 if layer == "attention, fused kernel" else 1
        assert fits[layer]["n"][1] < table < fits[layer]["n"][2], layer
    assert 1 < fits["convolutional"]["n"][1] < 1.02
    assert [round(value, 2) for value in fits["attention, fused kernel"]["n"]] == [1.95, 1.87, 2.03]
    assert fits["recurrent"]["d"][1] < 1 < 2 < fits["recurrent"]["d"][2]
    widths = [width for width in recorded["sizes"]["widths"] if width >= 256]
    for layer, cost, exponent in (
        ("attention, weights stored", lambda d: stored_attention(256, d, d // 64), 1.79),
        ("restricted attention", lambda d: restricted(256, d, 16), 1.95),
    ):
        counted = fit_exponent(widths, [cost(d).flops for d in widths])[0]
        assert counted == pytest.approx(exponent, abs=0.005), layer
        assert fits[layer]["d"][1] < counted < fits[layer]["d"][2], layer
    seconds = dict(
        zip(recorded["sizes"]["widths"], recorded["seconds_over_d"]["recurrent"], strict=True)
    )
    assert [round(1000 * seconds[d], 1) for d in (64, 256)] == [2.9, 4.9]


def test_the_page_quotes_the_recorded_rates() -> None:
    rates = facts("complexity")["rates"]
    page = " ".join((ROOT / "docs/why-attention/complexity.md").read_text(encoding="utf-8").split())
    flops, bandwidth = rates["flops"] / 1e9, rates["bandwidth"] / 1e9
    quoted = f"{flops:.0f} GFLOP/s, {bandwidth:.1f} GB/s and {rates['latency'] * 1e6:.1f} µs"
    assert quoted in page


def test_a_wider_recurrent_layer_overtakes_attention_earlier() -> None:
    crossed = facts("complexity")["crossed"]
    stored, fused = (
        [found[f"attention, {kind}"] for found in crossed.values()]
        for kind in ("weights stored", "fused kernel")
    )
    assert stored == sorted(stored, reverse=True)
    assert fused == sorted(fused, reverse=True)
    assert all(one < other for one, other in zip(stored, fused, strict=True))


# Banded attention


def test_banded_attention_is_as_much_cheaper_as_the_page_says() -> None:
    results = facts("restricted")["results"]
    explicit = results["`scaled_dot_product_attention` of this site, masked"]
    fused = results["PyTorch's fused kernel, masked"]
    banded = results["`banded_attention`, blocks of 64"]
    assert banded["seconds"] < explicit["seconds"] / 50
    assert banded["bytes"] < explicit["bytes"] / 50
    assert banded["seconds"] < fused["seconds"] / 10
    assert banded["bytes"] < fused["bytes"] / 3
    flex = [result["seconds"] for name, result in results.items() if "Flex" in name]
    assert 0.8 < min(flex) / banded["seconds"] < 1.25


# Speed


def test_a_training_step_takes_no_longer_than_that_of_torch() -> None:
    """What docs/pytorch/speed.md says of the kernel of the norm, held to the recorded seconds."""
    steps = {k: v for k, v in facts("speed")["median_seconds"].items() if "training_step" in k}
    for seconds in steps.values():
        ratio = seconds["PyTorch's layer norm"] / seconds["torch.nn.Transformer"]
        assert 0.97 <= round(ratio, 2) <= 0.98
        assert seconds["PyTorch's layer norm"] < seconds["as on the pages"]
        assert seconds["one projection"] > 0.99 * seconds["as on the pages"]
