"""Scores trained runs and records them: `python -m benchmarks.results RUN ...`.

A run is a folder that `snippets.training.train` has filled. Its scores are counted once and kept
beside it, in `scores.jsonl`; what stands there already is not counted again. Writes
`docs/assets/data/results.json`, with every run's command and scores, the tables `results-*.txt`
that `docs/training/results.md` embeds, and the weights of every run in half precision, which the
page offers in `docs/assets/models/`.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.record import DATA, machine, publish, table, versions
from snippets.training import score
from snippets.training.checkpoint import read_checkpoint
from snippets.training.config import PRESETS, Config
from snippets.training.release import release

MODELS = DATA.parent / "models"
SPLITS = ["test_2016_flickr", "test_2017_flickr"]
BEAMS = [1, 5]
AVERAGES = [1, 10]
WAYS = {"cased": "cased", "lowercased": "lowercased", "tokenized": "lowercased, tokenised"}


def scored(run: Path) -> list[dict[str, Any]]:
    """The run's scores on every split, greedy and with a beam, last and averaged weights."""
    kept = run / "scores.jsonl"

    def lines() -> list[dict[str, Any]]:
        text = kept.read_text(encoding="utf-8") if kept.is_file() else ""
        return [json.loads(line) for line in text.splitlines()]

    counted = {(line["split"], line["beam"], line["average"]) for line in lines()}
    for split in SPLITS:
        for beam in BEAMS:
            for average in AVERAGES:
                if (split, beam, average) not in counted:
                    print(f"{run.name}: {split}, beam {beam}, average of {average}", flush=True)
                    score.main(
                        [f"--checkpoint={run}", f"--split={split}", f"--beam={beam}",
                         f"--average={average}", f"--out={kept}"]
                    )  # fmt: skip
    return lines()


def options(config: dict[str, Any]) -> str:
    """The settings of a command line that give this run: a preset, and what differs from it."""
    wanted = Config(**config)
    name, preset = next(
        (name, preset) for name, preset in PRESETS.items() if preset.corpus == wanted.corpus
    )
    words = [f"--config {name}"]
    for key, value in config.items():
        if value != getattr(preset, key):
            option = key.replace("_", "-")
            words.append(f"--{option} {value}" if value is not False else f"--no-{option}")
    for key in ("src", "tgt", "seed"):
        if not any(word.startswith(f"--{key} ") for word in words):
            words.append(f"--{key} {config[key]}")
    return " ".join(words)


def released(run: Path, name: str) -> dict[str, Any]:
    """Write a run's last weights in half precision, and what is said of the file."""
    path = release(run, MODELS / name)
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(folder) / "score.jsonl"
        score.main([f"--checkpoint={path}", f"--split={SPLITS[0]}", f"--out={kept}"])
        line = json.loads(kept.read_text(encoding="utf-8"))
    data = path.read_bytes()
    return {
        "name": name,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "score": line["scores"]["cased"]["score"],
    }


def facts(run: Path) -> dict[str, Any]:
    """What is recorded of one run.

    Raises:
        ValueError: If the run has not ended.
    """
    tensors, about = read_checkpoint(max(run.glob("update-*.safetensors")))
    last = json.loads((run / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    if last["step"] < about["config"]["steps"]:
        raise ValueError(f"{run} stands at update {last['step']} and has not ended")
    scores = scored(run)
    keys = ("split", "beam", "average", "alpha", "sentences", "seconds", "scores")
    return {
        "command": f"python -m snippets.training.train {options(about['config'])}",
        "config": about["config"],
        "parameters": sum(value.numel() for value in tensors.values()),
        "hours": round(last["seconds"] / 3600, 2),
        "machine": machine(1),
        "versions": versions() | {
            key: scores[-1]["versions"][key] for key in ("sacrebleu", "tokenizers")
        },
        "weights": released(run, f"{about['config']['src']}-{about['config']['tgt']}"),
        "valid_loss": round(last["valid_loss"], 3),
        "scores": [{key: line[key] for key in keys} for line in scores],
    }  # fmt: skip


def direction(run: dict[str, Any]) -> str:
    config = run["config"]
    return f"{config['src']}→{config['tgt']}"


def runs_table(runs: list[dict[str, Any]]) -> str:
    """Every run: its command, size, length and time."""
    rows = [["direction", "command", "parameters", "updates", "hours", "validation loss"]]
    for run in runs:
        rows.append(
            [
                direction(run),
                f"`{run['command']}`",
                f"{run['parameters']:,}",
                f"{run['config']['steps']:,}",
                f"{run['hours']:.1f}",
                f"{run['valid_loss']:.2f}",
            ]
        )
    return table(rows)


def scores_table(runs: list[dict[str, Any]]) -> str:
    """Every score: BLEU by direction, split, search and weights."""
    rows = [["direction", "test set", "search", "weights", *WAYS.values()]]
    for run in runs:
        for line in sorted(run["scores"], key=lambda one: SPLITS.index(one["split"])):
            search = "greedy" if line["beam"] == 1 else f"beam {line['beam']}"
            weights = "last" if line["average"] == 1 else f"mean of the last {line['average']}"
            numbers = [f"{line['scores'][way]['score']:.2f}" for way in WAYS]
            year = line["split"].split("_")[1]
            rows.append([direction(run), f"test{year}", search, weights, *numbers])
    return table(rows)


def signatures_table(runs: list[dict[str, Any]]) -> str:
    """What sacreBLEU says of each way of counting; it is the same for every run and split."""
    rows = [["column", "signature"]]
    for way, name in WAYS.items():
        found = {line["scores"][way]["signature"] for run in runs for line in run["scores"]}
        (signature,) = found
        rows.append([name, f"`{signature}`"])
    return table(rows)


def weights_table(runs: list[dict[str, Any]]) -> str:
    """The files to download, with the score of the file itself, beam 5, on the first split."""
    rows = [["direction", "files", "size", "BLEU, cased", "SHA-256 of the weights"]]
    for run in runs:
        about = run["weights"]
        folder = f"../assets/models/{about['name']}"
        rows.append(
            [
                direction(run),
                f"[weights]({folder}/model.safetensors), [vocabulary]({folder}/tokenizer.json)",
                f"{about['bytes'] / 1e6:.1f} MB",
                f"{about['score']:.2f}",
                f"`{about['sha256']}`",
            ]
        )
    return table(rows)


TABLES = {
    "results-runs": runs_table,
    "results-scores": scores_table,
    "results-signatures": signatures_table,
    "results-weights": weights_table,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.results", description="Score trained runs and record them."
    )
    command.add_argument("runs", nargs="+", type=Path, help="folders of runs that have ended")
    given = command.parse_args(arguments)
    try:
        runs = [facts(run) for run in given.runs]
    except ValueError as error:
        sys.exit(f"{command.prog}: {error}")
    publish("results", runs, TABLES)


if __name__ == "__main__":
    main()
