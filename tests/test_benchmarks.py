"""The committed measurements: every table says what its data say, and the data what theory says."""

import hashlib
import json
import math
import statistics
from typing import Any

import pytest
import torch

from benchmarks import corpus, distance, regularization, regularization_study, studies
from benchmarks.allocation import conclusions
from benchmarks.decoding import LENGTHS, PlainLoop, one_by_one
from benchmarks.record import DATA
from snippets.layer_costs import restricted, stored_attention
from snippets.operations import sequential_operations
from snippets.recurrent import RecurrentLayer
from snippets.seconds_and_bytes import fit_exponent
from snippets.training.batching import pad
from snippets.training.checkpoint import read_checkpoint
from snippets.training.config import MULTI30K, Config
from snippets.training.decode import greedy_decode
from snippets.training.error_bars import mean_and_deviation
from snippets.training.study_file import read_study
from snippets.training.translate import load_translator, translate
from tests import ROOT
from tests.training.models import sentences, small_model


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


def test_the_lab_says_of_the_times_what_was_recorded() -> None:
    """What docs/lab/complexity.py says beside its own numbers, held to the recorded ones."""
    recorded = facts("complexity")
    for layer, column in recorded["seconds_over_n"].items():
        first = math.log2(column[2] / column[0])  # between n = 64 and 128
        assert (first < 1) == (layer != "recurrent"), layer
    rises = {
        layer: column[3] / column[0]  # between d = 64 and 256
        for layer, column in recorded["seconds_over_d"].items()
    }
    assert 2 * rises.pop("recurrent") < min(rises.values())
    last = {layer: column[-1] for layer, column in recorded["seconds_over_n"].items()}
    assert sorted(last, key=last.get)[-2:] == [
        "attention, fused kernel",
        "attention, weights stored",
    ]


def test_the_page_quotes_the_recorded_rates() -> None:
    rates = facts("complexity")["rates"]
    page = " ".join((ROOT / "docs/why-attention/complexity.md").read_text(encoding="utf-8").split())
    flops, bandwidth = rates["flops"] / 1e9, rates["bandwidth"] / 1e9
    assert f"{flops:.0f} GFLOP/s, {bandwidth:.1f} GB/s into [fresh memory]" in page
    assert f"and {rates['latency'] * 1e6:.1f} µs." in page


def test_a_wider_recurrent_layer_overtakes_attention_earlier() -> None:
    crossed = facts("complexity")["crossed"]
    stored, fused = (
        [found[f"attention, {kind}"] for found in crossed.values()]
        for kind in ("weights stored", "fused kernel")
    )
    assert stored == sorted(stored, reverse=True)
    assert fused == sorted(fused, reverse=True)
    assert all(one < other for one, other in zip(stored, fused, strict=True))


# Fresh memory


@pytest.fixture(scope="module")
def memory() -> tuple[dict[str, Any], dict[str, Any]]:
    """What was concluded from the process with fresh memory, and from the one that keeps it."""
    measured = facts("allocation")
    return conclusions(measured["fresh"]), conclusions(measured["kept"])


STORED, FUSED = "attention, weights stored", "attention, fused kernel"


def test_fresh_memory_is_paid_in_page_faults(memory: tuple) -> None:
    fresh, kept = memory
    matrix = 4 * 8192**2 / 4096  # pages of one (n, n) matrix at n = 8192
    assert fresh["faults"] > 3 * matrix
    assert kept["faults"] == 0
    measured = facts("allocation")
    for kind in ("fresh", "kept"):
        assert all(row["faults"] < 1 for row in measured[kind]["layers"][FUSED])
        assert measured[kind]["copies"]["copy"]["faults"] < 1
    parts = measured["fresh"]["parts"]
    assert parts["softmax"]["faults"] == pytest.approx(3 * parts["scores"]["faults"], rel=0.001)


