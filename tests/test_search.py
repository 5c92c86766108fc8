"""The search: what readers type leads to the page that answers it, by keyboard and from disk too."""

import functools
import gzip
import http.server
import json
import re
import threading
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.conftest import ROOT, QuietHandler

QUERIES = [
    (query, page)
    for group in tomllib.loads(
        (ROOT / "tests/search_queries.toml").read_text(encoding="utf-8")
    ).values()
    for query, page in group.items()
]
RULES = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]},
    "rules": {"aria-dialog-name": {"enabled": True}, "target-size": {"enabled": True}},
    "resultTypes": ["violations"],
}
RESULTS = "#search-results a"
DESK = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}


def folder_of(source: str) -> str:
    return f"{source.removesuffix('.md').removesuffix('.py')}/"


def search(page: Page, query: str) -> list[str]:
    """The addresses of the results, best first, once the dialog has found all that it finds."""
    page.fill("#search-query", query)
    expect(page.locator(".search [role=status]")).to_have_text(re.compile("page|Nothing"))
    return page.eval_on_selector_all(RESULTS, "links => links.map(link => link.href)")


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The home page on a desk; a complaint of the browser fails the test."""
    context = browser.new_context(viewport=DESK)
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(address, wait_until="networkidle")
    yield page
    context.close()
    assert not complaints


def test_what_readers_type_leads_to_the_page_that_answers(page: Page, address: str) -> None:
    assert len(QUERIES) >= 40
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
    assert len(places) - len(late) >= 36, late
