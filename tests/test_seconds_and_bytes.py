"""The instruments against known answers: the profiler's account, exact powers, a clock."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.recurrent import RecurrentLayer
from snippets.restricted import RestrictedSelfAttention
from snippets.seconds_and_bytes import crossing, fastest_seconds, fit_exponent, peak_memory

# fastest_seconds


def test_the_time_of_a_pause_is_the_pause() -> None:
    assert 0.02 <= fastest_seconds(lambda: time.sleep(0.02)) < 0.04


def test_it_is_measured_for_as_long_as_asked_and_on_the_threads_set() -> None:
    threads, start = [], time.perf_counter()
    fastest_seconds(lambda: threads.append(torch.get_num_threads()), least=0.3)
    assert time.perf_counter() - start >= 0.3
    assert set(threads) == {torch.get_num_threads()}


# peak_memory


def test_the_peak_counts_what_lives_at_once() -> None:
    x = torch.zeros(1000)  # 4000 bytes, there before
    assert peak_memory(lambda: x) == 0
    assert peak_memory(lambda: x.view(10, 100).T) == 0
    assert peak_memory(lambda: x.add_(1)) == 0
    assert peak_memory(lambda: x + 1) == 4000
    assert peak_memory(lambda: x + 1 + 1 + 1) == 8000  # one of them is gone before the third
    assert peak_memory(lambda: [x + 1, x + 2, x + 3]) == 12000
    assert peak_memory(lambda: torch.cat([x, x]).double()) == 8000 + 16000
    assert peak_memory(lambda: [torch.ones(500).sum() for _ in range(9)]) == 2000 + 9 * 4


def test_the_account_ends_with_the_run() -> None:
    kept = []
    assert peak_memory(lambda: kept.append(torch.ones(1000))) == 4000
    kept.clear()
    assert peak_memory(lambda: torch.ones(10)) == 40


def profiled_peak(run: Callable[[], Any]) -> int:
    """The same by the events of PyTorch's allocator."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    events = [e for e in record.profiler.kineto_results.events() if e.name() == "[memory]"]
    sizes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return int(np.cumsum(sizes).max())


@pytest.mark.parametrize("n", [100, 700])
def test_peaks_are_those_of_the_allocator(n: int) -> None:
    d = 64
    attention, x = MultiHeadAttention(d, 2), torch.randn(1, n, d)
    runs = [lambda: attention(x, x, x, need_weights=True)]
    layers = [RecurrentLayer(d), ConvolutionLayer(d, 5), RestrictedSelfAttention(d, 2, 16)]
    runs += [lambda layer=layer: layer(x) for layer in layers]
    with torch.no_grad():
        for run in runs:
            run()
            allocated = profiled_peak(run)
            assert peak_memory(run) == pytest.approx(allocated, rel=0.03)
        # A fused kernel's own buffers are the allocator's business and not in our account.
        assert peak_memory(lambda: attention(x, x, x)) <= profiled_peak(lambda: attention(x, x, x))


# fit_exponent


@pytest.mark.parametrize("power", [-1.0, 0.0, 0.5, 2.0])
def test_an_exact_power_is_found_with_no_margin(power: float) -> None:
    sizes = [3, 7, 20, 50]
    exponent, low, high = fit_exponent(sizes, [5 * size**power for size in sizes])
    assert [exponent, low, high] == pytest.approx([power] * 3, abs=1e-6)


def test_the_fit_is_least_squares_and_the_margin_the_textbooks() -> None:
    sizes, values = [1, 2, 4, 8, 16], [3.0, 5.0, 14.0, 22.0, 70.0]
    x, y = np.log(sizes), np.log(values)
    slope, intercept = statistics.linear_regression(x, y)
    residuals = y - (slope * x + intercept)
    error = np.sqrt((residuals**2).sum() / (5 - 2) / ((x - x.mean()) ** 2).sum())
    exponent, low, high = fit_exponent(sizes, values)
    assert exponent == pytest.approx(slope)
    assert (high - exponent, exponent - low) == pytest.approx([3.182446 * error] * 2)  # t, 3 df


def test_the_interval_holds_the_true_exponent_as_often_as_it_says() -> None:
    generator = np.random.default_rng(0)
    sizes = np.array([64, 128, 256, 512, 1024])
    hits = 0
    for _ in range(1000):
        values = sizes**1.5 * np.exp(0.2 * generator.standard_normal(5))
        _, low, high = fit_exponent(sizes.tolist(), values.tolist(), confidence=0.9)
        hits += low <= 1.5 <= high
    assert 870 <= hits <= 930


@pytest.mark.parametrize(
    ("sizes", "values"), [([1, 2], [1, 2]), ([1, 2, 3], [1, 2]), ([1, 2, 3], [0, 1, 2])]
)
def test_rejects_what_no_line_fits(sizes: list, values: list) -> None:
    with pytest.raises(ValueError, match="three or more positive sizes and as many positive"):
        fit_exponent(sizes, values)


def test_lines_cross_where_their_powers_are_equal() -> None:
    sizes = [1, 10, 100, 1000]
    rising, level = [n**2 for n in sizes], [2500 * n**0 for n in sizes]
    assert crossing(sizes, rising, level) == pytest.approx(50)
    assert crossing(sizes, level, rising) is None
    assert crossing(sizes[:2], rising[:2], level[:2]) is None
