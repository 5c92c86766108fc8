"""What `near.js` and `figure.js` give all figures that react, on a page of its own."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route

from tests import ROOT
from tests.site.accessibility import everything

ASSETS = ROOT / "docs/assets"
HOST = "http://figure.test/"
# What a figure's fragment and module are to a page; the theme's signal of a new page is document$.
FIGURE = """
<div class="reacts" data-figure="small">
<form hidden>
<div class="control"><label for="small-n">Length</label> <output for="small-n"></output>
<input id="small-n" name="n" type="range" min="0" max="5" value="2"></div>
<input type="hidden" name="plain"><button type="reset">Reset</button>
</form>
<p class="spoken" aria-live="polite">nothing yet</p>
<svg viewBox="0 0 100 50" width="400" height="200" role="group" aria-label="plane">
<g tabindex="0" role="slider" aria-label="query" aria-valuenow="10">
<circle cx="10" cy="10" r="6"/></g>
</svg>
<div class="map"></div>
</div>
"""
PAGE = f"""<!doctype html><html lang="en"><head><title>Figures</title>
<link rel="stylesheet" href="/stylesheets/site.css">
<link rel="stylesheet" href="/stylesheets/figure.css"></head><body><main class="md-typeset">
<h1>Figures</h1><div style="height: 4000px">far above</div><article>{FIGURE}</article></main>
<script>
  window.starts = []; window.calls = []; window.looks = [];
  window.document$ = {{ subscribe: look => window.looks.push(look) }};
