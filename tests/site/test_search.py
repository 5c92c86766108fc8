"""The search leads from what readers type to the page that answers it, on line and from disk."""

import functools
import gzip
import http.server
import json
import re
import shutil
import threading
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import pytest
from lxml import html
from mkdocs.exceptions import BuildError
from playwright.sync_api import Browser, Page, expect

from docs.hooks import search as hook
from tests import ROOT
from tests.site.accessibility import everything
from tests.site.built import parsed
from tests.site.conftest import QuietHandler
from tests.site.visit import DESK, PHONE, Visit, show

QUERIES = [
    (query, page)
    for group in tomllib.loads(
        (ROOT / "tests/site/search_queries.toml").read_text(encoding="utf-8")
    ).values()
    for query, page in group.items()
]
RESULTS = "#search-results a"


def folder_of(source: str) -> str:
    return f"{source.removesuffix('.md').removesuffix('.py')}/"


# What the dialog says when it has found all; that an index is missing, it says in other words.
COUNTED = re.compile(r"^(One page|\d+ pages|Nothing)\b")


def search(page: Page, query: str) -> list[str]:
    """The addresses of the results, best first, once the dialog has found all that it finds."""
    page.fill("#search-query", query)
    expect(page.locator(".search [role=status]")).to_have_text(COUNTED)
    return page.eval_on_selector_all(RESULTS, "links => links.map(link => link.href)")


def fragments(site: Path) -> list[dict]:
    """What the index holds of each page."""
    files = site.glob("pagefind/fragment/*")
    return [
        json.loads(gzip.decompress(path.read_bytes()).removeprefix(b"pagefind_dcd"))
        for path in files
    ]


@pytest.fixture
def page(visit: Callable[[str], Visit]) -> Iterator[Page]:
    """The home page on a desk; a complaint of the browser fails the test."""
    opened = visit("")
    opened.change(viewport=DESK)
    yield opened.page
    assert not opened.complaints


def indexed(body: str, words: tuple[str, ...] = (), language: str = "en") -> str:
    article = html.fragment_fromstring(f"<article>{body}</article>")
    return hook.document(article, list(words), language)


def test_a_formula_in_a_line_is_one_word_of_latex_and_a_displayed_one_is_left_out() -> None:
    formula = '<math data-latex="{}"><mi>x</mi></math>'
    line = f'<span class="arithmatex">{formula.format(chr(92) + "alpha x + y")}.</span>'
    block = f'<div class="arithmatex">{formula.format("a = b")}</div>'
    made = indexed(f"<p>By {line} it is.</p>{block}")
    assert r"By <span>$\alpha{}x+y$.</span> it is." in made
    assert "a=b" not in made
    assert hook.in_line("d_k") == "d_k"


def test_code_and_closed_boxes_are_left_out_but_what_the_notes_say_is_kept() -> None:
    made = indexed(
        "<pre>code</pre><details><p>box</p></details> kept"
        '<div class="admonition notes"><pre>掩码 words</pre></div>'
        '<h2>Title<a class="headerlink">#</a></h2>'
    )
    assert "code" not in made
    assert "box" not in made
    assert "#" not in made
    assert "kept" in made
    assert "掩 码 words" in html.fromstring(made).text_content()
    assert "掩码" in indexed("<p>掩码</p>", language="zh")  # Pagefind parts Chinese pages itself


def test_a_glossary_row_gives_its_terms_to_the_page_that_it_links() -> None:
    hook.on_pre_build(None)
    link = "<a href='../../model/masks/#a'>Masks</a>"
    row = f"<tr><td>mask</td><td>掩码</td><td>what</td><td>{link}</td></tr>"
    hook.add_terms(html.fragment_fromstring(f"<table>{row}</table>"), "reference/glossary/")
    assert dict(hook.keywords) == {"model/masks/": ["mask", "掩码"]}
    made = indexed("<p>text</p>", ("mask", "掩码"))
    assert 'data-words="mask; 掩码"' in made
    assert "掩码" not in html.fromstring(made).text_content()
    hook.on_pre_build(None)


@pytest.mark.parametrize("keywords", ["one, two", [1, 2]])
def test_keywords_that_are_no_list_of_texts_stop_the_build(keywords: object) -> None:
    page = SimpleNamespace(
        url="x/", file=SimpleNamespace(src_uri="x.md"), meta={"keywords": keywords}
    )
    with pytest.raises(BuildError, match=r"docs/x\.md:1: keywords is a list of texts"):
        hook.on_post_page("<html><body><article></article></body></html>", page, None)


def test_an_index_of_which_a_file_did_not_arrive_is_not_taken(site: Path, tmp_path: Path) -> None:
    assert hook.complete(site / "pagefind")
    names = ["pagefind-entry.json", "fragment/*", "index/*", "*.pf_meta", "wasm.en.pagefind"]
    for name in names:
        index = tmp_path / name.replace("*", "any").replace("/", "-")
        shutil.copytree(site / "pagefind", index)
        file = next(index.glob(name))
        file.write_bytes(file.read_bytes()[: 0 if name.endswith("json") else 99])
        assert not hook.complete(index), name
    assert not hook.complete(tmp_path / "nowhere")


