"""The training loop, sections 5.2 to 5.4 of the paper: `docs/training/loop.md`.

Shapes: `n_src` and `n_tgt` are the lengths of the longest source and target of a batch, `V` is the
size of the vocabulary.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from snippets.cross_entropy import label_smoothing_loss
from snippets.training.batching import Batch, Pair, bucketed, make_batch
from snippets.training.checkpoint import (
    CheckpointError,
    load_parameters,
    read_checkpoint,
    write_checkpoint,
)
from snippets.training.config import Config
from snippets.training.data import PAD
from snippets.training.schedule import scheduled_rate
from snippets.transformer import Transformer


# --8<-- [start:logits_of_labels]
def logits_of_labels(model: Transformer, batch: Batch) -> tuple[Tensor, Tensor]:
    """The logits at the positions that are not padding, and the labels there.

    The last linear map is as wide as the vocabulary and the dearest part of a small model. Padding
    needs no logits, so it is left out before that map and not after it.

    Returns:
        Logits (n_real, V) and labels (n_real), where n_real is the number of labels that are not
        padding.
    """
    src_mask, tgt_mask = batch.masks()
    memory = model.encode(batch.src, src_mask)  # (batch, n_src, d_model)
    x = model.positional_encoding(model.tgt_embedding(batch.tgt))  # (batch, n_tgt, d_model)
    x = model.decoder(x, memory, tgt_mask, src_mask)  # (batch, n_tgt, d_model)
    real = batch.labels != PAD  # (batch, n_tgt)
    return model.output(x[real]), batch.labels[real]  # (n_real, V), (n_real)


# --8<-- [end:logits_of_labels]


# --8<-- [start:update]
class TrainingError(ArithmeticError):
    """A loss or a gradient that is no number; the message names the update."""


def update(
    model: Transformer,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    rate: float,
    smoothing: float,
    clip: float,
    precision: torch.dtype = torch.float32,
) -> tuple[float, float]:
    """Make one update of the weights from the gradients of several batches.

    A batch's mean loss counts by its number of tokens, so that several batches give the gradient of
    one that holds them all.

    Args:
        model: In training mode.
        optimizer: Its rate is set here.
        batches: At least one, on the model's device.
        rate: The learning rate.
        smoothing: Of the labels, in [0, 1).
        clip: A gradient whose norm is larger is cut to this norm.
        precision: The dtype of the products; weights and sums stay as they are.

    Returns:
        The smoothed loss, nats a token, and the norm of the gradient before it was cut.

    Raises:
        TrainingError: If the loss or the gradient is not finite; the weights are then as before.
    """
    optimizer.zero_grad(set_to_none=True)
    counts = [int((batch.labels != PAD).sum()) for batch in batches]
    total = 0.0
    for batch, count in zip(batches, counts, strict=True):
        with torch.autocast(batch.src.device.type, precision, enabled=precision != torch.float32):
            loss = label_smoothing_loss(*logits_of_labels(model, batch), smoothing)
        loss = loss * (count / sum(counts))
        loss.backward()
        total += loss.item()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), clip).item()
    if not (math.isfinite(total) and math.isfinite(norm)):
        raise TrainingError(f"the loss is {total} and its gradient has the norm {norm}")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return total, norm


# --8<-- [end:update]


# --8<-- [start:evaluate]
@torch.no_grad()
def logits_of_pairs(
    model: Transformer, pairs: Sequence[Pair], max_tokens: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """The logits and labels of many pairs, batch by batch, without dropout; see `evaluate`."""
    training = model.training
    model.eval()
    device = next(model.parameters()).device
    for pairs_of_batch in bucketed(pairs, max_tokens, seed=0):
        yield logits_of_labels(model, make_batch(pairs_of_batch).to(device))
    model.train(training)


def evaluate(model: Transformer, pairs: Sequence[Pair], max_tokens: int) -> tuple[float, float]:
    """The loss without smoothing and the share of tokens named right, the words before them given.

    Args:
        model: Left in the mode in which it was.
        pairs: (source ids, target ids), each ending in the end token.
        max_tokens: Padded tokens of a batch at most.

    Returns:
        Nats a token, whose exponential is the perplexity, and a share in [0, 1].
    """
    loss, right, count = 0.0, 0, 0
    for logits, labels in logits_of_pairs(model, pairs, max_tokens):  # (n_real, V), (n_real)
        loss += label_smoothing_loss(logits, labels, smoothing=0.0).item() * len(labels)
        right += int((logits.argmax(-1) == labels).sum())
        count += len(labels)
    return loss / count, right / count


# --8<-- [end:evaluate]


# --8<-- [start:Training]
def transformer(config: Config, vocab_size: int, share_embeddings: bool = True) -> Transformer:
    """The model that the settings describe, with one matrix for all embeddings."""
    return Transformer(
        vocab_size,
        vocab_size,
        config.d_model,
        config.n_heads,
        config.n_layers,
        config.d_ff,
        config.dropout,
        config.norm_first,
        share_embeddings,
    )


class Training:
    """A run: model, optimizer, and the place in the data and in the schedule.

    Args:
        config: The settings.
        pairs: The training split as token ids.
        vocab_size: Number of tokens that the vocabulary really has.
        device: Where the model lives.
        build: Makes the model of settings and a number of tokens.
    """

    def __init__(
        self,
        config: Config,
        pairs: Sequence[Pair],
        vocab_size: int,
        device: str = "cpu",
        build: Callable[[Config, int], Transformer] = transformer,
    ) -> None:
        torch.manual_seed(config.seed)
        self.config, self.pairs, self.device = config, pairs, device
        self.model = build(config, vocab_size).to(device)
        self.optimizer = torch.optim.Adam(
            self.model.parameters(), betas=(0.9, 0.98), eps=1e-9, fused=True
        )
        self.step, self.epoch, self.index = 0, 0, 0
        self.batches = self.stream()

    def stream(self) -> Iterator[Batch]:
        """Batches without end, from the place in the data on."""
        while True:
            seed = self.config.seed + 1_000_003 * self.epoch
            for pairs in bucketed(self.pairs, self.config.max_tokens, seed)[self.index :]:
                self.index += 1
                yield make_batch(pairs).to(self.device)
            self.epoch, self.index = self.epoch + 1, 0

    def update(self) -> dict[str, float]:
        """Make the next update, and say what happened in it.

        Raises:
            TrainingError: If the loss or its gradient is not finite.
        """
        config, step = self.config, self.step + 1
        place = max(step, min(config.warmup, config.steps)) if config.start_at_peak else step
        rate = scheduled_rate(place, config.rate, config.warmup, config.steps, config.cooldown)
        batches = [next(self.batches) for _ in range(config.accumulate)]
        precision = getattr(torch, config.precision)
        self.model.train()
        loss, norm = update(
            self.model, self.optimizer, batches, rate, config.smoothing, config.clip, precision
        )
        self.step = step
        return {"step": step, "epoch": self.epoch, "loss": loss, "rate": rate, "norm": norm}

    def save(self, path: Path, facts: dict[str, Any]) -> None:
        """Write everything that the rest of the run depends on.

        Raises:
            CheckpointError: If the file cannot be written; the last one is then as it was.
        """
        tensors = {"random": torch.get_rng_state()}
        if self.device.startswith("cuda"):
            tensors["random.cuda"] = torch.cuda.get_rng_state()
        for name, parameter in self.model.named_parameters():
            tensors[f"model.{name}"] = parameter.detach()
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"optimizer.{key}.{name}"] = value
        place = {"step": self.step, "epoch": self.epoch, "index": self.index}
        write_checkpoint(path, tensors, facts | place)

    def load(self, path: Path) -> dict[str, Any]:
        """Go on where a checkpoint was written; returns its facts.

        Raises:
            CheckpointError: If the file is damaged or of another model.
        """
        tensors, facts = read_checkpoint(path)
        load_parameters(self.model, part(tensors, "model."), str(path))
        try:
            for name, parameter in self.model.named_parameters():
                for key in ("step", "exp_avg", "exp_avg_sq"):
                    value = tensors[f"optimizer.{key}.{name}"]
                    self.optimizer.state[parameter][key] = value.to(self.device)
            torch.set_rng_state(tensors["random"])
            if "random.cuda" in tensors and self.device.startswith("cuda"):
                torch.cuda.set_rng_state(tensors["random.cuda"])
            self.step, self.epoch, self.index = facts["step"], facts["epoch"], facts["index"]
        except KeyError as error:
            raise CheckpointError(f"{path} holds weights and no run: it has no {error}") from None
        self.batches = self.stream()
        return facts


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with a prefix, by what follows it."""
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }


# --8<-- [end:Training]
