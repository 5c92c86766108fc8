"""The hook that writes the translator's models: once for each, and never a damaged one."""

import shutil
import sys
from pathlib import Path

import pytest
from mkdocs.exceptions import BuildError

from docs.hooks.models import exported
from snippets.training.export import read_export
from tests import ROOT


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of what the hook reads."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("snippets/training/export.py", "docs/assets/models/de-en"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_a_model_is_exported_when_it_or_the_program_has_changed(root: Path) -> None:
    weights = root / "docs/assets/models/de-en/model.safetensors"
    made = exported(weights, root)
    assert read_export(made)[1]["config"]["bits"] == 8
    made.write_bytes(b"kept")
    assert exported(weights, root) == made
    assert made.read_bytes() == b"kept"
    with (root / "snippets/training/export.py").open("a") as program:
        program.write("# changed\n")
    assert read_export(exported(weights, root))


def test_a_model_that_is_not_whole_stops_the_build(root: Path) -> None:
    weights = root / "docs/assets/models/de-en/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    with pytest.raises(BuildError, match="damaged or no checkpoint"):
        exported(weights, root)
    weights.with_name("tokenizer.json").unlink()
    with pytest.raises(BuildError, match=r"there is no .*tokenizer\.json"):
        exported(weights, root)
    assert not list(root.glob(".cache/models/*"))