def test_without_fresh_memory_stored_attention_is_quadratic(memory: tuple) -> None:
    fresh, kept = memory
    assert [round(value, 2) for value in kept["fits"][STORED]] == [2.04, 1.96, 2.13]
    widths = [fit[2] - fit[1] for fit in (fresh["fits"][STORED], kept["fits"][STORED])]
    assert round(widths[0] / widths[1]) == 4
    faults = dict(
        zip(
            facts("allocation")["lengths"],
            facts("allocation")["fresh"]["layers"][STORED],
            strict=True,
        )
    )
    assert [round(faults[n]["faults"]) for n in (2048, 2896)] == [16352, 9816]
    assert kept["milliseconds"] < fresh["milliseconds"] / 2
    measured = facts("allocation")
    without = 1e3 * measured["fresh"]["layers"][FUSED][-1]["seconds"]  # the same products
    additional = fresh["milliseconds"] - without
    assert fresh["milliseconds"] - kept["milliseconds"] > additional / 2  # "most", in the lab
    times = [
        [row["seconds"] for row in facts("allocation")[kind]["layers"][FUSED]]
        for kind in ("fresh", "kept")
    ]
    assert all(0.85 < one / other < 1.15 for one, other in zip(*times, strict=True))


def test_the_pages_quote_what_fresh_memory_costs(memory: tuple) -> None:
    fresh, kept = memory
    assert kept["softmax"] > 1 / 3  # "a third or more"
    gains = {
        name: part["seconds"] / facts("allocation")["kept"]["parts"][name]["seconds"]
        for name, part in facts("allocation")["fresh"]["parts"].items()
    }
    assert max(gains, key=gains.get) == "softmax"
    assert 4.5 < fresh["bandwidth"]["copy"] / fresh["bandwidth"]["clone"] < 5.6
    assert fresh["crossings"][STORED] < kept["crossings"][STORED] < kept["crossings"][FUSED]
    sizes = facts("allocation")["banded_sizes"]
    seconds = [
        facts("allocation")[kind]["banded"]["masked"]["seconds"] for kind in ("fresh", "kept")
    ]
    page = " ".join((ROOT / "docs/why-attention/restricted.md").read_text(encoding="utf-8").split())
    for quoted in (
        f"$n / 3r$, {sizes['n'] / (3 * sizes['r']):.0f} times as much",
        f"{seconds[0]:.1f} seconds on the processor and {fresh['times_banded']:.0f} times what",
        f"it takes {seconds[1]:.1f} seconds, {kept['times_banded']:.0f} times as much",
    ):
        assert quoted in page, quoted


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


# Decoding


@pytest.mark.filterwarnings("ignore:.*nested.tensor")
@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_the_plain_loop_over_pytorchs_modules_writes_what_greedy_decoding_writes(
    norm_first: bool,
) -> None:
    model, src = small_model(norm_first), pad(sentences(9))
    plain = PlainLoop(model)
    plain.stacks.double()
    assert plain(src) == one_by_one(plain, src) == greedy_decode(model, src)


def test_cache_and_batch_make_decoding_five_times_as_fast_as_the_plain_loop() -> None:
    seconds = facts("decoding")["seconds"]
    for name in ("greedy, cached, batches", "beam 5, cached, batches"):
        assert seconds["plain loop, one by one"] > 5 * seconds[name], name
    assert seconds["greedy, uncached, batches"] > 1.3 * seconds["greedy, cached, batches"]
    assert seconds["beam 5, uncached, batches"] > 1.3 * seconds["beam 5, cached, batches"]
    assert min(facts("decoding")["same_as_plain"].values()) > 0.99  # the rest is float32's rounding


def test_the_cache_pays_from_the_second_token_on_in_a_batch() -> None:
    measured = facts("decoding")["lengths"]
    times = {
        rows: [u / c for u, c in zip(kinds["uncached"], kinds["cached"], strict=True)]
        for rows, kinds in measured.items()
    }
    assert list(LENGTHS) == [1, 2, 4, 8, 16, 32, 64]
    assert min(times["64"][1:]) > 1
    assert times["64"][-1] > 4
    assert times["64"][1:] == sorted(times["64"][1:])
    assert max(times["1"][:5]) < 2


def test_a_beam_gains_what_the_page_says() -> None:
    found = facts("decoding")["searches"]
    rows = {name: found[f"{name}, cached, batches"] for name in ("greedy", "beam 2", "beam 5")}
    likely = [row["log_probability"] for row in rows.values()]
    assert likely == sorted(likely)
    assert likely[1] - likely[0] > likely[2] - likely[1]
    for beam in (5, 10):
        name = f"beam {beam}, cached, batches"
        assert found[f"{name}, no penalty"]["length"] < found[name]["length"]


# BLEU


def test_bleu_equals_sacrebleu_on_the_translations_of_a_trained_model() -> None:
    recorded = facts("bleu")
    assert recorded["sentences"] == 1000
    assert max(map(abs, recorded["ours_minus_sacrebleu"].values())) < 1e-9