def test_what_readers_type_leads_to_the_page_that_answers(page: Page, address: str) -> None:
    assert len(QUERIES) >= 56
    page.keyboard.press("/")
    places = {}
    for query, source in QUERIES:
        page.fill("#search-query", "")
        expect(page.locator(RESULTS)).to_have_count(0)
        urls = [url.removeprefix(address).split("#")[0] for url in search(page, query)]
        wanted = folder_of(source)
        places[query] = urls.index(wanted) + 1 if wanted in urls else None
    late = {query: place for query, place in places.items() if place != 1}
    assert all(place and place <= 3 for place in late.values()), late
    assert len(late) <= len(places) / 10, late


def test_nothing_is_loaded_before_the_search_is_used(
    visit: Callable[[str], Visit], address: str
) -> None:
    opened = visit("")
    assert not [url for url in opened.requested if "pagefind" in url or "worker" in url]
    opened.page.click("[data-search-open]")
    search(opened.page, "Kronecker")
    assert [url for url in opened.requested if "pagefind" in url]
    assert all(url.startswith(address) for url in opened.requested)


def test_the_keyboard_opens_the_dialog_and_gets_its_focus_back(page: Page) -> None:
    for key in ("/", "s", "f", "Control+k", "Meta+k"):
        page.focus("[data-search-open]")
        page.keyboard.press(key)
        expect(page.locator("#search-query"), key).to_be_focused()
        page.fill("#search-query", "")
        page.keyboard.type("sf/")  # letters now, and no longer keys that open
        expect(page.locator("#search-query"), key).to_have_value("sf/")
        for _ in range(6):
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.matches('body, dialog, dialog *')"), key
        page.keyboard.press("Escape")
        expect(page.locator("dialog.search"), key).to_be_hidden()
        expect(page.locator("[data-search-open]"), key).to_be_focused()


