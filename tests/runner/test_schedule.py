"""A page is run once, whatever the number of processes, and so is what a module's tests share."""

import pytest

from tests import ROOT
from tests.runner import schedule
from tests.runner.schedule import READERS, SPREAD, scope


def test_a_file_stays_together_but_for_those_that_are_named() -> None:
    assert scope("docs/model/masks.md::80") == scope("docs/model/masks.md::119")
    assert scope("docs/model/masks.md::80") != scope("docs/model/attention.md::80")
    assert scope("tests/site/test_browser.py::test[a]") != scope(
        "tests/site/test_browser.py::test[b]"
    )
    assert scope("tests/site/test_home.py::test") == scope("tests/site/test_terms.py::test")
    for name in (*SPREAD, *READERS):
        file, _, test = name.partition("::")
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8")


CONFTEST = """\
from tests.runner.schedule import FilesTogether

def pytest_xdist_make_scheduler(config, log):
    return FilesTogether(config, log)
"""
TESTS = """\
import pytest

@pytest.mark.parametrize("number", range(8))
def test(number):
    pass
"""


def test_two_processes_share_files_and_no_file(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(test_one=TESTS, test_other=TESTS, test_third=TESTS)
    done = pytester.runpytest_subprocess("-v", "--numprocesses=2", "--dist=loadscope")
    done.assert_outcomes(passed=24)
    passed = [line.split() for line in done.outlines if " PASSED " in line]
    workers = {(worker, test.partition("::")[0]) for worker, *_, test in passed}
    assert len({worker for worker, _ in workers}) == 2
    assert len(workers) == 3, "the tests of a file were run in two processes"


def test_pytest_asks_this_schedule(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule, "FilesTogether", lambda config, log: "asked")
    conftest = request.config.pluginmanager.get_plugin(str(ROOT / "conftest.py"))
    assert conftest.pytest_xdist_make_scheduler(request.config, None) == "asked"
