"""What loss to expect at which update: `docs/training/debugging.md`.

    python -m benchmarks.learning_curve runs/de-en runs/en-de

The arguments are the folders of runs with the settings of `--config multi30k`.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.record import publish, table
from snippets.training.config import PRESETS, Config

WINDOW = 250
"""Updates over which the training loss is averaged: a single batch says little."""
ROWS = (250, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 10000, 12000)


def curve(folder: Path) -> dict[str, Any]:
    """A run's losses, from its log.

    Raises:
        ValueError: If the run has other settings than those of `--config multi30k`.
    """
    text = (folder / "config.json").read_text(encoding="utf-8")
    config = asdict(Config(**json.loads(text)))
    recipe = asdict(PRESETS["multi30k"])
    for name in recipe:
        if name not in ("src", "tgt", "seed") and config[name] != recipe[name]:
            raise ValueError(f"{folder} has {name} = {config[name]}, not {recipe[name]}")
    log = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [json.loads(line) for line in log]
    training: dict[int, list[float]] = {}
    for line in lines:
        training.setdefault(-(-line["step"] // WINDOW) * WINDOW, []).append(line["loss"])
    return {
        "src": config["src"],
        "tgt": config["tgt"],
        "seed": config["seed"],
        "updates": config["steps"],
        "done": lines[-1]["step"],
        "training": {
            str(step): round(sum(losses) / len(losses), 3)
            for step, losses in training.items()
            if step <= lines[-1]["step"]
        },
        "validation": {
            str(line["step"]): [round(line["valid_loss"], 3), round(line["valid_accuracy"], 3)]
            for line in lines
            if "valid_loss" in line
        },
    }


def report(runs: list[dict[str, Any]]) -> str:
    """The table of the page: a row an update that at least one run has reached."""
    head = ["update"]
    for run in runs:
        head += [f"{run['src']}→{run['tgt']} training", "validation", "tokens right"]
    rows = [head]
    for step in map(str, ROWS):
        row = [f"{int(step):,}"]
        for run in runs:
            loss, right = run["validation"].get(step, [None, None])
            row += [
                f"{run['training'][step]:.2f}" if step in run["training"] else "",
                "" if loss is None else f"{loss:.2f}",
                "" if right is None else f"{right:.0%}",
            ]
        if any(row[1:]):
            rows.append(row)
    return table(rows)


TABLES = {"learning-curve": report}


def main() -> None:
    """Run the command."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.learning_curve")
    command.add_argument("runs", nargs="+", type=Path, help="folders of runs")
    try:
        runs = [curve(folder) for folder in command.parse_args().runs]
    except (OSError, ValueError) as error:
        raise SystemExit(f"{command.prog}: {error}") from None
    publish("learning-curve", runs, TABLES)


if __name__ == "__main__":
    main()
