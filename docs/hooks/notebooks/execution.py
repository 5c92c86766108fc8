"""Executes a lab by way of mkdocs-jupyter, and keeps what its cells put out as a notebook.

An executed notebook is kept by a hash of the notebook before, which holds the snippets' code and
the versions of what it runs on, and of the settings of its environment. While these are the same,
the lab is not executed again.
"""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.exceptions import BuildError
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode, reads, writes

from notebooks import kernel, outputs
from notebooks.files import write
from notebooks.lab import Lab

FAILED_LINE = re.compile(r"Cell In\[(\d+)\], line (\d+)")
COLOUR = re.compile(r"\x1b\[[\d;]*m")

# What nbclient calls: the cells of the notebook that is being executed, and the one that failed.
executed: dict[int, NotebookNode] = {}
failed: list[int] = []


def keep(cell: NotebookNode, cell_index: int, **reply: object) -> None:
    executed[cell_index] = cell


def keep_failed(cell_index: int, **reply: object) -> None:
    failed.append(cell_index)


def cached_path(lab: Lab, folder: Path) -> Path:
    """Where the executed notebook of a lab is kept, or will be."""
    known = writes(lab.notebook) + kernel.settings()
    return folder / "executed" / f"{hashlib.sha256(known.encode()).hexdigest()}.ipynb"


def executed_notebook(lab: Lab, folder: Path, execute: Callable[[], None]) -> NotebookNode:
    """The notebook of a lab with the outputs of its cells.

    Args:
        lab: The lab.
        folder: Where executed notebooks are kept, and the home of the kernel.
        execute: Executes the notebook of the lab as mkdocs-jupyter does, unless its outputs are
            kept.

    Raises:
        BuildError: With file and line, if a cell fails, prints on stderr, or shows what a page
            cannot show; such a notebook is not kept.
    """
    path = cached_path(lab, folder)
    if path.is_file():
        notebook = reads(path.read_text(encoding="utf-8"), as_version=4)
        outputs.check(notebook, lab)
        return notebook
    executed.clear()
    failed.clear()
    with kernel.environment(folder / "home"):
        try:
            execute()
        except CellExecutionError as error:
            raise BuildError(failure(error, lab)) from None
        except (DeadKernelError, RuntimeError) as error:
            cell = max(executed, default=-1) + 1
            where = lab.place(min(cell, len(lab.markers) - 1))
            raise BuildError(f"{where}: the kernel of this lab died: {error}") from None
    notebook = reads(writes(lab.notebook), as_version=4)
    for index, cell in executed.items():
        notebook.cells[index].outputs = cell.outputs
        notebook.cells[index].execution_count = cell.execution_count
    outputs.check(notebook, lab)
    write(path, writes(notebook))
    return notebook


def failure(error: CellExecutionError, lab: Lab) -> str:
    """Say where in the lab's script a cell failed, and how."""
    found = FAILED_LINE.findall(COLOUR.sub("", error.traceback))  # from the outside in
    lines = [int(line) for cell, line in found if cell == found[0][0]]
    where = lab.place(failed[-1], lines[-1] if lines else None)
    return f"{where}: a cell of this lab failed: {error.ename}: {error.evalue}"
