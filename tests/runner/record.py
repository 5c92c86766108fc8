"""What `pytest --record FILE` does: writes which page ran when, with what, and how long it took.

A page is recorded when every one of its blocks has run and printed what the page shows. Without the
option nothing is written, so that a test run leaves the working tree as it was.
"""

import platform
from collections import defaultdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import pytest

from docs.program import Run, digest, read_record, write_record

PROPERTY = "run of a page"


def add_option(parser: pytest.Parser) -> None:
    parser.addoption("--record", type=Path, help="write the runs of the pages to this file")


def configure(config: pytest.Config) -> None:
    """Begin to collect, if asked to."""
    # With several processes the first one alone hears of all tests, and writes.
    if config.getoption("record") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Recorder(config.getoption("record")))


def run_of(page: str, codes: list[str], seconds: float) -> tuple[str, dict[str, object]]:
    """What a block's test says of the run of its page, once all its blocks have run to the end."""
    run = Run(
        program=digest(codes),
        date=datetime.now(UTC).date().isoformat(),
        python=platform.python_version(),
        torch=version("torch").partition("+")[0],
        seconds=round(seconds, 2),
    )
    return PROPERTY, {"page": page, "blocks": len(codes), "run": vars(run)}


class Recorder:
    """Collects the runs and writes them at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.passed: dict[str, int] = defaultdict(int)  # blocks, by page
        self.runs: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" and report.passed:
            self.passed[report.nodeid.partition("::")[0]] += 1
            for name, value in report.user_properties:
                if name == PROPERTY:
                    self.runs[value["page"]] = value

    def pytest_sessionfinish(self) -> None:
        """Write the pages whose blocks all passed; what is recorded of others stays."""
        runs = read_record(self.path)
        for page, value in self.runs.items():
            if self.passed[f"docs/{page}"] == value["blocks"]:
                runs[page] = Run(**value["run"])
        write_record(runs, self.path)
