"""The explorer of `docs/why-attention/complexity.md` and the formulas of `snippets/layer_costs.py`.

How numbers are written is the script's affair: here its texts are read back, and held to the values
that they stand for. `make generated` writes the texts for the defaults into
`docs/assets/explorer.html`, after the defaults or the formulas have changed.
"""

import itertools
import json
import math
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Route

from benchmarks.record import DATA
from snippets.layer_costs import (
    Cost,
    Hardware,
    convolutional,
    fused_attention,
    recurrent,
    restricted,
    stored_attention,
)
from tests import ROOT
from tests.runner.pages import site_config
from tests.site.visit import PHONE, settle, show

FRAGMENT = ROOT / "docs/assets/explorer.html"
PAGE = ROOT / "docs/why-attention/complexity.md"
PATH = "why-attention/complexity/"
LAYERS = {  # the class of a row: how its layer is called in the table, and how beside a line
    "stored": ("Self-attention, weights stored", "stored attention"),
    "fused": ("Self-attention, fused kernel", "fused attention"),
    "recurrent": ("Recurrent", "recurrent"),
    "convolutional": ("Convolutional", "convolutional"),
    "restricted": ("Restricted self-attention", "restricted"),
}
LABELS = ["operations", "memory", "longest chain", "longest path", "predicted time"]
SPLIT = "computing · moving · waiting"
SIZES = "ndkr"
Settings = dict[str, float]


# What the texts say.

PREFIXES = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15}
BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50}
FRACTIONS = {"n": 1e-9, "µ": 1e-6, "m": 1e-3}
UNITS = {
    **{f"{prefix}{unit}": size for prefix, size in PREFIXES.items() for unit in ("FLOP", "FLOP/s")},
    **{f"{prefix}B/s": size for prefix, size in PREFIXES.items()},
    **{f"{prefix}B": size for prefix, size in {"": 1, **BINARY}.items()},
    **{f"{prefix}s": size for prefix, size in {**FRACTIONS, "": 1}.items()},
}
ENDS = {"PFLOP", "PFLOP/s", "PB/s", "PiB", "s", "ns"}  # no unit is larger than these, or smaller
# The units of the table's columns; a column without one holds whole numbers.
COLUMN_UNITS = ["FLOP", "B", "", "", "s"]
NOUNS = {"n": ["position"], "d": ["feature", "head"], "k": ["position"], "r": ["position"]}
RATES = {"flops": "FLOP/s", "bandwidth": "B/s", "latency": "s"}


def says(text: str, value: float, unit: str = "") -> bool:
    """If a text is a whole number, or one to three digits in a unit, and stands for the value."""
    if not unit:
        return text == f"{value:,}"
    written, name = text.split("\u00a0")
    if name not in (f"{prefix}{unit}" for prefix in (*PREFIXES, *BINARY, *FRACTIONS)):
        return False
    number = float(written.replace(",", ""))
    digits = re.sub(r"[,.]", "", written)
    digits = digits.lstrip("0") if "." in written else digits.rstrip("0")
    # Half a unit of the third digit, and what a double adds to that.
    step = 10 ** (math.floor(math.log10(number)) - 2) * UNITS[name] / 2
    return (
        len(digits) <= 3
        and (1 <= number < 1000 or name in ENDS or (name[1:2] == "i" and 1000 / 1024 < number < 1))
        and abs(UNITS[name] * number - value) <= step * (1 + 1e-9)
    )


def counts(text: str, numbers: list[int], nouns: list[str]) -> bool:
    """If a text counts these things, each noun in its right number."""
    parts = [part.split("\u00a0") for part in text.split(", ")]
    return parts == [
        [f"{number:,}", noun if number == 1 else f"{noun}s"]
        for number, noun in zip(numbers, nouns, strict=True)
    ]