def test_arrows_walk_the_results_and_enter_opens_one(page: Page, address: str) -> None:
    page.keyboard.press("/")
    urls = search(page, "causal mask")
    links = page.locator(RESULTS)
    page.keyboard.press("ArrowDown")
    expect(links.nth(0)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(links.nth(1)).to_be_focused()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(page.locator("#search-query")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(urls[0])
    expect(page.locator("dialog.search")).to_be_hidden()
    assert "Masks" in page.inner_text("h1")

    # The page came by instant navigation: its search still knows where the index lies.
    page.keyboard.press("/")
    assert search(page, "label smoothing")[0].startswith(f"{address}derivations/cross-entropy/")


def test_a_result_shows_its_page_section_and_excerpt(page: Page) -> None:
    page.keyboard.press("/")
    assert "#" in search(page, "Kronecker")[0]
    first = page.locator(RESULTS).first
    assert first.locator("strong").inner_text() == "Softmax and its gradient"
    assert first.locator("span").inner_text()
    assert "Kronecker" in " ".join(first.locator("mark").all_inner_texts())


def test_nothing_found_and_nothing_asked_are_said(page: Page) -> None:
    page.keyboard.press("/")
    assert search(page, "zyzzyva") == []
    expect(page.locator(".search [role=status]")).to_contain_text("Nothing")
    page.fill("#search-query", "")
    expect(page.locator(".search [role=status]")).to_be_empty()


@pytest.mark.parametrize(("offline", "words"), [(False, "could not be loaded"), (True, "offline")])
def test_a_missing_index_is_said_and_asked_for_again(
    reader: Page, address: str, offline: bool, words: str
) -> None:
    page = reader
    show(page, address)
    page.route("**/pagefind/**", lambda route: route.abort())
    page.context.set_offline(offline)
    page.keyboard.press("/")
    page.fill("#search-query", "mask")
    expect(page.locator(".search [role=status]")).to_contain_text(words)
    assert not page.locator(RESULTS).count()
    page.unroute("**/pagefind/**")
    page.context.set_offline(False)
    assert search(page, "masks")


def test_without_a_script_no_button_promises_a_search(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    expect(page.locator("[data-search-open]")).to_be_hidden()
    expect(page.locator("dialog.search")).to_be_hidden()
    context.close()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desk", "phone"])
def test_the_open_dialog_is_accessible(visit, viewport) -> None:
    opened = visit("")
    opened.change(viewport=viewport)
    page = opened.page
    page.click("[data-search-open]")
    search(page, "attention")
    assert not everything(page)
    page.keyboard.press("ArrowDown")
    assert not everything(page)
    opened.change(color_scheme="dark")
    assert not everything(page)
    page.keyboard.press("ArrowUp")
    assert not everything(page)
    box = page.locator("dialog.search").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= viewport["width"]
    assert box["y"] + box["height"] <= viewport["height"]
    wide = page.evaluate("document.querySelector('dialog.search').scrollWidth")
    assert wide <= viewport["width"]


def test_the_index_holds_what_readers_see_and_formulas_as_latex(site: Path) -> None:
    pages = {page["url"]: page["content"] for page in fragments(site)}
    assert len(pages) >= 30
    assert "/404.html" not in pages
    for url, content in pages.items():
        assert "import torch" not in content, f"{url}: code"
        assert "What this page builds on" not in content, f"{url}: a closed box"
        assert "Link to this section" not in content
        assert not re.search(r"[\U0001d400-\U0001d7ff]", content), f"{url}: a flattened formula"
        soup = parsed(site / url.strip("/") / "index.html")
        for formula in soup.select("article span.arithmatex math"):
            drawn = "".join(formula.get_text().split())
            if re.search(r"\\(frac|sqrt|hat|bar)", formula["data-latex"]) and len(drawn) > 6:
                assert drawn not in content, f"{url}: {drawn} for {formula['data-latex']}"
    assert r"$\sqrt{d_k}$" in pages["/derivations/scale/"]


def test_chinese_in_quotations_is_found_and_shown_as_it_is_written(page: Page, address) -> None:
    page.keyboard.press("/")
    urls = search(page, "位置信息")  # the notes: 在输入的时候加入位置信息
    assert any(url.startswith(f"{address}model/positional-encoding/") for url in urls)
    assert "位置信息" in page.locator(RESULTS).locator("mark").all_inner_texts()


def test_the_search_works_below_a_path_and_on_a_page_that_is_missing(
    reader: Page, address: str, site: Path, tmp_path: Path
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/path").symlink_to(site, target_is_directory=True)
    (tmp_path / "404.html").symlink_to(site / "404.html")
    handler = functools.partial(QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        below = f"http://127.0.0.1:{server.server_port}/sub/path/"
        page = reader
        show(page, f"{below}model/decoder/")
        page.keyboard.press("/")
        assert search(page, "causal mask")[0].startswith(f"{below}model/masks/")
        show(page, f"{address}no/such/page/")
        page.keyboard.press("/")
        assert search(page, "causal mask")[0].startswith(f"{address}model/masks/")
        server.shutdown()


@pytest.fixture(scope="module")
def unpacked(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a reader unpacks, with spaces in its path as on many a desk."""
    folder = tmp_path_factory.mktemp("My downloads")
    with zipfile.ZipFile(site / "executable-transformer.zip") as archive:
        archive.extractall(folder)
    return folder / "executable-transformer"


def test_every_link_of_the_zip_names_a_file_or_the_site_on_line(unpacked: Path) -> None:
    pages = sorted(unpacked.rglob("*.html"))
    assert len(pages) >= 30
    for path in pages:
        for target in re.findall(r'\s(?:href|src)="([^"#?]+)', path.read_text(encoding="utf-8")):
            if not re.match(r"\w+:", target):
                meant = path.parent / unquote(target)
                assert meant.is_file(), f"{path.relative_to(unpacked)}: {target}"


@pytest.fixture
def disk(browser: Browser) -> Iterator[Page]:
    """A page with no network; a complaint of the browser fails the test."""
    context = browser.new_context(viewport=DESK)
    context.set_offline(True)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    yield page
    context.close()
    assert not complaints


def test_a_figure_reacts_on_disk(disk: Page, unpacked: Path) -> None:
    """A page on disk may load no module: the zip has the figures as one script."""
    page = disk
    page.goto((unpacked / "why-attention/complexity/index.html").as_uri())
    page.evaluate("document.querySelector('.explorer').scrollIntoView()")
    page.wait_for_selector("#explorer-n[aria-valuetext='1,024']")
    page.press("#explorer-n", "ArrowRight")
    assert page.locator(".explorer [data-of=n]").text_content() == "2,048"


def test_the_zip_works_from_disk(disk: Page, unpacked: Path) -> None:
    """Links, fonts and search, with no network and no complaint."""
    page = disk
    show(page, (unpacked / "index.html").as_uri())
    page.click(".md-tabs__link[href*='model/']")
    page.wait_for_url("file://**/model/overview/index.html")
    page.keyboard.press("/")
    urls = search(page, "why sqrt dk")
    assert "/derivations/scale/index.html" in urls[0]
    assert search(page, "掩码")[0].split("#")[0].endswith("/model/masks/index.html")
    search(page, "why sqrt dk")
    page.keyboard.press("Enter")
    page.wait_for_url(urls[0])
    assert "scale" in page.inner_text("h1")
    page.evaluate("document.fonts.ready")
    fonts = page.evaluate("[...document.fonts].map(font => [font.family, font.status])")
    assert fonts
    assert all(status == "loaded" for _, status in fonts), fonts
