"""Terms are explained where a page first uses them; every row of a reference table has an id."""

import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urldefrag, urljoin

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from markdown.treeprocessors import Treeprocessor
from playwright.sync_api import Browser, Page, expect

from docs.extensions import terms
from docs.extensions.entries import EntriesError, slug, symbol_slug
from tests import ROOT
from tests.runner.pages import site_config
from tests.site.accessibility import everything
from tests.site.built import DOCS, SOURCES, built, parsed
from tests.site.visit import DESK, PHONE, show

GLOSSARY = "reference/glossary/"


class Linked(Treeprocessor):
    """Stands for what knows a page's source: Zensical's processor or, with files, MkDocs'."""

    def run(self, root: object) -> None:
        pass


def render(
    markdown: str, page: str = "model/page.md", files: list[str] | None = None
) -> BeautifulSoup:
    """A page as the site's Markdown makes it, its links not resolved."""
    config = site_config(ROOT)
    md = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    known = Linked(md)
    if files is None:
        known.path = page
    else:
        known.file = SimpleNamespace(src_uri=page)
        known.files = SimpleNamespace(get_file_from_path=dict.fromkeys(files, page).get)
    md.treeprocessors.register(known, "zrelpath" if files is None else "relpath", 0)
    return BeautifulSoup(md.convert(markdown), "lxml")


def linked(soup: BeautifulSoup) -> list[str]:
    return [link.get_text() for link in soup.select("a.term")]


# the first use of a term


def test_the_first_use_of_a_term_links_its_row_and_carries_its_definition() -> None:
    (link,) = render("A mask hides. The mask and all masks.").select("a.term")
    assert link["href"] == "../reference/glossary.md#mask"
    assert link["data-definition"] == "boolean tensor: True where a query may attend to a key"
    assert link.get("title") is None
    assert link.parent.get_text() == "A mask hides. The mask and all masks."
    (home,) = render("A mask.", "index.md").select("a.term")
    assert home["href"] == "reference/glossary.md#mask"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A causal mask is a mask.", ["causal mask", "mask"]),
        ("A padding mask, and padding.", ["padding mask", "padding"]),
        ("Queries over axes.", ["Queries", "axes"]),
        ("A feed forward\nnetwork, and losses.", ["feed forward\nnetwork", "losses"]),
        ("An RNN, and recurrent neural networks.", ["RNN"]),
        ("A cnn is no abbreviation, two FLOPs are.", ["FLOPs"]),
        ("Eigenqueries, key-value, unmasked and maskable.", []),
        ("**Strong** mask, then `code`, then a query.", ["mask", "query"]),
    ],
)
def test_a_term_is_found_whole_in_any_number(text: str, expected: list[str]) -> None:
    assert linked(render(text)) == expected


@pytest.mark.parametrize(
    "elsewhere",
    [
        "# Mask { #mask }",
        "`mask`",
        "[a mask](#here)",
        "*Mask your query*",
        "**Mask.**",
        "$\\text{mask}$",
        "> A mask, it says.",
        "/// know\nA mask.\n///",
        "/// builds\nA mask.\n///",
        "```text\nmask\n```",
        "| mask |\n| --- |\n| |",
        '<figure markdown="span">\n<svg><text>mask</text></svg>\n</figure>',
        'See <a href="x.zip">the mask</a> there.',
    ],
)
def test_a_term_is_left_alone_where_a_link_would_disturb(elsewhere: str) -> None:
    soup = render(f"{elsewhere}\n\nThen a mask.")
    (link,) = [link for link in soup.select("a.term") if link.get_text().lower() == "mask"]
    assert link.parent.get_text() == "Then a mask."


def test_a_word_with_another_sense_is_a_term_only_where_it_is_meant() -> None:
    assert linked(render("Its memory.", "model/encoder.md")) == ["memory"]
    assert linked(render("Its memory.", "derivations/counting.md")) == []
    assert linked(render("An axis.", "derivations/counting.md")) == []
    assert linked(render("An axis.", "derivations/softmax.md")) == ["axis"]


def test_the_glossary_and_a_site_without_it_have_no_links() -> None:
    assert linked(render("A mask.", "reference/glossary.md")) == []
    assert linked(render("A mask.", "page.md", files=["page.md"])) == []
    assert linked(render("A mask.", "page.md", files=["page.md", terms.GLOSSARY])) == ["mask"]


