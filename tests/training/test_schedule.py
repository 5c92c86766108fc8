"""The learning rate is the paper's, and falls to 0 where a run ends."""

import itertools
import math

import pytest

from snippets.training.schedule import scheduled_rate, warmup_rate


def test_the_rate_rises_in_a_line_and_falls_with_the_root() -> None:
    rates = [warmup_rate(step, 512, 4000) for step in (1, 2000, 4000, 16000)]
    peak = (512 * 4000) ** -0.5
    assert rates == pytest.approx([peak / 4000, peak / 2, peak, peak / 2])


def test_without_a_cooldown_a_run_has_the_papers_curve() -> None:
    peak = warmup_rate(100, 64, 100)
    for step in (1, 50, 100, 101, 777, 1000):
        assert scheduled_rate(step, peak, 100, 1000, 0) == pytest.approx(warmup_rate(step, 64, 100))


def test_the_rate_falls_to_0_right_behind_the_last_update() -> None:
    rates = [scheduled_rate(step, 1.0, 100, 1000, 0.5) for step in range(1, 1001)]
    assert rates[499] == pytest.approx(math.sqrt(100 / 500))  # where the fall begins
    assert rates[-1] == pytest.approx(math.sqrt(100 / 1000) / 500)
    assert rates[99] == max(rates) == 1
    assert all(a > b > 0 for a, b in itertools.pairwise(rates[99:]))


@pytest.mark.parametrize(
    "arguments", [(0, 512, 4000), (1, 0, 4000), (1, 512, 0)], ids=["step", "d_model", "warmup"]
)
def test_a_rate_needs_positive_numbers(arguments: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        warmup_rate(*arguments)


@pytest.mark.parametrize(
    "arguments",
    [(0, 1, 1, 9, 0), (10, 1, 1, 9, 0), (1, math.nan, 1, 9, 0), (1, 1, 0, 9, 0), (1, 1, 1, 9, 2)],
)
def test_a_schedule_refuses_what_is_out_of_range(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="the rate needs peak > 0"):
        scheduled_rate(*arguments)
