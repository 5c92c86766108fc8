"""The command: resumed after any kill it ends as if left alone, and bad input is one sentence."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from snippets.training import train
from snippets.training.checkpoint import read_checkpoint, write_checkpoint
from snippets.training.config import Config, add_settings
from snippets.training.data import train_tokenizer
from snippets.training.translate import main as translate_main
from snippets.training.translate import read_weights
from tests import ROOT
from tests.training.processes import ended

SMALL = [
    "--vocab-size=120", "--d-model=8", "--n-heads=2", "--n-layers=1", "--d-ff=8",
    "--max-tokens=256", "--warmup=4", "--steps=60", "--save-every=3",
]  # fmt: skip
KILLS = 2
"""How often the run of the test is killed; `python -m tests.training.test_train 20` kills more."""


def start(out: Path) -> subprocess.Popen:
    command = [sys.executable, "-m", "snippets.training.train", f"--out={out}", *SMALL]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def last_line(out: Path) -> dict[str, float]:
    line = json.loads((out / "log.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    return {name: value for name, value in line.items() if name != "seconds"}


def killed_and_resumed(folder: Path, kills: int, seed: int) -> None:
    """Kill a run again and again, let it end, and compare it with one that was left alone."""
    draw = random.Random(seed)
    alone, broken = folder / "alone", folder / "broken"
    train.main([f"--out={alone}", *SMALL])
    for kill in range(kills):
        step = (kill * 60) // kills  # so that the kills are spread over the run
        last = broken / "last.safetensors"
        with ended(start(broken)) as process:
            until = time.monotonic() + 300  # of a busy machine it may need much to begin at all
            while not (last.is_file() and read_checkpoint(last)[1]["step"] >= step):
                assert process.poll() is None, f"the run ended by itself: {process.returncode}"
                assert time.monotonic() < until, f"the run did not reach update {step}"
                time.sleep(0.005)
            time.sleep(draw.uniform(0, 0.3))
        for path in broken.glob("[!p]*.safetensors"):
            read_checkpoint(path)  # none is damaged
        print(f"kill {kill + 1}: at update {read_checkpoint(last)[1]['step']}")
    train.main([f"--out={broken}", *SMALL])
    assert last_line(broken) == last_line(alone)
    ours, theirs = (read_checkpoint(run / "last.safetensors")[0] for run in (broken, alone))
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert {path.name for path in broken.iterdir()} == {path.name for path in alone.iterdir()}


def test_a_run_that_is_killed_and_resumed_is_the_run_left_alone(tmp_path: Path) -> None:
    killed_and_resumed(tmp_path, KILLS, seed=0)


def test_a_process_of_a_test_ends_with_it(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="failed"), ended(start(tmp_path / "run")) as process:
        raise AssertionError("the test failed")
    assert process.returncode is not None


def test_a_run_translates(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "run"
    train.main([f"--out={out}", *SMALL])
    assert "60 updates" in capsys.readouterr().out
    for options in ([], ["--beam=1"], ["--average=10"]):
        translate_main([f"--checkpoint={out}", "Das Kind malt heute den Hut.", *options])
        assert len(capsys.readouterr().out.splitlines()) == 1
    file = tmp_path / "in.de"
    file.write_text("Das Kind malt.\n\nDer Hund sucht den Ball.\n", encoding="utf-8")
    translate_main([f"--checkpoint={out}", f"--input={file}"])
    lines = capsys.readouterr().out.split("\n")
    assert lines[1] == ""
    assert len(lines) == 4


def corpus(folder: Path, **files: str | bytes) -> Path:
    folder.mkdir()
    texts = {"train.de": "a b\nb a\n", "train.en": "c d\nd c\n", "val.de": "a\n", "val.en": "c\n"}
    for name, content in (texts | {key.replace("_", "."): v for key, v in files.items()}).items():
        text = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(text)
    return folder


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"train_de": ""}, [], "train.de holds no sentence"),
        ({"train_de": "a\n"}, [], "has 1 lines but"),
        ({"train_de": "a b\n" + "b " * 10_000 + "\n"}, [], "train.de:2: a line of 10000 words"),
        ({"train_en": b"c\n\xff\xfe\n"}, [], "train.en:2: this line is not UTF-8"),
        ({}, ["--src=fr"], "there is no file"),
        ({}, ["--d-model=10", "--n-heads=3"], "n_heads must be a divisor of 10, not 3"),
        ({}, ["--rate=nan"], "rate must be a number above 0, not nan"),
        ({}, ["--rate=-1"], "rate must be a number above 0, not -1.0"),
        ({}, ["--dropout=1"], "dropout must be in [0, 1), not 1.0"),
        ({}, ["--steps=0"], "steps must be at least 1, not 0"),
        ({}, ["--src=en"], "tgt must be another language than src, not en"),
        ({}, ["--vocab-size=5"], "vocab_size = 5 does not hold 4 special tokens"),
        ({}, ["--max-tokens=1"], "a sentence of 4 tokens exceeds max_tokens = 1"),
        ({}, ["--threads=0"], "threads must be at least 1, not 0"),
        ({}, ["--save-every=0"], "save_every must be at least 1, not 0"),
        ({}, ["--d-model=9", "--n-heads=3"], "d_model must be even, not 9"),
        ({}, ["--seed=-1"], "seed must be from 0 to 2^32 - 1, not -1"),
        ({}, ["--device=toaster"], "there is no device toaster that PyTorch can use here"),
        ({"val_de": "a " * 300}, [], "a sentence of 301 tokens exceeds max_tokens = 256"),
    ],
)
def test_bad_input_is_answered_by_one_sentence_and_nothing_is_written(
    tmp_path: Path, files: dict, options: list[str], message: str
) -> None:
    folder, out = corpus(tmp_path / "corpus", **files), tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        train.main([f"--corpus={folder}", f"--out={out}", *SMALL, "--vocab-size=12", *options])
    assert message in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert not out.exists()


def test_a_corpus_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="the corpus must be grammar, multi30k or a folder"):
        train.main(["--corpus=nowhere", f"--out={tmp_path / 'run'}"])


def test_a_folder_of_another_run_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train.main([f"--out={out}", *SMALL])
    before = {path: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(SystemExit, match="holds a run of other settings"):
        train.main([f"--out={out}", *SMALL, "--seed=1"])
    assert {path: path.read_bytes() for path in out.iterdir()} == before


def test_a_damaged_checkpoint_and_a_foreign_vocabulary_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "run"
    train.main([f"--out={out}", *SMALL])
    weights = sorted(out.glob("update-*"))[-1]
    whole = weights.read_bytes()
    weights.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SystemExit, match="is damaged or no checkpoint"):
        translate_main([f"--checkpoint={out}", "Das Kind."])
    weights.write_bytes(whole)
    vocabulary = out / "tokenizer.json"
    vocabulary.write_text(vocabulary.read_text(encoding="utf-8") + " ", encoding="utf-8")
    with pytest.raises(SystemExit, match="is not the vocabulary with which"):
        translate_main([f"--checkpoint={out}", "Das Kind."])
    last = out / "last.safetensors"
    last.write_bytes(last.read_bytes()[:-40])
    with pytest.raises(SystemExit, match="is damaged or no checkpoint"):
        train.main([f"--out={out}", *SMALL])


def test_the_vocabulary_of_another_run_is_refused_where_the_run_goes_on(tmp_path: Path) -> None:
    """Its tokens would be trained on as if they were the others, without an error."""
    out, folder = tmp_path / "run", corpus(tmp_path / "corpus")
    options = [f"--corpus={folder}", f"--out={out}", *SMALL, "--vocab-size=12", "--steps=3"]
    train.main(options)
    vocabulary = out / "tokenizer.json"
    text = vocabulary.read_text(encoding="utf-8")
    other = train_tokenizer([("w x x", "y z")], vocab_size=12).to_str()
    for content, message in (
        (other, "tokenizer.json is not the vocabulary with which"),
        (text[:-9], "tokenizer.json is damaged or no vocabulary"),
    ):
        vocabulary.write_text(content, encoding="utf-8")
        before = {path: path.read_bytes() for path in out.iterdir()}
        for command, given in (
            (train.main, options),
            (translate_main, [f"--checkpoint={out}", "a"]),
        ):
            with pytest.raises(SystemExit, match=message) as stopped:
                command(given)
            assert "\n" not in str(stopped.value)
        assert {path: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.parametrize("written", [0, 1, 3])
def test_a_full_disk_is_said_and_what_was_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    """The disk is full after so many files: of a run that has not begun nothing stays."""
    out, fsync, calls = tmp_path / "run", os.fsync, []

    def full(file: int) -> None:
        calls.append(file)
        if len(calls) > written:
            raise OSError(28, "No space left on device")
        fsync(file)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SystemExit, match=r"cannot be written: No space left on device$"):
        train.main([f"--out={out}", *SMALL])
    assert not list(tmp_path.rglob("part-*"))
    assert out.exists() == (written >= 2)  # vocabulary and settings are there


def test_weights_that_a_run_deletes_meanwhile_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for step in (1, 2):
        write_checkpoint(tmp_path / f"update-{step}.safetensors", {"a": torch.ones(step)}, {})

    def read(path: Path) -> tuple:
        if (tmp_path / "update-1.safetensors").exists():  # the run goes on at this moment
            write_checkpoint(tmp_path / "update-3.safetensors", {"a": torch.ones(3)}, {})
            (tmp_path / "update-1.safetensors").unlink()
        return read_checkpoint(path)

    monkeypatch.setattr("snippets.training.translate.read_checkpoint", read)
    file, sets, _ = read_weights(tmp_path, 2)
    assert file.name == "update-3.safetensors"
    assert [len(tensors["a"]) for tensors in sets] == [2, 3]


def test_a_loss_that_becomes_nan_stops_the_run_and_keeps_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, update = tmp_path / "run", train.Training.update

    def poisoned(training: train.Training) -> dict[str, float]:
        if training.step == 20:
            with torch.no_grad():
                training.model.encoder.norm.weight[0] = torch.nan
        return update(training)

    monkeypatch.setattr(train.Training, "update", poisoned)
    with pytest.raises(SystemExit, match=r"update 21: the loss is nan .* holds the weights before"):
        train.main([f"--out={out}", *SMALL])
    tensors, facts = read_checkpoint(out / "last.safetensors")
    assert facts["step"] == 18
    assert all(tensor.isfinite().all() for tensor in tensors.values())


def test_help_names_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        train.main(["--help"])
    text = capsys.readouterr().out
    for name in Config.__dataclass_fields__:
        assert f"--{name.replace('_', '-')}" in text
    assert add_settings.__doc__


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        killed_and_resumed(Path(name), int(sys.argv[1]), seed=1)
    print("the final loss and every tensor are those of the run left alone")
