"""Checks what the cells of a lab put out, and writes it as the HTML of a page."""

import html
import re

from bs4 import BeautifulSoup
from mkdocs.exceptions import BuildError
from nbformat import NotebookNode

from docs.svg import proportioned
from notebooks.lab import Lab

DRAWING, TABLE, TEXT = "image/svg+xml", "text/html", "text/plain"
WARNED_LINE = re.compile(r"ipykernel_\d+[\\/]\d+\.py:(?P<line>\d+): (?P<message>.*)")
# Colours that matplotlib writes, and what stands for them in both palettes.
PLOT_COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--md-default-bg-color)",
    "#1f77b4": "var(--plot-1)",
    "#ff7f0e": "var(--plot-2)",
    "#2ca02c": "var(--plot-3)",
    "#d62728": "var(--plot-4)",
}


def kind(output: NotebookNode) -> str | None:
    """The richest form of an output that a page can show; None if there is none."""
    if output.output_type == "stream":
        return TEXT
    data = output.get("data", {})
    if any(form.startswith("image/") for form in data):
        return DRAWING if DRAWING in data else None
    return next((form for form in (TABLE, TEXT) if form in data), None)


def check(notebook: NotebookNode, lab: Lab) -> None:
    """Hold an executed lab to what its page promises.

    Raises:
        BuildError: With file and line, at what a cell prints on stderr, at a drawing that is no
            SVG or has no caption, and at a caption of a cell that draws nothing.
    """
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        for output in cell.outputs:
            if output.get("name") == "stderr":
                raise BuildError(on_stderr(output.text, index, lab))
            if kind(output) is None:
                forms = ", ".join(output.get("data", {})) or output.output_type
                raise BuildError(
                    f"{lab.place(index)}: a page shows text, tables and drawings as SVG, but this "
                    f"cell puts out {forms}"
                )
        draws = any(kind(output) == DRAWING for output in cell.outputs)
        if draws and not cell.metadata.get("caption"):
            raise BuildError(f"{lab.place(index)}: this cell draws, but has no caption")
        if cell.metadata.get("caption") and not draws:
            raise BuildError(f"{lab.place(index)}: this cell has a caption, but draws nothing")


def on_stderr(text: str, cell: int, lab: Lab) -> str:
    """Say where a lab printed on stderr, and what; of a warning, the line that warned."""
    if warned := WARNED_LINE.search(text):
        return f"{lab.place(cell, int(warned['line']))}: this lab warns: {warned['message']}"
    return f"{lab.place(cell)}: this cell prints on stderr: {text.strip()}"


def outputs_html(cell: NotebookNode) -> str:
    """What a code cell put out, as the site shows it."""
    caption = cell.metadata.get("caption", "")
    return "\n".join(output_html(output, caption) for output in cell.outputs)


def output_html(output: NotebookNode, caption: str) -> str:
    """One output as the site shows it: a figure, a table, or what was printed."""
    form = kind(output)
    shown = output.text if output.output_type == "stream" else output.data[form]
    if form == DRAWING:
        note = f"<figcaption>{html.escape(caption)}</figcaption>"
        return f'<figure class="plot">{plot(shown, caption)}{note}</figure>'
    if form == TABLE:
        return f'<div class="lab-table">{shown}</div>'
    text = html.escape(shown)
    return f'<div class="language-text highlight"><pre><code>{text}</code></pre></div>'


def plot(drawing: str, caption: str) -> str:
    """A matplotlib drawing that follows the page's palette and has a name."""
    svg = BeautifulSoup(drawing, "lxml-xml").find("svg")
    for unwanted in svg.select("metadata, style"):  # the site's own style sheet has the latter
        unwanted.decompose()
    svg["role"] = "img"
    svg["aria-label"] = caption
    text = str(svg)
    for written, variable in PLOT_COLOURS.items():
        text = text.replace(written, variable)
    return proportioned(text)