def test_the_ways_of_counting_differ_as_the_page_says() -> None:
    ways = facts("bleu")["ways"]
    for system in ("greedy", "beam 5"):
        scores = {name: way["scores"][system] for name, way in ways.items()}
        assert scores["13a"] - scores["as it stands"] > 1
        assert scores["13a, lowercased"] >= scores["13a"]
        assert scores["characters"] - scores["13a"] > 10
        assert abs(scores["intl"] - scores["13a"]) < 1
        assert scores["prepared before"] == pytest.approx(scores["13a, lowercased"])
    one, other = (ways[name]["signature"] for name in ("as it stands", "prepared before"))
    assert one == other


# Multi30k


def page(name: str) -> str:
    return " ".join((ROOT / "docs" / "training" / f"{name}.md").read_text(encoding="utf-8").split())


def test_the_page_on_data_says_what_was_counted() -> None:
    recorded = facts("corpus")
    rows = {row["vocab_size"]: row for row in recorded["vocabularies"]}
    shorter = {(a, b): 1 - rows[b]["de"] / rows[a]["de"] for a, b in ((1000, 6000), (6000, 10000))}
    assert f"From 1,000 tokens to 6,000, a German sentence becomes {shorter[1000, 6000]:.0%}" in (
        text := page("data")
    )
    assert f"only {shorter[6000, 10000]:.0%} shorter" in text
    rare = f"{rows[10000]['rare']:,} tokens in place of {rows[6000]['rare']:,}"
    assert rare in text
    assert all(not any(row["unknown"].values()) for row in rows.values())
    assert recorded["pairs"] | {"train": 29_000, "val": 1_014} == recorded["pairs"]


def test_the_page_on_batching_says_what_was_counted() -> None:
    rows = {row["order"]: row for row in facts("corpus")["batches"]}
    assert len({row["tokens"] for row in rows.values()}) == 1  # each order holds every sentence
    random, buckets = rows["as they come, shuffled"], rows["buckets, pools of 8,192"]
    text = page("batching")
    assert f"In random order, {corpus.padding(random):.0%} of what" in text
    assert f"takes, it is {corpus.padding(buckets):.1%}," in text
    millions = [f"{row['positions'] / 1e6:.1f} million" for row in (buckets, random)]
    assert f"{millions[0]} positions instead of {millions[1]}" in text
    assert f"{1 - buckets['positions'] / random['positions']:.0%} of the computing" in text


def test_random_batches_hold_every_pair_within_the_limit() -> None:
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 20, (300, 2), generator=draw).tolist()
    pairs = [([5] * src, [6] * tgt) for src, tgt in lengths]
    cut = corpus.at_random(pairs, max_tokens=60, seed=1)
    assert sorted(pair for batch in cut for pair in batch) == sorted(pairs)
    sizes = [len(batch) * max(len(side) for pair in batch for side in pair) for batch in cut]
    assert max(sizes) <= 60
    every, real = corpus.positions(cut)
    assert real == sum(map(sum, lengths)) < every


# Regularization


def test_the_page_on_regularization_says_what_was_measured() -> None:
    recorded = facts("regularization")
    runs = {
        (run["dropout"], run["smoothing"], run["seed"]): {
            "train": run["train"][0],
            "last": run["valid"][-1][0],
            "before": run["valid"][-2][0],
            "lowest": min(loss for loss, _ in run["valid"]),
            "accuracy": 100 * run["valid"][-1][1],
        }
        for run in recorded["results"]
    }
    seeds = regularization.SEEDS
    assert len(runs) == len(recorded["results"]) == 3 * 2 * len(seeds)
    text = page("regularization")

    def mean(dropout: float, name: str) -> float:
        return statistics.mean(runs[dropout, 0.0, seed][name] for seed in seeds)

    assert f"on {recorded['pairs']} pairs" in text
    rise = f"from {mean(0, 'lowest'):.2f} to {mean(0, 'last'):.2f}, while the training loss is at"
    assert f"{rise} {mean(0, 'train'):.2f}" in text
    assert f"validation loss of {mean(0.1, 'last'):.2f}" in text
    assert f"{mean(0.1, 'accuracy'):.1f}% against {mean(0, 'accuracy'):.1f}%" in text
    assert f"the training loss stays at {mean(0.3, 'train'):.2f}" in text
    for seed in seeds:
        none, low, high = (runs[dropout, 0.0, seed] for dropout in (0.0, 0.1, 0.3))
        assert none["last"] > none["lowest"]
        assert low["last"] < none["lowest"]
        assert high["last"] > none["last"]
        assert high["accuracy"] < min(none["accuracy"], low["accuracy"]) - 10
        assert high["last"] < high["before"]  # it still falls
    recipe = f"width {MULTI30K.d_model}, {MULTI30K.n_layers} layers and {MULTI30K.steps:,} updates"
    assert f"has {MULTI30K.dropout}, with a model of {recipe}" in text
    spread = statistics.stdev(runs[0.0, 0.0, seed]["accuracy"] for seed in seeds)
    for dropout in regularization.DROPOUTS:
        dearer = [runs[dropout, 0.1, s]["last"] - runs[dropout, 0.0, s]["last"] for s in seeds]
        assert 0.05 < round(min(dearer), 2) <= round(max(dearer), 2) <= 0.14
        better = [
            runs[dropout, 0.1, s]["accuracy"] - runs[dropout, 0.0, s]["accuracy"] for s in seeds
        ]
        assert abs(statistics.mean(better)) < spread
    assert abs(mean(0.1, "accuracy") - mean(0, "accuracy")) < spread


