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


# Attention maps


def test_the_cross_attention_of_the_trained_model_aligns_the_words_with_content() -> None:
    recorded = facts("attention-maps")
    src, tgt = ([token.strip("▁") for token in recorded[side]] for side in ("src", "tgt"))
    mean = torch.tensor(recorded["weights"]["decoder.cross_attention"]).mean((0, 1))
    pairs = {"old": "alter", "man": "Mann", "red": "roten", "hat": "Hut", "playing": "spielt"}
    for english, german in (pairs | {"guitar": "Gitarre", "street": "Straße"}).items():
        assert src[int(mean[tgt.index(english)].argmax())] == german, english
    masked = torch.tensor(recorded["weights"]["decoder.self_attention"])
    assert not masked.triu(1).any()
    for maps in recorded["weights"].values():
        rows = torch.tensor(maps).sum(-1)
        torch.testing.assert_close(rows, torch.ones_like(rows), rtol=0, atol=0.01)


def test_heads_can_go_alone_and_not_together_as_the_page_says() -> None:
    recorded = facts("attention-maps")
    rises = {
        kind: torch.tensor(losses) - recorded["loss"]
        for kind, losses in recorded["loss_without"].items()
    }
    every = torch.cat([rise.flatten() for rise in rises.values()])
    assert every.median() < 0.02
    assert rises["decoder.cross_attention"].max() == every.max()
    count, loss = list(recorded["loss_without_together"].items())[-1]
    assert loss - recorded["loss"] > 1.2 * every.sort().values[: int(count)].sum()


def test_the_loss_of_the_recipe_falls_as_the_table_says() -> None:
    for run in json.loads((DATA / "learning-curve.json").read_text(encoding="utf-8")):
        validation = [loss for loss, _ in run["validation"].values()]
        assert len(validation) >= 10
        assert validation[1] < validation[0] - 0.5
        assert validation[-1] < validation[3] < validation[1]
        smoothed = [run["training"][step] for step in run["validation"] if step in run["training"]]
        assert all(a > b for a, b in zip(smoothed, validation, strict=False))
