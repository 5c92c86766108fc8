"""A released model is the run's in half the bytes, and is read as a run is."""

from pathlib import Path

import pytest
import torch

from snippets.training.checkpoint import read_checkpoint
from snippets.training.release import main, release
from snippets.training.train import run
from snippets.training.translate import load_translator, translate
from tests.training.models import TINY


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run on the embedded corpus that kept three sets of weights."""
    out = tmp_path_factory.mktemp("run")
    run(TINY, out, save_every=4)
    return out


def test_the_released_model_is_the_runs_average_to_half_precision(
    folder: Path, tmp_path: Path
) -> None:
    path = release(folder, tmp_path, last=3)
    model, tokenizer, config = load_translator(path)
    averaged, vocabulary, _ = load_translator(folder, last=3)
    assert config == TINY
    assert tokenizer.to_str() == vocabulary.to_str()
    kept = dict(averaged.named_parameters())
    for name, value in model.named_parameters():
        torch.testing.assert_close(value, kept[name], rtol=2**-10, atol=1e-7)
    tensors, facts = read_checkpoint(path)
    assert {value.dtype for value in tensors.values()} == {torch.float16}
    assert facts["average"] == 3
    assert len(translate(model, tokenizer, ["Das Kind malt heute den Hut.", ""])) == 2


def test_what_does_not_fit_half_precision_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_large(checkpoint: Path, last: int) -> tuple:
        model, tokenizer, config = load_translator(checkpoint, last)
        with torch.no_grad():
            model.output.weight[0, 0] = 70_000
        return model, tokenizer, config

    monkeypatch.setattr("snippets.training.release.load_translator", too_large)
    with pytest.raises(SystemExit, match="does not fit half precision"):
        main([f"--checkpoint={folder}", f"--out={tmp_path / 'out'}"])
    assert not (tmp_path / "out").exists()
