"""MkDocs hook: shows labs, notebooks kept as text, as pages like all others.

A lab is a jupytext percent script under `docs/lab/`. mkdocs-jupyter makes a page of it and executes
it; `notebooks` makes the notebook that is executed, and takes its outputs as data. The
cells go through the site's own Markdown, so that formulas, links and code look and are checked as
on every page, and none of mkdocs-jupyter's 600 kB of theme is used.
"""

import logging
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from nbformat import reads, writes

from docs.notebook import OUTPUT
from notebooks import execution, outputs
from notebooks.files import write
from notebooks.lab import Lab, named_cells, read_lab

log = logging.getLogger("mkdocs.hooks.labs")
OUTPUT_PLACE = re.compile(r"<lab-output data-cell=\"(\d+)\"></lab-output>")
labs: dict[str, Lab] = {}  # those of the build in progress, by their address among the sources


def root_of(config: MkDocsConfig) -> Path:
    return Path(config.config_file_path).resolve().parent


@event_priority(-100)  # after mkdocs-jupyter has made pages of the scripts
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the self-contained notebook in the place of each lab's script."""
    labs.clear()
    root = root_of(config)
    for file in files:
        if file.src_uri.startswith("lab/") and file.src_uri.endswith(".py"):
            lab = read_lab(Path(file.abs_src_path).resolve(), root)
            labs[file.src_uri] = lab
            target = root / ".cache" / "labs" / f"{lab.script.stem}.ipynb"
            write(target, writes(lab.notebook))
            file.abs_src_path = str(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str | None:
    """Lay out a lab's cells as the Markdown of a page."""
    if page.file.src_uri not in labs:
        return None
    notebook = reads(markdown, as_version=4)
    page.meta["description"] = notebook.metadata["description"]
    names = named_cells(notebook)
    parts = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(OUTPUT.sub(lambda shown: output_place(names[shown["name"]]), cell.source))
        else:
            code = f"```python\n{cell.source}\n```"
            builds = cell.metadata.get("builds")  # the title of a cell that holds snippets' code
            parts.append(f"/// builds | {builds}\n\n{code}\n///" if builds else code)
            parts.append(output_place(index))
    return "\n\n".join(parts)


def output_place(cell: int) -> str:
    """What stands on a lab's page where the output of a cell will be."""
    return f'<lab-output data-cell="{cell}"></lab-output>'


@event_priority(-100)  # after mkdocs-jupyter has put its own rendering in the page
def on_pre_page(page: Page, config: MkDocsConfig, files: Files) -> Page:
    """Render a lab as Markdown, with the outputs that its execution gave."""
    lab = labs.get(page.file.src_uri)
    if lab is None:
        return page
    execute = page.render
    folder = root_of(config) / ".cache" / "labs"

    def render(config: MkDocsConfig, files: Files) -> None:
        Page.render(page, config, files)  # first: a formula that is wrong is found at once
        content, toc = page.content, page.toc
        known = execution.known_execution(lab, folder)
        log.info("%s: %s", "Cache hit" if known else "Executing", page.file.src_uri)
        executed = known or execution.executed_notebook(lab, folder, lambda: execute(config, files))
        cells = executed.cells
        page.content, page.toc = (
            OUTPUT_PLACE.sub(lambda match: outputs.outputs_html(cells[int(match[1])]), content),
            toc,
        )
        page.meta["executed"] = executed  # of which docs/hooks/downloads.py makes the download

    page.render = render
    return page


def on_post_build(config: MkDocsConfig) -> None:
    """Keep only the executed notebooks of this build."""
    folder = root_of(config) / ".cache" / "labs"
    kept = {execution.cached_path(lab, folder) for lab in labs.values()}
    for path in (folder / "executed").glob("*.ipynb"):
        if labs and path not in kept:
            path.unlink(missing_ok=True)
