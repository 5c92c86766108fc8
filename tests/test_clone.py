"""A clone holds what was committed, whatever its owner's git does with the ends of lines."""

import subprocess
from pathlib import Path

import pytest

from tests import ROOT


def git(folder: Path, *arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return run.stdout


def test_a_clone_that_asks_for_crlf_has_the_committed_ends_of_lines(tmp_path: Path) -> None:
    """Windows' git asks for it; `docs/assets/notes.zh.txt` and the figures are held to the byte."""
    if not (ROOT / ".git").exists():
        pytest.skip("this is no checkout of git")
    wanted = ["-c", "core.autocrlf=true", "-c", "core.eol=crlf"]
    git(tmp_path, "clone", "--quiet", "--depth", "1", *wanted, ROOT.as_uri(), "clone")
    listed = git(tmp_path / "clone", "ls-files", "--eol").splitlines()
    changed = [line for line in listed if "w/crlf" in line or "w/mixed" in line]
    assert len(listed) > 100
    assert not changed, "\n".join(changed)
