"""The home page speaks to the visitor, and the way leads on from it."""

import re
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin

import pytest
from bs4 import BeautifulSoup
from mkdocs.exceptions import BuildError
from playwright.sync_api import expect

from docs.hooks.hours import in_words, minutes_of
from tests import ROOT
from tests.runner.pages import site_config
from tests.site.built import SOURCES, built, parsed
from tests.site.visit import DESK

WORDS = site_config(ROOT).extra["words"]
TABLET = {"width": 820, "height": 1180}
REFERENCE = [
    "notes.md",
    "reference/notation.md",
    "reference/glossary.md",
    "reference/errata.md",
    "reference/bibliography.md",
]


def soup_of(site: Path, source: str) -> BeautifulSoup:
    return parsed(built(site, source))


# the hours


def test_a_time_is_told_to_the_nearest_half_of_an_hour() -> None:
    words = {"half_an_hour": "half", "an_hour": "one", "hours": "{} hours"}
    told = [in_words(minutes, words) for minutes in (5, 44, 46, 74, 76, 119, 570)]
    assert told == [
        "half",
        "half",
        "one",
        "one",
        "1½ hours",
        "2 hours",
        "9½ hours",
    ]


def page_with(source: str, **head: int | None) -> SimpleNamespace:
    return SimpleNamespace(file=SimpleNamespace(src_uri=source), meta={"head": head})


def test_hours_are_sums_over_folders() -> None:
    pages = [
        page_with("model/a.md", minutes=20, essential_minutes=12),
        page_with("model/b.md", minutes=7, essential_minutes=None),
        page_with("models/c.md", minutes=100, essential_minutes=50),
        page_with("lab/d.md", minutes=10, essential_minutes=5),
        page_with("notes.md"),
    ]
    assert minutes_of(["model"], pages, essentials=False) == 27
    assert minutes_of(["model"], pages, essentials=True) == 19
    assert minutes_of(["model", "lab"], pages, essentials=False) == 37
    with pytest.raises(BuildError, match=r'docs/index\.md: data-hours names "training"'):
        minutes_of(["training"], pages, essentials=False)


def test_the_home_page_tells_the_hours_of_its_path(site: Path) -> None:
    minutes: dict[str, list[tuple[int, int]]] = {}
    for source in SOURCES:
        reading = soup_of(site, source).select_one(".reading")
        if reading and (found := re.findall(r"(\d+) min", reading.get_text())):
            minutes.setdefault(source.split("/")[0], []).append((int(found[0]), int(found[-1])))
    places = soup_of(site, "index.md").select("[data-hours]")
    assert len(places) == 3
    for place in places:
        pages = [page for folder in place["data-hours"].split() for page in minutes[folder]]
        expected = sum(page[1 if place.has_attr("data-essentials") else 0] for page in pages)
        assert place.get_text() == in_words(expected, WORDS)
    path = set(places[-1]["data-hours"].split())
    assert path == {"model", "derivations", "why-attention", "pytorch", "training"}


# the first screen


def test_the_first_screen_of_a_desk_says_all_that_a_visitor_asks(visit) -> None:
    opened = visit("")
    opened.change(viewport=DESK)
    page = opened.page
    expect(page.locator("h1")).to_be_in_viewport(ratio=1)
    assert page.locator(".hero dt").count() == 3
    for place in page.locator(".hero dd, .doors h2, .doors p, .doors a").all():
        expect(place).to_be_in_viewport(ratio=1)
    expect(page.locator(".home .diagram")).to_be_in_viewport(ratio=0.9)
    assert page.locator("a[rel=edit]").count() == 0


def test_the_doors_lead_to_the_path_the_symptoms_and_the_reference(site: Path) -> None:
    doors = soup_of(site, "index.md").select(".doors > div")
    targets = [[link["href"] for link in door.select("a.md-button")] for door in doors]
    assert targets == [
        ["model/overview/"],
        ["reference/errata/#by-symptom"],
        ["reference/notation/", "reference/glossary/"],
    ]


