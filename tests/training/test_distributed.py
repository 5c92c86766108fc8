"""Two processes make the updates of one, whichever way they share the model."""

import gc
import json
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
import torch.distributed as dist

from snippets.training.batching import bucketed, make_batch
from snippets.training.data import encode_pairs, train_tokenizer
from snippets.training.distributed import SMALL, LossOfBatch, distributed, losses, main
from snippets.training.grammar import grammar
from snippets.training.loop import transformer, update
from tests import ROOT
from tests.training.processes import ended

STEPS, BATCHES = 4, 4


@pytest.fixture(scope="module")
def alone() -> list[float]:
    """The losses of the loop of one process, which has all batches of an update."""
    torch.manual_seed(SMALL.seed)
    pairs = grammar("train", SMALL.src, SMALL.tgt)
    tokenizer = train_tokenizer(pairs, SMALL.vocab_size)
    model = transformer(SMALL, tokenizer.get_vocab_size()).double()
    optimizer = torch.optim.Adam(model.parameters(), betas=(0.9, 0.98), eps=1e-9)
    batches = bucketed(encode_pairs(tokenizer, pairs), SMALL.max_tokens, SMALL.seed)
    return [
        update(
            model,
            optimizer,
            [make_batch(pairs) for pairs in batches[step * BATCHES : (step + 1) * BATCHES]],
            SMALL.rate,
            SMALL.smoothing,
            SMALL.clip,
        )[0]
        for step in range(STEPS)
    ]


def test_two_processes_give_the_losses_of_one(alone: list[float]) -> None:
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2",
        "-m", "tests.training.both_ways", str(STEPS), str(BATCHES),
    ]  # fmt: skip
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
    with ended(process, asked=True):
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    found = json.loads(out)
    for way in ("ddp", "fsdp"):
        assert found[way] == pytest.approx(alone, rel=0, abs=1e-10), way


def test_the_command_prints_the_losses(
    alone: list[float], capsys: pytest.CaptureFixture[str]
) -> None:
    main(["--way=fsdp", f"--steps={STEPS}", f"--batches={BATCHES}"])
    assert json.loads(capsys.readouterr().out) == pytest.approx(alone, rel=0, abs=1e-10)


@pytest.mark.parametrize("way", ["ddp", "fsdp"])
def test_no_wrapper_outlives_the_group(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    left, destroy = [], dist.destroy_process_group

    def noted() -> None:
        gc.collect()
        left.extend(kind for kind in map(type, gc.get_objects()) if issubclass(kind, LossOfBatch))
        destroy()

    monkeypatch.setattr(dist, "destroy_process_group", noted)
    losses(replace(SMALL, steps=1), way, n_batches=1)
    assert not left, "the group can then wait forever for the wrapper to be freed"


def test_what_cannot_be_shared_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="the way must be ddp or fsdp, not zero"):
        distributed(transformer(SMALL, 9), 0.1, "zero")
    with pytest.raises(SystemExit, match="batches must be at least 1, not 0"):
        main(["--batches=0"])
