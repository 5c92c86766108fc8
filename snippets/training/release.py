"""Makes the small file that is handed on of a trained run: `docs/training/results.md`.

    python -m snippets.training.release --checkpoint runs/de-en --average 10 --out de-en

The folder then holds `model.safetensors`, the weights in half precision, and `tokenizer.json`;
`snippets.training.translate` reads it as it reads a run.
"""

import argparse
import hashlib
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from snippets.training.checkpoint import CheckpointError, write_checkpoint
from snippets.training.train import write_text
from snippets.training.translate import load_translator


# --8<-- [start:release]
def release(checkpoint: Path, out: Path, last: int = 1) -> Path:
    """Write a trained model's weights in half precision, with its vocabulary and settings.

    Args:
        checkpoint: A run's folder, or one file of weights.
        out: The folder to write to; it is made.
        last: The number of a run's last sets of weights to average.

    Returns:
        The file of weights. It names the SHA-256 of its vocabulary.

    Raises:
        CheckpointError: If the run cannot be read, a weight does not fit half precision, or the
            folder cannot be written.
    """
    model, tokenizer, config = load_translator(checkpoint, last)
    weights = {name: value.detach().half() for name, value in model.named_parameters()}
    for name, value in weights.items():
        if not value.isfinite().all():
            raise CheckpointError(f"{name} of {checkpoint} does not fit half precision")
    vocabulary = tokenizer.to_str()
    facts = {
        "config": asdict(config),
        "tokenizer": hashlib.sha256(vocabulary.encode()).hexdigest(),
        "average": last,
        "versions": {"torch": torch.__version__},
    }
    path = out / "model.safetensors"
    write_checkpoint(path, weights, facts)
    write_text(out / "tokenizer.json", vocabulary)
    return path


# --8<-- [end:release]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.release",
        description="Write a trained model's weights in half precision, with its vocabulary.",
    )
    command.add_argument("--checkpoint", type=Path, required=True, help="a run, or its weights")
    command.add_argument("--average", type=int, default=1, help="sets of weights (default: 1)")
    command.add_argument("--out", type=Path, required=True, help="the folder to write to")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        path = release(given.checkpoint, given.out, given.average)
    except CheckpointError as error:
        sys.exit(f"{command.prog}: {error}")
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()
