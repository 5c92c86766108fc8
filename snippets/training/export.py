"""Writes a trained model for a browser, as one small file: `docs/training/translator.md`.

    python -m snippets.training.export --weights docs/assets/models/de-en --out translator.bin

`docs/assets/javascripts/translator/model.js` reads the file and translates with it. The file is,
from its first byte on, integers with the low byte first:

    12 bytes    "translator", carriage return, newline: a transfer as text would change them
     4 bytes    the version of this format
     4 bytes    the length of the whole file
    32 bytes    SHA-256 of everything that follows
     4 bytes    the length of the header in bytes, a multiple of 4
    header      JSON, padded with spaces: the model's sizes, the single tokens of the vocabulary,
                and for every tensor its name, shape, kind and place behind the header
    payload     the tensors, each at a multiple of 4 bytes

A vocabulary of byte-pair encoding needs no list of its tokens: it has its single tokens, then what
each merge makes, in the order of the merges. A merge is the two numbers of what it joins.
"""

import argparse
import hashlib
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy
import torch
from tokenizers import Tokenizer
from torch import Tensor

from snippets.training.checkpoint import CheckpointError, write_in_one_step
from snippets.training.config import Config
from snippets.training.data import SPECIAL, train_tokenizer
from snippets.training.translate import load_translator

# --8<-- [start:format]
MAGIC = b"translator\r\n"
VERSION = 1
ALIGNMENT = 4
"""Every part begins at a multiple of as many bytes, so that it is read where it stands."""


def beginning(rest: bytes) -> bytes:
    """What stands before the header: the mark, the version, the length and the checksum."""
    digest = hashlib.sha256(rest).digest()
    length = len(MAGIC) + 4 + 4 + len(digest) + len(rest)
    return MAGIC + struct.pack("<II", VERSION, length) + digest


# --8<-- [end:format]


# --8<-- [start:quantized]
def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """Round a matrix to whole numbers from -127 to 127, with a scale for each row.

        weight ≈ scale · rounded,  scale = max |row| / 127

    A row that holds one large number does not make the others coarser.

    Args:
        weight: (rows, columns), float32 and finite.

    Returns:
        The whole numbers, int8 (rows, columns), and the scales, float32 (rows, 1). The error of a
        number is at most half of its row's scale. A row of zeros has the scale 1.
    """
    largest = weight.abs().amax(1, keepdim=True)  # (rows, 1)
    scale = torch.where(largest > 0, largest / 127, torch.ones_like(largest))
    return (weight / scale).round().clamp(-127, 127).to(torch.int8), scale


# --8<-- [end:quantized]


# --8<-- [start:export]
def export(weights: Path, out: Path, bits: int = 8) -> Path:
    """Write a trained model to one file that a browser reads, the same bytes every time.

    Matrices are int8 with a float32 scale a row, or half precision; biases and the norms' vectors
    are float32. A shared embedding is stored once.

    Args:
        weights: A folder that `snippets.training.release` wrote, a run's folder, or one file of
            weights with its `tokenizer.json` beside it.
        out: The file to write; its folder is made.
        bits: Of a number of a matrix, 8 or 16.

    Returns:
        The file.

    Raises:
        ValueError: If `bits` is neither 8 nor 16.
        CheckpointError: If the model cannot be read, is of a kind that the browser's program does
            not know, a weight does not fit, or the file cannot be written.
    """
    if bits not in (8, 16):
        raise ValueError(f"bits must be 8 or 16, not {bits}")
    single = weights / "model.safetensors"  # the name of a released model
    model, tokenizer, config = load_translator(single if single.is_file() else weights)
    tensors = {name: value.detach() for name, value in model.named_parameters()}
    write_in_one_step(out, packed(tensors, tokenizer, config, bits))
    return out


