"""Trains a translator, from a corpus to checkpoints: `docs/training/loop.md`.

    python -m snippets.training.train --config tiny --out runs/tiny

The same command again goes on where the run was interrupted, at any moment. A run is a folder:
`config.json` and `tokenizer.json`; `log.jsonl`, a line every few updates; `last.safetensors`, with
everything that the rest of the run depends on; and `update-*.safetensors`, the weights of the last
ten points in time, whose average is often better than the last of them.
"""

import argparse
import hashlib
import json
import platform
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tqdm import tqdm

from snippets.training.batching import Pair, bucketed
from snippets.training.checkpoint import CheckpointError, write_checkpoint, write_in_one_step
from snippets.training.config import Config, add_settings, check_machine, chosen
from snippets.training.data import (
    DataError,
    encode_pairs,
    read_pairs,
    read_tokenizer,
    train_tokenizer,
)
from snippets.training.grammar import grammar
from snippets.training.loop import Training, TrainingError, evaluate
from snippets.training.multi30k import multi30k
from snippets.training.synthetic import is_synthetic, synthetic
from snippets.training.variants import build

LOG_EVERY = 50
"""Updates between two lines of the log."""
SAVE_EVERY = 100
"""Updates between two checkpoints, and between two sets of weights that are kept, by default."""
EVALUATE_EVERY = 500
"""Updates between two looks at the validation split's loss."""
KEEP = 10
"""Number of sets of weights that are kept."""


def read_corpus(config: Config, split: str) -> list[tuple[str, str]]:
    """The sentence pairs of a split, such as "train" or "val", of the corpus of the settings.

    Raises:
        DataError: If the corpus cannot be read, or has fewer pairs than are to be kept.
    """
    pairs = read_split(config, split)
    if split != "train" or config.train_pairs == 0:
        return pairs
    if len(pairs) < config.train_pairs:
        raise DataError(f"train_pairs is {config.train_pairs}, but the corpus holds {len(pairs)}")
    return pairs[: config.train_pairs]


def read_split(config: Config, split: str) -> list[tuple[str, str]]:
    """A split as a whole.

    Raises:
        DataError: If the corpus cannot be read.
    """
    if config.corpus == "grammar":
        return grammar(split, config.src, config.tgt)
    if config.corpus in ("multi30k", "multi30k-tokenized"):
        tokenized = config.corpus.endswith("tokenized")
        return multi30k(split, config.src, config.tgt, tokenized)
    if is_synthetic(config.corpus):
        return synthetic(config.corpus, split)
    folder = Path(config.corpus)
    if not folder.is_dir():
        raise DataError(f"the corpus must be grammar, multi30k or a folder, not {config.corpus}")
    return read_pairs(folder / f"{split}.{config.src}", folder / f"{split}.{config.tgt}")


def vocabulary(
    out: Path, config: Config, sentences: dict[str, list[tuple[str, str]]]
) -> tuple[Tokenizer, dict[str, list[Pair]]]:
    """A run's vocabulary and its splits as token ids; begins the folder of a new run.

    Raises:
        DataError: If the folder belongs to a run of other settings.
        CheckpointError: If the folder cannot be written; nothing of it is then left.
        ValueError: If a sentence is too long for a batch; nothing has then been written.
    """
    settings, path = out / "config.json", out / "tokenizer.json"
    text = json.dumps(asdict(config), indent=1) + "\n"
    if begun(out, config):
        tokenizer, _ = read_tokenizer(path)
        return tokenizer, encoded(tokenizer, sentences, config)
    tokenizer = train_tokenizer(sentences["train"], config.vocab_size)
    pairs = encoded(tokenizer, sentences, config)
    try:
        write_text(path, tokenizer.to_str())
        write_text(settings, text)  # the last: where it is, the run has begun
    except CheckpointError:
        path.unlink(missing_ok=True)
        with suppress(OSError):
            out.rmdir()  # if nothing else is in it
        raise
    return tokenizer, pairs


def begun(out: Path, config: Config) -> bool:
    """Whether a folder holds a run of these settings; one that its file lacks has its default.

    Raises:
        DataError: If the folder belongs to a run of other settings.
    """
    settings = out / "config.json"
    try:
        if Config(**json.loads(settings.read_text(encoding="utf-8"))) == config:
            return True
    except FileNotFoundError:
        return False
    except (TypeError, ValueError):  # settings that there are not, or no JSON
        pass
    raise DataError(f"{out} holds a run of other settings: see {settings}, or name another")


def encoded(
    tokenizer: Tokenizer, sentences: dict[str, list[tuple[str, str]]], config: Config
) -> dict[str, list[Pair]]:
    """The splits as token ids.

    Raises:
        ValueError: If a sentence is too long for a batch.
    """
    pairs = {split: encode_pairs(tokenizer, sentences[split]) for split in sentences}
    for split in pairs.values():
        bucketed(split, config.max_tokens, config.seed)
    return pairs