def test_a_definition_is_shown_without_latex() -> None:
    definitions = {term.name: term.definition for term in terms.glossary()}
    assert definitions["base model"].endswith("d_model = 512, h = 8, N = 6")
    assert definitions["scaled dot-product attention"].endswith("divided by √d_k")
    assert not [text for text in definitions.values() if re.search(r"[$\\{}`]|\]\(", text)]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("  memory: [", "  memories: [", "only_on names memories, which is no term"),
        ("model/decoder.md, model", "model/decode.md, model", "model/decode.md, which is no page"),
        ("$2r + 1$", "$\\frac{1}{2}$", "no plain text is known for $\\frac{1}{2}$"),
        ("entries terms", "entries", "there is no <div"),
    ],
)
def test_a_damaged_glossary_stops_the_build(
    old: str, new: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DOCS / terms.GLOSSARY).read_text(encoding="utf-8")
    assert old in text
    copy = tmp_path / "glossary.md"
    copy.write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(terms, "GLOSSARY", str(copy))  # an absolute path stands for itself
    with pytest.raises(terms.TermsError, match=re.escape(message)):
        terms.glossary()


# the built site


def soup_of(site: Path, source: str) -> BeautifulSoup:
    return parsed(built(site, source))


def test_no_page_links_a_term_twice_and_every_link_shows_its_row(site: Path) -> None:
    glossary = soup_of(site, terms.GLOSSARY)
    rows = {row["id"]: row for row in glossary.select(".terms tr[id]")}
    with_terms = 0
    for source in SOURCES:
        links = soup_of(site, source).select("a.term")
        ids = [urldefrag(link["href"]).fragment for link in links]
        assert len(ids) == len(set(ids)), f"docs/{source} links a term twice: {ids}"
        assert set(ids) <= rows.keys()
        with_terms += len(ids) > 5
    assert with_terms > 25


def test_a_word_with_another_sense_is_linked_on_no_page_that_the_glossary_does_not_list(
    site: Path,
) -> None:
    linking: dict[str, set[str]] = {}
    for source in SOURCES:
        for link in soup_of(site, source).select("a.term"):
            linking.setdefault(urldefrag(link["href"]).fragment, set()).add(source)
    for term in terms.glossary():
        pages = linking.get(slug(term.name), set())
        assert pages.isdisjoint(term.not_on)
        if term.only_on is not None:
            assert pages, f"{term.name} is linked nowhere: its only_on is stale"
            assert pages <= set(term.only_on)


# ids and labels of rows


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("causal mask", "causal-mask"),
        ("Kronecker's delta", "kroneckers-delta"),
        ("convolutional neural network (CNN)", "convolutional-neural-network-cnn"),
        ("线形层", "线形层"),
    ],
)
def test_the_id_of_a_term_is_its_words(name: str, expected: str) -> None:
    assert slug(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("d_k", "d_k"),
        (r"d_\text{model}", "d_model"),
        ("W_i^Q", "W_i-Q"),
        (r"\Sigma_q, \Sigma_k", "Sigma_q-Sigma_k"),
        (r"\hat{x}", "hat-x"),
        ("s_{ij}", "s_ij"),
    ],
)
def test_the_id_of_a_symbol_is_its_letters(name: str, expected: str) -> None:
    assert symbol_slug(name) == expected


def test_rows_of_a_reference_table_get_ids_and_their_cells_labels() -> None:
    table = "| term | what |\n| --- | --- |\n| a mask | hides |\n| Value | is |"
    soup = render(f'<div class="entries terms" markdown>\n\n{table}\n\n</div>')
    assert [row.get("id") for row in soup.select("tr")] == [None, "a-mask", "value"]
    assert [cell["data-label"] for cell in soup.select("td")] == ["term", "what"] * 2
    letters = [(link.get_text(), link["href"]) for link in soup.select(".letters a")]
    assert letters == [("A", "#a-mask"), ("V", "#value")]


def test_the_id_of_a_symbol_names_its_section_and_may_come_from_its_code() -> None:
    table = "| symbol | code |\n| --- | --- |\n| $V$ | `value` |\n| | `src_mask` |"
    soup = render(
        f'## Part {{ #part }}\n\n<div class="entries symbols" markdown>\n\n{table}\n\n</div>'
    )
    assert [row["id"] for row in soup.select("tr[id]")] == ["part-V", "part-src_mask"]


@pytest.mark.parametrize("second", ["A mask", "?", "here"])
def test_a_row_without_an_id_of_its_own_stops_the_build(second: str) -> None:
    table = f"| term |\n| --- |\n| a mask |\n| {second} |"
    with pytest.raises(EntriesError, match=re.escape(second)):
        render(f'## Here {{ #here }}\n\n<div class="entries" markdown>\n\n{table}\n\n</div>')


