"""The notebooks: the same program as the page, in a Markdown that notebooks understand."""

import base64
import re
from functools import cache
from pathlib import Path
from urllib.parse import urldefrag

import nbformat
import pytest
from bs4 import BeautifulSoup
from lxml import html
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from docs.notebook import Context, collect, of_lab, of_page, standalone
from docs.program import requirements
from notebooks import kernel
from tests import ROOT
from tests.runner.pages import blocks_of, site_config, trimmed
from tests.site.built import DOCS, LABS, PROGRAMS, built, parsed

FORMATTED = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
LEFT_OVER = [r"\{ ?#", r"^/// ?", r"--8<--", r"\\label\{", r"\\eqref", r"\{equation\}", r"<figc"]
# Short programs, of different kinds: a drawing, errors that are caught, many blocks.
EXECUTED = ["model/attention.md", "derivations/softmax.md"]


def notebook_of(page: str, site: Path) -> nbformat.NotebookNode:
    notebook = nbformat.read(built(site, page).parent / f"{Path(page).stem}.ipynb", as_version=4)
    nbformat.validate(notebook)
    return notebook


@cache
def ids(file: Path) -> set[str]:
    """The ids of a built page, which many notebooks link."""
    return set(html.document_fromstring(file.read_text(encoding="utf-8")).xpath("//@id"))


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_cells_are_the_pages_blocks_with_their_output(page: str, site: Path) -> None:
    blocks = blocks_of(DOCS / page, ROOT)
    install, *cells = [cell for cell in notebook_of(page, site).cells if cell.cell_type == "code"]
    assert [cell.source for cell in cells] == [trimmed(block.code) for block in blocks]
    printed = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in cells
    ]
    assert printed == [block.expected_output or "" for block in blocks]
    needs = requirements("\n\n".join(block.code for block in blocks))
    assert install.source == f"%pip install --quiet {' '.join(needs)}"
    drawings = (DOCS / page).read_text(encoding="utf-8").count("\n/// drawing | ")
    kinds = [output.output_type for cell in cells for output in cell.outputs]
    assert kinds.count("display_data") == drawings


@pytest.mark.parametrize("lab", LABS)
def test_a_labs_notebook_has_the_outputs_of_its_page(lab: str, site: Path) -> None:
    page = BeautifulSoup(built(site, lab).read_text(encoding="utf-8"), "lxml")
    cells = notebook_of(lab, site).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    python = [re.sub(r"^%.*$", "", cell.source, flags=re.MULTILINE) for cell in code]
    needs = requirements("\n\n".join(python))
    assert {"torch", "matplotlib"} <= set(needs)
    assert code[0].source == f"%pip install --quiet {' '.join(needs)}"
    printed = [out.text for cell in code for out in cell.outputs if out.output_type == "stream"]
    assert printed
    shown = [block.get_text() for block in page.select("article .language-text pre")]
    assert all(text.strip() in (block.strip() for block in shown) for text in printed)
    drawn = [out for cell in code for out in cell.outputs if "image/svg+xml" in out.get("data", {})]
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert len(page.select("article figure.plot")) == len(drawn) + text.count("<img ")
    for caption in page.select("article figure.plot figcaption"):
        assert f"*{caption.get_text()}*" in text
    assert text.index("<img ") < text.index("## What is measured"), "the result does not come first"


@pytest.mark.parametrize("page", [*PROGRAMS, *LABS])
def test_the_text_holds_nothing_that_only_this_site_understands(page: str, site: Path) -> None:
    cells = [cell.source for cell in notebook_of(page, site).cells if cell.cell_type == "markdown"]
    text = FORMATTED.sub("", "\n\n".join(cells))
    found = [match for rule in LEFT_OVER for match in re.findall(rule, text, re.MULTILINE)]
    assert not found, f"docs/{page}: {found}"
    site_url = site_config(ROOT).site_url
    targets = re.findall(r"\]\(([^)\s]+)", text)
    assert any(target.startswith(site_url) for target in targets[:1]), "no way back comes first"
    for target in targets:
        assert re.match(r"https?://", target), f"docs/{page}: {target} is not absolute"
        if target.startswith(site_url):
            address, fragment = urldefrag(target.removeprefix(site_url))
            file = site / address
            file = file / "index.html" if file.is_dir() else file
            assert file.is_file(), f"docs/{page}: {target} leads nowhere"
            assert not fragment or fragment in ids(file), f"docs/{page}: {target} leads nowhere"


@pytest.mark.parametrize("page", PROGRAMS)
def test_an_equation_has_the_number_that_the_page_gives_it(page: str, site: Path) -> None:
    soup = parsed(built(site, page))
    shown = [
        node.get_text().strip("()")
        for node in soup.select("math mtext")
        if re.fullmatch(r"\(\d+\)", node.get_text())
    ]
    cells = [cell.source for cell in notebook_of(page, site).cells if cell.cell_type == "markdown"]
    written = re.findall(r"\\tag\{(\d+)\}", "\n".join(cells))
    assert written == shown
    references = {link.get_text().strip("()") for link in soup.select("a[href^='#eq']")}
    assert references <= set(written)


