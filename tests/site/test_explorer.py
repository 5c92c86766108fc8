"""The explorer of `docs/why-attention/complexity.md` against the formulas of `snippets/cost.py`.

`python -m tests.site.test_explorer` writes the table and its texts for the defaults into
`docs/assets/explorer.html`, after the defaults or the formulas have changed.
"""

import itertools
import math
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context
from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from playwright.sync_api import Browser, Page, Route

from snippets.cost import (
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


# What a slider's position means, and how numbers are written.


def three_digits(value: float, units: list[str], base: int = 1000) -> str:
    """A number to three digits, in the first unit that makes it less than a thousand."""
    context = Context(prec=3, rounding=ROUND_HALF_UP)
    units = list(units)
    while context.create_decimal(value) >= 1000 and len(units) > 1:
        value /= base
        del units[0]
    return f"{context.create_decimal(value).normalize():,f}\u00a0{units[0]}"


def count(number: int, noun: str) -> str:
    return f"{number:,}\u00a0{noun}{'' if number == 1 else 's'}"


def prefixed(unit: str) -> list[str]:
    return [prefix + unit for prefix in ("", "k", "M", "G", "T", "P")]


def duration(seconds: float) -> str:
    return three_digits(seconds * 1e9, ["ns", "µs", "ms", "s"])


def heads(d: int) -> int:
    return max(1, d // 64)


FORMATS: list[Callable[[Any], str]] = [
    lambda flops: three_digits(flops, prefixed("FLOP")),
    lambda memory: three_digits(memory, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 1024),
    lambda steps: f"{steps:,}",
    lambda path: f"{path:,}",
    duration,
]
VALUES: dict[str, Callable[[Any], str]] = {
    "n": lambda n: count(n, "position"),
    "d": lambda d: f"{count(d, 'feature')}, {count(heads(d), 'head')}",
    "k": lambda k: count(k, "position"),
    "r": lambda r: count(r, "position"),
    "flops": lambda rate: three_digits(rate, prefixed("FLOP/s")),
    "bandwidth": lambda rate: three_digits(rate, prefixed("B/s")),
    "latency": duration,
}
SCALES: dict[str, Callable[[int], float]] = {
    "plain": lambda position: position,
    "doubling": lambda position: 2**position,
    "decade": lambda position: float(f"{(1, 2, 5)[position % 3]}e{position // 3}"),
}


# What the table has to show.


@dataclass(frozen=True)
class Cell:
    """A cell: its values in full precision, its text, and if it is marked as the least."""

    values: list[float]
    text: str
    least: bool = False


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


def split(cost: Cost, machine: Hardware) -> Cell:
    """How a predicted time is divided."""
    parts = [
        cost.flops / machine.flops,
        cost.traffic / machine.bandwidth,
        cost.steps * machine.latency,
    ]
    shares = (math.floor(100 * part / cost.seconds(machine) + 0.5) for part in parts)
    return Cell(parts, " · ".join(map(str, shares)) + " %")


def table(settings: Settings) -> dict[str, list[Cell]]:
    """The cells of every row."""
    numbers = columns(settings)
    return {
        layer: [
            Cell([column[row]], write(column[row]), column[row] == min(column))
            for column, write in zip(numbers, FORMATS, strict=True)
        ]
        + [split(cost, hardware(settings))]
        for row, (layer, cost) in enumerate(costs(settings).items())
    }


def summary(settings: Settings) -> str:
    """The sentences that a screen reader is told."""
    numbers = columns(settings)

    def winners(index: int) -> str:
        least = min(numbers[index])
        pairs = zip(LAYERS.values(), numbers[index], strict=True)
        names = [name for (_, name), value in pairs if value == least]
        return f"{' and '.join(names)}, {FORMATS[index](least)}"

    return (
        f"Predicted fastest: {winners(4)}. Fewest operations: {winners(0)}. "
        f"Least memory: {winners(1)}."
    )


# The fragment, which readers without scripts see as it is.


def divided(cell: Cell) -> str:
    """The shares of a predicted time as numbers and, under them, as a bar."""
    numbers, bar, before = [], [], 0.0
    for index, share in enumerate(cell.text.removesuffix(" %").split(" · ")):
        width = 100 * cell.values[index] / sum(cell.values)
        numbers.append(f'<span class="part-{index}">{share}</span>')
        bar.append(
            f'<rect class="part-{index}" x="{before:.1f}" width="{width:.1f}" height="1"></rect>'
        )
        before += width
    svg = '<svg viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
    return f"{' · '.join(numbers)} %{svg}{''.join(bar)}</svg>"


def row(layer: str, cells: list[Cell]) -> str:
    title, name = LAYERS[layer]
    html = [f'<tr class="{layer}" data-name="{name}"><th scope="row">{title}</th>']
    for label, cell in zip([*LABELS, SPLIT], cells, strict=True):
        text = f"<strong>{cell.text}</strong> <small>least</small>" if cell.least else cell.text
        if label == SPLIT:
            text = divided(cell)
        html.append(f'<td data-label="{label}">{text}</td>')
    return "\n".join([*html, "</tr>"])


def filled(fragment: str) -> str:
    """The fragment with all texts and numbers for the defaults."""
    settings = defaults()
    body = "\n".join(row(layer, cells) for layer, cells in table(settings).items())
    fragment = re.sub("(?s)(?<=<tbody>\n).*(?=</tbody>)", body + "\n", fragment)
    fragment = re.sub('(?<=aria-live="polite">)[^<]*', summary(settings), fragment)
    for name, value in settings.items():
        fragment = re.sub(f'(?<=data-of="{name}">)[^<]*', VALUES[name](value), fragment)
    return fragment.replace("\u00a0", "&nbsp;")


def test_the_fragment_shows_the_defaults() -> None:
    fragment = FRAGMENT.read_text(encoding="utf-8")
    assert fragment == filled(fragment), "run python -m tests.site.test_explorer"


def test_the_table_is_complete() -> None:
    soup = BeautifulSoup(FRAGMENT.read_text(encoding="utf-8"), "lxml")
    assert [node.get_text() for node in soup.select("tbody th")] == [x for x, _ in LAYERS.values()]
    headings = [node.get_text() for node in soup.select("thead th")]
    assert headings == ["layer", *LABELS, f"of it {SPLIT}"]
    for line in soup.select("tbody tr"):
        assert [cell["data-label"] for cell in line.select("td")] == [*LABELS, SPLIT]
        assert all(cell.get_text(strip=True) for cell in line.select("td"))


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
                "d": [64, 4096],
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
            layer: [*split(cost, machine).values, cost.seconds(machine)]
            for layer, cost in made.items()
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


def shown(rows: list) -> dict[str, list[Cell]]:
    return {layer: [Cell(*cell) for cell in cells] for layer, cells in rows}


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
    assert shown(page.evaluate(READ)) == table(defaults())


def test_every_cell_is_what_the_formulas_say(page: Page) -> None:
    ties = 0
    for positions in positions_to_try():
        expected = table(at(positions))
        assert shown(page.evaluate(MOVE, positions)) == expected, at(positions)
        ties += sum(cell.least for cells in expected.values() for cell in cells) > len(LABELS)
    assert ties > 0


def test_the_summary_and_the_labels_follow(page: Page) -> None:
    positions = {"n": 13, "d": 6, "k": 31, "r": 0, "flops": 42, "bandwidth": 37, "latency": -13}
    settings = at(positions)
    page.evaluate(MOVE, positions)
    page.wait_for_function(
        "text => document.querySelector('.explorer [aria-live=polite]').textContent === text",
        arg=summary(settings),
    )
    for name, value in settings.items():
        text = VALUES[name](value)
        slider = page.locator(f".explorer input[name={name}]")
        assert slider.get_attribute("aria-valuetext") == text
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
    assert shown(page.evaluate(READ)) == table(settings | {"n": 2 * settings["n"]})
    page.keyboard.press("End")
    assert shown(page.evaluate(READ)) == table(settings | {"n": 131072})
    page.focus(".explorer button")
    page.keyboard.press("Enter")
    assert shown(page.evaluate(READ)) == table(settings)


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
        assert shown(page.evaluate(MOVE, {"n": 5})) == table(defaults() | {"n": 32})
        page.go_back()
        page.wait_for_selector(".hero")
    page.go_forward()
    page.wait_for_selector(READY)
    assert shown(page.evaluate(MOVE, {"n": 6})) == table(defaults() | {"n": 64})
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
    assert page.locator(".explorer .summary").inner_text() == summary(defaults())
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
        for (x, width), part in zip(bar, split(cost, hardware(settings)).values, strict=True):
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


if __name__ == "__main__":
    FRAGMENT.write_text(filled(FRAGMENT.read_text(encoding="utf-8")), encoding="utf-8")