def heads(d: int) -> int:
    return max(1, d // 64)


def describes(text: str, name: str, value: Any) -> bool:
    """If a text beside a slider is that of its value."""
    if name in RATES:
        return says(text, value, RATES[name])
    return counts(text, [value, heads(value)] if name == "d" else [value], NOUNS[name])


SCALES: dict[str, Callable[[int], float]] = {
    "plain": lambda position: position,
    "doubling": lambda position: 2**position,
    "decade": lambda position: float(f"{(1, 2, 5)[position % 3]}e{position // 3}"),
}


# What the table has to show.


def sliders() -> dict[str, dict[str, str]]:
    """The attributes of the inputs, by name."""
    soup = BeautifulSoup(FRAGMENT.read_text(encoding="utf-8"), "lxml")
    return {node["name"]: node.attrs for node in soup.select("input")}


def at(positions: dict[str, int]) -> Settings:
    """The sizes and rates that these positions of the sliders choose."""
    return {
        name: SCALES[attributes["data-scale"]](positions[name])
        for name, attributes in sliders().items()
    }


def defaults() -> Settings:
    return at({name: int(attributes["value"]) for name, attributes in sliders().items()})


def hardware(settings: Settings) -> Hardware:
    return Hardware(*(settings[name] for name in ("flops", "bandwidth", "latency")))


def costs(settings: Settings) -> dict[str, Cost]:
    n, d, k, r = (int(settings[name]) for name in SIZES)
    return {
        "stored": stored_attention(n, d, heads(d)),
        "fused": fused_attention(n, d),
        "recurrent": recurrent(n, d),
        "convolutional": convolutional(n, d, k),
        "restricted": restricted(n, d, r),
    }


def columns(settings: Settings) -> list[list[float]]:
    """The five numbers of every layer, column by column."""
    machine = hardware(settings)
    rows = [
        (cost.flops, cost.memory, cost.steps, cost.path, cost.seconds(machine))
        for cost in costs(settings).values()
    ]
    return [list(column) for column in zip(*rows, strict=True)]


def parts(cost: Cost, machine: Hardware) -> list[float]:
    """The seconds of computing, of moving and of waiting."""
    return [
        cost.flops / machine.flops,
        cost.traffic / machine.bandwidth,
        cost.steps * machine.latency,
    ]


def check_table(rows: dict[str, list[list]], settings: Settings) -> int:
    """Hold what the table shows to the formulas; how many of its cells are marked as the least.

    A cell is its values in full precision, its text, and if it is marked.
    """
    numbers = columns(settings)
    made = costs(settings)
    assert list(rows) == list(made)
    marks = 0
    for place, (layer, cells) in enumerate(rows.items()):
        *cells, (values, text, least) = cells
        for cell, column, unit in zip(cells, numbers, COLUMN_UNITS, strict=True):
            assert cell[0] == [column[place]], (layer, cell)
            assert says(cell[1], column[place], unit), (layer, cell)
            assert cell[2] == (column[place] == min(column)), (layer, cell)
            marks += cell[2]
        assert values == parts(made[layer], hardware(settings)), layer
        shares = [int(share) for share in text.removesuffix(" %").split(" · ")]
        right = [100 * part / sum(values) for part in values]
        assert shares == pytest.approx(right, abs=0.5 + 1e-9), (layer, text)
        assert not least
    return marks


def check_summary(text: str, settings: Settings) -> None:
    """Hold the sentences that a screen reader is told to the formulas."""
    numbers = columns(settings)
    said = re.fullmatch(
        r"Predicted fastest: (.+), (\S+)\. Fewest operations: (.+), (\S+)\. "
        r"Least memory: (.+), (\S+)\.",
        text.replace("\u00a0", "_"),
    )
    assert said, text
    for place, index in enumerate((4, 0, 1)):
        names, number = said[2 * place + 1], said[2 * place + 2].replace("_", "\u00a0")
        least = min(numbers[index])
        pairs = zip(LAYERS.values(), numbers[index], strict=True)
        assert names.split(" and ") == [name for (_, name), value in pairs if value == least]
        assert says(number, least, COLUMN_UNITS[index]), text


def test_a_text_stands_for_the_values_that_are_rounded_to_it() -> None:
    assert says("4.29\u00a0GFLOP", 4.2949e9, "FLOP")
    assert says("102\u00a0MiB", 102.4 * 2**20, "B")
    assert says("5\u00a0µs", 5e-6, "s")
    assert says("0.996\u00a0MiB", 1020 * 2**10, "B")  # 1,020 KiB have four digits
    assert not says("0.97\u00a0MiB", 0.97 * 2**20, "B")
    assert says("1,234\u00a0s", 1234.0, "s") is False  # four digits
    for text, unit in [
        ("4.28\u00a0GFLOP", "FLOP"),
        ("4.295\u00a0GFLOP", "FLOP"),
        ("4290\u00a0MFLOP", "FLOP"),
        ("4.29\u00a0MFLOP", "FLOP"),
        ("4.29\u00a0GFLOP/s", "FLOP"),
        ("4.29\u00a0GFLOP", "B"),
    ]:
        assert not says(text, 4.2949e9, unit), text
    assert counts("512\u00a0features, 1\u00a0head", [512, 1], ["feature", "head"])
    assert not counts("1\u00a0positions", [1], ["position"])


# The fragment, which readers without scripts see as it is.


def test_the_table_is_complete() -> None:
    soup = BeautifulSoup(FRAGMENT.read_text(encoding="utf-8"), "lxml")
    assert [node.get_text() for node in soup.select("tbody th")] == [x for x, _ in LAYERS.values()]
    headings = [node.get_text() for node in soup.select("thead th")]
    assert headings == ["layer", *LABELS, f"of it {SPLIT}"]
    for line in soup.select("tbody tr"):
        assert [cell["data-label"] for cell in line.select("td")] == [*LABELS, SPLIT]
        assert all(cell.get_text(strip=True) for cell in line.select("td"))


def test_the_explorer_starts_at_the_recorded_rates_and_ends_at_the_measured_widths() -> None:
    recorded = json.loads((DATA / "complexity.json").read_text(encoding="utf-8"))
    for name, rate in recorded["rates"].items():
        attributes = sliders()[name]
        steps = {
            position: abs(math.log(SCALES["decade"](position) / rate))
            for position in range(int(attributes["min"]), int(attributes["max"]) + 1)
        }
        assert int(attributes["value"]) == min(steps, key=steps.get), name
    widest = 2 ** int(sliders()["d"]["max"])
    assert widest == max(recorded["sizes"]["widths"])


def test_every_slider_has_a_label_and_an_output() -> None:
    soup = BeautifulSoup(FRAGMENT.read_text(encoding="utf-8"), "lxml")
    assert list(sliders()) == [*SIZES, "flops", "bandwidth", "latency"]
    for name, attributes in sliders().items():
        assert soup.select_one(f"label[for={attributes['id']}]").get_text(strip=True)
        assert soup.select_one(f"output[for={attributes['id']}]")
        ends = [at(dict.fromkeys(sliders(), int(attributes[end])))[name] for end in ("min", "max")]
        assert (
            ends
            == {
                "n": [16, 131072],
                "d": [64, 1024],
                "k": [3, 31],
                "r": [1, 4096],
                "flops": [1e9, 1e15],
                "bandwidth": [1e9, 1e13],
                "latency": [1e-7, 1e-4],
            }[name]
        )


# The prose around it.


def section() -> str:
    return PAGE.read_text(encoding="utf-8").split("{ #explore }")[1].split("\n## ")[0]


def test_the_leading_terms_are_those_of_the_formulas() -> None:
    """At these sizes each term shown is more than the tolerance, and each left out is less."""
    sizes = {"n": 2**28, "d": 2**20, "k": 2**8 + 1, "r": 2**17, "h": 2**14}
    lines = [line.strip("| ") for line in section().splitlines() if line.startswith("|")][2:]
    rows = [[cell.strip(" $") for cell in line.split("|")] for line in lines]
    assert [cells[0] for cells in rows] == [name for _, name in LAYERS.values()]
    for (_, *terms), cost in zip(rows, costs(sizes).values(), strict=True):
        numbers = (cost.flops, cost.memory, cost.traffic, cost.steps)
        for term, number in zip(terms, numbers, strict=True):
            product = re.sub(r"(?<=[\dndkrh)])(?=[ndkrh(])", "*", term.replace("^2", "**2"))
            assert eval(product, sizes.copy()) == pytest.approx(number, rel=0.003), term


def test_the_settings_to_try_show_what_the_page_says() -> None:
    def layers(**changes: float) -> tuple[dict[str, Cost], dict[str, list[float]]]:
        """Costs; the parts of the time, and the time."""
        settings = defaults() | changes
        made, machine = costs(settings), hardware(settings)
        times = {
            layer: [*parts(cost, machine), cost.seconds(machine)] for layer, cost in made.items()
        }
        return made, times

    made, times = layers()
    others = [layer for layer in LAYERS if layer != "recurrent"]
    assert 2 * made["recurrent"].flops < min(made[layer].flops for layer in others)
    fastest = min(times[layer][-1] for layer in others)
    assert fastest / 2 < times["recurrent"][-1] < fastest
    assert times["recurrent"][2] == max(times["recurrent"][:-1])

    made, times = layers(d=64)
    assert times["recurrent"][2] > 0.9 * times["recurrent"][-1]
    assert times["fused"][-1] < times["recurrent"][-1]
    assert made["fused"].flops > 10 * made["recurrent"].flops

    gpu = {"flops": 1e14, "bandwidth": 2e12}
    _, before = layers()
    _, faster = layers(**gpu)
    gains = {layer: before[layer][-1] / faster[layer][-1] for layer in LAYERS}
    assert 1 < gains.pop("recurrent") < 3
    assert min(gains.values()) > 100
    made, times = layers(**gpu, n=131072)
    assert times["fused"][-1] < times["recurrent"][-1]
    assert made["fused"].flops > 200 * made["recurrent"].flops

    made, _ = layers(n=131072)
    assert made["stored"].flops == made["fused"].flops
    assert made["stored"].memory > 1000 * made["fused"].memory

    made, _ = layers(r=defaults()["n"])
    assert made["restricted"].path == 1
    assert made["restricted"].flops > 3 * made["fused"].flops


# What the browser shows.


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page with the explorer; at the end nothing may have been complained of."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto(f"{address}{PATH}")
    page.wait_for_selector(READY)
    settle(page)
    yield page
    context.close()
    assert not complaints


READY = "#explorer-n[aria-valuetext]"  # the script has run
READ = """
() => [...document.querySelectorAll(".explorer tbody tr")].map(row => [
  row.className,
  [...row.querySelectorAll("td")].map(cell => [
    cell.dataset.value.split(" ").map(Number),
    cell.textContent.replace(/ least$/, ""),
    cell.querySelector("strong") !== null && / least$/.test(cell.textContent),
  ]),
])
"""
MOVE = f"""
(positions) => {{
  const form = document.querySelector(".explorer form");
  for (const [name, position] of Object.entries(positions)) form.elements[name].value = position;
  form.elements.n.dispatchEvent(new Event("input", {{ bubbles: true }}));
  return ({READ})();
}}
"""


def positions_to_try() -> Iterator[dict[str, int]]:
    """The sliders at all combinations of their ends, and at random."""
    ranges = {
        name: range(int(a["min"]), int(a["max"]) + 1, int(a.get("step", 1)))
        for name, a in sliders().items()
    }
    for corner in itertools.product(*((steps[0], steps[-1]) for steps in ranges.values())):
        yield dict(zip(ranges, corner, strict=True))
    chance = random.Random(0)
    for _ in range(100):
        yield {name: chance.choice(steps) for name, steps in ranges.items()}


def test_the_table_at_the_defaults_is_the_one_without_a_script(page: Page) -> None:
    check_table(dict(page.evaluate(READ)), defaults())


def test_every_cell_is_what_the_formulas_say(page: Page) -> None:
    ties = 0
    for positions in positions_to_try():
        marks = check_table(dict(page.evaluate(MOVE, positions)), at(positions))
        ties += marks > len(LABELS)
    assert ties > 0


def test_the_summary_and_the_labels_follow(page: Page) -> None:
    positions = {"n": 13, "d": 6, "k": 31, "r": 0, "flops": 42, "bandwidth": 37, "latency": -13}
    settings = at(positions)
    page.evaluate(MOVE, positions)
    summary = "document.querySelector('.explorer [aria-live=polite]').textContent"
    page.wait_for_function(
        f"before => {summary} !== before", arg=page.evaluate(summary), timeout=5000
    )
    check_summary(page.evaluate(summary), settings)
    for name, value in settings.items():
        slider = page.locator(f".explorer input[name={name}]")
        text = slider.get_attribute("aria-valuetext")
        assert describes(text, name, value), (name, text, value)
        said = page.locator(f".explorer output[for=explorer-{name}]")
        assert said.evaluate("node => node.value") == text
        assert page.locator(f"[data-of={name}]").evaluate("node => node.textContent") == text


def test_the_summary_is_said_once_the_reader_stops(page: Page) -> None:
    page.evaluate(
        "window.said = 0; new MutationObserver(() => window.said += 1).observe("
        "document.querySelector('.explorer [aria-live=polite]'), {childList: true})"
    )
    page.clock.install()  # on a busy machine the moves themselves would make a pause
    for n in range(4, 18):
        page.evaluate(MOVE, {"n": n})
        page.clock.run_for(100)
    assert page.evaluate("window.said") == 0
    page.clock.run_for(5000)
    assert page.evaluate("window.said") == 1


def test_the_keyboard_moves_a_slider_and_reset_moves_it_back(page: Page) -> None:
    page.focus("#explorer-n")
    page.keyboard.press("ArrowRight")
    settings = defaults()
    check_table(dict(page.evaluate(READ)), settings | {"n": 2 * settings["n"]})
    page.keyboard.press("End")
    check_table(dict(page.evaluate(READ)), settings | {"n": 131072})
    page.focus(".explorer button")
    page.keyboard.press("Enter")
    check_table(dict(page.evaluate(READ)), settings)


def test_the_plot_has_a_line_for_every_layer_and_marks_n(page: Page) -> None:
    page.evaluate(MOVE, {"n": 8})
    plot = page.locator(".explorer figure svg")
    assert "n = 256" in plot.text_content()
    for layer, (_, name) in LAYERS.items():
        assert plot.locator(f"g.{layer} circle").count() == 1
        assert plot.locator(f"g.{layer} text").text_content() == name
    # The dots stand in the order of the times.
    dots = {layer: float(plot.locator(f"g.{layer} circle").get_attribute("cy")) for layer in LAYERS}
    times = columns(defaults() | {"n": 256})[-1]
    by_time = [layer for _, layer in sorted(zip(times, LAYERS, strict=True), reverse=True)]
    assert sorted(dots, key=dots.__getitem__) == by_time


def test_no_word_of_the_plot_is_cut_off_on_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    page.wait_for_function("width => innerWidth === width", arg=PHONE["width"])
    settle(page)  # also the observer of its size has seen it
    corners = list(itertools.islice(positions_to_try(), 2 ** len(sliders())))
    for positions in corners[::9]:
        page.evaluate(MOVE, positions)
        outside = page.evaluate(
            "() => { const svg = document.querySelector('.explorer figure svg');"
            "const frame = svg.getBoundingClientRect();"
            "return [...svg.querySelectorAll('text')].filter(text => {"
            "const box = text.getBoundingClientRect();"
            "return box.left < frame.left || box.right > frame.right"
            " || box.top < frame.top || box.bottom > frame.bottom;"
            "}).map(text => text.textContent) }"
        )
        assert not outside, at(positions)


def test_it_works_after_instant_navigation_and_on_coming_back(page: Page, address: str) -> None:
    def local(route: Route) -> None:  # Material compares addresses with those of the site map
        response = route.fetch()
        text = response.text().replace(site_config(ROOT).site_url, address)
        route.fulfill(response=response, body=text)

    page.route("**/sitemap.xml", local)
    show(page, address)
    page.evaluate("window.kept = true")  # lost if the page is loaded anew
    link = f"a[href$='{PATH}']"
    for _ in range(2):
        page.evaluate("link => document.querySelector(link).click()", link)
        page.wait_for_selector(READY)
        check_table(dict(page.evaluate(MOVE, {"n": 5})), defaults() | {"n": 32})
        page.go_back()
        page.wait_for_selector(".hero")
    page.go_forward()
    page.wait_for_selector(READY)
    check_table(dict(page.evaluate(MOVE, {"n": 6})), defaults() | {"n": 64})
    assert page.evaluate("window.kept")


def test_no_other_page_loads_it(site: Path) -> None:
    loading = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*.html")
        if "explorer.js" in path.read_text(encoding="utf-8")
    ]
    assert loading == [f"{PATH}index.html"]


