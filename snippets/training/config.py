"""The settings of a training run, and how the command line gives them: `docs/training/loop.md`."""

import argparse
import math
from dataclasses import dataclass, field, fields, replace
from typing import Any

import torch


# --8<-- [start:Config]
def setting(default: Any, text: str, **choices: Any) -> Any:
    """A field whose metadata is what `--help` says of it."""
    return field(default=default, metadata={"help": text, **choices})


@dataclass(frozen=True)
class Config:
    """Everything that decides the result of a run, apart from versions and hardware.

    Raises:
        ValueError: If a setting is out of its range, or two do not fit each other.
    """

    corpus: str = setting(
        "grammar",
        "grammar, multi30k, multi30k-tokenized, local-N or far-N with N digits a sentence, or a "
        "folder that holds train.SRC, train.TGT, val.SRC and val.TGT",
    )
    src: str = setting("de", "language of the source, the ending of its files")
    tgt: str = setting("en", "language of the target, the ending of its files")
    train_pairs: int = setting(0, "pairs of the training split that are kept; 0 keeps all")
    vocab_size: int = setting(400, "tokens in the joint vocabulary, at most")
    model: str = setting(
        "transformer",
        "the model: a Transformer, one of its variants, or a rival, for which d_ff is the width of "
        "its states",
        choices=(
            "transformer", "unscaled", "no-positions", "learned-positions", "unscaled-embeddings",
            "untied", "gain-1", "recurrent", "convolutional",
        ),
    )  # fmt: skip
    d_model: int = setting(64, "width of embeddings and layers")
    n_heads: int = setting(4, "attention heads; they divide d_model")
    n_layers: int = setting(2, "layers of the encoder, and of the decoder")
    d_ff: int = setting(128, "width inside the feed-forward networks")
    dropout: float = setting(0.1, "probability of dropping a number, where section 5.4 says")
    norm_first: bool = setting(True, "pre-norm; with --no-norm-first post-norm, the paper's")
    smoothing: float = setting(0.1, "label smoothing")
    max_tokens: int = setting(1024, "padded tokens of a batch on its longer side, at most")
    accumulate: int = setting(1, "batches whose gradients make one update")
    rate: float = setting(0.003, "learning rate at its peak")
    warmup: int = setting(100, "updates until the peak")
    start_at_peak: bool = setting(False, "no warm-up: the rate is at its peak from the beginning")
    steps: int = setting(600, "updates of the whole run")
    cooldown: float = setting(0.5, "share of the run over which the rate falls to 0")
    clip: float = setting(1.0, "norm to which a larger gradient is cut")
    precision: str = setting(
        "float32",
        "dtype of the products: bfloat16 needs a device that has it",
        choices=("float32", "bfloat16"),
    )
    seed: int = setting(0, "decides start values, order of the data and dropout")

    def __post_init__(self) -> None:
        for name in ("vocab_size", "d_model", "n_heads", "n_layers", "d_ff", "max_tokens"):
            require(getattr(self, name) >= 1, self, name, "at least 1")
        for name in ("accumulate", "warmup", "steps"):
            require(getattr(self, name) >= 1, self, name, "at least 1")
        require(self.train_pairs >= 0, self, "train_pairs", "at least 0")
        for name in ("dropout", "smoothing"):
            require(0 <= getattr(self, name) < 1, self, name, "in [0, 1)")
        require(0 <= self.cooldown <= 1, self, "cooldown", "in [0, 1]")
        for name in ("rate", "clip"):
            value = getattr(self, name)
            require(math.isfinite(value) and value > 0, self, name, "a number above 0")
        require(self.d_model % self.n_heads == 0, self, "n_heads", f"a divisor of {self.d_model}")
        require(self.d_model % 2 == 0, self, "d_model", "even")
        for name in ("model", "precision"):
            choices = self.__dataclass_fields__[name].metadata["choices"]
            require(getattr(self, name) in choices, self, name, " or ".join(choices))
        require(0 <= self.seed < 2**32, self, "seed", "from 0 to 2^32 - 1")
        require(self.src != self.tgt, self, "tgt", "another language than src")


def require(fits: bool, config: Config, name: str, wanted: str) -> None:
    """Raise the sentence that names a setting, its value and what was expected."""
    if not fits:
        raise ValueError(f"{name} must be {wanted}, not {getattr(config, name)}")


# --8<-- [end:Config]

MULTI30K = Config(
    corpus="multi30k", vocab_size=6000, d_model=128, n_heads=4, n_layers=4, d_ff=256, dropout=0.3,
    max_tokens=2048, rate=0.0025, warmup=1000, steps=12000, cooldown=0.6,
)  # fmt: skip
PRESETS = {
    "tiny": Config(),
    "multi30k": MULTI30K,
    "multi30k-tokenized": replace(MULTI30K, corpus="multi30k-tokenized"),
}


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Give a command line one option a setting, and `--config` for a set of them."""
    parser.add_argument(
        "--config", choices=PRESETS, default="tiny", help="settings to start from (default: tiny)"
    )
    for one in fields(Config):
        defaults = ", ".join(f"{name} {getattr(PRESETS[name], one.name)}" for name in PRESETS)
        options: dict[str, Any] = {"type": one.type, "choices": one.metadata.get("choices")}
        if one.type is bool:
            options = {"action": argparse.BooleanOptionalAction}
        parser.add_argument(
            f"--{one.name.replace('_', '-')}",
            default=argparse.SUPPRESS,
            help=f"{one.metadata['help']} ({defaults})",
            **options,
        )


def check_machine(device: str, threads: int) -> None:
    """Set the number of a CPU's threads, and see whether the device can be used.

    Raises:
        ValueError: If there are no threads, or no such device.
    """
    if threads < 1:
        raise ValueError(f"threads must be at least 1, not {threads}")
    torch.set_num_threads(threads)
    try:
        torch.zeros(1, device=device).item()
    except Exception:  # which one, depends on the device
        raise ValueError(f"there is no device {device} that PyTorch can use here") from None


def chosen(arguments: argparse.Namespace) -> Config:
    """The settings that a command line names, over those of its `--config`.

    Raises:
        ValueError: If a setting does not fit.
    """
    given = vars(arguments)
    names = [one.name for one in fields(Config) if one.name in given]
    return replace(PRESETS[arguments.config], **{name: given[name] for name in names})
