"""Translates with a trained model: `docs/training/decoding.md`.

    python -m snippets.training.translate --checkpoint runs/tiny "Das Kind malt heute den Hut."

A checkpoint is a run's folder or a single file of weights with `tokenizer.json` beside it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import Tensor

from snippets.decoder import Decoder
from snippets.training.batching import pad
from snippets.training.checkpoint import (
    CheckpointError,
    average,
    load_parameters,
    read_checkpoint,
)
from snippets.training.config import Config, check_machine
from snippets.training.data import END, DataError, read_lines, read_tokenizer
from snippets.training.decode import beam_search, greedy_decode, in_batches
from snippets.training.variants import build
from snippets.transformer import Transformer


# --8<-- [start:load_translator]
def load_translator(
    checkpoint: Path, last: int = 1, device: str = "cpu"
) -> tuple[Transformer, Tokenizer, Config]:
    """A trained model in evaluation mode, its vocabulary and its settings.

    Args:
        checkpoint: A run's folder, or one file of weights; `tokenizer.json` is in the same folder.
        last: The number of a run's last sets of weights to average.
        device: Where the model lives.

    Raises:
        CheckpointError: If weights or vocabulary are missing, damaged or do not belong together.
    """
    file, sets, facts = read_weights(checkpoint, last)
    vocabulary = file.with_name("tokenizer.json")
    try:
        tokenizer, digest = read_tokenizer(vocabulary)
    except DataError as error:
        raise CheckpointError(str(error)) from None
    if digest != facts.get("tokenizer"):
        raise CheckpointError(f"{vocabulary} is not the vocabulary with which {file} was trained")
    try:
        config = Config(**facts["config"])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{file} names no settings of a model: {error}") from None
    model = build(config, tokenizer.get_vocab_size())
    load_parameters(model, average(sets), str(file))
    return model.to(device).eval(), tokenizer, config


def read_weights(
    checkpoint: Path, last: int
) -> tuple[Path, list[dict[str, Tensor]], dict[str, Any]]:
    """One file of weights, or the last sets of a run: the last file, its tensors, its facts.

    A run that is still going on deletes its oldest set when it writes a new one, perhaps between
    the look into its folder and the reading. The folder is then looked into again.

    Raises:
        CheckpointError: If there are fewer sets, or one is damaged.
    """
    if not checkpoint.is_dir():
        tensors, facts = read_checkpoint(checkpoint)
        return checkpoint, [{name: value.float() for name, value in tensors.items()}], facts
    while True:
        files = sorted(checkpoint.glob("update-*.safetensors"))[-last:]
        if len(files) < last:
            raise CheckpointError(f"{checkpoint} holds {len(files)} sets of weights, not {last}")
        sets = []
        try:
            for file in files:
                tensors, facts = read_checkpoint(file)
                sets.append({name: value.float() for name, value in tensors.items()})
        except CheckpointError:
            if all(file.exists() for file in files):
                raise
        else:
            return file, sets, facts


# --8<-- [end:load_translator]


# --8<-- [start:translate]
def translate(
    model: Transformer,
    tokenizer: Tokenizer,
    sentences: Sequence[str],
    beam: int = 1,
    alpha: float = 0.6,
    rows: int = 64,
) -> list[str]:
    """Translate sentences.

    Args:
        model: In evaluation mode.
        tokenizer: The vocabulary with which it was trained.
        sentences: In the source language. An empty one has an empty translation.
        beam: Width of the beam search; 1 is greedy.
        alpha: Strength of the length penalty.
        rows: Number of sentences that are translated at once.

    Returns:
        One translation for each sentence, in their order.
    """
    device = next(model.parameters()).device
    sources = [[*encoding.ids, END] for encoding in tokenizer.encode_batch(list(sentences))]
    cached = isinstance(model.decoder, Decoder)  # the cache is made for a Transformer's layers
    translations = [""] * len(sources)
    filled = [place for place, ids in enumerate(sources) if len(ids) > 1]
    for batch in in_batches([len(sources[place]) for place in filled], rows):
        places = [filled[index] for index in batch]
        src = pad([sources[place] for place in places]).to(device)
        if beam == 1:
            written = greedy_decode(model, src, cached=cached)
        else:
            found = beam_search(model, src, beam, alpha, cached=cached)
            written = [hypotheses[0][0] for hypotheses in found]
        for place, ids in zip(places, written, strict=True):
            translations[place] = tokenizer.decode(ids)
    return translations


# --8<-- [end:translate]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.translate",
        description="Translate sentences; without any, those of --input or of standard input.",
    )
    command.add_argument("sentences", nargs="*", help="sentences in the source language")
    command.add_argument("--checkpoint", type=Path, required=True, help="a run, or its weights")
    command.add_argument("--input", type=Path, help="a file of sentences, one a line")
    command.add_argument("--beam", type=int, default=5, help="width; 1 is greedy (default: 5)")
    command.add_argument("--alpha", type=float, default=0.6, help="length penalty (default: 0.6)")
    command.add_argument("--average", type=int, default=1, help="sets of weights (default: 1)")
    command.add_argument("--device", default="cpu", help="cpu, cuda or mps (default: cpu)")
    command.add_argument("--threads", type=int, default=1, help="threads of a CPU (default: 1)")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        check_machine(given.device, given.threads)
        if given.beam < 1 or given.average < 1:
            raise ValueError("--beam and --average must be at least 1")
        model, tokenizer, _ = load_translator(given.checkpoint, given.average, given.device)
        sentences = given.sentences
        if not sentences:
            lines = read_lines(given.input) if given.input else sys.stdin.read().splitlines()
            sentences = [line.strip() for line in lines]
        for line in translate(model, tokenizer, sentences, given.beam, given.alpha):
            print(line)
    except (CheckpointError, DataError, ValueError) as error:
        sys.exit(f"{command.prog}: {error}")


if __name__ == "__main__":
    main()