@pytest.mark.parametrize("page", EXECUTED)
def test_a_notebook_prints_what_its_page_shows(page: str, site: Path, tmp_path: Path) -> None:
    notebook = notebook_of(page, site)
    expected = [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    # A kernel of this environment, in which every package is found installed: pip may ask no index,
    # so it changes nothing, and fails where a package is missing.
    with kernel.environment(tmp_path / "home"), pytest.MonkeyPatch.context() as variables:
        variables.setenv("PIP_NO_INDEX", "1")
        variables.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
        resources = {"metadata": {"path": str(tmp_path)}}
        NotebookClient(notebook, timeout=300, resources=resources).execute()
    printed = [
        "".join(output.text for output in cell.outputs if output.output_type == "stream")
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]
    assert printed[1:] == expected[1:]  # the first installs


def context(**changes: object) -> Context:
    values = {
        "title": "Title",
        "url": "https://site.invalid/page/",
        "words": {"notebook_of": "Of [{title}]({url}).", "interactive": "See {url}."},
        "boxes": {"know": "Know"},
        "absolute": lambda target: f"https://site.invalid/{target}",
        "expand": lambda text: text,
    }
    return Context(**(values | changes))


def test_boxes_formulas_and_links_become_plain_markdown() -> None:
    page = (
        "# Title { #title }\n\n/// know\nFirst [a](b.md#c), and `[x](y)`.\n///\n\n"
        "## Next { #next }\n\n$$\n\\begin{equation}\nx\n\\label{eq:x}\n\\end{equation}\n$$\n\n"
        "By $\\eqref{eq:x}$.\n\n```python\nprint(1)\n```\n\n"
        "<!--pytest-codeblocks:expected-output-->\n```text\n1\n```\n"
    )
    notebook = of_page(page, context())
    assert [cell.source for cell in notebook.cells] == [
        "# Title\n\n*Of [Title](https://site.invalid/page/).*",
        "**Know**\n\nFirst [a](https://site.invalid/b.md#c), and `[x](y)`.",
        "## Next\n\n$$\nx\n\\tag{1}\n$$\n\nBy (1).",
        "print(1)",
    ]
    assert notebook.cells[-1].outputs[0].text == "1\n"


def test_a_lab_keeps_its_outputs_and_shows_the_named_one_where_its_text_says() -> None:
    svg = {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}
    drawn = new_code_cell("plot()", outputs=[new_output("display_data", svg)])
    drawn.metadata.update(name="line", caption="A line.")
    printed = new_code_cell("print(1)", outputs=[new_output("stream", text="1\n")])
    printed.metadata.update(name="one")
    text = "# Lab { #lab }\n\n/// know\nA [page](b.md).\n///"
    text += "".join(f"\n\n/// output | {name}\n///" for name in ("line", "one"))
    notebook = of_lab(new_notebook(cells=[new_markdown_cell(text), drawn, printed]), context())
    head, body, *cells = [cell.source for cell in notebook.cells]
    assert head == "# Title\n\n*Of [Title](https://site.invalid/page/).*"
    image = '<img alt="A line." src="data:image/svg+xml;base64,PHN2Zy8+">'
    assert body == (
        "**Know**\n\nA [page](https://site.invalid/b.md).\n\n"
        f"{image}\n\n*A line.*\n\n```text\n1\n```"
    )
    assert cells == ["plot()", "*A line.*", "print(1)"]
    assert [len(cell.get("outputs", [])) for cell in notebook.cells] == [0, 0, 1, 0, 1]


def test_a_figure_that_reacts_leaves_its_described_drawing_and_a_link() -> None:
    page = '# Title { #title }\n\n--8<-- "docs/assets/figures/scale.html"\n'
    (_, cell) = of_page(page, context()).cells
    drawing, link = cell.source.split("\n\n")
    assert link == "See https://site.invalid/page/."
    alt, data = re.fullmatch(
        r'<img alt="Scores, the weights([^"]*)" src="data:image/svg\+xml;base64,(.*)">', drawing
    ).groups()
    assert alt.endswith("0.81 and 0.16")
    alone = base64.b64decode(data).decode()
    assert "var(--" not in alone
    assert len(BeautifulSoup(alone, "lxml-xml").select(".area[d]")) == 6


def test_a_drawing_stands_alone() -> None:
    drawing = (DOCS / "assets/figures/attention.svg").read_text(encoding="utf-8")
    alone = standalone(drawing)
    assert "var(--" not in alone
    assert 'id="arrowhead"' in alone
    assert BeautifulSoup(alone, "lxml-xml").find("svg").get("viewBox")


def test_a_notebook_is_collected_where_the_link_leads(tmp_path: Path) -> None:
    site = tmp_path / "site"
    for name in ("index.ipynb", "model/attention/attention.ipynb"):
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text("{}", encoding="utf-8")
    collect(site, tmp_path / "notebooks")
    found = sorted((tmp_path / "notebooks").rglob("*.ipynb"))
    assert [path.relative_to(tmp_path / "notebooks").as_posix() for path in found] == [
        "index.ipynb",
        "model/attention.ipynb",
    ]
