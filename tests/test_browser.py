"""The site as a browser shows it: accessible, quiet, light, and no wider than a phone."""

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.test_site import LABS, PAGES, built

SOURCES = [*PAGES, *LABS]
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
# WCAG 2.1 AA, and the one rule beyond it that Material's search was found to break.
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "rules": {"aria-dialog-name": {"enabled": True}},
    "resultTypes": ["violations"],  # what passes is not listed, which takes half the time
}
OPEN_ALL = "document.querySelectorAll('details').forEach(details => details.open = true)"
PAGE_LIMIT = 150_000  # bytes, compressed, with all that the page loads
COMPRESSED_ALREADY = {".woff2", ".png", ".gz"}


def path_of(source: str, site: Path) -> str:
    folder = built(site, source).parent.relative_to(site).as_posix()
    return "" if folder == "." else f"{folder}/"


def weight(requested: list[str], address: str, site: Path) -> int:
    """Bytes over the wire from a host that compresses."""
    total = 0
    for url in dict.fromkeys(requested):
        file = site / url.removeprefix(address).split("?")[0]
        data = (file / "index.html" if file.is_dir() else file).read_bytes()
        total += len(data if file.suffix in COMPRESSED_ALREADY else gzip.compress(data, 6))
    return total


class Visit:
    """A page opened in a context of its own, with what it asked for and complained of."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.context = browser.new_context(
            color_scheme="light", viewport=PHONE, reduced_motion="reduce"
        )
        self.page: Page = self.context.new_page()
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requested.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on(
            "console",
            lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        )
        self.page.goto(url, wait_until="networkidle")

    def violations(self) -> list[str]:
        """What axe finds, with all that is collapsed opened."""
        self.page.evaluate(OPEN_ALL)
        violations = Axe().run(self.page, options=RULES).response["violations"]
        return [f"{v['id']}: {node['html'][:160]}" for v in violations for node in v["nodes"]]


@pytest.fixture
def visit(browser: Browser, address: str) -> Iterator[Callable[[str], Visit]]:
    """Opens a page; its context is closed after the test."""
    opened: list[Visit] = []

    def open_page(path: str) -> Visit:
        opened.append(Visit(browser, f"{address}{path}"))
        return opened[-1]

    yield open_page
    for one in opened:
        one.context.close()


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_is_accessible_quiet_light_and_narrow(source, visit, site, address) -> None:
    """One visit for all of it: light on a phone, then dark on a desk."""
    opened = visit(path_of(source, site))
    page = opened.page
    outside = [url for url in opened.requested if not url.startswith((address, "data:"))]
    assert not outside, f"docs/{source} asks other hosts: {outside}"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], f"docs/{source} is {width} px wide on a phone"

    total = weight(opened.requested, address, site)
    limit: float = PAGE_LIMIT
    if source in LABS:
        plots = "[...document.querySelectorAll('.plot svg')].map(svg => svg.outerHTML).join('')"
        limit = 1.5 * PAGE_LIMIT + len(gzip.compress(page.evaluate(plots).encode()))
    assert total < limit, f"docs/{source} weighs {total} bytes, more than {limit:.0f}"

    assert not (found := opened.violations()), f"docs/{source}, light:\n" + "\n".join(found)
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(DESK)
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert not (found := opened.violations()), f"docs/{source}, dark:\n" + "\n".join(found)

    # What a copy button copies is the block's text, as the check that runs the copied code assumes.
    blocks = page.evaluate(
        "[...document.querySelectorAll('.language-python code')].map(code => {"
        "code.dataset.mdCopying = '';"  # as Material does while it copies
        "return [code.innerText.trimEnd(), code.textContent.trimEnd()]})"
    )
    buttons = page.evaluate(
        "document.querySelectorAll('.language-python [data-clipboard-target]').length"
    )
    assert buttons == len(blocks), f"docs/{source}: {len(blocks)} blocks, {buttons} copy buttons"
    assert all(shown == held for shown, held in blocks), f"docs/{source}: a button copies less"
    assert not opened.complaints, f"docs/{source}: {opened.complaints}"


def test_search_finds_a_page_and_loads_its_index_only_then(visit) -> None:
    opened = visit("")
    opened.page.set_viewport_size(DESK)
    assert not [url for url in opened.requested if "search_index" in url or "worker" in url]
    opened.page.click(".md-search__input")
    opened.page.fill(".md-search__input", "Kronecker")
    opened.page.wait_for_selector(".md-search-result__item a[href*='derivations/softmax/']")
    assert [url for url in opened.requested if "search_index" in url]


def test_the_palette_can_be_chosen_and_is_kept(visit) -> None:
    page = visit("").page
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(background)}
    for _ in range(2):
        page.click("label[for^=__palette]:visible")
        seen.add(page.evaluate(background))
    assert len(seen) == 2
    chosen = page.evaluate(background)
    page.reload()
    assert page.evaluate(background) == chosen


def test_a_lost_reader_gets_the_sites_own_page(visit) -> None:
    opened = visit("no/such/page/")
    assert "masked" in opened.page.inner_text("h1")
    assert not opened.violations()


def test_a_long_formula_scrolls_within_itself(visit) -> None:
    page = visit("derivations/softmax/").page
    visible = "[...document.querySelectorAll('div.arithmatex')].filter(d => d.checkVisibility())"
    formulas = page.evaluate(f"{visible}.map(d => [d.scrollWidth > d.clientWidth, d.clientWidth])")
    assert any(scrolls for scrolls, _ in formulas)
    assert all(width <= PHONE["width"] for _, width in formulas)
    # By keyboard too, once the script has seen how wide they are.
    page.wait_for_function(
        f"{visible}.every(d => (d.scrollWidth > d.clientWidth) === (d.tabIndex === 0))"
    )