def write_text(path: Path, text: str) -> None:
    """Write a text file in one step; its folder is made.

    Raises:
        CheckpointError: If it cannot be written.
    """
    write_in_one_step(path, text.encode("utf-8"))


def append_line(path: Path, line: dict[str, float]) -> None:
    """Append one JSON object to a log.

    Raises:
        CheckpointError: If it cannot be written.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{json.dumps(line)}\n")
    except OSError as error:
        raise CheckpointError(f"{path} cannot be written: {error.strerror}") from None


def read_log(path: Path, step: int) -> list[str]:
    """The lines of a log up to an update: what came after it was not saved and is done again."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    kept = []
    for line in lines:
        try:
            if json.loads(line)["step"] <= step:
                kept.append(line)
        except ValueError:  # the line at which the process was killed
            break
    return kept


def keep_weights(training: Training, out: Path, facts: dict[str, Any]) -> None:
    """Write the weights alone, and delete the oldest beyond those that are kept."""
    weights = {name: value.detach() for name, value in training.model.named_parameters()}
    path = out / f"update-{training.step:06}.safetensors"
    write_checkpoint(path, weights, facts | {"step": training.step})
    for old in sorted(out.glob("update-*.safetensors"))[:-KEEP]:
        old.unlink()


def run(
    config: Config,
    out: Path,
    device: str = "cpu",
    save_every: int = SAVE_EVERY,
    evaluate_every: int = EVALUATE_EVERY,
    quiet: bool = False,
) -> Training:
    """Train until the last update, going on where the folder's run is.

    Args:
        config: The settings.
        out: The run's folder.
        device: Such as "cpu" or "cuda".
        save_every: Updates between two checkpoints. It does not change the result.
        evaluate_every: Updates between two looks at the validation split's loss; as little.
        quiet: Whether no progress is shown.

    Returns:
        The run as it is at its end.

    Raises:
        DataError: If the corpus or the folder does not fit.
        CheckpointError: If a checkpoint is damaged or cannot be written.
        TrainingError: If the loss or its gradient is not finite.
    """
    corpus = {split: read_corpus(config, split) for split in ("train", "val")}
    tokenizer, pairs = vocabulary(out, config, corpus)
    training = Training(config, pairs["train"], tokenizer.get_vocab_size(), device, build)
    facts = {
        "config": asdict(config),
        "tokenizer": hashlib.sha256((out / "tokenizer.json").read_bytes()).hexdigest(),
        "versions": {"python": platform.python_version(), "torch": torch.__version__},
    }
    last, log, seconds = out / "last.safetensors", out / "log.jsonl", 0.0
    for unfinished in out.glob("part-*"):
        unfinished.unlink()
    if last.is_file():
        saved = training.load(last)
        if saved.get("tokenizer") != facts["tokenizer"]:
            raise CheckpointError(
                f"{out / 'tokenizer.json'} is not the vocabulary with which {last} was trained"
            )
        seconds = saved["seconds"]
    lines = read_log(log, training.step)
    write_text(log, "".join(f"{line}\n" for line in lines))
    bar = tqdm(
        total=config.steps, initial=training.step, disable=True if quiet else None, unit=" updates"
    )
    with bar:
        start = time.perf_counter() - seconds
        while training.step < config.steps:
            try:
                line = training.update()
            except TrainingError as error:
                kept = f"{last} holds the weights before" if last.is_file() else "nothing was saved"
                raise TrainingError(f"update {training.step + 1}: {error}; {kept}") from None
            line["seconds"] = round(time.perf_counter() - start, 2)
            at_end = training.step == config.steps
            if training.step % evaluate_every == 0 or at_end:
                line["valid_loss"], line["valid_accuracy"] = evaluate(
                    training.model, pairs["val"], config.max_tokens
                )
            if training.step % LOG_EVERY == 0 or "valid_loss" in line:
                append_line(log, line)
            bar.update()
            bar.set_postfix(loss=f"{line['loss']:.2f}", refresh=False)
            if training.step % save_every == 0 or at_end:
                keep_weights(training, out, facts)
                training.save(last, facts | {"seconds": time.perf_counter() - start})
    return training


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.train",
        description="Train a translator. The same command again resumes an interrupted run.",
    )
    command.add_argument("--out", type=Path, required=True, help="folder of the run")
    command.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    command.add_argument(
        "--threads", type=int, default=1, help="threads of a CPU; more help large models only"
    )
    command.add_argument(
        "--save-every",
        type=int,
        default=SAVE_EVERY,
        help=f"updates between two checkpoints (default: {SAVE_EVERY})",
    )
    add_settings(command)
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        if given.save_every < 1:
            raise ValueError(f"save_every must be at least 1, not {given.save_every}")
        check_machine(given.device, given.threads)
        training = run(chosen(given), given.out, given.device, given.save_every)
    except (DataError, CheckpointError, TrainingError, ValueError, OSError) as error:
        sys.exit(f"{command.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{command.prog}: interrupted; the same command goes on from the last checkpoint")
    print(f"{training.step} updates; the weights are in {given.out}")


if __name__ == "__main__":
    main()
