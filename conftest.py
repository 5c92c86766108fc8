"""Collects every Python block of every page under `docs/` as a test."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from tests.runner import record, schedule
from tests.runner.pages import Block, PageError, blocks_of, location
from tests.runner.program import Program

pytest_plugins = ["pytester"]
pytest_addoption = record.add_option


def pytest_configure(config: pytest.Config) -> None:
    record.configure(config)
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
        return PageFile.from_parent(parent, path=file_path)
    return None


class PageFile(pytest.File):
    """A page: one program, and one test a block."""

    def collect(self) -> Iterator[pytest.Item]:
        try:
            self.blocks = blocks_of(self.path, self.config.rootpath)
        except PageError as error:
            raise self.CollectError(str(error)) from None
        for index, block in enumerate(self.blocks):
            yield BlockItem.from_parent(self, name=str(block.number), block=block, index=index)

    def setup(self) -> None:
        self.program = Program(self.config.rootpath, self.blocks)
        self.addfinalizer(self.program.close)


class BlockItem(pytest.Item):
    """A block; running it runs those above it first, where they have not run yet."""

    parent: PageFile

    def __init__(self, *, block: Block, index: int, **keywords: object) -> None:
        super().__init__(**keywords)
        self.block = block
        self.index = index

    def runtest(self) -> None:
        program = self.parent.program
        program.run(self.index)
        if self.index == len(program.blocks) - 1:
            page = self.path.relative_to(self.config.rootpath / "docs").as_posix()
            self.user_properties.append(record.run_of(page, program.blocks, program.seconds))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        if isinstance(excinfo.value, PageError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        place = location(self.path, self.block.number, self.config.rootpath)
        return self.path, self.block.number - 1, place
