"""The studies distance-rates and distance, read: `docs/why-attention/inductive-bias.md`.

The runs are those of `python -m snippets.training.study distance-rates` and `distance`, a line each
in `docs/assets/data/studies/`. Nothing is measured here: the tables and the figure of the page are
made of the lines.
"""

from collections.abc import Iterable
from typing import Any

from benchmarks.record import table
from benchmarks.studies import lines_of, matching, settings
from snippets.training.error_bars import mean_and_deviation

MODELS = ("transformer", "recurrent", "convolutional")
TASKS = {"local-12": "near", "far-12": "far away"}

Facts = dict[str, list[dict[str, Any]]]


def facts() -> Facts:
    """The lines of both studies."""
    return {name: lines_of(name) for name in ("distance-rates", "distance")}


def scores(lines: Iterable[dict[str, Any]], key: str, **wanted: Any) -> list[float]:
    """A score of the runs that have these settings, in percent.

    Args:
        lines: Of one study.
        key: "accuracy", of single tokens, the right ones before them given; or "sentences", those
            that the model wrote without a mistake.
        wanted: Settings and their values.

    Raises:
        ValueError: If no run has them.
    """
    found = []
    for line in matching(lines, **wanted):
        (score,) = line["scores"].values()  # each of the two studies scores one split
        share = score["sentences_right"] / score["sentences"]
        found.append(100 * (share if key == "sentences" else score["accuracy"]))
    return found


def scores_table(lines: list[dict[str, Any]], key: str) -> str:
    """Mean and standard deviation of a score, a row for each task and number of sentences."""
    rows = [["answer", "sentences", *MODELS]]
    for task, name in TASKS.items():
        for sentences in settings(lines, "train_pairs"):
            cells = [
                mean_and_deviation(
                    scores(lines, key, model=model, corpus=task, train_pairs=sentences), 1
                )
                for model in MODELS
            ]
            rows.append([name, f"{sentences:,}", *cells])
    return table(rows)


def accuracy_table(both: Facts) -> str:
    return scores_table(both["distance"], "accuracy")


def sentences_table(both: Facts) -> str:
    return scores_table(both["distance"], "sentences")


def rates_table(both: Facts) -> str:
    """The validation accuracy at every rate, the taken one in bold, and each model's size."""
    trials, runs = both["distance-rates"], both["distance"]
    rates = settings(trials, "rate")
    rows = [["model", "parameters", "answer", *(f"rate {rate}" for rate in rates)]]
    for model in MODELS:
        (size,) = {line["parameters"] for line in runs if line["config"]["model"] == model}
        for task, name in TASKS.items():
            of_task = [line for line in runs if line["config"]["corpus"] == task]
            (taken,) = settings((one for one in of_task if one["config"]["model"] == model), "rate")
            cells = []
            for rate in rates:
                (accuracy,) = scores(trials, "accuracy", model=model, corpus=task, rate=rate)
                written = f"{accuracy:.1f}"
                cells.append(f"**{written}**" if rate == taken else written)
            rows.append([model, f"{size:,}", name, *cells])
    return table(rows)


TABLES = {
    "distance-accuracy": accuracy_table,
    "distance-sentences": sentences_table,
    "distance-rates": rates_table,
}