def packed(tensors: dict[str, Tensor], tokenizer: Tokenizer, config: Config, bits: int) -> bytes:
    """The bytes of the file.

    Raises:
        CheckpointError: If the model is of another kind, or a weight does not fit.
    """
    if not config.norm_first:
        raise CheckpointError("the browser's program knows pre-norm models only")
    single, merges = vocabulary(tokenizer)
    payload, listed = bytearray(), []

    def put(name: str, values: Tensor | numpy.ndarray, kind: str) -> None:
        whole = numpy.ascontiguousarray(values, dtype=numpy.dtype(kind).newbyteorder("<"))
        payload.extend(bytes(-len(payload) % ALIGNMENT))
        place = {"name": name, "shape": list(whole.shape), "kind": kind, "offset": len(payload)}
        listed.append(place)
        payload.extend(whole.tobytes())

    put("merges", numpy.array(merges).reshape(-1, 2), "uint16")
    for name, value in tensors.items():
        if not value.isfinite().all():
            raise CheckpointError(f"{name} holds a number that is not finite")
        if value.dim() == 1:
            put(name, value, "float32")
        elif bits == 8:
            rounded, scale = quantized(value)
            put(name, rounded, "int8")
            put(f"{name}.scale", scale.squeeze(1), "float32")
        elif value.half().isfinite().all():
            put(name, value.half(), "float16")
        else:
            raise CheckpointError(f"{name} does not fit half precision")
    sizes = ("src", "tgt", "d_model", "n_heads", "n_layers", "d_ff")
    facts = {
        "config": {name: getattr(config, name) for name in sizes}
        | {"vocab_size": tokenizer.get_vocab_size(), "bits": bits},
        "special": SPECIAL,
        "single": single,
        "tensors": listed,
    }
    header = json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode()
    header += b" " * (-len(header) % ALIGNMENT)
    rest = struct.pack("<I", len(header)) + header + payload
    return beginning(rest) + rest


def vocabulary(tokenizer: Tokenizer) -> tuple[list[str], list[tuple[int, int]]]:
    """The characters of a vocabulary, and its merges as numbers of tokens.

    Raises:
        CheckpointError: If the vocabulary was not made by `snippets.training.data`.
    """
    made, kept = (
        json.loads(one.to_str()) for one in (train_tokenizer([("a", "b")], 100), tokenizer)
    )
    parts = [[one["model"].pop(name, []) for name in ("vocab", "merges")] for one in (made, kept)]
    ids, merges = parts[1]
    tokens = sorted(ids, key=ids.__getitem__)
    n_single = len(tokens) - len(merges)
    derived = [*tokens[:n_single], *("".join(pair) for pair in merges)]
    if kept != made or derived != tokens or len(tokens) > 2**16:
        raise CheckpointError("the vocabulary is not one that snippets.training.data makes")
    return tokens[len(SPECIAL) : n_single], [(ids[left], ids[right]) for left, right in merges]


# --8<-- [end:export]


# --8<-- [start:read_export]
def read_export(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The weights of an exported file as the browser has them, and its header.

    Returns:
        By the names of the model's parameters float32 tensors, int8 times its scales; and the
        header's facts.

    Raises:
        CheckpointError: If the file cannot be read or is damaged.
    """
    try:
        whole = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror}") from None
    start = len(beginning(b""))
    rest = whole[start:]
    if whole[:start] != beginning(rest):
        raise CheckpointError(f"{path} is damaged or no exported model")
    (length,) = struct.unpack_from("<I", rest)
    facts = json.loads(rest[4 : 4 + length])
    payload = rest[4 + length :]
    arrays = {}
    for place in facts["tensors"]:
        kind = numpy.dtype(place["kind"]).newbyteorder("<")
        count = int(numpy.prod(place["shape"]))
        values = numpy.frombuffer(payload, kind, count, place["offset"]).reshape(place["shape"])
        arrays[place["name"]] = torch.from_numpy(values.astype(kind.newbyteorder("=")))
    tensors = {}
    for name, values in arrays.items():
        if f"{name}.scale" in arrays:
            tensors[name] = values.float() * arrays[f"{name}.scale"].unsqueeze(1)
        elif name != "merges" and not name.endswith(".scale"):
            tensors[name] = values.float()
    return tensors, facts


# --8<-- [end:read_export]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.export",
        description="Write a trained model for a browser, as one small file.",
    )
    command.add_argument("--weights", type=Path, required=True, help="a released model, or a run")
    command.add_argument("--out", type=Path, required=True, help="the file to write")
    command.add_argument(
        "--bits", type=int, default=8, choices=(8, 16), help="of a matrix's number (default: 8)"
    )
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    try:
        path = export(given.weights, given.out, given.bits)
    except CheckpointError as error:
        sys.exit(f"{command.prog}: {error}")
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()
