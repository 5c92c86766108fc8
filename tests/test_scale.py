"""The scale 1/√d_k: the variance of a dot product, what softmax makes of it, the lab's facts."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import jupytext
import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from snippets.attention import scaled_dot_product_attention
from tests import ROOT
from tests.oracle import F64, generator, random


def assert_variance(sample: Tensor, expected: float) -> None:
    """Within five standard errors, √((m₄ - σ⁴) / N), and five of the mean that is subtracted."""
    squares = (sample - sample.mean()).square()
    error = squares.std() / math.sqrt(sample.numel())
    assert abs(squares.mean() - expected) < 5 * error + 25 * expected / sample.numel()


def assert_mean(sample: Tensor, expected: float) -> None:
    assert abs(sample.mean() - expected) < 5 * sample.std() / math.sqrt(sample.numel())


# The variance law


DISTRIBUTIONS = {
    "normal": lambda shape, g: torch.randn(shape, dtype=F64, generator=g),
    "uniform": lambda shape, g: math.sqrt(12) * (torch.rand(shape, dtype=F64, generator=g) - 0.5),
    "coins": lambda shape, g: 2.0 * torch.randint(2, shape, generator=g).to(F64) - 1,
    "skewed": lambda shape, g: -torch.rand(shape, dtype=F64, generator=g).log() - 1,
}


@pytest.mark.parametrize("d_k", [1, 3, 16, 64])
@pytest.mark.parametrize("draw", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_the_dot_product_has_mean_0_and_variance_d_k(
    d_k: int, draw: Callable[[tuple[int, ...], torch.Generator], Tensor]
) -> None:
    query, key = draw((2, 40_000, d_k), generator(d_k))
    scores = (query * key).sum(-1)
    assert_mean(scores, 0)
    assert_variance(scores, d_k)


@pytest.mark.parametrize("d_k", [1, 2, 3, 4])
def test_the_variance_of_coins_is_exactly_d_k(d_k: int) -> None:
    vectors = list(itertools.product((-1, 1), repeat=d_k))
    scores = [sum(a * b for a, b in zip(q, k, strict=True)) for q in vectors for k in vectors]
    assert sum(scores) == 0
    assert sum(score * score for score in scores) == d_k * len(scores)


@pytest.mark.parametrize("seed", range(4))
def test_the_variance_of_correlated_components_is_the_trace(seed: int) -> None:
    d_k = 7
    factor_q, factor_k = random(2, d_k, d_k, seed=seed)
    white = random(2, 100_000, d_k, seed=seed + 100)
    scores = ((white[0] @ factor_q.T) * (white[1] @ factor_k.T)).sum(-1)
    trace = (factor_q @ factor_q.T @ factor_k @ factor_k.T).trace().item()
    assert_variance(scores, trace)
    diagonals_alone = (factor_q.square().sum(1) * factor_k.square().sum(1)).sum().item()
    assert abs(scores.var() / trace - 1) < abs(scores.var() / diagonals_alone - 1)


def test_the_trace_law_is_exact_and_the_means_add_to_it() -> None:
    d_k, n_q, n_k = 3, 5, 4
    q, k = random(n_q, d_k, seed=1), random(n_k, d_k, seed=2)  # all outcomes, equally likely
    mean_q, mean_k = q.mean(0), k.mean(0)
    sigma_q = (q - mean_q).T @ (q - mean_q) / n_q
    sigma_k = (k - mean_k).T @ (k - mean_k) / n_k
    trace = (sigma_q @ sigma_k).trace()

    centred = (q - mean_q) @ (k - mean_k).T  # every pair once: q and k are independent
    torch.testing.assert_close(centred.var(correction=0), trace)

    scores = q @ k.T
    torch.testing.assert_close(scores.mean(), mean_q @ mean_k)
    means = mean_q @ sigma_k @ mean_q + mean_k @ sigma_q @ mean_k
    torch.testing.assert_close(scores.var(correction=0), trace + means)


def test_one_uncorrelated_side_is_enough() -> None:
    d_k = 16
    index = torch.arange(d_k)
    covariance = (0.9 ** (index[:, None] - index).abs()).to(F64)
    white = random(2, 60_000, d_k, seed=0)
    correlated = white @ torch.linalg.cholesky(covariance).T
    assert_variance((correlated[0] * white[1]).sum(-1), d_k)
    assert (correlated[0] * correlated[1]).sum(-1).var() > 3 * d_k


@pytest.mark.parametrize("rho", [0.0, 0.3, 1.0])
def test_aligned_queries_and_keys_have_a_mean_of_rho_d_k(rho: float) -> None:
    d_k = 64
    query, noise = random(2, 20_000, d_k, seed=0)
    key = rho * query + math.sqrt(1 - rho * rho) * noise
    assert_mean((query * key).sum(-1), rho * d_k)


# What our attention does with it


@pytest.mark.parametrize("d_k", [1, 4, 64, 1024])
def test_attention_compares_two_keys_with_variance_2_at_every_width(d_k: int) -> None:
    n_queries = 4000
    query, key = random(n_queries, 1, d_k, seed=0), random(n_queries, 2, d_k, seed=1)
    _, weights = scaled_dot_product_attention(query, key, key)
    first, second = weights.log().squeeze(1).unbind(-1)  # scores up to a constant a row
    assert_variance(first - second, 2)


def test_the_scores_of_one_query_have_its_squared_length_as_variance() -> None:
    d_k = 16
    query, key = random(1, d_k, seed=3), random(20_000, d_k, seed=4)
    _, weights = scaled_dot_product_attention(query, key, key)
    assert_variance(weights.log(), query.square().sum().item() / d_k)


def test_the_entropy_is_half_a_nat_below_uniform_for_many_keys() -> None:
    n_keys, d_k = 4096, 64
    query, key = random(100, d_k, seed=5), random(n_keys, d_k, seed=6)
    _, weights = scaled_dot_product_attention(query, key, key)
    entropy = torch.special.entr(weights).sum(-1).mean().item()
    assert entropy == pytest.approx(math.log(n_keys) - 0.5, abs=0.05)


@given(st.lists(st.floats(-30, 30), min_size=2, max_size=9))
def test_no_entry_of_the_jacobian_exceeds_what_the_largest_weight_leaves(z: list[float]) -> None:
    scores = torch.tensor(z, dtype=F64)
    jacobian = torch.autograd.functional.jacobian(lambda x: torch.softmax(x, -1), scores)
    left = 1 - torch.softmax(scores, -1).max()
    assert jacobian.abs().max() <= left + 1e-12


def test_one_key_balances_the_sum_where_the_variance_is_2_ln_n() -> None:
    n, sigma = sympy.symbols("n sigma", positive=True)
    every, largest = sympy.log(n) + sigma**2 / 2, sigma * sympy.sqrt(2 * sympy.log(n))
    assert sympy.expand(every - largest - (sigma - sympy.sqrt(2 * sympy.log(n))) ** 2 / 2) == 0
    assert sympy.simplify((every - largest).subs(sigma, sympy.sqrt(2 * sympy.log(n)))) == 0


# The initialisations in the page's table


def linear(d_model: int) -> Tensor:
    return nn.Linear(d_model, d_model).weight


def xavier(d_model: int) -> Tensor:
    return nn.init.xavier_uniform_(torch.empty(d_model, d_model))


def packed(d_model: int) -> Tensor:
    return nn.MultiheadAttention(d_model, 8).in_proj_weight


@pytest.mark.parametrize(("weight_of", "variance"), [(linear, 1 / 3), (xavier, 1), (packed, 1 / 2)])
def test_initialisation_sets_the_variance_of_a_component(
    weight_of: Callable[[int], Tensor], variance: float
) -> None:
    torch.manual_seed(0)
    d_model = 512
    assert_variance(weight_of(d_model).detach().double().flatten(), variance / d_model)


# The lab's facts, measured by the lab's own functions

WIDTHS = (1, 4, 16, 64, 256, 1024)
SEEDS = range(3)


@pytest.fixture(scope="module")
def lab() -> dict[str, Any]:
    """The namespace of the lab's cells up to its functions, without its plots."""
    notebook = jupytext.read(ROOT / "docs/lab/saturation.py")
    assert notebook.metadata["description"]
    namespace: dict[str, Any] = {}
    for cell in notebook.cells:
        if cell.cell_type == "code" and not cell.source.startswith("%"):
            exec(cell.source, namespace)
            if "measure" in namespace:
                return namespace
    raise AssertionError("the lab defines no function measure")


