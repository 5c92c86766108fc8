"""Reads a lab, a jupytext percent script, into a notebook that runs where nothing else is."""

import platform
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import jupytext
from mkdocs.exceptions import BuildError
from nbformat import NotebookNode

from docs.notebook import OUTPUT
from notebooks.snippets import Inliner, Line

VERSIONED = ("torch", "numpy", "matplotlib", "scipy", "ipython", "ipykernel", "matplotlib-inline")
CELL = re.compile(r"# %%+(\s.*)?")
BUILDS = "What this lab builds on"  # the title of a box of snippets' code that has none of its own


@dataclass(frozen=True)
class Lab:
    """A lab: its notebook, and where every line of every cell was written.

    `lines[i]` are the lines of cell i, and `markers[i]` is the number of the script's line that
    begins it.
    """

    script: Path
    root: Path
    notebook: NotebookNode
    lines: list[list[Line]]
    markers: list[int]

    def place(self, cell: int, line: int | None = None) -> str:
        """Where a cell begins, or where its line with a number, counted from 1, was written.

        A line that a snippet brought is named by the snippet, behind the lab's cell.
        """
        here = f"{self.script.relative_to(self.root)}:{self.markers[cell]}"
        if line is None or not 1 <= line <= len(self.lines[cell]):
            return here
        written = self.lines[cell][line - 1]
        there = f"{written.path.relative_to(self.root)}:{written.number}"
        return there if written.path == self.script else f"{here}: {there}"


def read_lab(script: Path, root: Path) -> Lab:
    """The lab of a script, with its imports from `snippets` replaced by what they import.

    Args:
        script: The script, somewhere within `root`.
        root: The folder that `snippets/` stands in.

    Raises:
        BuildError: With file and line, if the script does not begin every cell with `# %%`, has no
            description, imports a snippet that is not there, or shows the output of a cell that
            is not there.
    """
    notebook = jupytext.read(script)
    here = script.relative_to(root)
    if not notebook.metadata.get("description"):
        raise BuildError(f"{here}:1: the lab has no description in its front matter")
    written = script.read_text(encoding="utf-8").splitlines()
    markers = [number for number, text in enumerate(written, 1) if CELL.fullmatch(text)]
    if len(markers) != len(notebook.cells):
        raise BuildError(f"{here}:1: begin every cell of a lab with `# %%`")
    inliner = Inliner(root)
    lines = []
    for index, (cell, marker) in enumerate(zip(notebook.cells, markers, strict=True)):
        texts = cell.source.splitlines()
        lines.append([Line(text, script, number) for number, text in enumerate(texts, marker + 1)])
        if cell.cell_type == "code":
            while lines[index] and not lines[index][0].text.strip():
                del lines[index][0]  # IPython does not count them
            lines[index] = inliner.expand(lines[index])
            source = "\n".join(line.text for line in lines[index])
            if source != cell.source.lstrip("\n"):
                cell.metadata.setdefault("builds", BUILDS)
            cell.source = source
        cell["id"] = f"cell-{index}"  # jupytext draws a new one each time
    names = named_cells(notebook)
    for index, cell in enumerate(notebook.cells):
        for shown in OUTPUT.finditer(cell.source) if cell.cell_type == "markdown" else ():
            if shown["name"] not in names:
                line = markers[index] + 1 + cell.source[: shown.start()].count("\n")
                raise BuildError(f"{here}:{line}: no cell of this lab has the name {shown['name']}")
    notebook.metadata = NotebookNode(
        {
            "description": notebook.metadata["description"],
            "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
            "language_info": {"name": "python"},
            "versions": {
                "python": platform.python_version(),
                **{name: version(name) for name in VERSIONED},
            },
        }
    )
    notebook.nbformat_minor = 5
    return Lab(script, root, notebook, lines, markers)


def named_cells(notebook: NotebookNode) -> dict[str, int]:
    """The cells that have a name, `# %% name="time"`, by which text shows what they put out."""
    return {
        cell.metadata["name"]: index
        for index, cell in enumerate(notebook.cells)
        if "name" in cell.metadata
    }
