"""Executes a lab by way of mkdocs-jupyter, and keeps what its cells put out as a notebook.

An executed notebook is known by a hash of the notebook before, which holds the snippets' code and
the versions of what it runs on, and of the settings of its environment. While these are the same,
the lab is not executed again. The repository keeps one execution of each lab of the site, made by
`make generated`, so that a fresh clone need not measure for a minute before it shows a page; where
the versions are others, the lab is executed as if there were none.
"""

import hashlib
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from mkdocs.exceptions import BuildError
from nbclient.exceptions import CellExecutionError, DeadKernelError
from nbformat import NotebookNode, reads, writes

from notebooks import kernel, outputs
from notebooks.files import write
from notebooks.lab import Lab

FAILED_LINE = re.compile(r"Cell In\[(\d+)\], line (\d+)")
COLOUR = re.compile(r"\x1b\[[\d;]*m")
KEPT = Path("docs/assets/data/executed")  # the executions that the repository keeps
KEY = "key"  # the metadata of a kept execution that says what it is the execution of

# What nbclient calls: the cells of the notebook that is being executed, and the one that failed.
executed: dict[int, NotebookNode] = {}
failed: list[int] = []


def keep(cell: NotebookNode, cell_index: int, **reply: object) -> None:
    executed[cell_index] = cell


def keep_failed(cell_index: int, **reply: object) -> None:
    failed.append(cell_index)


def key(notebook: NotebookNode) -> str:
    """What decides on the execution of a lab's notebook: see the head of this module.

    Python counts by its minor version, and the name of a build, `+cpu`, does not count.
    """
    notebook = deepcopy(notebook)
    versions = notebook.metadata["versions"]
    versions = {name: version.partition("+")[0] for name, version in versions.items()}
    versions["python"] = ".".join(versions["python"].split(".")[:2])
    notebook.metadata["versions"] = versions
    return hashlib.sha256((writes(notebook) + kernel.settings()).encode()).hexdigest()


def cached_path(lab: Lab, folder: Path) -> Path:
    """Where an execution of a lab is kept on this machine, or will be."""
    return folder / "executed" / f"{key(lab.notebook)}.ipynb"


def kept_path(lab: Lab) -> Path:
    """Where the repository keeps an execution of a lab."""
    return lab.root / KEPT / f"{lab.script.stem}.ipynb"


def known_execution(lab: Lab, folder: Path) -> NotebookNode | None:
    """An execution of this lab with these versions, made here or kept by the repository.

    Raises:
        BuildError: With file and line, if it shows what a page cannot show.
    """
    path = cached_path(lab, folder)
    if path.is_file():
        notebook = reads(path.read_text(encoding="utf-8"), as_version=4)
        outputs.check(notebook, lab)
        return notebook
    if kept_path(lab).is_file():
        notebook = reads(kept_path(lab).read_text(encoding="utf-8"), as_version=4)
        same = [cell.source for cell in notebook.cells] == [c.source for c in lab.notebook.cells]
        if notebook.metadata.pop(KEY, None) == key(lab.notebook) and same:
            outputs.check(notebook, lab)
            return notebook
    return None


def keep_in_repository(lab: Lab, notebook: NotebookNode) -> None:
    """Keep an execution of a lab in the repository, in the place of the one before."""
    notebook = deepcopy(notebook)
    notebook.metadata[KEY] = key(lab.notebook)
    write(kept_path(lab), writes(notebook) + "\n")


def executed_notebook(lab: Lab, folder: Path, execute: Callable[[], None]) -> NotebookNode:
    """Execute the notebook of a lab; returns it with the outputs of its cells, and keeps it.

    Args:
        lab: The lab.
        folder: Where executions are kept on this machine, and the home of the kernel.
        execute: Executes the notebook of the lab as mkdocs-jupyter does.

    Raises:
        BuildError: With file and line, if a cell fails, prints on stderr, or shows what a page
            cannot show; such a notebook is not kept.
    """
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
    write(cached_path(lab, folder), writes(notebook))
    return notebook


def failure(error: CellExecutionError, lab: Lab) -> str:
    """Say where in the lab's script a cell failed, and how."""
    found = FAILED_LINE.findall(COLOUR.sub("", error.traceback))  # from the outside in
    lines = [int(line) for cell, line in found if cell == found[0][0]]
    where = lab.place(failed[-1], lines[-1] if lines else None)
    return f"{where}: a cell of this lab failed: {error.ename}: {error.evalue}"
