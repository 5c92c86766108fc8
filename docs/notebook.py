r"""A page or a lab of this site as a notebook: text with formulas, code, output and drawings.

The Markdown of a notebook knows neither this site's boxes and ids nor its style sheet. So boxes
become paragraphs with a bold title, ids go away, links become absolute, an equation gets its number
from `\tag`, and a drawing stands alone, in the light palette. The code is left as it is.
"""

import base64
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_notebook, new_output

from docs.program import program_text, requirements

DOCS = Path(__file__).parent
OUTPUT_MARK = "<!--pytest-codeblocks:expected-output-->"
INCLUDE = re.compile(r'--8<-- "(?P<path>[^"]+)"')
FENCE = re.compile(r"(?P<marker>`{3,})(?P<info>.*)")
BOX = re.compile(r"/// (?P<name>[a-z]+)(?: \| (?P<title>.*))?")
OPTION = re.compile(r"    [a-z]+: ")  # of a box, in the lines under its opening
# A drawing that says in words what it shows; of a figure that reacts, this is what can be printed.
DESCRIBED = re.compile(r"<svg[^>]*>\s*<title[^>]*>[^<]*</title>\s*<desc.*?</svg>", re.DOTALL)
WRAPPER = re.compile(r"</?(div|figure)[^>]*>")
CAPTION = re.compile(r"</?figcaption>")
HEADING = re.compile(r"^(#{1,6} .*?)[ ]*\{ #[^}]*\}$", re.MULTILINE)
ATTRIBUTES = re.compile(r"(?<=[)*`])\{ [.#][^}]*\}")
EQUATION = re.compile(r"\\begin\{equation\}(.*?)\\end\{equation\}", re.DOTALL)
LABEL = re.compile(r"\\label\{([^}]*)\}\s*")
REFERENCE = re.compile(r"\$\\(?:eq)?ref\{([^}]*)\}\$")
LINK = re.compile(r"(?P<code>```.*?```|`[^`\n]*`)|(?<=\]\()(?P<target>[^)\s]+)", re.DOTALL)
OUTPUT = re.compile(r"^/// output \| (?P<name>\S+)\n///$", re.MULTILINE)  # of a cell of a lab
MARKER = re.compile(r'<marker id="arrowhead".*?</marker>', re.DOTALL)


@dataclass(frozen=True)
class Context:
    """What a notebook has to know of the site that it comes from."""

    title: str  # of the page
    url: str  # of the page
    words: dict[str, str]  # `extra.words` of mkdocs.yml
    boxes: dict[str, str]  # the titles of boxes that a page gives none
    absolute: Callable[[str], str]  # the address that a link of the page leads to
    expand: Callable[[str], str]  # a text with its includes in their place


def text_cell(source: str) -> NotebookNode:
    """A cell of text. Those of nbformat are validated one by one, and a tenth of a build long."""
    return NotebookNode(cell_type="markdown", metadata=NotebookNode(), source=source)


def code_cell(
    source: str, outputs: Sequence[NotebookNode] = (), execution_count: int | None = None
) -> NotebookNode:
    """A cell of code."""
    return NotebookNode(
        cell_type="code",
        execution_count=execution_count,
        metadata=NotebookNode(),
        outputs=list(outputs),
        source=source,
    )


def of_page(markdown: str, context: Context) -> NotebookNode:
    """The notebook of a page."""
    return finished(page_cells(markdown, context), context)


def of_lab(executed: NotebookNode, context: Context) -> NotebookNode:
    """The notebook of a lab, from the notebook that was executed.

    Its code and outputs stay as they are; its text, in the site's Markdown, becomes plain. What a
    caption says of a drawing is said under it.
    """
    named = {cell.metadata["name"]: cell for cell in executed.cells if "name" in cell.metadata}
    cells = []
    for cell in executed.cells:
        if cell.cell_type == "markdown":
            text = OUTPUT.sub(lambda found: shown_output(named[found["name"]]), cell.source)
            cells += page_cells(text, context)
            continue
        cells.append(code_cell(cell.source, cell.outputs, cell.execution_count))
        if cell.metadata.get("caption"):
            cells.append(text_cell(f"*{cell.metadata['caption']}*"))
    return finished(cells, context)


