"""A page is run once, whatever the number of processes, and so is what a module's tests share."""

import subprocess
import sys

from tests import ROOT
from tests.runner.schedule import SPREAD, scope


def test_a_file_stays_together_but_for_those_that_are_named() -> None:
    assert scope("docs/model/masks.md::80") == scope("docs/model/masks.md::119")
    assert scope("docs/model/masks.md::80") != scope("docs/model/attention.md::80")
    assert scope("tests/site/test_browser.py::test[a]") != scope(
        "tests/site/test_browser.py::test[b]"
    )
    assert all((ROOT / file).is_file() for file in SPREAD)


def test_two_processes_run_a_page_in_one_of_them() -> None:
    page = "docs/pytorch/contiguous.md"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "--numprocesses=2", "--dist=loadscope", page],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    workers = [line.split("]")[0] for line in done.stdout.splitlines() if " PASSED " in line]
    assert len(workers) > 5
    assert len(set(workers)) == 1
