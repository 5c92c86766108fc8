"""What programs write and the repository keeps: held to the programs, or written anew.

`make generated` runs this module with GENERATE=1; then every file is written, not compared. Fonts
(`make fonts`) and measurements (`make bench`) are not here: the one needs npm, the other a quiet
machine. The tables that are made of the measurements are.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from benchmarks import (
    allocation,
    attention_maps,
    bleu,
    browser,
    complexity,
    corpus,
    decoding,
    distance,
    learning_curve,
    regularization,
    regularization_study,
    restricted,
    results,
    speed,
)
from benchmarks.record import DATA, write
from docs.assets import copier, fragments, scale
from notebooks import execution
from notebooks.lab import read_lab
from tests import ROOT
from tests.site.built import DOCS, LABS, build

MEASURED = (
    allocation,
    attention_maps,
    bleu,
    browser,
    complexity,
    corpus,
    decoding,
    learning_curve,
    regularization,
    restricted,
    results,
    speed,
)
FIGURES = sorted((ROOT / "docs/assets/figures").glob("*.py"))


def facts(name: str) -> dict[str, Any]:
    return json.loads((DATA / f"{name}.json").read_text(encoding="utf-8"))


def tables() -> dict[Path, str]:
    """The tables of the measurements, as their modules write them from their data."""
    measured = {
        DATA / f"{table}.txt": make(facts(module.__name__.partition(".")[2].replace("_", "-")))
        for module in MEASURED
        for table, make in module.TABLES.items()
    }
    studied = {
        DATA / f"{table}.txt": make(study.facts())
        for study in (distance, regularization_study)
        for table, make in study.TABLES.items()
    }
    return measured | studied


def hold(path: Path, text: str) -> None:
    """Compare a kept file with what its program writes now, or write it."""
    if os.environ.get("GENERATE"):
        write(path, text)
    kept = path.read_text(encoding="utf-8") if path.is_file() else None
    assert kept == text, f"{path.relative_to(ROOT)} is stale: run `make generated`"


@pytest.mark.parametrize("program", FIGURES, ids=[program.stem for program in FIGURES])
def test_a_figure_is_what_the_program_beside_it_prints(program: Path) -> None:
    run = subprocess.run(
        [sys.executable, str(program)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
    )
    assert run.returncode == 0, run.stderr
    hold(program.with_suffix(".svg"), run.stdout)


def test_the_record_of_the_scale_is_what_its_program_measures() -> None:
    hold(scale.RECORD, scale.written())


def test_figures_show_without_a_module_what_their_modules_draw(browser: Browser) -> None:
    for fragment, text in fragments.written(browser).items():
        hold(fragment, text)


def test_the_copier_is_recorded_from_the_program_of_its_page() -> None:
    """A run takes half a minute, so it is made when the program has changed, and only then."""
    kept = copier.facts() if copier.RECORD.is_file() else {}
    if os.environ.get("GENERATE") and kept.get("program") != copier.digest():
        write(copier.RECORD, copier.recorded())
        kept = copier.facts()
    assert kept.get("program") == copier.digest(), (
        f"{copier.RECORD.relative_to(ROOT)} is of another program: run `make generated`"
    )


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("source", LABS)
def test_an_execution_of_a_lab_is_kept(source: str, tmp_path: Path) -> None:
    """It takes up to a minute, so it is made when the lab or a pin has changed, and only then."""
    lab = read_lab(DOCS / source, ROOT)
    path = execution.kept_path(lab)

    def why_stale() -> str:
        if not path.is_file():
            return "is not there"
        kept = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        for name, version in kept["versions"].items():
            if name in pins() and version.partition("+")[0] != pins()[name]:
                return f"was made with {name} {version}, and the pin is {pins()[name]}"
        # Those of this environment may be others.
        lab.notebook.metadata["versions"] = kept["versions"]
        known = execution.known_execution(lab, tmp_path)
        return "" if known else "is of another lab than the script that stands there now"

    if os.environ.get("GENERATE") and why_stale():
        path.unlink(missing_ok=True)
        lab = read_lab(DOCS / source, ROOT)
        run = build(tmp_path / "site")
        assert run.returncode == 0, run.stdout
        made = execution.known_execution(lab, ROOT / ".cache" / "labs")
        execution.keep_in_repository(lab, made)
    assert not why_stale(), f"{path.relative_to(ROOT)} {why_stale()}: run `make generated`"


@pytest.mark.parametrize("table", tables(), ids=lambda path: path.stem)
def test_a_table_is_made_of_its_measurements(table: Path) -> None:
    hold(table, tables()[table])


def test_every_table_has_its_measurements() -> None:
    assert set(DATA.glob("*.txt")) == set(tables())
