"""Writes into `figures/*.html` what their scripts draw at the defaults: `make generated`.

Readers without scripts see a fragment as it is. What its script draws stands in its elements with
`data-drawn`. The scripts are run here in a browser, all on one page that holds nothing else.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

HERE = Path(__file__).parent
HOST = "http://figure.test/"
ADDRESS = f"{HOST}a/page/"  # two folders below the root, as pages are
FRAGMENTS = [
    path
    for path in sorted(HERE.glob("figures/*.html"))
    if "data-drawn" in path.read_text(encoding="utf-8")
]
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures</title>
<link rel="stylesheet" href="/assets/stylesheets/site.css"></head>
<body data-md-color-scheme="default"><main class="md-typeset"><h1>Figures</h1><article>
{}</article></main></body></html>"""
# An element that a script fills, and what it holds: none of its own kind.
DRAWN = re.compile(r'(<(\w+)\b[^>]*\sdata-drawn="([\w-]+)"[^>]*>)(.*?)(</\2>)', re.DOTALL)
# Full precision, for the tests, is not for readers.
READ = """() => Object.fromEntries([...document.querySelectorAll("[data-figure]")].map((figure) => [
  figure.dataset.figure,
  Object.fromEntries([...figure.querySelectorAll("[data-drawn]")].map((node) => {
    const copy = node.cloneNode(true);
    for (const one of copy.querySelectorAll("*"))
      for (const name of Object.keys(one.dataset)) delete one.dataset[name];
    return [node.dataset.drawn, copy.innerHTML];
  })),
]))"""
# What is spoken waits for a pause.
READY = "[...document.querySelectorAll('[data-drawn]')].every(node => node.innerHTML)"


@contextmanager
def opened(browser: Browser, site: Path = HERE.parent) -> Iterator[Page]:
    """A page of all figures, each drawn at its defaults by the scripts of a site.

    Raises:
        AssertionError: At the end, if a script has complained.
    """
    fragments = [DRAWN.sub(r"\1\5", path.read_text(encoding="utf-8")) for path in FRAGMENTS]
    complaints: list[str] = []

    def serve(route: Route) -> None:
        file = site / route.request.url.removeprefix(HOST).partition("?")[0]
        if route.request.url.startswith(ADDRESS):
            body = PAGE.format("".join(fragments))
            route.fulfill(body=body, content_type="text/html; charset=utf-8")
        elif file.is_file():
            route.fulfill(path=file)
        else:
            route.fulfill(status=404)

    viewport = {"width": 900, "height": 1000 * len(fragments)}  # all are near
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    try:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        page.route(f"{HOST}**", serve)
        page.goto(ADDRESS)
        page.wait_for_function(READY)
        yield page
    finally:
        context.close()
    assert not complaints, complaints


def written(browser: Browser) -> dict[Path, str]:
    """The text that each fragment should have: as it is, with all that its script draws."""
    with opened(browser) as page:
        shown = page.evaluate(READ)

    def filled(path: Path) -> str:
        figure = shown[path.stem]
        text = path.read_text(encoding="utf-8")
        return DRAWN.sub(lambda found: f"{found[1]}{figure[found[3]]}{found[5]}", text)

    return {path: filled(path) for path in FRAGMENTS}