def test_without_scripts_the_table_is_there_and_no_control(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{PATH}")
    for selector in ("form", "input", "button", "figure"):
        for node in page.locator(f".explorer {selector}").all():
            assert not node.is_visible()
    assert page.locator(".explorer td").count() == 30
    assert all(node.is_visible() for node in page.locator(".explorer td").all())
    check_summary(page.locator(".explorer .summary").text_content(), defaults())
    context.close()


def test_the_bars_are_as_long_as_the_shares(page: Page) -> None:
    page.evaluate(MOVE, {"n": 7, "latency": -12})
    bars = page.locator(".explorer td:last-child").evaluate_all(
        "cells => cells.map(cell => [...cell.querySelectorAll('rect')].map("
        "rect => [rect.x.baseVal.value, rect.width.baseVal.value]))"
    )
    settings = defaults() | {"n": 128, "latency": 1e-4}
    for bar, cost in zip(bars, costs(settings).values(), strict=True):
        before = 0.0
        for (x, width), part in zip(bar, parts(cost, hardware(settings)), strict=True):
            share = 100 * part / cost.seconds(hardware(settings))
            assert (x, width) == pytest.approx((before, share), abs=0.051)
            before += share


def test_nothing_moves_when_the_script_arrives(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/explorer.js", lambda route: route.abort())
    show(page, f"{address}{PATH}")
    height = "node => node.clientHeight"
    before = page.locator(".explorer").evaluate(height)
    page.unroute("**/explorer.js")
    page.goto(f"{address}{PATH}")
    page.wait_for_selector(READY)
    settle(page)
    after = page.locator(".explorer").evaluate(height)
    context.close()
    assert before == after