@pytest.fixture(scope="module")
def facts(lab: dict[str, Any]) -> Callable[[bool, str], Tensor]:
    """A statistic, with or without the scale, as (n_widths, n_seeds)."""
    runs = [[lab["measure"](d_k, seed) for seed in SEEDS] for d_k in WIDTHS]
    return lambda scaled, name: torch.tensor(
        [[run[scaled][name] for run in seeds] for seeds in runs], dtype=F64
    )


Facts = Callable[[bool, str], Tensor]


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("entropy", 3.5, 3.9),
        ("largest weight", 0.07, 0.14),
        ("scores, median", 0.12, 0.20),
        ("scores, mean", 0.14, 0.21),
        ("query, median", 0.07, 0.20),
        ("values, median", 0.13, 0.22),
        ("starved", 0.0, 0.0),
    ],
)
def test_with_the_scale_nothing_depends_on_the_width(
    facts: Facts, name: str, low: float, high: float
) -> None:
    found = facts(True, name)
    assert found.min() >= low
    assert found.max() <= high


def test_without_the_scale_entropy_falls_and_the_largest_weight_rises(facts: Facts) -> None:
    entropy, largest = facts(False, "entropy"), facts(False, "largest weight")
    assert (entropy.diff(dim=0) < 0).all()
    assert (largest.diff(dim=0) > 0).all()
    at_64 = WIDTHS.index(64)
    assert ((entropy[at_64] > 0.4) & (entropy[at_64] < 0.75)).all()
    assert ((largest[at_64] > 0.72) & (largest[at_64] < 0.87)).all()
    assert (entropy[-1] < 0.25).all()
    assert (largest[-1] > 0.9).all()