STUDIED = regularization_study.facts()


def studied(key: str, dropout: float = 0.1, smoothing: float = 0.1) -> list[float]:
    """A number of the three runs of the study with these settings."""
    return regularization_study.scores(STUDIED, key, dropout=dropout, smoothing=smoothing)


def of_study(key: str, digits: int, dropout: float = 0.1, smoothing: float = 0.1) -> str:
    return f"{statistics.mean(studied(key, dropout, smoothing)):.{digits}f}"


def test_the_study_of_regularization_is_complete_and_was_run_as_the_page_says() -> None:
    study = read_study(ROOT / "studies" / "regularization.toml")
    assert {Config(**line["config"]) for line in STUDIED} == set(study.runs.values())
    text = page("regularization")
    config = Config(**STUDIED[0]["config"])
    assert (config.src, config.tgt, config.d_model, config.n_layers) == ("de", "en", 128, 2)
    (size,) = {line["parameters"] for line in STUDIED}
    assert (
        f"{config.train_pairs:,} of the sentence pairs of [Multi30k](data.md#multi30k), a "
        f"Transformer of {size:,} parameters (width 128, two layers) and {config.steps:,} updates"
    ) in text
    (signature,) = {
        line["scores"]["test_2016_flickr"]["bleu"]["cased"]["signature"] for line in STUDIED
    }
    assert f"(`{signature}`)" in text
    hours = sum(sum(line["seconds"].values()) for line in STUDIED) / 3600
    assert f"All {len(STUDIED)} runs took {hours:.0f} hours" in text
    ((python, torch_version),) = {
        (line["versions"]["python"], line["versions"]["torch"]) for line in STUDIED
    }
    assert f"with Python {python} and PyTorch {torch_version.split('+')[0]}." in text


def test_the_page_on_regularization_concludes_what_the_study_bears_out() -> None:
    text = page("regularization")
    apart, mean = studies.apart, statistics.mean
    none, low, high, highest = (studied("bleu", dropout) for dropout in (0.0, 0.1, 0.3, 0.5))
    assert mean(low) > mean(high) > mean(none) > mean(highest)
    for one, other in ((low, high), (high, none), (none, highest)):
        assert apart(one, other)
    assert f"is worth {mean(low) - mean(none):.1f} BLEU" in text
    ends = f"ends at {of_study('last', 2, 0.0)}, where it had been {of_study('lowest', 2, 0.0)}"
    assert ends in text
    assert min(a - b for a, b in zip(studied("last", 0), studied("lowest", 0), strict=True)) > 0.3
    for dropout in (0.1, 0.3, 0.5):
        assert studied("last", dropout) == studied("lowest", dropout)

    plain, some, more = ({"smoothing": smoothing} for smoothing in (0.0, 0.1, 0.2))
    sure = [of_study("confidence", 1, **one) for one in (plain, some, more)]
    assert f"{sure[0]}% without smoothing, {sure[1]}% with 0.1, {sure[2]}% with 0.2" in text
    right = [studied("accuracy", **one) for one in (plain, some, more)]
    assert not any(apart(right[0], other) for other in right[1:])
    assert f"right in {of_study('accuracy', 1, **plain)}% and sure in {sure[0]}%" in text
    off = [of_study("calibration", 1, **one) for one in (plain, some)]
    assert f"off by {off[1]}% instead of {off[0]}%" in text
    assert mean(studied("confidence", **more)) < mean(studied("accuracy", **more))
    perplexity = [of_study("perplexity", 2, **one) for one in (plain, some)]
    assert f"{perplexity[1]} instead of {perplexity[0]}" in text
    unsure = [studied("perplexity", **one) for one in (plain, some, more)]
    bleu = [studied("bleu", **one) for one in (plain, some)]
    assert f"**BLEU is higher by {mean(bleu[1]) - mean(bleu[0]):.1f}** with 0.1" in text
    assert apart(*bleu)
    notes = " ".join((ROOT / "docs/notes.md").read_text(encoding="utf-8").split())
    assert f"BLEU is higher by {mean(bleu[1]) - mean(bleu[0]):.1f}, and" in notes
    assert f"a rate of 0.1 is worth {mean(low) - mean(none):.1f} BLEU" in notes
    assert mean(unsure[1]) < mean(unsure[0]) < mean(unsure[2])
    assert apart(unsure[0], unsure[1])