def shown_output(cell: NotebookNode) -> str:
    """What a lab's cell put out, as Markdown: its drawings with their caption, and its text."""
    parts = []
    for output in cell.outputs:
        data = output.get("data", {})
        if "image/svg+xml" in data:
            caption = cell.metadata.get("caption", "")
            parts.append(f"{as_image(data['image/svg+xml'], caption)}\n\n*{caption}*")
        else:
            text = output.text if output.output_type == "stream" else data["text/plain"]
            parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts)


def finished(cells: list[NotebookNode], context: Context) -> NotebookNode:
    """The notebook of some cells, with a way back to the page and what the code needs installed."""
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    code = program_text([cell.source for cell in cells if cell.cell_type == "code"])
    labels = [LABEL.search(equation[1]) for equation in EQUATION.finditer(text)]
    numbers = {label[1]: number for number, label in enumerate(labels, 1) if label}
    counter = iter(range(1, len(labels) + 1))
    origin = context.words["notebook_of"].format(title=context.title, url=context.url)
    whole = [text_cell(f"# {context.title}\n\n*{origin}*")]
    needs = requirements(re.sub(r"^%.*$", "", code, flags=re.MULTILINE))
    if needs:
        whole.append(code_cell(f"%pip install --quiet {' '.join(needs)}"))
    for cell in cells:
        if cell.cell_type == "markdown":
            source = re.sub(r"\A\s*# .*", "", cell.source)  # the title, which stands above
            source = plain(source, numbers, counter, context.absolute)
            if source:
                whole.append(text_cell(source))
        else:
            whole.append(cell)
    for index, cell in enumerate(whole):
        cell["id"] = f"cell-{index}"  # nbformat draws a new one each time
    metadata = {
        "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
        "language_info": {"name": "python"},
    }
    return new_notebook(cells=whole, metadata=metadata)


def page_cells(markdown: str, context: Context) -> list[NotebookNode]:
    """The cells of a page, in its order; the Markdown is still the site's."""
    cells: list[NotebookNode] = []
    text: list[str] = []
    quoted = False  # within a box that quotes the notes
    lines = iter(markdown.split("\n"))

    def end_text() -> None:
        if any(line.strip() for line in text):
            cells.append(text_cell("\n".join(text).strip()))
        text.clear()

    for line in lines:
        fence, box, include = (rule.match(line) for rule in (FENCE, BOX, INCLUDE))
        if fence:
            body = fenced(lines, fence["marker"])
            if fence["info"] == "python":
                end_text()
                cells.append(code_cell(context.expand("\n".join(body)).strip("\n").rstrip()))
            elif text and text[-1] == OUTPUT_MARK:
                text.pop()
                output = new_output("stream", name="stdout", text="\n".join([*body, ""]))
                cells[-1].outputs.append(output)
            else:
                block = [f"{fence['marker']}text", *body, fence["marker"]]
                text += [f"> {part}" for part in block] if quoted else block
        elif box and box["name"] == "drawing":
            drawing = (DOCS / "assets" / "drawings" / f"{box['title']}.svg").read_text("utf-8")
            data = {"image/svg+xml": standalone(drawing)}
            code = next(cell for cell in reversed(cells) if cell.cell_type == "code")
            code.outputs.append(new_output("display_data", data=data))
        elif box:
            quoted = box["name"] == "notes"
            title = box["title"] or context.boxes.get(box["name"], box["name"].capitalize())
            text += [f"> **{title}**", ">"] if quoted else [f"**{title}**", ""]
        elif line == "///":
            quoted = False
            text.append("")
        elif include and include["path"].endswith(".svg"):
            drawing = (DOCS.parent / include["path"]).read_text(encoding="utf-8")
            text += [image(drawing), ""]
        elif include:
            fragment = (DOCS.parent / include["path"]).read_text(encoding="utf-8")
            text += [image(drawing) for drawing in DESCRIBED.findall(fragment)]
            text += ["", context.words["interactive"].format(url=context.url), ""]
        elif not WRAPPER.fullmatch(line.strip()) and not OPTION.match(line):
            if HEADING.match(line):
                end_text()
            kept = CAPTION.sub("*", line) if "<figcaption>" in line else line
            text.append(f"> {kept}" if quoted else kept)
    end_text()
    return cells


