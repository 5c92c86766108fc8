"""What the tables and figures of all studies share: the recorded lines, and how to pick some."""

import statistics
from collections.abc import Iterable
from functools import cache
from typing import Any

from benchmarks.record import DATA
from snippets.training.study_lines import read_results


@cache
def lines_of(study: str) -> list[dict[str, Any]]:
    """The recorded runs of a study, which are read once."""
    return read_results(DATA / "studies" / f"{study}.jsonl")


def settings(lines: Iterable[dict[str, Any]], name: str) -> list[Any]:
    """The values that a setting has in the lines, from the lowest."""
    return sorted({line["config"][name] for line in lines})


def matching(lines: Iterable[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    """The lines of the runs that have these settings.

    Raises:
        ValueError: If no run has them.
    """
    found = [
        line
        for line in lines
        if all(line["config"][name] == value for name, value in wanted.items())
    ]
    if not found:
        raise ValueError(f"no run has {wanted}")
    return found


def apart(ones: list[float], others: list[float]) -> bool:
    """Whether the intervals of mean ± standard deviation have no number in common."""
    gap = abs(statistics.mean(ones) - statistics.mean(others))
    return gap > statistics.stdev(ones) + statistics.stdev(others)