def test_the_page_on_regularization_says_which_bleu_differ_by_more_than_chance() -> None:
    """By a paired bootstrap, seed by seed, against dropout and smoothing 0.1."""
    found = {
        (one["dropout"], one["smoothing"], one["seed"]): one
        for one in facts(regularization_study.BOOTSTRAP)
    }
    assert len(found) == len(STUDIED) - 3
    for (dropout, smoothing, seed), one in found.items():
        (base,) = studies.matching(STUDIED, dropout=0.1, smoothing=0.1, seed=seed)
        (line,) = studies.matching(STUDIED, dropout=dropout, smoothing=smoothing, seed=seed)
        scores = [
            run["scores"]["test_2016_flickr"]["bleu"]["cased"]["score"] for run in (base, line)
        ]
        assert one["difference"] == pytest.approx(scores[1] - scores[0], abs=1e-9)
        assert one["difference"] < 0
        if dropout != 0.1:
            assert one["p"] == pytest.approx(1 / 1001)
    text = page("regularization")
    p_values = sorted(found[0.1, 0.0, seed]["p"] for seed in (0, 1, 2))
    low, *others = (
        f"{value:.{digits}f}" for value, digits in zip(p_values, (3, 2, 2), strict=True)
    )
    assert f"(p = {low}; the others have {others[0]} and {others[1]})" in text
    assert p_values[0] < 0.05 < p_values[1]


# Inductive bias


def found(key: str, model: str, task: str, sentences: int) -> list[float]:
    """The scores of the three runs with these settings, in percent."""
    runs = distance.facts()["distance"]
    return distance.scores(runs, key, model=model, corpus=task, train_pairs=sentences)


NEAR, FAR = distance.TASKS
SENTENCES = (250, 1000, 4000)


