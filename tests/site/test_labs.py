"""How a lab's imports from `snippets/` become the code that a notebook carries."""

from pathlib import Path

import jupytext
import pytest
from mkdocs.exceptions import BuildError

from docs.hooks.labs import self_contained

MODULE = """\
from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    one: int
    two: int


def total(pair: Pair) -> int:
    return pair.one + pair.two
"""
LAB = """\
# ---
# jupyter:
#   description: A lab of two cells.
#   jupytext:
#     text_representation: {extension: .py, format_name: percent}
# ---

# %%
from dataclasses import dataclass

# %% builds="The parts"
from snippets.pair import Pair, total

# %%
print(total(Pair(1, 2)))
"""


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab beside a module that it imports from."""
    (tmp_path / "snippets").mkdir()
    (tmp_path / "snippets" / "pair.py").write_text(MODULE, encoding="utf-8")
    script = tmp_path / "lab.py"
    script.write_text(LAB, encoding="utf-8")
    return script


def test_the_notebook_runs_without_the_snippets(lab: Path, capsys: pytest.CaptureFixture) -> None:
    notebook = self_contained(lab, lab.parent)
    names: dict[str, object] = {"__name__": "lab"}
    for cell in notebook.cells:
        assert "snippets" not in cell.source
        exec(cell.source, names)
    assert capsys.readouterr().out == "3\n"


def test_a_cell_of_snippets_has_a_title_and_the_others_have_none(lab: Path) -> None:
    titles = [cell.metadata.get("builds") for cell in self_contained(lab, lab.parent).cells]
    assert titles == [None, "The parts", None]
    lab.write_text(LAB.replace(' builds="The parts"', ""), encoding="utf-8")
    titles = [cell.metadata.get("builds") for cell in self_contained(lab, lab.parent).cells]
    assert titles == [None, "What this lab builds on", None]


def test_the_same_lab_gives_the_same_notebook(lab: Path) -> None:
    first, second = (jupytext.writes(self_contained(lab, lab.parent), "ipynb") for _ in range(2))
    assert first == second


def test_an_import_of_what_is_not_there_names_the_module(lab: Path) -> None:
    lab.write_text(LAB.replace("Pair, total", "Pair, mean"), encoding="utf-8")
    with pytest.raises(BuildError, match=r"^pair\.py defines no function or class mean$"):
        self_contained(lab, lab.parent)
