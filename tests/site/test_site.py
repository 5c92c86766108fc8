"""The built site: what it shows is what ran, its links lead somewhere, its formulas are set."""

import json
import re
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin
from xml.etree import ElementTree

import pytest
from fontTools.ttLib import TTFont
from lxml import html

from docs.program import program_text, requirements
from notebooks.execution import known_execution
from notebooks.lab import read_lab
from tests import ROOT
from tests.runner.pages import (
    blocks_of,
    check_shown_is_run,
    location,
    shown_python,
    site_config,
)
from tests.site.built import (
    DOCS,
    LABS,
    PAGES,
    PROGRAMS,
    WITHOUT_A_BLOCK,
    built,
    html_files,
    parsed,
)

SET_OTHERWISE = " or ".join(f"ancestor::{name}" for name in ("pre", "code", "math", "svg"))
ALLOWED_NEEDS = {"torch", "matplotlib", "tokenizers", "sacrebleu", "safetensors"}
THEME_SCRIPT = re.compile(
    r"__md_scope=|var palette=__md_get|var target=document.getElementById\(location.hash"
    r"|for\(const link of document.querySelectorAll\("
    r"\"link:not\(\[rel=icon\]\)\"\)\)link.href=link.href$"
)


def test_the_build_prints_no_warning(build_log: str) -> None:
    assert not re.search(r"warn|error|deprecat", build_log, re.IGNORECASE), build_log


@pytest.mark.parametrize("lab", LABS)
def test_a_second_build_would_not_execute_a_lab(lab: str, site: Path) -> None:
    """What it would look for is there: `test_labs` shows that it then executes nothing."""
    assert known_execution(read_lab(DOCS / lab, ROOT), ROOT / ".cache" / "labs")


def test_only_the_pages_named_here_have_no_block() -> None:
    assert [page for page in PAGES if not blocks_of(DOCS / page, ROOT)] == WITHOUT_A_BLOCK


@pytest.mark.parametrize("page", PAGES)
def test_the_python_shown_is_the_python_that_ran(page: str, site: Path) -> None:
    html = built(site, page).read_text(encoding="utf-8")
    check_shown_is_run(blocks_of(DOCS / page, ROOT), html, DOCS / page, ROOT)


@pytest.mark.parametrize("page", PROGRAMS)
def test_a_program_needs_nothing_of_this_repository(page: str) -> None:
    """So it does elsewhere what it did here; `test_copying` copies it and runs some."""
    code = program_text([block.code for block in blocks_of(DOCS / page, ROOT)])
    needs = set(requirements(code))
    assert needs <= ALLOWED_NEEDS, f"docs/{page} imports {needs - ALLOWED_NEEDS}"


@pytest.mark.parametrize("page", PAGES)
def test_every_heading_has_an_id_of_its_own(page: str) -> None:
    fenced = False
    ids = []
    for number, line in enumerate((DOCS / page).read_text(encoding="utf-8").splitlines(), 1):
        fenced ^= line.lstrip().startswith("```")
        if not fenced and re.match(r"#{1,6} ", line):
            found = re.search(r'\{ #([a-z0-9-]+)( data-toc-label="[^"]+")? \}$', line)
            here = location(DOCS / page, number, ROOT)
            assert found, f"{here}: the heading needs an id, as in '## Run it {{ #run-it }}'"
            assert found[1] not in ids, f"{here}: the id {found[1]} is used twice"
            ids.append(found[1])


def test_every_page_describes_itself(site: Path) -> None:
    seen: dict[str, str] = {}
    for source in [*PAGES, *LABS]:
        soup = parsed(built(site, source))
        for name in ("og:title", "og:description", "og:image", "og:url"):
            assert soup.find("meta", property=name), f"docs/{source} has no {name}"
        description = soup.find("meta", attrs={"name": "description"})["content"]
        assert soup.find("meta", property="og:description")["content"] == description
        assert 50 <= len(description) <= 170, f"docs/{source}: {len(description)} characters"
        assert description not in seen, f"docs/{source} and docs/{seen[description]} share one"
        seen[description] = source


def test_every_link_leads_somewhere(site: Path) -> None:
    """Follows every address within the site, its fragment included, from the built HTML."""
    soups = {path: parsed(path) for path in html_files(site)}
    ids = {path: {node["id"] for node in soup.select("[id]")} for path, soup in soups.items()}
    site_url = site_config(ROOT).site_url
    broken = []
    for path, soup in soups.items():
        here = urljoin(site_url, path.relative_to(site).as_posix())
        nodes = soup.find_all(True)
        names = ("href", "xlink:href", "src")
        targets = [node[name] for name in names for node in nodes if node.get(name)]
        for target in targets:
            absolute = urljoin(here, target)
            if not absolute.startswith(site_url):
                continue
            address, fragment = urldefrag(absolute)
            file = site / unquote(address.removeprefix(site_url))
            file = file / "index.html" if file.is_dir() else file
            if not file.is_file() or (fragment and unquote(fragment) not in ids.get(file, ())):
                broken.append(f"{path.relative_to(site)}: {target}")
    assert not broken, "these links lead nowhere:\n" + "\n".join(broken)