@pytest.mark.parametrize("source", ["reference/glossary.md", "reference/notation.md"])
def test_every_row_of_the_reference_has_an_id(source: str, site: Path) -> None:
    rows = [row for row in soup_of(site, source).select("article tr") if row.find("td")]
    assert len(rows) > 80
    assert [row.get_text() for row in rows if not row.get("id")] == []


# in a browser


@pytest.fixture
def touch(browser: Browser, address: str):
    """A page on a phone that is touched."""
    context = browser.new_context(viewport=PHONE, has_touch=True, reduced_motion="reduce")
    page = context.new_page()
    show(page, f"{address}model/masks/")
    yield page
    context.close()


def inside(page: Page) -> bool:
    """Whether the definition lies within the window."""
    box = page.locator(".definition").bounding_box()
    size = page.viewport_size
    right, bottom = box["x"] + box["width"], box["y"] + box["height"]
    return box["x"] >= 0 and right <= size["width"] and box["y"] >= 0 and bottom <= size["height"]


def test_the_keyboard_shows_a_definition_and_escape_closes_it(visit) -> None:
    opened = visit("model/masks/")
    page = opened.page
    for link in page.locator("a.term").all()[:4]:
        page.keyboard.press("Tab")  # so that the focus is one that shows
        link.focus()
        shown = page.locator(".definition[role=tooltip]")
        expect(shown).to_have_text(link.get_attribute("data-definition"))
        assert link.get_attribute("aria-describedby") == shown.get_attribute("id")
        assert inside(page)
    assert not everything(page)
    page.keyboard.press("Escape")
    expect(page.locator(".definition")).to_have_count(0)
    assert link.get_attribute("aria-describedby") is None
    assert link.evaluate("node => node === document.activeElement")
    assert not opened.complaints


def test_the_pointer_shows_a_definition_and_may_move_onto_it(visit) -> None:
    opened = visit("model/masks/")
    opened.change(viewport=DESK)
    page = opened.page
    shown = page.locator(".definition")
    page.locator("a.term").first.hover()
    expect(shown).to_have_count(1)
    shown.hover()
    page.wait_for_timeout(400)  # longer than it takes to close
    expect(shown).to_have_count(1)
    page.mouse.move(5, 300)
    expect(shown).to_have_count(0)


def test_a_touch_shows_a_definition_and_the_next_one_leads_to_the_glossary(
    touch: Page, address: str
) -> None:
    here = touch.url
    link = touch.locator("a.term").first
    target = urljoin(here, link.get_attribute("href"))
    link.tap()
    expect(touch.locator(".definition")).to_have_text(link.get_attribute("data-definition"))
    assert touch.url == here
    assert inside(touch)
    link.tap()
    touch.wait_for_url(target)
    expect(touch.locator(".definition")).to_have_count(0)
    assert target.startswith(f"{address}{GLOSSARY}#")


@pytest.mark.parametrize("path", [f"{GLOSSARY}#query", "reference/notation/#attention-W_i-Q"])
def test_a_row_that_a_link_leads_to_is_in_sight(path: str, visit, address: str) -> None:
    page = visit("").page
    row = page.locator(f"[id='{path.partition('#')[2]}']")
    for viewport in (PHONE, DESK):
        page.set_viewport_size(viewport)
        show(page, f"{address}{path}")
        expect(row).to_be_in_viewport(ratio=0.9)
        header = page.locator(".md-header").bounding_box()
        assert row.bounding_box()["y"] >= header["y"] + header["height"] - 1
        show(page, address)


@pytest.mark.parametrize("path", [GLOSSARY, "reference/notation/"])
def test_on_a_phone_every_row_is_a_card_and_nothing_is_cut(path: str, visit) -> None:
    page = visit(path).page
    cut = page.evaluate(
        "[...document.querySelectorAll('.entries, .entries *')].filter((node) => {"
        "  const { left, right } = node.getBoundingClientRect();"
        "  return node.checkVisibility() && !node.closest('thead')"
        "    && (right > innerWidth || left < 0 || node.scrollWidth > node.clientWidth + 1)"
        "    && !node.closest('math') && node.clientWidth;"
        "}).map((node) => node.outerHTML.slice(0, 200))"
    )
    assert not cut
    cells = page.evaluate(
        "[...document.querySelectorAll('.entries td:not(:first-child)')]"
        ".filter((cell) => cell.checkVisibility())"
        ".map((cell) => [cell.dataset.label, getComputedStyle(cell, '::before').content])"
    )
    assert len(cells) > 200
    assert all(content == f'"{label}"' for label, content in cells)
