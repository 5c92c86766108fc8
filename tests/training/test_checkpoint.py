"""A checkpoint is whole or as it was before, and one that is damaged is refused."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from snippets.training.checkpoint import (
    CheckpointError,
    average,
    load_parameters,
    read_checkpoint,
    write_checkpoint,
)
from tests.training.models import small_model
from tests.training.processes import ended

TENSORS = {"a": torch.arange(6.0).view(2, 3), "b": torch.tensor([1, 2], dtype=torch.uint8)}
FACTS = {"step": 7, "config": {"rate": 0.1}, "text": "Bäume"}


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    tensors, facts = read_checkpoint(path)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


def test_a_file_has_the_rights_of_any_other(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    other = tmp_path / "other"
    other.touch()
    assert path.stat().st_mode == other.stat().st_mode


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_failure_leaves_the_last_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    before = path.read_bytes()

    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os if fails == "fsync" else Path, fails, full)
    with pytest.raises(CheckpointError, match=r"a\.safetensors cannot be written: .*No space left"):
        write_checkpoint(path, {"a": torch.zeros(9)}, {})
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_is_opened_once_since_it_may_be_replaced_at_any_moment(tmp_path: Path) -> None:
    path, pipe = tmp_path / "a.safetensors", tmp_path / "pipe"
    write_checkpoint(path, TENSORS, FACTS)
    os.mkfifo(pipe)  # gives what is in it to the first that opens it, and nothing to a second
    threading.Thread(target=pipe.write_bytes, args=[path.read_bytes()], daemon=True).start()
    tensors, facts = read_checkpoint(pipe)
    assert facts == FACTS
    assert tensors.keys() == TENSORS.keys()


@pytest.mark.parametrize("size", [0, 5, 60, -1])
def test_a_file_that_was_cut_short_is_refused(tmp_path: Path, size: int) -> None:
    path = tmp_path / "a.safetensors"
    write_checkpoint(path, TENSORS, FACTS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged or no checkpoint"):
        read_checkpoint(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "none.safetensors")


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="cannot be read: Is a directory"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        save({"a": torch.zeros(1)}),  # without facts
        save({"a": torch.zeros(1)}, {"facts": "5"}),
        save({"a": torch.zeros(1)}, {"facts": "{"}),
        save({"a": torch.zeros(1)}, {"facts": "{}"}) + b"more",
        save({"a": torch.zeros(1)}, {"facts": "{}"}).replace(b"F32", b"F99"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"a\.safetensors is damaged or no checkpoint"):
        read_checkpoint(path)


REPLACE = """
import sys
from pathlib import Path

path, *files = map(Path, sys.argv[1:])
contents = [file.read_bytes() for file in files]
while True:
    for content in contents:
        part = path.with_name("part")
        part.write_bytes(content)
        part.replace(path)
"""


def test_a_reader_sees_one_whole_file_while_a_writer_replaces_it(tmp_path: Path) -> None:
    """The file is opened once: a second look could find another file, of another length.

    The writer is a process: a thread would wait while the reader is in the library's code.
    """
    path, sizes = tmp_path / "a.safetensors", (1, 5000)
    files = [tmp_path / f"{size}.safetensors" for size in sizes]
    for size, file in zip(sizes, files, strict=True):
        write_checkpoint(file, {"a": torch.full((size,), float(size))}, {"size": size})
    path.write_bytes(files[0].read_bytes())
    seen = Counter()
    with ended(subprocess.Popen([sys.executable, "-c", REPLACE, path, *files])):
        until = time.monotonic() + 30
        while (len(seen) < 2 or min(seen.values()) < 500) and time.monotonic() < until:
            tensors, facts = read_checkpoint(path)
            assert tensors["a"].tolist() == [facts["size"]] * facts["size"]
            seen[facts["size"]] += 1
    assert seen.keys() == set(sizes)


def test_loading_keeps_the_shared_matrix_shared() -> None:
    model, other = small_model(seed=0), small_model(seed=1)
    weights = {name: p.detach() for name, p in other.named_parameters()}
    load_parameters(model, weights)
    assert model.output.weight is model.src_embedding.weight is model.tgt_embedding.weight
    for (_, p), (_, q) in zip(model.named_parameters(), other.named_parameters(), strict=True):
        assert torch.equal(p, q)


def test_a_name_too_few_or_too_many_is_refused() -> None:
    model = small_model()
    weights = {name: p.detach() for name, p in model.named_parameters()}
    without = {name: p for name, p in weights.items() if name != "encoder.norm.bias"}
    for given in (without, weights | {"odd": torch.zeros(1)}):
        with pytest.raises(CheckpointError, match="is in one of them only"):
            load_parameters(model, given)


def test_an_average_is_the_mean_of_each_number() -> None:
    sets = [{"a": torch.full((2,), value)} for value in (1.0, 2.0, 6.0)]
    assert torch.equal(average(sets)["a"], torch.full((2,), 3.0))
