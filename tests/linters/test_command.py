"""The one command that says what is wrong with the notes and the reference pages."""

import pytest

from tests.linters import __main__, reference


@pytest.mark.parametrize("damaged", [False, True])
def test_the_command_prints_every_problem_and_fails_if_there_is_one(
    damaged: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    read = reference.read
    if damaged:
        monkeypatch.setattr(reference, "read", lambda name: read(name).replace("$A_i$", "$A_{ij}$"))
    with pytest.raises(SystemExit) as stopped:
        __main__.main()
    assert stopped.value.code == damaged
    assert ("$A_{ij}$ is in no formula of masks" in capsys.readouterr().out) == damaged
