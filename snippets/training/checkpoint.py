"""Tensors and facts in one file, written in one step: `docs/training/loop.md`.

A checkpoint is a safetensors file: named tensors, and one JSON object in its header. Unlike a
pickle it can be read without running anything.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn


# --8<-- [start:CheckpointError]
class CheckpointError(ValueError):
    """A checkpoint that cannot be read or does not fit; the message says why, in one sentence."""


# --8<-- [end:CheckpointError]


# --8<-- [start:write_checkpoint]
def write_checkpoint(path: Path, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
    """Write tensors and facts to one file, which is there either whole or as it was before.

    The file is written beside its place, forced to the disk, and renamed. A process that is killed
    at any moment, or a disk that is full, leaves the last good file.

    Args:
        path: Where the file appears; its folder is made.
        tensors: By name; no two of them share memory.
        facts: What JSON can hold.

    Raises:
        CheckpointError: If the file cannot be written.
    """
    header = {"facts": json.dumps(facts)}
    whole = save({key: value.contiguous() for key, value in tensors.items()}, header)
    write_in_one_step(path, whole)


def write_in_one_step(path: Path, whole: bytes) -> None:
    """Write a file that is there either whole or as it was before; its folder is made.

    Raises:
        CheckpointError: If it cannot be written; nothing is left of the attempt.
    """
    part = path.with_name(f"part-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            file.write(whole)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise CheckpointError(f"{path} cannot be written: {error.strerror}") from None


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors, on the CPU, and the facts of a checkpoint.

    The file is opened once and read whole, so a run that renames the next checkpoint over it at
    that moment takes nothing away.

    Raises:
        CheckpointError: If there is no such file, or it is cut short or no checkpoint.
    """
    try:
        whole = path.read_bytes()
        tensors = load(whole)  # checks the header, whose length stands in the first eight bytes
        header = json.loads(whole[8 : 8 + int.from_bytes(whole[:8], "little")])
        facts = json.loads(header["__metadata__"]["facts"])
        return tensors, dict(facts)
    except FileNotFoundError:
        raise CheckpointError(f"there is no checkpoint {path}") from None
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    except KeyError as error:
        raise CheckpointError(
            f"{path} is damaged or no checkpoint: {error} is missing or unknown"
        ) from None
    except (SafetensorError, TypeError, ValueError, AssertionError, RuntimeError) as error:
        raise CheckpointError(f"{path} is damaged or no checkpoint: {error}") from None


# --8<-- [end:write_checkpoint]


# --8<-- [start:load_parameters]
def load_parameters(
    model: nn.Module, tensors: dict[str, Tensor], where: str = "checkpoint"
) -> None:
    """Copy tensors into a model's parameters, every one of them and no other.

    A shared matrix has one name here, so it is stored once and stays shared.

    Args:
        model: Its `named_parameters` give names and shapes.
        tensors: By those names.
        where: What the message calls the tensors.

    Raises:
        CheckpointError: If a name is missing or too many, or a shape differs.
    """
    wanted = dict(model.named_parameters())
    if wanted.keys() != tensors.keys():
        odd = sorted(wanted.keys() ^ tensors.keys())
        raise CheckpointError(f"{where} does not fit the model: {odd[0]} is in one of them only")
    for name, parameter in wanted.items():
        if parameter.shape != tensors[name].shape:
            raise CheckpointError(
                f"{where} does not fit the model: {name} has the shape "
                f"{tuple(tensors[name].shape)} and not {tuple(parameter.shape)}"
            )
    with torch.no_grad():
        for name, parameter in wanted.items():
            parameter.copy_(tensors[name])


# --8<-- [end:load_parameters]


# --8<-- [start:average]
def average(checkpoints: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several checkpoints' tensors, name by name, as section 6.1 of the paper takes it.

    Args:
        checkpoints: At least one; all with the same names and shapes.

    Returns:
        Tensors in the dtype of the first checkpoint; the mean is taken in float64.
    """
    return {
        name: torch.stack([tensors[name].double() for tensors in checkpoints])
        .mean(0)
        .to(first.dtype)
        for name, first in checkpoints[0].items()
    }


# --8<-- [end:average]