def test_on_a_phone_the_doors_come_first_then_the_program_then_the_figure(visit) -> None:
    page = visit("").page
    order = [
        ".hero",
        ".doors",
        ".ten-lines .language-python",
        ".ten-lines .program",
        ".home figure",
    ]
    tops = [page.locator(place).bounding_box()["y"] for place in order]
    assert tops == sorted(tops)
    assert page.locator("a[rel=edit]").count() == 0
    story = page.locator("#story").bounding_box()["y"]
    assert story > page.locator("#what-is-here").bounding_box()["y"] > tops[-1]


def test_on_a_tablet_nothing_of_the_figure_is_cut(visit) -> None:
    opened = visit("")
    opened.change(viewport=TABLET)
    figure = opened.page.locator(".home figure")
    assert figure.evaluate("node => node.scrollWidth <= node.clientWidth")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= TABLET["width"]


def test_the_home_page_offers_its_program_and_the_site_as_a_zip(site: Path) -> None:
    soup = soup_of(site, "index.md")
    targets = [link["href"] for link in soup.select(".ten-lines .program a")]
    assert targets == ["index.py", "index.ipynb"]
    zipped = soup.select_one("a[href$='.zip']")["href"]
    assert all((site / target).is_file() for target in [*targets, zipped])
    assert not soup.select("[data-program]")


@pytest.mark.parametrize("source", REFERENCE)
def test_what_a_page_of_reference_holds_begins_on_the_first_screen(source, visit, path) -> None:
    page = visit(path(source)).page
    begins = page.locator("article :is(h2, li)").first
    expect(begins).to_be_in_viewport(ratio=1)


# the way through


def test_next_leads_along_the_path_and_then_to_the_rest(site: Path) -> None:
    base = "https://site.invalid/"
    way, url = [], base
    while True:
        page = site / url.removeprefix(base) / "index.html"
        link = parsed(page).select_one(".md-footer__link--next")
        if link is None:
            break
        url = urljoin(url, link["href"])
        way.append(url.removeprefix(base).rstrip("/"))
    assert len(way) == len(SOURCES) - 1
    folders = list(dict.fromkeys(name.split("/")[0] for name in way))
    assert folders == [
        "model", "derivations", "why-attention", "pytorch", "training", "lab", "notes", "reference"
    ]  # fmt: skip
    assert way[:2] == ["model/overview", "model/embedding"]
    assert way[way.index("model/transformer") + 1] == "derivations/softmax"


@pytest.mark.parametrize("source", [source for source in SOURCES if "/" in source])
def test_a_page_says_where_it_stands(source: str, site: Path) -> None:
    crumbs = soup_of(site, source).select_one("nav.md-path")
    assert crumbs["aria-label"] == WORDS["path"]
    home, section = crumbs.select("a")
    url = f"/{source.rsplit('.', 1)[0]}/"
    assert urljoin(url, home["href"]) == "/"
    assert urljoin(url, section["href"]).startswith(f"/{source.split('/')[0]}/")


def test_the_tabs_stay_while_a_page_is_scrolled(visit) -> None:
    opened = visit("model/masks/")
    opened.change(viewport=DESK)
    page = opened.page
    page.evaluate("scrollTo({ top: 3000, behavior: 'instant' })")
    page.wait_for_function("scrollY > 2500")
    for tab in page.locator(".md-tabs__link").all():
        expect(tab).to_be_in_viewport(ratio=1)
    page.locator(".md-tabs__link", has_text="Derivations").click()
    page.wait_for_url("**/derivations/softmax/")
    active = page.locator(".md-tabs__item--active .md-tabs__link")
    expect(active).to_have_attribute("href", re.compile("softmax|\\./"))


def test_the_notes_have_a_tab_after_the_path(site: Path) -> None:
    tabs = [link["href"] for link in soup_of(site, "index.md").select(".md-tabs__link")]
    assert tabs[-2:] == ["notes/", "reference/notation/"]
    assert tabs[1] == "model/overview/"
