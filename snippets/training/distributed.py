"""Training by several processes: `docs/training/scaling-out.md`.

    python -m torch.distributed.run --standalone --nproc-per-node 2 \
        -m snippets.training.distributed --way fsdp --steps 20

prints the losses of a run on the embedded corpus, as JSON. Another number of processes prints the
same losses.
"""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

from snippets.cross_entropy import label_smoothing_loss
from snippets.training.batching import Batch, bucketed, make_batch
from snippets.training.config import Config, require
from snippets.training.data import PAD, encode_pairs, train_tokenizer
from snippets.training.grammar import grammar
from snippets.training.loop import TrainingError, logits_of_labels, transformer
from snippets.transformer import Transformer


# --8<-- [start:joined]
@contextmanager
def joined(device: str = "cpu") -> Iterator[tuple[int, int]]:
    """The group of the processes that `torchrun` started, or a group of this process alone.

    Args:
        device: "cpu", whose processes talk by gloo, or "cuda", by NCCL, one GPU a process.

    Yields:
        The number of this process, from 0, and the number of processes. No module that
        `distributed` made may outlive the block: let it be a variable of a function that the block
        calls. Else the module ends the group, and with gloo that can wait forever.
    """
    if device == "cuda":
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
    backend = "nccl" if device == "cuda" else "gloo"
    if "RANK" in os.environ:
        dist.init_process_group(backend)
    else:
        dist.init_process_group(backend, store=dist.HashStore(), rank=0, world_size=1)
    try:
        yield dist.get_rank(), dist.get_world_size()
    finally:
        dist.destroy_process_group()


# --8<-- [end:joined]


# --8<-- [start:distributed]
class LossOfBatch(nn.Module):
    """The mean loss of a batch as one module.

    Both wrappers act when the module that they wrap is called, so the loss has to be inside.

    Args:
        model: The Transformer.
        smoothing: Of the labels, in [0, 1).
    """

    def __init__(self, model: Transformer, smoothing: float) -> None:
        super().__init__()
        self.model, self.smoothing = model, smoothing

    def forward(self, src: Tensor, tgt: Tensor, labels: Tensor) -> Tensor:
        """Nats a token, from tokens (batch, n_src), (batch, n_tgt) and labels (batch, n_tgt)."""
        logits, real = logits_of_labels(self.model, Batch(src, tgt, labels))
        return label_smoothing_loss(logits, real, self.smoothing)


def distributed(model: Transformer, smoothing: float, way: str) -> nn.Module:
    """Make the processes of the group train one model.

    Args:
        model: The same weights in every process.
        smoothing: Of the labels.
        way: "ddp": every process holds the whole model, and gradients are averaged. "fsdp": every
            process holds its share of each tensor, of its gradient and of Adam's two moments; a
            layer is put together when it is needed, and dropped again.

    Returns:
        The module that turns a batch into its mean loss.

    Raises:
        ValueError: If there is no such way.
    """
    loss_of_batch = LossOfBatch(model, smoothing)
    if way == "ddp":
        return DistributedDataParallel(loss_of_batch)
    if way != "fsdp":
        raise ValueError(f"the way must be ddp or fsdp, not {way}")
    device = next(model.parameters()).device.type
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    for layer in (*model.encoder.layers, *model.decoder.layers):
        fully_shard(layer, mesh=mesh)
    return fully_shard(loss_of_batch, mesh=mesh)  # the rest: embeddings, norms and output


# --8<-- [end:distributed]


