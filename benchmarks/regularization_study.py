"""The study regularization, read: `docs/training/regularization.md`.

The runs are those of `python -m snippets.training.study regularization`, a line each in
`docs/assets/data/studies/`. The tables and the figure of the page are made of the lines. With the
folder of the runs,

    python -m benchmarks.regularization_study --runs runs/regularization

compares their translations by a paired bootstrap too, and keeps what it finds.
"""

import argparse
from pathlib import Path
from typing import Any

from benchmarks.record import publish, table
from benchmarks.studies import lines_of, matching, settings
from snippets.training.calibration import calibration_error
from snippets.training.config import Config
from snippets.training.error_bars import bootstrap_test, mean_and_deviation
from snippets.training.train import read_corpus

NAME, SPLIT = "regularization", "test_2016_flickr"
BOOTSTRAP = "regularization-bootstrap"
DROPOUT, SMOOTHING = 0.1, 0.1  # where the other one is varied
Lines = list[dict[str, Any]]


def facts() -> Lines:
    return lines_of(NAME)


def mean_confidence(bins: list[dict[str, Any]]) -> float:
    """The mean probability of the first choice, over all tokens."""
    filled = [one for one in bins if one["tokens"]]
    total = sum(one["tokens"] for one in filled)
    return sum(one["tokens"] * one["confidence"] for one in filled) / total


def scores(lines: Lines, key: str, **wanted: Any) -> list[float]:
    """A number of each run that has these settings, by seed.

    Args:
        lines: Of the study.
        key: "bleu", cased; "perplexity", of the unsmoothed loss; "accuracy" and "confidence" of
            single tokens, in percent; "calibration", the expected error in percent;
            "lowest", the lowest validation loss on the way, and "last", that at the end.
        wanted: Settings and their values.

    Raises:
        ValueError: If no run has them.
    """
    found = []
    for line in sorted(matching(lines, **wanted), key=lambda line: line["config"]["seed"]):
        score, bins = line["scores"][SPLIT], line["calibration"][SPLIT]
        losses = [point["valid_loss"] for point in line["curve"]]
        found.append(
            {
                "bleu": score["bleu"]["cased"]["score"],
                "perplexity": score["perplexity"],
                "accuracy": 100 * score["accuracy"],
                "confidence": 100 * mean_confidence(bins),
                "calibration": 100 * calibration_error(bins),
                "lowest": min(losses),
                "last": losses[-1],
            }[key]
        )
    return found


def rows_of(lines: Lines, varied: str, kept: dict[str, float], columns: dict[str, int]) -> str:
    """Mean and standard deviation of each column, a row for each value of what is varied."""
    rows = []
    for value in settings(matching(lines, **kept), varied):
        wanted = kept | {varied: value}
        cells = [mean_and_deviation(scores(lines, key, **wanted), n) for key, n in columns.items()]
        cells = [cell.replace(" ", "\u00a0") for cell in cells]  # no line breaks within a number
        rows.append([f"{value:.1f}", *cells])
    return table([[varied, *(HEADINGS[key] for key in columns)], *rows])


HEADINGS = {
    "bleu": "BLEU",
    "perplexity": "perplexity",
    "accuracy": "right tokens (%)",
    "confidence": "sure of them (%)",
    "calibration": "off by (%)",
    "lowest": "lowest validation loss",
    "last": "last validation loss",
}


def dropout_table(lines: Lines) -> str:
    columns = {"bleu": 1, "perplexity": 2, "accuracy": 1, "lowest": 2, "last": 2}
    return rows_of(lines, "dropout", {"smoothing": SMOOTHING}, columns)


def smoothing_table(lines: Lines) -> str:
    columns = {"bleu": 1, "perplexity": 2, "accuracy": 1, "confidence": 1, "calibration": 1}
    return rows_of(lines, "smoothing", {"dropout": DROPOUT}, columns)


TABLES = {
    "regularization-study-dropout": dropout_table,
    "regularization-study-smoothing": smoothing_table,
}


def compared(lines: Lines, runs: Path) -> list[dict[str, Any]]:
    """Each setting against that of both tables, dropout and smoothing 0.1, by seed."""
    references = [tgt for _, tgt in read_corpus(Config(**lines[0]["config"]), SPLIT)]

    def translations(line: dict[str, Any]) -> list[str]:
        file = runs / line["run"] / f"translations.{SPLIT}"
        return file.read_text(encoding="utf-8").splitlines()

    found = []
    for line in lines:
        config = line["config"]
        given = {name: config[name] for name in ("dropout", "smoothing", "seed")}
        (base,) = matching(lines, dropout=DROPOUT, smoothing=SMOOTHING, seed=config["seed"])
        if line is not base:
            result = bootstrap_test(translations(base), translations(line), references)
            found.append(given | {key: result[key] for key in ("difference", "p", "signature")})
    return found


def main() -> None:
    command = argparse.ArgumentParser(prog="python -m benchmarks.regularization_study")
    command.add_argument("--runs", type=Path, required=True, help="the folder of the study's runs")
    given = command.parse_args()
    publish(BOOTSTRAP, compared(facts(), given.runs), {})
    print("\n".join(make(facts()) for make in TABLES.values()))


if __name__ == "__main__":
    main()
