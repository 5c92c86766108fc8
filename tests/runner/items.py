"""The tests that a page is made of: one a block."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner import record
from tests.runner.pages import Block, PageError, blocks_of, location
from tests.runner.program import Program


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
            codes = [block.code for block in program.blocks]
            self.user_properties.append(record.run_of(page, codes, program.seconds))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException]) -> str:
        if isinstance(excinfo.value, PageError):
            return str(excinfo.value)
        return str(super().repr_failure(excinfo))

    def reportinfo(self) -> tuple[Path, int, str]:
        place = location(self.path, self.block.number, self.config.rootpath)
        return self.path, self.block.number - 1, place
