"""The Makefile: when it makes the environment, and what it writes for pins."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

# Makes environments whose programs do nothing but write down how they were called.
PYTHON = f"""\
#!/bin/sh
if [ "$1 $2" = "-m venv" ]; then
  for last in "$@"; do :; done
  echo "$last" >> made
  mkdir -p "$last/bin"
  cp program "$last/bin/python"
  cp program "$last/bin/ruff"
else
  exec {sys.executable} "$@"
fi
"""
PROGRAM = """\
#!/bin/sh
echo "$@" >> called
case "$*" in
  *freeze*) printf 'attrs==9.9\\nnvidia-cublas==1.0\\ntorch==9.9.0+cpu\\ntriton==3.0\\n' ;;
esac
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the Makefile, what it reads, and a Python that installs nothing."""
    if shutil.which("make") is None:
        pytest.skip("no make found")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    for name, text in (("python", PYTHON), ("program", PROGRAM)):
        (tmp_path / name).write_text(text, encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def make(project: Path, target: str) -> None:
    run = subprocess.run(
        ["make", target, "PYTHON=./python"], cwd=project, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr


def times_made(project: Path) -> int:
    return len((project / "made").read_text(encoding="utf-8").splitlines())


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_the_environment_is_made_again_when_a_need_changes_and_only_then(project: Path) -> None:
    make(project, "lint")
    make(project, "lint")
    assert times_made(project) == 1
    replace(project / "pyproject.toml", "line-length = 100", "line-length = 99")
    replace(project / "constraints.txt", "# ", "# A remark. ")
    make(project, "lint")
    assert times_made(project) == 1
    replace(project / "pyproject.toml", '"hypothesis",', '"hypothesis>=6",')
    make(project, "lint")
    assert times_made(project) == 2
    replace(project / "constraints.txt", "torch==2", "torch==3")
    make(project, "lint")
    assert times_made(project) == 3


def test_an_environment_that_was_not_finished_is_made_again(project: Path) -> None:
    (project / "program").write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    failed = subprocess.run(["make", "lint", "PYTHON=./python"], cwd=project, capture_output=True)
    assert failed.returncode != 0
    (project / "program").write_text(PROGRAM, encoding="utf-8")
    make(project, "lint")
    assert times_made(project) == 2


def test_pins_are_what_a_fresh_environment_holds(project: Path) -> None:
    lines = (project / "constraints.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    comment = [line for line in lines if line.startswith("#")]
    make(project, "pins")
    assert (project / "constraints.txt").read_text(encoding="utf-8") == (
        "".join(comment) + "attrs==9.9\ntorch==9.9.0\n"
    )
    called = (project / "called").read_text(encoding="utf-8")
    assert "pip install --quiet --group test" in called  # no constraint: the newest of everything
    assert "--constraint" not in called
    assert not (project / ".venv").exists()
    assert not (project / ".cache/pins").exists()
