"""MkDocs hook: shows labs, notebooks kept as text, as pages like all others.

A lab is a jupytext percent script under `docs/lab/`. It imports from `snippets/`; before it is
executed each such import is replaced by the code that it imports, so that the notebook a reader
downloads runs where this repository is not. Because the notebook then holds the snippets' code, and
the versions of what it runs on, mkdocs-jupyter's own cache, keyed by the notebook's text, is right:
an unchanged lab is not executed again.

mkdocs-jupyter executes, caches and renders the outputs. Of its HTML the outputs alone are used; the
cells go through the site's own Markdown, so that formulas, links and code look and are checked as
on every page, and the 600 kB of theme that it inlines stay out.
"""

import ast
import html
import json
import os
import platform
import re
import tempfile
from base64 import b64decode
from importlib.metadata import version
from pathlib import Path

import jupytext
from bs4 import BeautifulSoup, Tag
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.plugins import event_priority
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode, reads, writes

VERSIONED = ("torch", "numpy", "matplotlib")
FAILED_LINE = re.compile(r"Cell In\[(?P<cell>\d+)\], line (?P<line>\d+)")
# Colours that matplotlib writes, and what stands for them in both palettes.
PLOT_COLOURS = {
    "#000000": "currentColor",
    "#ffffff": "var(--md-default-bg-color)",
    "#1f77b4": "var(--plot-1)",
    "#ff7f0e": "var(--plot-2)",
    "#2ca02c": "var(--plot-3)",
    "#d62728": "var(--plot-4)",
}
OUTPUT_PLACE = re.compile(r"<lab-output data-cell=\"(\d+)\"></lab-output>")


def is_lab(source: str) -> bool:
    return source.startswith("lab/") and source.endswith(".py")


def on_config(config: MkDocsConfig) -> None:
    """Execute labs under settings of this project's own, not those of whoever builds."""
    settings = Path(config.config_file_path).parent / ".cache" / "jupyter"
    # The kernel warns that it is not encrypted; it talks to its own machine alone.
    quiet = {"NotebookClient": {"extra_arguments": ["--log-level=ERROR"]}}
    write(settings / "jupyter_nbconvert_config.json", json.dumps(quiet))
    os.environ["JUPYTER_CONFIG_DIR"] = str(settings)


@event_priority(-100)  # after mkdocs-jupyter has made pages of the scripts
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Put the self-contained notebook in the place of each lab's script."""
    root = Path(config.config_file_path).parent
    for file in files:
        if is_lab(file.src_uri):
            notebook = self_contained(Path(file.abs_src_path), root)
            target = root / ".cache" / "labs" / f"{Path(file.src_uri).stem}.ipynb"
            write(target, writes(notebook))
            file.abs_src_path = str(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str | None:
    """Lay out a lab's cells as the Markdown of a page."""
    if not is_lab(page.file.src_uri):
        return None
    notebook = reads(markdown, as_version=4)
    page.meta["description"] = notebook.metadata["description"]
    parts = []
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type == "markdown":
            parts.append(cell.source)
        else:
            code = f"```python\n{cell.source}\n```"
            builds = cell.metadata.get("builds")  # the title of a cell that holds snippets' code
            parts.append(f"/// builds | {builds}\n\n{code}\n///" if builds else code)
            parts.append(f'<lab-output data-cell="{index}"></lab-output>')
    name = Path(page.file.src_uri).stem
    download = f'<a class="md-button" href="{name}.ipynb" download>Download as a notebook</a>'
    parts.insert(1, download)
    return "\n\n".join(parts)


@event_priority(-100)  # after mkdocs-jupyter has put its own rendering in the page
def on_pre_page(page: Page, config: MkDocsConfig, files: Files) -> Page:
    """Render a lab as Markdown, with the outputs that its execution gave."""
    if not is_lab(page.file.src_uri):
        return page
    execute = page.render

    def render(config: MkDocsConfig, files: Files) -> None:
        notebook = reads(Path(page.file.abs_src_path).read_text(encoding="utf-8"), as_version=4)
        source = Path(config.docs_dir) / page.file.src_uri
        try:
            execute(config, files)
        except CellExecutionError as error:
            raise BuildError(failure(error, notebook, source, page.file.src_uri)) from None
        outputs = outputs_of(page.content, notebook)
        Page.render(page, config, files)
        page.content = OUTPUT_PLACE.sub(lambda match: outputs[int(match[1])], page.content)

    page.render = render
    return page


def self_contained(script: Path, root: Path) -> NotebookNode:
    """The notebook of a lab with its imports from `snippets` replaced by what they import."""
    notebook = jupytext.read(script)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            source = inlined(cell.source, root)
            if source != cell.source:
                cell.metadata.setdefault("builds", "What this lab builds on")
            cell.source = source
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
    for index, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{index}"  # jupytext draws a new one each time
    notebook.nbformat_minor = 5
    return notebook


def inlined(source: str, root: Path) -> str:
    """A cell's code with each `from snippets.module import name` replaced by that code."""
    lines = source.splitlines()
    try:
        statements = ast.parse(source).body
    except SyntaxError:  # an IPython magic; such a cell imports no snippet
        return source
    for statement in reversed(statements):
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(
            "snippets."
        ):
            module = root / f"{statement.module.replace('.', os.sep)}.py"
            code = "\n\n\n".join(definition(module, alias.name) for alias in statement.names)
            lines[statement.lineno - 1 : statement.end_lineno] = code.splitlines()
    return "\n".join(lines)


def definition(module: Path, name: str) -> str:
    """The source of a function or class of a module."""
    source = module.read_text(encoding="utf-8")
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.FunctionDef | ast.ClassDef) and statement.name == name:
            first = min([statement, *statement.decorator_list], key=lambda part: part.lineno)
            return "\n".join(source.splitlines()[first.lineno - 1 : statement.end_lineno])
    raise BuildError(f"{module.name} defines no function or class {name}")