</script>
<script type="module" src="/javascripts/near.js"></script></body></html>
"""
MODULE = """
import { address, drag, heatmap, palette, slider, spoken } from "../figure.js";
export default function start(figure) {
  window.starts.push(figure);
  const form = figure.querySelector("form");
  const n = slider(form, "n", { scale: (p) => 2 ** p, write: (n) => `${n} positions` });
  const defaults = { n: n.value, on: true, text: "", share: 0.5 };
  const state = address("small", defaults, { n: n.allows, share: (s) => s <= 1 });
  const other = address("other", { n: 0 });
  const say = spoken(figure.querySelector(".spoken"));
  const [svg, handle] = [figure.querySelector("svg"), figure.querySelector("[role=slider]")];
  const call = (name) => (...values) => window.calls.push([name, ...values]);
  drag(svg, handle, { move: call("move"), keys: call("keys") });
  const values = [[1, 0, 0], [0.25, -0.5, NaN]];
  const map = heatmap(figure.querySelector(".map"), {
    rows: ["the", "cat"], columns: ["die", "Katze", "schläft"], values, caption: "Weights",
    table: "The weights as a table", onselect: call("select"), onpress: call("press"),
  });
  const colour = palette(figure, call("palette"));
  form.addEventListener("input", () => say(`now ${n.value}`));
  n.value = state.read().n;
  form.hidden = false;
  Object.assign(window, { n, state, other, map, colour, values });
}
"""
READY = "window.starts.length > 0"
MODULES = {"javascripts/figures/small.js", "javascripts/figure.js"}
requested: list[str] = []
"""What the page has asked for."""


def serve(route: Route) -> None:
    """The page, its module, and the site's own files."""
    path = route.request.url.removeprefix(HOST).partition("?")[0]
    if path == "":
        route.fulfill(body=PAGE, content_type="text/html; charset=utf-8")
    elif path == "javascripts/figures/small.js":
        route.fulfill(body=MODULE, content_type="text/javascript; charset=utf-8")
    elif (ASSETS / path).is_file():
        route.fulfill(path=ASSETS / path)
    else:
        route.fulfill(status=404)


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    """The page, opened once with a state in its address; nothing may be complained of."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requested.append(request.url.removeprefix(HOST)))
    page.route(f"{HOST}**", serve)
    page.goto(f"{HOST}?small.n=16&small.on=false&small.text=a%26b&small.share=2&other.n=&x=1#top")
    yield page
    context.close()
    assert not complaints


def test_a_figure_is_loaded_and_started_when_it_comes_near_and_once(page: Page) -> None:
    page.wait_for_function("window.looks.length === 1")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert page.evaluate("window.starts.length") == 0
    assert not MODULES & {*requested}
    page.evaluate("document.querySelector('article').scrollIntoView()")
    page.wait_for_function(READY)
    assert {*requested} > MODULES
    page.evaluate("window.looks[0](); window.scrollTo(0, 0)")
    page.evaluate("document.querySelector('article').scrollIntoView()")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 50)))")
    assert page.evaluate("window.starts.length") == 1


def test_the_address_gives_what_is_right_and_the_default_for_what_is_broken(page: Page) -> None:
    read = page.evaluate("state.read()")
    assert read == {"n": 16, "on": False, "text": "a&b", "share": 0.5}  # 2 is not allowed
    assert page.evaluate("other.read()") == {"n": 0}  # an empty text is no number
    for query in ("small.n=15", "small.n=x", "small.n=NaN", "small.on=1", "small.share=Infinity"):
        page.evaluate("query => history.replaceState(null, '', `?${query}`)", query)
        assert page.evaluate("state.read()") == {"n": 4, "on": True, "text": "", "share": 0.5}


def test_the_state_is_written_after_a_pause_beside_all_else(page: Page) -> None:
    page.evaluate("history.replaceState({kept: 1}, '', '?x=1&other.n=7#top')")
    length = page.evaluate("history.length")
    written = {"n": 32, "on": False, "text": "ä & b=c", "share": 0.5}
    page.evaluate("written => { state.write({...written, n: 1}); state.write(written); }", written)
    page.evaluate("other.write({n: 8})")
    page.wait_for_function("location.search.includes('small.n=32')")
    page.wait_for_function("location.search.includes('other.n=8')")
    assert page.evaluate("state.read()") == written
    assert page.evaluate("other.read()") == {"n": 8}
    assert page.evaluate("[location.hash, history.length, history.state]") == [
        "#top",
        length,
        {"kept": 1},
    ]
    page.evaluate("state.write({n: 4, on: true, text: '', share: 0.5}); other.write({n: 0})")
    page.wait_for_function("location.search === '?x=1'")


def test_a_slider_writes_and_says_its_value_at_once_and_the_summary_waits(page: Page) -> None:
    slider = page.locator("#small-n")
    said = "[n.input.ariaValueText ?? n.input.getAttribute('aria-valuetext'), n.value]"
    page.evaluate("n.value = 8")
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(said) == ["16 positions", 16]
    assert page.locator(".control output").evaluate("node => node.value") == "16 positions"
    assert page.locator(".spoken").text_content() == "nothing yet"
    page.keyboard.press("End")
    page.wait_for_function("document.querySelector('.spoken').textContent === 'now 32'")
    assert page.evaluate("[n.allows(1), n.allows(32), n.allows(3), n.allows(64)]") == [
        *(True, True, False, False)
    ]
    page.click("button")
    page.wait_for_function(f"{said}[0] === '4 positions'")


def test_a_heat_map_is_led_by_the_keys_and_has_its_numbers_in_a_table(page: Page) -> None:
    cells = page.locator(".heatmap [data-value]")
    shown = cells.evaluate_all("cells => cells.map(cell => cell.dataset.value)")
    assert shown == ["1", "0", "0", "0.25", "-0.5", "NaN"]
    assert page.locator(".heatmap [tabindex='0']").count() == 1
    page.evaluate("window.calls.length = 0")
    page.locator(".heatmap [tabindex='0']").focus()
    for key in ("ArrowDown", "ArrowRight", "ArrowUp", "ArrowUp", "End", "Home", "Enter", " "):
        page.keyboard.press(key)
    assert page.evaluate("window.calls") == [
        *(["select", 1, 0], ["select", 1, 1], ["select", 0, 1], ["select", 0, 2]),
        *(["select", 0, 0], ["press", 0, 0], ["press", 0, 0]),
    ]
    page.evaluate("window.calls.length = 0")
    cells.nth(4).click()
    assert page.evaluate("window.calls") == [["select", 1, 1], ["press", 1, 1]]
    focused = "document.activeElement.getAttribute('aria-label')"
    assert page.evaluate(focused) == "cat, Katze: -0.50"
    chosen = page.locator(".heatmap .chosen").evaluate_all("all => all.map(one => one.textContent)")
    assert chosen == ["Katze", "cat", ""]
    page.click(".numbers summary")
    page.wait_for_selector(".numbers table")
    rows = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
    table = page.locator(".numbers tr").evaluate_all(rows)
    assert table == [
        ["", "die", "Katze", "schläft"],
        ["the", "1.00", "0.00", "0.00"],
        ["cat", "0.25", "-0.50", "NaN"],
    ]
    page.evaluate("map.update([[0, 0, 0], [0, 0, 0.125]])")
    assert cells.nth(5).get_attribute("data-value") == "0.125"
    assert page.locator(".numbers tr").nth(2).text_content() == "cat0.000.000.13"
    # The fuller a cell, the more of its hue.
    page.evaluate("map.update(values)")
    seen = cells.evaluate_all("cells => cells.map(cell => getComputedStyle(cell).backgroundColor)")
    assert len({seen[0], seen[1], seen[3], seen[4]}) == 4
    assert seen[1] == seen[2]


def test_a_handle_follows_the_pointer_in_the_drawings_units_and_the_keys(page: Page) -> None:
    page.evaluate("window.calls.length = 0")
    box = page.locator("svg").bounding_box()
    x, y = box["x"], box["y"]
    page.mouse.move(x + 40, y + 40)  # four pixels a unit
    page.mouse.down()
    page.mouse.move(x + 200, y + 100)
    page.mouse.up()
    page.mouse.move(x, y)
    moved = page.evaluate("window.calls")
    assert [name for name, *_ in moved] == ["move"] * len(moved)
    assert moved[-1][1:] == pytest.approx([50, 25], abs=0.5)
    page.evaluate("window.calls.length = 0")
    for key in ("ArrowUp", "Shift+ArrowRight", "a", "Control+ArrowLeft"):
        page.keyboard.press(key)  # the handle has the focus
    assert page.evaluate("window.calls") == [["keys", 0, -1], ["keys", 10, 0]]


def test_the_palette_is_read_anew_when_the_reader_changes_it(page: Page) -> None:
    page.evaluate("window.calls.length = 0")
    light = page.evaluate("colour('--ink')")
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    page.wait_for_function("window.calls.length === 1")
    assert page.evaluate("colour('--ink')") != light
    page.evaluate("delete document.body.dataset.mdColorScheme")


def test_what_all_figures_share_can_be_used_by_all(page: Page) -> None:
    assert not everything(page)


def test_a_figure_that_comes_with_another_page_starts_too(page: Page) -> None:
    page.evaluate("document.querySelector('article').replaceChildren()")
    page.evaluate(
        "html => { document.querySelector('article').innerHTML = html; window.looks[0](); }", FIGURE
    )
    page.wait_for_function("window.starts.length === 2")
    assert page.evaluate("window.starts[0] !== window.starts[1]")


def test_a_figure_without_its_module_gives_back_the_place_of_its_controls(page: Page) -> None:
    gone = '<figure class="reacts" data-figure="gone"><form hidden>controls</form></figure>'
    page.evaluate(
        "html => { document.querySelector('article').innerHTML = html; window.looks[0](); }", gone
    )
    page.wait_for_selector("[data-figure=gone].broken", state="attached")
    assert page.locator("[data-figure=gone] form").bounding_box() is None
