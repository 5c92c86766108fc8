"""Writes into the fragments of the figures that react what their modules draw: `make generated`.

Readers without scripts see a fragment as it is. What its module draws, and how numbers are written
in it, comes from `javascripts/figures/` alone, which is run here in a browser: all figures stand on
one page that holds nothing else. An element with `data-drawn` is one that a module fills; the rest
of a fragment is left as it was written.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, Route

ASSETS = Path(__file__).parent
HOST = "http://figures.invalid/"
ADDRESS = f"{HOST}a/page/"  # two folders below the root, as pages are
FRAGMENTS = [
    path
    for path in (ASSETS / "explorer.html", *sorted(ASSETS.glob("figures/*.html")))
    if "data-figure" in path.read_text(encoding="utf-8")
]
PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Figures</title>
<link rel="stylesheet" href="/assets/stylesheets/site.css"></head>
<body data-md-color-scheme="default"><main class="md-typeset"><h1>Figures</h1><article>
{}</article></main></body></html>"""
# An element that a module fills, and what it holds: none of its own kind.
DRAWN = re.compile(r"(<(\w+)\b[^>]*\sdata-drawn\b[^>]*>)(.*?)(</\2>)", re.DOTALL)
# What is spoken waits for a pause. It stands in the fragment too, and is taken out beforehand.
SPOKEN = "aria-live"
READY = f"[...document.querySelectorAll('[data-drawn][{SPOKEN}]')].every(one => one.textContent)"
# Without its module a figure offers nothing to press and keeps nothing for the tests, so what is
# said of that is left out, and so is what an element with data-live holds.
READ = r"""() => Object.fromEntries(
  [...document.querySelectorAll("[data-figure]")].map((figure) => [
    figure.dataset.figure,
    [...figure.querySelectorAll("[data-drawn]")].map((node) => {
      const copy = node.cloneNode(true);
      for (const one of copy.querySelectorAll("[data-live]")) one.replaceChildren();
      for (const one of copy.querySelectorAll("*")) {
        for (const name of one.getAttributeNames())
          if (/^(role|tabindex|data-value|aria-(?!hidden).*)$/.test(name))
            one.removeAttribute(name);
      }
      return copy.innerHTML;
    }),
  ]),
)"""


def without_words(fragment: Path) -> str:
    """A fragment without what it says at the defaults.

    Raises:
        ValueError: If it marks nothing that is spoken: then nobody could tell when it is drawn.
    """
    text = fragment.read_text(encoding="utf-8")
    if not any(SPOKEN in found[1] for found in DRAWN.finditer(text)):
        raise ValueError(f"{fragment.name} has no element with data-drawn and {SPOKEN}")
    return DRAWN.sub(lambda found: found[1] + found[4] if SPOKEN in found[1] else found[0], text)


@contextmanager
def opened(
    browser: Browser, paths: list[Path] = FRAGMENTS, site: Path = ASSETS.parent
) -> Iterator[Page]:
    """A page of figures, each drawn at its defaults by the modules of a site.

    Raises:
        AssertionError: At the end, if a module has complained.
    """
    fragments = [without_words(path) for path in paths]
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
    """The text that each fragment should have: as it is, with all that its module draws."""
    with opened(browser) as page:
        shown = page.evaluate(READ)

    def filled(path: Path) -> str:
        parts = iter(shown[path.stem])
        text = path.read_text(encoding="utf-8")
        return DRAWN.sub(lambda found: f"{found[1]}{next(parts)}{found[4]}", text)

    return {path: filled(path) for path in FRAGMENTS}