def test_the_studies_are_complete_and_took_the_rates_that_were_best() -> None:
    both = distance.facts()
    for name, lines in both.items():
        study = read_study(ROOT / "studies" / f"{name}.toml")
        assert {Config(**line["config"]) for line in lines} == set(study.runs.values())
    trials = both["distance-rates"]
    rates = studies.settings(trials, "rate")
    for model in distance.MODELS:
        for task in distance.TASKS:
            wanted = {"model": model, "corpus": task}
            accuracies = {
                rate: distance.scores(trials, "accuracy", rate=rate, **wanted)[0] for rate in rates
            }
            best = [rate for rate in rates if accuracies[rate] == max(accuracies.values())]
            assert len(best) in (1, 3)
            chosen = [
                line["config"]["rate"]
                for line in both["distance"]
                if wanted.items() <= line["config"].items()
            ]
            assert chosen == [best[len(best) // 2]] * 9, wanted
            if model == "recurrent" or (model, task) == ("transformer", NEAR):
                assert best == [max(rates)]


def test_the_page_on_inductive_bias_says_how_the_studies_were_run() -> None:
    both = distance.facts()
    text = " ".join(
        (ROOT / "docs/why-attention/inductive-bias.md").read_text(encoding="utf-8").split()
    )
    lines = [line for lines in both.values() for line in lines]
    minutes = sum(sum(line["seconds"].values()) for line in lines) / 60
    assert f"All {len(lines)} runs together took {minutes:.0f} minutes" in text
    ((python, torch_version),) = {
        (line["versions"]["python"], line["versions"]["torch"]) for line in lines
    }
    assert f"with Python {python} and PyTorch {torch_version.split('+')[0]}." in text
    assert {(line["machine"]["processor"], line["machine"]["threads"]) for line in lines} == {
        ("AMD EPYC", 1)
    }
    sizes = {line["parameters"] for line in lines}
    assert max(sizes) - min(sizes) < 900
    assert round(statistics.mean(sizes), -3) == 44_000
    trial, run = both["distance-rates"][0], both["distance"][0]
    assert {line["config"]["seed"] for line in both["distance-rates"]} == {9}
    assert {line["config"]["train_pairs"] for line in both["distance-rates"]} == {4000}
    assert trial["scores"]["val"]["sentences"] == 200
    assert run["scores"]["test"]["sentences"] == 500
    assert {line["config"]["steps"] for line in lines} == {600}
    tried = [
        distance.scores(
            both["distance-rates"], "accuracy", model="transformer", corpus=FAR, rate=rate
        )[0]
        for rate in (0.006, 0.012)
    ]
    assert f"has {tried[0]:.1f}% with 0.006 and {tried[1]:.1f}% with 0.012" in text
    for model in ("transformer", "recurrent"):
        assert all(max(found("accuracy", model, FAR, n)) < 100 for n in SENTENCES)


def test_the_page_on_inductive_bias_concludes_what_the_runs_bear_out() -> None:
    text = " ".join(
        (ROOT / "docs/why-attention/inductive-bias.md").read_text(encoding="utf-8").split()
    )
    apart, mean = studies.apart, statistics.mean
    for task in distance.TASKS:
        for n in SENTENCES:
            attention, recurrent, convolution = (
                found("accuracy", model, task, n) for model in distance.MODELS
            )
            assert mean(attention) > mean(recurrent)
            assert apart(attention, recurrent)
            whole = (found("sentences", model, task, n) for model in distance.MODELS[:2])
            assert apart(*whole) == (task == NEAR or n == 1000)
            assert found("sentences", "convolutional", task, n) == convolution == [100] * 3
            assert apart(attention, convolution) == (n < 4000)
    pairs = [
        [mean(found("accuracy", model, task, 250)) for model in ("transformer", "recurrent")]
        for task in distance.TASKS
    ]
    assert (
        f"it has {pairs[0][0]:.1f}% against {pairs[0][1]:.1f}% where the answer is near, and "
        f"{pairs[1][0]:.1f}% against {pairs[1][1]:.1f}% where it is far away"
    ) in text
    for n in SENTENCES:
        near, far = (found("accuracy", "recurrent", task, n) for task in distance.TASKS)
        assert mean(near) > mean(far)
        assert apart(near, far)
        near, far = (found("accuracy", "transformer", task, n) for task in distance.TASKS)
        assert mean(near) > mean(far)
        assert not apart(near, far)
    few, many = (found("accuracy", "transformer", FAR, n) for n in (250, 4000))
    assert not apart(few, many)
    said = [mean_and_deviation(values, 1) for values in (few, many)]
    assert f"it has {said[0]} with 250 sentences and {said[1]} with 4,000" in text
    curves = [
        [point["valid_accuracy"] for point in line["curve"]]
        for line in distance.facts()["distance"]
        if (line["config"]["model"], line["config"]["corpus"]) == ("transformer", FAR)
    ]
    assert len(curves) == 9
    assert all(curve[-1] > curve[-2] for curve in curves)


# Speed


def test_a_training_step_takes_no_longer_than_that_of_torch() -> None:
    for task, seconds in facts("speed")["median_seconds"].items():
        if task.endswith("training_step"):
            assert seconds["as on the pages"] <= seconds["torch.nn.Transformer"], task


def test_the_kernel_of_the_norm_is_worth_its_place() -> None:
    """What docs/pytorch/speed.md says of the layer norm, held to the recorded seconds."""
    for task, seconds in facts("speed")["median_seconds"].items():
        assert seconds["as on the pages"] < seconds["layer norm by its formula"], task


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


# Results


def bleu_of(run: dict[str, Any], way: str = "cased") -> dict[tuple[str, int, int], float]:
    """A run's scores by split, beam and number of averaged sets of weights."""
    return {
        (line["split"], line["beam"], line["average"]): line["scores"][way]["score"]
        for line in run["scores"]
    }


def test_the_page_on_results_says_what_was_scored() -> None:
    de_en, en_de = facts("results")
    gains, changes = [], []
    for run in (de_en, en_de):
        scores = bleu_of(run)
        assert len(scores) == 8
        for (split, beam, average), score in scores.items():
            if beam == 5:
                gains.append(score - scores[split, 1, average])
            if average == 10:
                changes.append(abs(score - scores[split, beam, 1]))
        whole = bleu_of(run, "tokenized")
        assert max(whole[key] - scores[key] for key in scores) < 0.75
    assert min(gains) > 0.45
    assert max(gains) < 1.95
    assert max(changes) < 0.2
    place = ("test_2016_flickr", 5, 10)
    assert bleu_of(en_de, "tokenized")[place] == pytest.approx(41.02 - 1.4, abs=0.05)
    greedy = ("test_2016_flickr", 1, 1)
    assert bleu_of(de_en)[greedy] == pytest.approx(40.20, abs=0.005)
    assert bleu_of(de_en, "lowercased")[greedy] == pytest.approx(40.46, abs=0.005)


@pytest.mark.parametrize("direction", [0, 1])
def test_the_weights_to_download_are_those_that_were_scored(direction: int) -> None:
    run = facts("results")[direction]
    about = run["weights"]
    folder = ROOT / "docs/assets/models" / about["name"]
    data = (folder / "model.safetensors").read_bytes()
    assert hashlib.sha256(data).hexdigest() == about["sha256"]
    assert len(data) == about["bytes"] < 6_000_000
    tensors, kept = read_checkpoint(folder / "model.safetensors")
    assert sum(value.numel() for value in tensors.values()) == run["parameters"] == 2_093_568
    assert kept["config"] == run["config"]
    assert abs(about["score"] - bleu_of(run)["test_2016_flickr", 5, 1]) < 0.05
    model, tokenizer, config = load_translator(folder / "model.safetensors")
    sentence = {"de": "Ein Hund rennt durch den Schnee.", "en": "A dog runs through the snow."}
    (found,) = translate(model, tokenizer, [sentence[config.src]], beam=5)
    assert found == sentence[config.tgt]


# The translator in the browser


def test_whole_numbers_of_eight_bits_cost_at_most_a_fifth_of_a_point() -> None:
    recorded = facts("browser")
    assert len(recorded["directions"]) == 2
    for one, run in zip(recorded["directions"], facts("results"), strict=True):
        assert one["sha256"] == run["weights"]["sha256"]
        assert one["sentences"] == 1000
        scores = one["scores"]
        assert scores["PyTorch"]["beam 5"] == pytest.approx(run["weights"]["score"], abs=1e-9)
        for search, score in scores["PyTorch"].items():
            assert score - scores["int8"][search] <= 0.2
            assert scores["half precision"][search] == pytest.approx(score, abs=0.02)


def test_what_a_reader_loads_for_one_direction_is_small_and_fits_no_other_way() -> None:
    recorded = facts("browser")
    for one in recorded["directions"]:
        loaded = {
            kind: size["compressed"] + recorded["scripts"]["compressed"]
            for kind, size in one["sizes"].items()
        }
        assert loaded["int8"] < 2_700_000 < loaded["half precision"]


def test_a_slower_processor_takes_longer_where_chromium_slows_it() -> None:
    times = facts("browser")["times"]["milliseconds"]
    for name in ("first", "greedy", "beam 5"):
        assert times["page, 4"][name] > 2 * times["page, 1"][name]
        assert times["Worker, 4"][name] < 1.5 * times["Worker, 1"][name]
    for place in times.values():
        assert place["beam 5"] > place["greedy"]


def test_the_page_of_the_translator_says_what_was_measured() -> None:
    recorded = facts("browser")
    page = " ".join((ROOT / "docs/training/translator.md").read_text(encoding="utf-8").split())
    moved = [
        round(one["scores"]["int8"][search], 2) - round(score, 2)
        for one in recorded["directions"]
        for search, score in one["scores"]["PyTorch"].items()
    ]
    assert f"by \N{MINUS SIGN}{-min(moved):.2f} to +{max(moved):.2f} points" in page
    times, memory = recorded["times"], recorded["times"]["memory"]
    assert f"Chromium {times['chromium'].split('.')[0]} on one thread of an AMD EPYC" in page
    assert times["words"] == 10
    assert f"holds {(memory['after'] - memory['before']) / 1e6:.0f} MB more" in page