def outputs_of(content: str, notebook: NotebookNode) -> dict[int, str]:
    """The HTML of every code cell's outputs, by the index of the cell."""
    innermost = ".jp-CodeCell:not(:has(.jp-CodeCell))"  # nbconvert wraps each cell in its like
    rendered = BeautifulSoup(content, "lxml").select(innermost)
    cells = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    outputs = {}
    for index, cell in zip(cells, rendered, strict=True):
        caption = notebook.cells[index].metadata.get("caption", "")
        parts = [output_html(output, caption) for output in cell.select(".jp-OutputArea-output")]
        outputs[index] = "\n".join(parts)
    return outputs


def output_html(output: Tag, caption: str) -> str:
    """One output as the site shows it: a figure, a table, or what was printed."""
    drawing = output.find("img", src=re.compile("^data:image/svg"))
    if drawing is not None:
        svg = BeautifulSoup(b64decode(drawing["src"].partition(",")[2]), "lxml-xml").find("svg")
        note = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
        return f'<figure class="plot">{plot(svg, caption)}{note}</figure>'
    printed = output.find("pre")
    if printed is not None:
        text = html.escape(printed.get_text())
        return f'<div class="language-text highlight"><pre><code>{text}</code></pre></div>'
    return f'<div class="lab-table">{output.decode_contents()}</div>'


def plot(svg: Tag, caption: str) -> str:
    """A matplotlib drawing that follows the page's palette and has a name."""
    for unwanted in svg.select("metadata, style"):  # the site's own style sheet has the latter
        unwanted.decompose()
    svg["role"] = "img"
    svg["aria-label"] = caption
    text = str(svg)
    for written, variable in PLOT_COLOURS.items():
        text = text.replace(written, variable)
    return text


def failure(error: CellExecutionError, notebook: NotebookNode, source: Path, uri: str) -> str:
    """Say where in the lab's script a cell failed, and how."""
    where = f"docs/{uri}"
    found = FAILED_LINE.search(re.sub(r"\x1b\[[\d;]*m", "", error.traceback))
    if found is not None:
        code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        line = code_cells[int(found["cell"]) - 1].source.splitlines()[int(found["line"]) - 1]
        numbered = enumerate(source.read_text(encoding="utf-8").splitlines(), 1)
        number = next((n for n, text in numbered if text.strip() == line.strip()), None)
        where = f"{where}:{number}" if number is not None else where
    return f"{where}: a cell of this lab failed: {error.ename}: {error.evalue}"


def write(path: Path, text: str) -> None:
    """Write a file in one step, so that no reader meets half of it."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)