def fenced(lines: Iterator[str], marker: str) -> list[str]:
    """The lines of a fence, up to the one that closes it."""
    body = []
    for line in lines:
        if line.strip() == marker:
            break
        body.append(line)
    return body


def plain(
    markdown: str, numbers: dict[str, int], counter: Iterator[int], absolute: Callable[[str], str]
) -> str:
    """Markdown without what only this site understands."""

    def equation(found: re.Match[str]) -> str:
        return f"{LABEL.sub('', found[1]).strip()}\n\\tag{{{next(counter)}}}"

    def link(found: re.Match[str]) -> str:
        return found["code"] or absolute(found["target"])

    text = EQUATION.sub(equation, markdown)
    text = REFERENCE.sub(lambda found: f"({numbers[found[1]]})", text)
    text = LINK.sub(link, ATTRIBUTES.sub("", HEADING.sub(r"\1", text)))
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def image(drawing: str) -> str:
    """A drawing as an image within Markdown, with its title and description in words."""
    words = re.findall(r"<(?:title|desc)[^>]*>(.*?)</(?:title|desc)>", drawing, re.DOTALL)
    return as_image(standalone(drawing), ". ".join(word.rstrip(".") for word in words))


def as_image(drawing: str, words: str) -> str:
    """A drawing that needs no style sheet as an image within Markdown."""
    data = base64.b64encode(drawing.encode()).decode()
    alt = words.replace('"', "&quot;")
    return f'<img alt="{alt}" src="data:image/svg+xml;base64,{data}">'


def standalone(drawing: str) -> str:
    """A drawing with the part of the style sheet that it needs, in the light palette."""
    css = (DOCS / "assets" / "stylesheets" / "site.css").read_text(encoding="utf-8")
    light = re.search(r"^\[data-md-color-scheme\] \{(.*?)\}", css, re.DOTALL | re.MULTILINE)[1]
    general = re.search(r":root \{(.*?)\}", css, re.DOTALL)[1]
    variables = dict(re.findall(r"--([\w-]+):\s*([^;]+);", general + light))
    rules = re.findall(r"^\.(?:diagram|plot svg)[^{}]*\{[^{}]*\}", css, re.MULTILINE)
    style = "".join(rule.replace(".plot svg", "svg") for rule in rules if "marker-end" not in rule)
    marker = ""
    if 'class="arrow"' in drawing:
        style += "".join(rule for rule in rules if "marker-end" in rule)
        template = (DOCS / "overrides" / "main.html").read_text(encoding="utf-8")
        marker = f"<defs>{MARKER.search(template)[0]}</defs>"
    paper, ink = variables["paper"], variables["ink"]
    style += f"svg{{min-width:0;max-width:none;width:100%;color:{ink};background:{paper}}}"
    opening, rest = re.match(r"\s*(<svg[^>]*>)(.*)", drawing, re.DOTALL).groups()
    if "xmlns=" not in opening:
        opening = opening.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    if "xlink:href" in drawing and "xmlns:xlink=" not in opening:
        opening = opening.replace("<svg", '<svg xmlns:xlink="http://www.w3.org/1999/xlink"', 1)
    return re.sub(
        r"var\(--([\w-]+)\)",
        lambda found: variables[found[1]],
        f"{opening}<style>{style}</style>{marker}{rest}".strip(),
    )


def collect(site: Path, target: Path) -> None:
    """Copy the notebooks of a built site to where "Open in Colab" looks for them.

    The site has `model/attention/attention.ipynb`, and the link leads to `model/attention.ipynb`.
    """
    for notebook in site.rglob("*.ipynb"):
        folder = notebook.parent.relative_to(site)
        copy = target / (folder.parent if folder.name == notebook.stem else folder) / notebook.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(notebook, copy)


if __name__ == "__main__":
    collect(*map(Path, sys.argv[1:]))