def test_at_width_1_there_is_nothing_to_divide(facts: Facts) -> None:
    torch.testing.assert_close(facts(True, "entropy")[0], facts(False, "entropy")[0])


def test_without_the_scale_the_typical_gradient_vanishes_and_the_mean_does_not(
    facts: Facts,
) -> None:
    median, mean = facts(False, "scores, median").mean(1), facts(False, "scores, mean").mean(1)
    at_16 = WIDTHS.index(16)
    assert median[-1] < median[at_16] / 50
    assert mean[-1] > mean[at_16] / 8
    at_query = facts(False, "query, mean").mean(1)[at_16:]
    assert ((at_query > 0.8) & (at_query < 2.6)).all()


def test_without_the_scale_many_queries_are_starved(facts: Facts) -> None:
    starved = facts(False, "starved").mean(1)
    assert 0.1 < starved[WIDTHS.index(64)] < 0.3
    assert 0.55 < starved[-1] < 0.8


def test_without_the_scale_the_gradient_of_the_values_grows(facts: Facts) -> None:
    assert (facts(False, "values, median").mean(1).diff() > 0).all()


def test_without_the_scale_a_query_of_the_base_model_receives_more(facts: Facts) -> None:
    at_64 = WIDTHS.index(64)
    ratio = (facts(False, "query, median") / facts(True, "query, median")).mean(1)
    assert ratio[at_64] > 2
    assert ratio[-1] < 0.5


def test_the_labs_gradient_at_the_scores_is_autograds(lab: dict[str, Any]) -> None:
    query, key = random(5, 1, 7, seed=0), random(5, 11, 7, seed=1)
    value, upstream = random(5, 11, 3, seed=2), random(5, 1, 3, seed=3)
    scores = (query @ key.transpose(1, 2) / math.sqrt(7)).requires_grad_()
    output = torch.softmax(scores, -1) @ value
    (expected,) = torch.autograd.grad(output, scores, upstream)
    found = lab["gradients"](query, key, value, upstream)["scores"]
    torch.testing.assert_close(found, expected.flatten(1).norm(dim=1))
