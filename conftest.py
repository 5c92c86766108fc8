"""Collects every Python block of every page under `docs/` as a test."""

import os
from pathlib import Path

import pytest

from tests.runner import record, schedule

pytest_plugins = ["pytester"]
pytest_addoption = record.add_option


def pytest_configure(config: pytest.Config) -> None:
    record.configure(config)
    if config.getoption("numprocesses", None):
        return  # this process only hands out tests, and need not wait for PyTorch
    import torch
    from hypothesis import settings

    torch.set_num_threads(1)  # tensors are small here: a second thread costs more than it gives
    settings.register_profile("repeatable", derandomize=True, deadline=None, max_examples=60)
    settings.load_profile("repeatable")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One process more than there are processors, since some always wait for the browser."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items[:] = schedule.in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object:
    return schedule.FilesTogether(config, log)


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    docs = parent.config.rootpath / "docs"
    if file_path.suffix == ".md" and file_path.is_relative_to(docs):
        from tests.runner.items import PageFile

        return PageFile.from_parent(parent, path=file_path)
    return None