# --8<-- [start:distributed_update]
def distributed_update(
    loss_of_batch: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[Batch],
    rate: float,
    clip: float,
) -> tuple[float, float]:
    """Make the update that one process would make from the batches of all processes.

    Args:
        loss_of_batch: What `distributed` returned, in training mode.
        optimizer: Of its parameters.
        batches: Those of this process; every process has the same number of them.
        rate: The learning rate.
        clip: A gradient whose norm is larger is cut to this norm.

    Returns:
        The loss, nats a token, and the norm of the gradient before it was cut: the same numbers in
        every process.

    Raises:
        TrainingError: If the loss or the gradient is not finite; the weights are then as before.
    """
    optimizer.zero_grad(set_to_none=True)
    counts = [int((batch.labels != PAD).sum()) for batch in batches]
    everywhere = torch.tensor(sum(counts), device=batches[0].src.device)
    dist.all_reduce(everywhere)  # a sum over the processes
    total = torch.zeros((), dtype=torch.float64, device=everywhere.device)
    for batch, count in zip(batches, counts, strict=True):
        loss = loss_of_batch(batch.src, batch.tgt, batch.labels) * (count / everywhere.item())
        (loss * dist.get_world_size()).backward()  # the wrappers take the mean of the gradients
        total += loss.detach()
    dist.all_reduce(total)
    norm = torch.nn.utils.clip_grad_norm_(loss_of_batch.parameters(), clip)
    norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # of the shares of all
    if not (math.isfinite(total.item()) and math.isfinite(norm.item())):
        raise TrainingError(f"the loss is {total.item()} and its gradient has the norm {norm}")
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return total.item(), norm.item()


# --8<-- [end:distributed_update]


def losses(config: Config, way: str, n_batches: int, device: str = "cpu") -> list[float]:
    """Train on the embedded corpus in float64 without dropout; the losses of all updates.

    Args:
        config: The settings. Of them `steps`, sizes, `rate`, `clip`, `smoothing` and `seed` count.
        way: "ddp" or "fsdp".
        n_batches: Batches of one update, of all processes together.
        device: "cpu" or "cuda".

    Raises:
        ValueError: If the processes cannot share the batches evenly.
    """
    with joined(device) as (rank, n_processes):
        if n_batches % n_processes:
            raise ValueError(f"{n_processes} processes cannot share {n_batches} batches evenly")
        return losses_in_group(config, way, n_batches, device, rank, n_processes)


def losses_in_group(
    config: Config, way: str, n_batches: int, device: str, rank: int, n_processes: int
) -> list[float]:
    """What `losses` returns, from inside of the group; the wrapped model ends with this call."""
    torch.manual_seed(config.seed)  # the same weights in every process
    pairs = grammar("train", config.src, config.tgt)
    tokenizer = train_tokenizer(pairs, config.vocab_size)
    model = transformer(config, tokenizer.get_vocab_size()).double().to(device)
    loss_of_batch = distributed(model, config.smoothing, way)
    optimizer = torch.optim.Adam(loss_of_batch.parameters(), betas=(0.9, 0.98), eps=1e-9)
    batches = bucketed(encode_pairs(tokenizer, pairs), config.max_tokens, config.seed)
    found = []
    for step in range(config.steps):
        own = batches[step * n_batches : (step + 1) * n_batches][rank::n_processes]
        own = [make_batch(pairs).to(device) for pairs in own]
        found.append(distributed_update(loss_of_batch, optimizer, own, config.rate, config.clip)[0])
    return found


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.distributed",
        description="Print the losses of a run that the processes of torchrun make together.",
    )
    command.add_argument("--way", choices=("ddp", "fsdp"), default="ddp", help="(default: ddp)")
    command.add_argument("--steps", type=int, default=10, help="updates (default: 10)")
    command.add_argument(
        "--batches", type=int, default=4, help="of an update, of all processes (default: 4)"
    )
    command.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; the first process prints, and what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        config = replace(SMALL, steps=given.steps)
        require(given.batches >= 1, given, "batches", "at least 1")
        found = losses(config, given.way, given.batches, given.device)
    except (ValueError, TrainingError) as error:
        sys.exit(f"{command.prog}: {error}")
    if os.environ.get("RANK", "0") == "0":
        print(json.dumps(found))


SMALL = Config(d_model=16, n_heads=2, n_layers=1, d_ff=32, dropout=0.0, max_tokens=256, rate=0.003)
"""The settings of the command: so small that their numbers and not their speed are of interest."""


if __name__ == "__main__":
    main()
