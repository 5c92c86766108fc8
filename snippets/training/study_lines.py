"""One run of a study, and the line that is recorded of it: `docs/training/results.md`."""

import json
import math
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from snippets.seconds_and_bytes import processor
from snippets.training import train
from snippets.training.calibration import calibration
from snippets.training.config import Config
from snippets.training.data import encode_pairs
from snippets.training.loop import TrainingError, evaluate
from snippets.training.score import bleu_scores, versions
from snippets.training.study_file import Study, StudyError
from snippets.training.translate import load_translator, translate

LINE = "line.json"
"""The file of a run's folder in which its line is kept, until and after it is recorded."""


# --8<-- [start:run_once]
def curve(log: Path) -> list[dict[str, float]]:
    """The points of a log at which the validation split was looked at.

    "loss" is the mean of the smoothed training losses that were logged since the point before.
    """
    points, losses = [], []
    for text in log.read_text(encoding="utf-8").splitlines():
        line = json.loads(text)
        losses.append(line["loss"])
        if "valid_loss" in line:
            points.append(
                {
                    "step": line["step"],
                    "loss": round(sum(losses) / len(losses), 4),
                    "valid_loss": round(line["valid_loss"], 4),
                    "valid_accuracy": round(line["valid_accuracy"], 4),
                }
            )
            losses = []
    return points


def scores(study: Study, folder: Path, device: str) -> dict[str, Any]:
    """The scores of a run that has ended; its translations are written beside its weights.

    Returns:
        "parameters", and by split "scores" and, if the study asks for it, "calibration".
    """
    model, tokenizer, config = load_translator(folder, study.scoring["average"], device)
    found: dict[str, Any] = {"parameters": sum(value.numel() for value in model.parameters())}
    for split in study.scoring["splits"]:
        pairs = train.read_corpus(config, split)
        sources, references = [src for src, _ in pairs], [tgt for _, tgt in pairs]
        translations = translate(model, tokenizer, sources, study.scoring["beam"])
        train.write_text(folder / f"translations.{split}", "\n".join([*translations, ""]))
        tokenized = config.corpus == "multi30k-tokenized"
        bleu = bleu_scores(translations, references, config.tgt, tokenized)
        encoded = encode_pairs(tokenizer, pairs)
        loss, accuracy = evaluate(model, encoded, config.max_tokens)
        right = sum(one == other for one, other in zip(translations, references, strict=True))
        found.setdefault("scores", {})[split] = {
            "bleu": bleu,
            "loss": loss,
            "perplexity": math.exp(loss),
            "accuracy": accuracy,
            "sentences": len(pairs),
            "sentences_right": right,
        }
        if study.scoring["calibration"]:
            bins = calibration(model, encoded, config.max_tokens)
            found.setdefault("calibration", {})[split] = bins
    return found


def run_once(study: Study, name: str, folder: Path, device: str) -> dict[str, Any]:
    """Train and score one run; its line is kept in its folder.

    A run whose loss or gradient is no number has a "failure" in its line and no scores: that is a
    result.

    Raises:
        DataError: If the corpus or the folder does not fit.
        CheckpointError: If something cannot be read or written.
    """
    config = study.runs[name]
    line: dict[str, Any] = {"study": study.name, "run": name, "config": asdict(config)}
    seconds = {"scoring": 0.0}
    try:
        train.run(config, folder, device, study.save_every, study.evaluate_every, quiet=True)
        begun = time.perf_counter()
        line |= scores(study, folder, device)
        seconds["scoring"] = round(time.perf_counter() - begun, 1)
    except TrainingError as error:
        line["failure"] = str(error).partition(";")[0]  # behind it stands a path
    log = (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()
    seconds["training"] = json.loads(log[-1])["seconds"] if log else 0.0
    line |= {
        "curve": curve(folder / "log.jsonl"),
        "scoring": study.scoring,
        "seconds": seconds,
        "machine": {
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name() if device.startswith("cuda") else device,
        },
        "versions": versions(),
    }
    train.write_text(folder / LINE, json.dumps(line, ensure_ascii=False) + "\n")
    return line


def kept_line(study: Study, name: str, folder: Path) -> dict[str, Any] | None:
    """The line of a run that had ended when the study was interrupted, if it is still right."""
    path = folder / LINE
    try:
        line = json.loads(path.read_text(encoding="utf-8"))
        same = Config(**line["config"]) == study.runs[name] and line["scoring"] == study.scoring
        return line if same else None
    except (FileNotFoundError, KeyError, TypeError, ValueError):
        return None


# --8<-- [end:run_once]


# --8<-- [start:results]
def read_results(path: Path) -> list[dict[str, Any]]:
    """The recorded runs of a study.

    Raises:
        StudyError: If a line is damaged, or a run stands there twice.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    results: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            result = json.loads(line)
            Config(**result["config"])
        except (KeyError, TypeError, ValueError):
            raise StudyError(
                f"{path}:{number}: this line is damaged; delete it, and the run is recorded again"
            ) from None
        if any(same_run(result, other) for other in results):
            raise StudyError(f"{path}:{number}: this run is recorded already in a line before")
        results.append(result)
    return results


def same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two records are of the same settings, those that are not named being the default."""
    return Config(**one["config"]) == Config(**other["config"])


def missing(study: Study, results: list[dict[str, Any]]) -> dict[str, Config]:
    """The runs of a study that are not recorded.

    Raises:
        StudyError: If a run was scored in another way than the study says now.
    """
    recorded = {}
    for result in results:
        if result["scoring"] != study.scoring:
            raise StudyError(
                f"the run {result['run']} of {study.name} is recorded with other scores than the "
                "study asks for: delete its line, and it is scored again"
            )
        recorded[Config(**result["config"])] = result
    return {name: config for name, config in study.runs.items() if config not in recorded}


def record(path: Path, line: dict[str, Any]) -> None:
    """Append one line to the results, which are there with it or as they were before.

    Raises:
        CheckpointError: If they cannot be written.
    """
    before = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    text = "".join(f"{one}\n" for one in [*before, json.dumps(line, ensure_ascii=False)])
    train.write_text(path, text)


# --8<-- [end:results]
