"""Runs the Python blocks of a page in order, as one program, and compares what they print."""

import ast
import contextlib
import io
import os
import random
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import CodeType
from typing import Any

import torch

from tests.runner import drawings
from tests.runner.pages import Block, PageError, location, place


@dataclass
class Program:
    """The blocks of one page, run in order in one namespace and one directory, empty at first."""

    root: Path
    blocks: list[Block]
    namespace: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})
    outputs: list[str] = field(default_factory=list)
    drawn: list[list[Path]] = field(default_factory=list)  # the drawings that each block saved
    seconds: float = 0.0  # of the processor, up to here
    failed: Block | None = None
    directory: tempfile.TemporaryDirectory = field(default_factory=tempfile.TemporaryDirectory)

    def __post_init__(self) -> None:
        torch.set_default_dtype(torch.float32)  # whatever the page before this one has set
        torch.set_printoptions(profile="default")
        torch.set_grad_enabled(True)
        torch.seed()  # a page that forgets to set a seed prints something else every time
        random.seed()
        self.style = contextlib.ExitStack()
        self.style.enter_context(drawings.drawing_style(self.blocks))

    def close(self) -> None:
        self.style.close()
        self.directory.cleanup()

    def run(self, index: int) -> None:
        """Run the block at `index`, after those above it that have not run yet.

        Raises:
            PageError: If a block raises, or if what it prints or draws is not what the page shows.
        """
        block = self.blocks[index]
        here = location(block.page, block.number, self.root)
        while len(self.outputs) <= index:
            if self.failed is not None:
                above = location(self.failed.page, self.failed.number, self.root)
                raise PageError(f"{here}: not run, because the block above it failed: {above}")
            self.execute(self.blocks[len(self.outputs)])
        output, shown = self.outputs[index], block.expected_output
        if shown is None and output:
            raise PageError(f"{here}: the block prints, but the page shows no output:\n{output}")
        if shown is not None and output != shown:
            both = f"-- the page shows\n{shown}-- the block prints\n{output}"
            raise PageError(f"{here}: the output is not the one shown.\n{both}")
        for drawing in self.drawn[index]:
            drawings.check_drawing(drawing, block, self.root)
        if block is self.blocks[-1]:
            drawn = [drawing for saved in self.drawn for drawing in saved]
            drawings.check_all_drawn(drawn, block.page, self.root)

    def execute(self, block: Block) -> None:
        """Run the next block and keep what it prints."""
        stdout = io.StringIO()
        self.failed = block
        before, begun = self.files(), time.process_time()
        with contextlib.chdir(self.directory.name), warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                with contextlib.redirect_stdout(stdout):
                    for code in compiled(block, self.root):
                        exec(code, self.namespace)
            except (PageError, KeyboardInterrupt):
                raise
            except BaseException as error:  # also SystemExit, and what pytest.skip() raises
                raise PageError(describe(error, block, self.root)) from None
        self.failed = None
        self.seconds += time.process_time() - begun
        self.outputs.append(stdout.getvalue())
        self.drawn.append([path for path, when in self.files().items() if before.get(path) != when])

    def files(self) -> dict[Path, int]:
        """The drawings saved so far, and when."""
        saved = sorted(Path(self.directory.name).glob("*.svg"))
        return {path: path.stat().st_mtime_ns for path in saved}


def describe(error: BaseException, block: Block, root: Path) -> str:
    """The error's place on the page, its message, and a traceback without the runner's frames."""
    lines = {(str(line.path), line.number): line for line in block.lines}
    tb = error.__traceback__
    while tb is not None and (tb.tb_frame.f_code.co_filename, tb.tb_lineno) not in lines:
        tb = tb.tb_next
    here = location(block.page, block.number, root)
    if tb is not None:
        here = place(lines[tb.tb_frame.f_code.co_filename, tb.tb_lineno], block.page, root)
    trace = "".join(traceback.format_exception(type(error), error, tb))
    message = f"{here}: {type(error).__name__}: {error}\n\n{trace}"
    return message.replace(f"{root}{os.sep}", "")


def compiled(block: Block, root: Path) -> Iterator[CodeType]:
    """The block's statements as code objects that know their own file and line."""
    try:
        compile(block.code, str(block.page), "exec", dont_inherit=True)
    except SyntaxError as error:
        line = block.lines[min(error.lineno or 1, len(block.lines)) - 1]
        raise PageError(f"{place(line, block.page, root)}: SyntaxError: {error.msg}") from None

    def origin(statement: ast.stmt) -> tuple[Path, int]:
        line = block.lines[statement.lineno - 1]
        return line.path, line.number - statement.lineno

    for (path, shift), group in groupby(ast.parse(block.code).body, key=origin):
        module = ast.Module([ast.increment_lineno(statement, shift) for statement in group], [])
        yield compile(module, str(path), "exec", dont_inherit=True)