def test_instant_navigation_meets_no_address_that_it_cannot_set(site: Path) -> None:
    """Material sets each `href` anew, and stops with an error where that of an SVG element is."""
    for path in html_files(site):
        soup = parsed(path)
        found = [str(node)[:120] for node in soup.select("svg [href]")]
        assert not found, f"{path.relative_to(site)}: write xlink:href: {found}"


def test_every_figure_is_read_as_a_file_of_its_own_too() -> None:
    """Within a page no prefix need be declared, but an XML parser stops at one that is not."""
    figures = sorted((DOCS / "assets").rglob("*.svg"))
    assert figures
    for figure in figures:
        ElementTree.parse(figure)


def test_no_page_asks_another_host_for_anything(site: Path) -> None:
    for path in html_files(site):
        soup = parsed(path)
        for node in soup.select("script[src], link[href], img[src], iframe[src], source[src]"):
            if node.get("rel") in (["canonical"], ["next"], ["prev"]):
                continue
            target = node.get("src") or node.get("href")
            assert not re.match(r"(https?:)?//", target), f"{path.relative_to(site)}: {target}"


def test_the_inline_scripts_are_the_themes_and_one_line(site: Path) -> None:
    """Material's: where its storage lives, the palette before the first paint, an opened anchor."""
    for path in html_files(site):
        soup = parsed(path)
        inline = [node for node in soup.find_all("script") if not node.get("src")]
        foreign = [
            node.get_text()[:60]
            for node in inline
            if node.get("id") != "__config" and not THEME_SCRIPT.match(node.get_text())
        ]
        assert not foreign, f"{path.relative_to(site)}: {foreign}"
        assert sum(len(node.get_text()) for node in inline) < 4096
        assert not soup.find_all("style"), f"{path.relative_to(site)} has an inline style sheet"


def test_every_formula_is_set_with_glyphs_that_the_font_has(site: Path) -> None:
    glyphs = TTFont(DOCS / "assets/fonts/stix-two-math.woff2").getBestCmap()
    italic = {chr(ord("a") + i): chr(0x1D44E + i) for i in range(26)} | {"h": "\u210e"}
    italic |= {chr(ord("A") + i): chr(0x1D434 + i) for i in range(26)}
    italic |= {chr(0x3B1 + i): chr(0x1D6FC + i) for i in range(25)}
    formulas = 0
    for path in html_files(site):
        soup = parsed(path)
        for holder in soup.select(".arithmatex"):
            math = holder.find("math")
            if holder.find("a") and not math:
                continue  # a reference to a numbered formula
            assert math, f"{path.relative_to(site)}: {holder.get_text()} is not set"
            formulas += 1
            for leaf in math.find_all(["mi", "mo", "mn", "mtext", "ms"]):
                text = leaf.get_text()
                shown = italic.get(text, text) if leaf.name == "mi" else text
                needed = set(shown) - {"\ufe00", "\ufe01"}  # these choose a style, and show nothing
                lacking = {c for c in needed if ord(c) not in glyphs and not c.isspace()}
                assert not lacking, (
                    f"{path.relative_to(site)}: no glyph for {lacking} in {math['data-latex']}"
                )
    assert formulas > 50


def test_no_formula_is_left_as_tex(site: Path) -> None:
    """The Markdown extension cannot see TeX within raw HTML; a reader would."""
    for path in html_files(site):
        (article,) = html.parse(path).iter("article")
        text = "".join(article.xpath(f".//text()[not({SET_OTHERWISE})]"))
        left = re.search(r"\$[^$\n]*[\\^_{][^$\n]*\$|\\\(|\\\[", text)
        assert not left, f"{path.relative_to(site)}: {left[0]}"


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_shows_the_code_that_its_notebook_holds(lab: str, site: Path) -> None:
    page = built(site, lab)
    notebook = json.loads(page.with_name(f"{Path(lab).stem}.ipynb").read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert code[0].startswith("%pip install ")
    assert shown_python(page.read_text(encoding="utf-8")) == [text.rstrip() for text in code[1:]]


@pytest.mark.parametrize("lab", LABS)
def test_a_downloaded_lab_needs_nothing_of_this_repository(lab: str, site: Path) -> None:
    """It was executed by the build in a folder of its own; here its code is held to that."""
    page = built(site, lab)
    downloaded = json.loads(page.with_name(f"{Path(lab).stem}.ipynb").read_text(encoding="utf-8"))
    made = json.loads((ROOT / ".cache/labs" / page.parent.with_suffix(".ipynb").name).read_text())
    code, executed = (
        ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
        for notebook in (downloaded, made)
    )
    assert code[1:] == executed
    assert "snippets" not in "".join(executed)


@pytest.mark.parametrize("lab", LABS)
def test_a_lab_shows_its_result_before_its_code(lab: str, site: Path) -> None:
    """A drawing and what follows from it, within the first section."""
    soup = parsed(built(site, lab))
    result = soup.select_one("article h2")
    assert result["id"] == "result"
    before = [node.get("class", []) for node in result.find_all_previous(["figure", "pre"])]
    assert not before, f"docs/{lab}: {before} stand above the result"
    first, *_ = result.find_all_next(["figure", "pre", "h2"])
    assert first.name == "figure"
    assert "plot" in first["class"]
    section = first.find_next("h2")
    assert first.find_next("strong").find_next("h2") is section, f"docs/{lab}: no conclusion"
    assert [box["class"][-1] for box in result.find_all_previous(class_="admonition")] == [
        "learn",
        "know",
    ]
