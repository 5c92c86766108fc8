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
from tests.site.visit import PHONE, STILL, settle, show

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
PARTS = ["computing", "moving", "waiting"]
FACTOR = 3
"""Predictions that differ by less are too close to call."""
SIZES = "ndkr"
RATES = {"flops": "FLOP/s", "bandwidth": "B/s", "latency": "s"}
ACCELERATOR = {"flops": 67e12, "bandwidth": 3.35e12}  # of the data sheet that the page names
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


def is_rounded(written: str, value: float) -> bool:
    """If a number has two digits at most, and they are those of the value."""
    number = float(written.replace(",", ""))
    digits = re.sub(r"[,.]", "", written)
    digits = digits.lstrip("0") if "." in written else digits.rstrip("0")
    # Half a unit of the second digit, and what a double adds to that.
    step = 10 ** (math.floor(math.log10(number)) - 1) / 2
    return len(digits) <= 2 and abs(number - value) <= step * (1 + 1e-9)


def says(text: str, value: float, unit: str = "") -> bool:
    """If a text is a whole number, or one or two digits in a unit, and stands for the value."""
    if not unit:
        return text == f"{value:,}"
    written, name = text.split("\u00a0")
    if name not in (f"{prefix}{unit}" for prefix in (*PREFIXES, *BINARY, *FRACTIONS)):
        return False
    number = float(written.replace(",", ""))
    fits = 1 <= number < 1000 or name in ENDS or (name[1:2] == "i" and 1000 / 1024 <= number < 1)
    return fits and is_rounded(written, value / UNITS[name])


def heads(d: int) -> int:
    return max(1, d // 64)


def describes(text: str, name: str, value: Any) -> bool:
    """If a text beside a slider is that of its value."""
    return says(text, value, RATES.get(name, ""))


def digit(position: int) -> float:
    return float(f"{1 + position % 9}e{position // 9}")


SCALES: dict[str, Callable[[int], float]] = {
    **dict.fromkeys("ndr", lambda position: 2**position),
    "k": lambda position: position,
    **dict.fromkeys(RATES, digit),
}


# What the table has to show.


def fragment() -> BeautifulSoup:
    return BeautifulSoup(FRAGMENT.read_text(encoding="utf-8"), "lxml")


def sliders() -> dict[str, dict[str, str]]:
    """The attributes of the inputs, by name."""
    return {node["name"]: node.attrs for node in fragment().select("input")}


def at(positions: dict[str, int]) -> Settings:
    """The sizes and rates that these positions of the sliders choose."""
    return {name: scale(positions[name]) for name, scale in SCALES.items()}


def defaults() -> Settings:
    return at({name: int(attributes["value"]) for name, attributes in sliders().items()})


def buttons() -> dict[str, tuple[Settings, str]]:
    """The settings that a button chooses, and what is said of them, by what stands on it."""
    found = {}
    for node in fragment().select("button"):
        pairs = (pair.split("=") for pair in node["data-set"].split())
        settings = {name: float(value) if name in RATES else int(value) for name, value in pairs}
        found[node.get_text()] = (settings, node["data-shows"])
    return found


def hardware(settings: Settings) -> Hardware:
    return Hardware(*(settings[name] for name in RATES))


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


def check_table(rows: dict[str, list[list]], settings: Settings) -> None:
    """Hold what the table shows to the formulas.

    A cell is its values in full precision, its text, and how it is marked.
    """
    numbers = columns(settings)
    made = costs(settings)
    assert list(rows) == list(made)
    close = [time < FACTOR * min(numbers[-1]) for time in numbers[-1]]
    for place, (layer, cells) in enumerate(rows.items()):
        *cells, (values, text, mark) = cells
        for cell, column, unit in zip(cells, numbers, COLUMN_UNITS, strict=True):
            assert cell[0] == [column[place]], (layer, cell)
            assert says(cell[1], column[place], unit), (layer, cell)
            right = "least" if column[place] == min(column) else ""
            if unit == "s" and sum(close) > 1:
                right = "too close to call" if close[place] else ""
            assert cell[2] == right, (layer, cell)
        assert values == parts(made[layer], hardware(settings)), layer
        shares = [int(share) for share in text.removesuffix(" %").split(" · ")]
        exact = [100 * part / sum(values) for part in values]
        assert shares == pytest.approx(exact, abs=0.5 + 1e-9), (layer, text)
        assert not mark


def check_verdict(text: str, settings: Settings) -> None:
    """Hold the sentences beside the controls to the formulas."""
    numbers = columns(settings)
    names = [name for _, name in LAYERS.values()]
    order = sorted(
        zip(numbers[-1], names, costs(settings).values(), strict=True), key=lambda x: x[0]
    )
    least, slowest = order[0][0], order[-1]
    close = [one for one in order if one[0] < FACTOR * least]
    first, *middle, last = re.split(r"(?<=\.) (?=Slowest|Fewest)", text)
    if len(close) > 1:
        found = re.fullmatch(r"Too close to call: (.+)\.", first)
        pairs = [pair.split(", ") for pair in found[1].split("; ")]
        assert [name for name, _ in pairs] == [name for _, name, _ in close], text
        assert all(says(pair[1], one[0], "s") for pair, one in zip(pairs, close, strict=True)), text
    else:
        pattern = r"Fastest: (.+), ([^ ]+); the next one takes (\S+) times as long\."
        name, time, times = re.fullmatch(pattern, first).groups()
        assert name == order[0][1], text
        assert says(time, least, "s"), text
        assert is_rounded(times, order[1][0] / least), text
    assert len(middle) == (len(close) < len(order)), text
    for sentence in middle:
        pattern = (
            r"Slowest: (.+), ([^ ]+), (\S+) times as long as the first; (\d+) % of that is (\w+)\."
        )
        name, time, times, share, part = re.fullmatch(pattern, sentence).groups()
        assert name == slowest[1], text
        assert says(time, slowest[0], "s"), text
        assert is_rounded(times, slowest[0] / least), text
        own = parts(slowest[2], hardware(settings))
        assert part == PARTS[own.index(max(own))], text
        assert int(share) == pytest.approx(100 * max(own) / sum(own), abs=0.5 + 1e-9), text
    pattern = r"Fewest operations: (.+), ([^ ]+)\. Least memory: (.+), ([^ ]+)\."
    said = re.fullmatch(pattern, last).groups()
    for index, (winner, number) in enumerate([said[:2], said[2:]]):
        best = min(numbers[index])
        assert [name for name, one in zip(names, numbers[index], strict=True) if one == best] == [
            winner
        ], text
        assert says(number, best, COLUMN_UNITS[index]), text


def test_a_text_stands_for_the_values_that_are_rounded_to_it() -> None:
    assert says("4.3\u00a0GFLOP", 4.2949e9, "FLOP")
    assert says("100\u00a0MiB", 102.4 * 2**20, "B")
    assert says("5\u00a0µs", 5e-6, "s")
    assert says("0.98\u00a0MiB", 1000 * 2**10, "B")  # 1,000 KiB have four digits
    assert not says("0.97\u00a0MiB", 0.97 * 2**20, "B")
    assert says("1,234\u00a0s", 1234.0, "s") is False  # four digits
    for text, unit in [
        ("4.2\u00a0GFLOP", "FLOP"),
        ("4.29\u00a0GFLOP", "FLOP"),
        ("4300\u00a0MFLOP", "FLOP"),
        ("4.3\u00a0MFLOP", "FLOP"),
        ("4.3\u00a0GFLOP/s", "FLOP"),
        ("4.3\u00a0GFLOP", "B"),
    ]:
        assert not says(text, 4.2949e9, unit), text


# The fragment, which readers without scripts see as it is.


def test_the_table_is_complete() -> None:
    soup = fragment()
    assert [node.get_text() for node in soup.select("tbody th")] == [x for x, _ in LAYERS.values()]
    headings = [node.get_text() for node in soup.select("thead th")]
    split = " · ".join(PARTS)
    assert headings == ["layer", *LABELS, f"of it {split}"]
    for line in soup.select("tbody tr"):
        assert [cell["data-label"] for cell in line.select("td")] == [*LABELS, split]
        assert all(cell.get_text(strip=True) for cell in line.select("td"))
    check_verdict(soup.select_one(".says").get_text(), defaults())


def nearest(name: str, rate: float) -> float:
    """What the slider's step nearest to a rate stands for."""
    attributes = sliders()[name]
    positions = range(int(attributes["min"]), int(attributes["max"]) + 1)
    return min(map(SCALES[name], positions), key=lambda step: abs(math.log(step / rate)))


def test_the_explorer_starts_at_an_accelerator_and_knows_the_recorded_rates() -> None:
    accelerator, thread, *_ = [settings for settings, _ in buttons().values()]
    assert accelerator == defaults()
    for name, rate in ACCELERATOR.items():
        assert accelerator[name] == nearest(name, rate)
    recorded = json.loads((DATA / "complexity.json").read_text(encoding="utf-8"))
    for name, rate in recorded["rates"].items():
        assert thread[name] == nearest(name, rate)
    widest = 2 ** int(sliders()["d"]["max"])
    assert widest == max(recorded["sizes"]["widths"])
    said = section("explore")
    assert "67 TFLOP/s" in said
    assert "3.35 TB/s" in said
    rates = recorded["rates"]
    assert f"{rates['flops'] / 1e9:.0f} GFLOP/s, {rates['bandwidth'] / 1e9:.1f} GB/s into" in said
    assert f"and {rates['latency'] * 1e6:.1f} µs" in said


def test_every_slider_has_a_label_and_an_output() -> None:
    soup = fragment()
    assert list(sliders()) == [*SIZES, *RATES]
    for name, attributes in sliders().items():
        assert soup.select_one(f"label[for={attributes['id']}]").get_text(strip=True)
        assert soup.select_one(f"output[for={attributes['id']}]")
        ends = [SCALES[name](int(attributes[end])) for end in ("min", "max")]
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


def section(name: str) -> str:
    """A section of the page, on one line for each paragraph."""
    text = PAGE.read_text(encoding="utf-8").split(f"{{ #{name} }}")[1].split("\n## ")[0]
    return re.sub(r"(?<=[^\n|])\n(?=[^\n|])", " ", text)


def test_the_leading_terms_are_those_of_the_formulas() -> None:
    """At these sizes each term shown is more than the tolerance, and each left out is less."""
    sizes = {"n": 2**28, "d": 2**20, "k": 2**8 + 1, "r": 2**17, "h": 2**14}
    table = section("what-the-explorer-computes").splitlines()
    lines = [line.strip("| ") for line in table if line.startswith("|")][2:]
    rows = [[cell.strip(" $") for cell in line.split("|")] for line in lines]
    assert [cells[0] for cells in rows] == [name for _, name in LAYERS.values()]
    for (_, *terms), cost in zip(rows, costs(sizes).values(), strict=True):
        numbers = (cost.flops, cost.memory, cost.traffic, cost.steps)
        for term, number in zip(terms, numbers, strict=True):
            product = re.sub(r"(?<=[\dndkrh)])(?=[ndkrh(])", "*", term.replace("^2", "**2"))
            assert eval(product, sizes.copy()) == pytest.approx(number, rel=0.003), term


def test_the_buttons_show_what_they_say() -> None:
    accelerator, thread, long, near = [
        ({layer: (cost, cost.seconds(hardware(at_it))) for layer, cost in costs(at_it).items()})
        for at_it, _ in buttons().values()
    ]
    said = [text for _, text in buttons().values()]

    cost, time = accelerator["recurrent"]
    fastest = min(time for _, time in accelerator.values())
    assert "computes least. It takes more than a hundred times as long" in said[0]
    assert cost.flops == min(cost.flops for cost, _ in accelerator.values())
    assert time > 100 * fastest
    waiting = parts(cost, hardware(defaults()))[2]
    assert waiting > 0.99 * time

    cost, time = thread["recurrent"]
    assert "waiting counts for less: the recurrent layer is among the fastest four" in said[1]
    fastest = min(time for _, time in thread.values())
    close = [layer for layer, (_, time) in thread.items() if time < FACTOR * fastest]
    assert len(close) == 4
    assert "recurrent" in close
    settings, _ = list(buttons().values())[1]
    assert parts(cost, hardware(settings))[2] < 0.6 * time

    assert "more than two hundred times as much as the recurrent layer, and takes less" in said[2]
    assert long["fused"][0].flops > 200 * long["recurrent"][0].flops
    assert FACTOR * long["fused"][1] < long["recurrent"][1]

    assert "the path of full attention, for more than three times its operations" in said[3]
    assert near["restricted"][0].path == near["fused"][0].path == 1
    assert near["restricted"][0].flops > 3 * near["fused"][0].flops


def test_the_page_says_how_exact_the_recorded_predictions_are() -> None:
    recorded = json.loads((DATA / "complexity.json").read_text(encoding="utf-8"))
    machine = Hardware(**recorded["rates"])
    sizes = recorded["sizes"]
    runs = [
        (n, d, recorded[f"seconds_over_{name}"], index)
        for name, grid in (
            ("n", [(n, 64) for n in sizes["lengths"]]),
            ("d", [(256, d) for d in sizes["widths"]]),
        )
        for index, (n, d) in enumerate(grid)
    ]
    off, ordered = [], {True: [], False: []}
    for n, d, seconds, index in runs:
        made = costs({"n": n, "d": d, "k": sizes["k"], "r": sizes["r"]}).values()
        pairs = [
            (cost.seconds(machine), measured[index])
            for cost, measured in zip(made, seconds.values(), strict=True)
        ]
        off += [predicted / measured for predicted, measured in pairs]
        for one, other in itertools.combinations(pairs, 2):
            ratio = one[0] / other[0]
            far = not 1 / FACTOR < ratio < FACTOR
            ordered[far].append((ratio > 1) == (one[1] > other[1]))
    assert max(off) < FACTOR
    assert min(off) > 1 / FACTOR
    said = section("how-exact")
    assert f"has {len(off)} times" in said
    assert f"between {min(off):.2g} and {max(off):.2g} times what was measured" in said
    assert f"in {sum(ordered[True])} of {len(ordered[True])} cases" in said
    assert f"it did so in {sum(ordered[False])} of {len(ordered[False])}" in said


# What the browser shows.

READY = "#explorer-n[aria-valuetext]"  # the script has run
TO_IT = "document.querySelector('.explorer').scrollIntoView()"
READ = """
() => [...document.querySelectorAll(".explorer tbody tr")].map(row => [
  row.className,
  [...row.querySelectorAll("td")].map(cell => [
    cell.dataset.value.split(" ").map(Number),
    (cell.querySelector("strong") ?? cell).textContent,
    cell.querySelector("small")?.textContent ?? "",
  ]),
])
"""
SAYS = "document.querySelector('.explorer .says').textContent"
SPOKEN = "document.querySelector('.explorer .spoken').textContent"
MOVE = """
positions => {
  const { elements } = document.querySelector(".explorer form");
  for (const [name, position] of Object.entries(positions)) {
    elements[name].value = position;
    elements[name].dispatchEvent(new Event("input"));
  }
  elements.n.dispatchEvent(new Event("input", { bubbles: true }));
}
"""
MOVE_ALL = f"all => all.map(one => {{ ({MOVE})(one); return [({READ})(), {SAYS}]; }})"
HEIGHT = "document.querySelector('.explorer').clientHeight"
OUTSIDE = """() => {
  const svg = document.querySelector('.explorer figure svg');
  const frame = svg.getBoundingClientRect();
  return [...svg.querySelectorAll('text')].filter(text => {
    const box = text.getBoundingClientRect();
    return box.left < frame.left || box.right > frame.right
      || box.top < frame.top || box.bottom > frame.bottom;
  }).map(text => text.textContent);
}"""
# What the controls, the chart and the text take, and what a window has below the page's header.
SCREEN = """[document.querySelector('.explorer .beside').offsetHeight,
  innerHeight - Math.max(...[...document.querySelectorAll('.md-header, .md-tabs')].map(
    node => node.offsetHeight && node.getBoundingClientRect().bottom))]"""


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page with the explorer, opened once; at the end nothing may have been complained of."""
    context = browser.new_context(reduced_motion="reduce", viewport={"width": 1280, "height": 800})
    page = context.new_page()
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    held: list[Route] = []
    page.route("**/figures/explorer.js", lambda route: held.append(route), times=1)
    page.goto(f"{address}{PATH}")
    settle(page)
    assert not held, "the explorer is loaded before it comes near"
    page.evaluate(TO_IT)
    while not held:
        page.wait_for_timeout(20)
    page.evaluate(STILL)
    before = page.evaluate(HEIGHT)
    held[0].continue_()
    page.wait_for_selector(READY)
    settle(page)
    assert page.evaluate(HEIGHT) == before, "something moves when the script arrives"
    yield page
    context.close()
    assert not complaints


@pytest.fixture(autouse=True)
def at_the_defaults(request: pytest.FixtureRequest) -> None:
    """A test that shares the opened page begins at the first button's settings."""
    if "page" in request.fixturenames:
        request.getfixturevalue("page").evaluate(
            "document.querySelector('.presets button').click()"
        )


def table(page: Page) -> dict[str, list[list]]:
    return dict(page.evaluate(READ))


def positions_to_try() -> Iterator[dict[str, int]]:
    """The sliders at all combinations of their ends, and at random."""
    ranges = {
        name: range(int(a["min"]), int(a["max"]) + 1, int(a.get("step", 1)))
        for name, a in sliders().items()
    }
    for corner in itertools.product(*((steps[0], steps[-1]) for steps in ranges.values())):
        yield dict(zip(ranges, corner, strict=True))
    chance = random.Random(0)
    for _ in range(40):
        yield {name: chance.choice(steps) for name, steps in ranges.items()}


def test_every_cell_and_every_sentence_is_what_the_formulas_say(page: Page) -> None:
    check_table(table(page), defaults())
    tried = list(positions_to_try())
    corners = 2 ** len(sliders())
    tried = [*tried[:corners:3], *tried[corners:]]  # a third, in which each two ends meet
    ties = alone = 0
    for positions, (rows, said) in zip(tried, page.evaluate(MOVE_ALL, tried), strict=True):
        check_table(dict(rows), at(positions))
        check_verdict(said, at(positions))
        ties += [mark for *_, (*_, mark), _, _ in dict(rows).values()].count("least") > 1
        alone += said.startswith("Fastest")
    assert ties > 0
    assert 0 < alone < len(tried)


def test_the_texts_follow_at_once_and_what_is_spoken_waits(page: Page) -> None:
    page.wait_for_function(f"{SPOKEN}.endsWith({SAYS})")
    page.evaluate(
        "window.said = 0; new MutationObserver(() => window.said += 1).observe("
        "document.querySelector('.explorer .spoken'), {childList: true})"
    )
    positions = {"n": 13, "d": 6, "k": 31, "r": 0, "flops": 129, "bandwidth": 111, "latency": -37}
    settings = at(positions)
    moves = [*({"n": n} for n in range(4, 18)), positions]
    *_, (_, said) = page.evaluate(MOVE_ALL, moves)
    check_verdict(said, settings)
    own = page.locator(".explorer").get_attribute("data-own")
    assert page.locator(".explorer .shows").text_content() == own
    for name, value in settings.items():
        text = page.locator(f".explorer input[name={name}]").get_attribute("aria-valuetext")
        assert describes(text, name, value), (name, text, value)
        beside = page.locator(f".explorer output[for=explorer-{name}]")
        assert beside.evaluate("node => node.value") == text
        assert page.locator(f".explorer [data-of={name}]").text_content() == text
    page.wait_for_function(f"{SPOKEN} === {json.dumps(f'{own} {said}')}")
    assert page.evaluate("window.said") == 1


def test_the_keyboard_moves_a_slider_and_a_button_moves_all(page: Page) -> None:
    page.focus("#explorer-n")
    page.keyboard.press("ArrowRight")
    assert page.locator(".presets [aria-pressed=true]").count() == 0
    settings = defaults()
    check_table(table(page), settings | {"n": 2 * settings["n"]})
    page.keyboard.press("End")
    check_table(table(page), settings | {"n": 131072})
    for name, (chosen, text) in buttons().items():
        page.get_by_role("button", name=name, exact=True).press("Enter")
        check_table(table(page), chosen)
        assert page.locator(".presets [aria-pressed=true]").all_text_contents() == [name]
        assert page.locator(".explorer .shows").text_content() == text


def test_the_plot_has_a_line_and_a_band_for_every_layer_and_marks_n(page: Page) -> None:
    page.evaluate(MOVE, {"n": 8})
    plot = page.locator(".explorer figure svg")
    assert "n = 256" in plot.text_content()
    axes = plot.locator(".axis").all_text_contents()
    assert axes == ["predicted time of one layer", "length n, in positions"]
    settings = defaults() | {"n": 256}
    lines = plot.locator("path:not([class])").evaluate_all(
        "paths => paths.filter(path => path.parentNode.localName === 'svg')"
        ".map(path => Number(path.getAttribute('d').split(/[ H]/)[1]))"
    )
    first, *_, last = plot.locator("text[text-anchor=end]").all_text_contents()
    seconds = [
        float(number.replace(",", "")) * UNITS[unit]
        for number, unit in (text.split("\u00a0") for text in (first, last))
    ]
    decade = (lines[0] - lines[-1]) / math.log10(seconds[1] / seconds[0])
    for place, (layer, (_, name)) in enumerate(LAYERS.items()):
        dot = plot.locator(f"g.{layer} circle")
        assert plot.locator(f"g.{layer} text").text_content() == name
        time = columns(settings)[-1][place]
        assert float(dot.get_attribute("data-value")) == time
        right = lines[0] - decade * math.log10(time / seconds[0])
        assert float(dot.get_attribute("cy")) == pytest.approx(right, abs=0.1)
        band = plot.locator(f"path.band.{layer}").get_attribute("d")
        edge = [float(point.split()[1]) for point in band.strip("MZ").split("L")]
        assert edge[-1] - edge[0] == pytest.approx(decade * math.log10(FACTOR), abs=0.2)


def test_the_bars_are_as_long_as_the_shares(page: Page) -> None:
    page.evaluate(MOVE, {"n": 7, "latency": -36})
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


@pytest.mark.parametrize("scheme", ["default", "slate"])
def test_computing_moving_and_waiting_have_colours_of_their_own(page: Page, scheme: str) -> None:
    page.evaluate("scheme => document.body.dataset.mdColorScheme = scheme", scheme)
    seen = page.evaluate(
        "() => [[...document.querySelectorAll('.explorer thead span')].map("
        "node => getComputedStyle(node).color),"
        "[...document.querySelectorAll('.explorer figure g')].map("
        "node => getComputedStyle(node.firstChild).stroke)]"
    )
    assert [len(set(colours)) for colours in seen] == [3, 4]  # both kinds of attention share one
    assert {*seen[0]}.isdisjoint(seen[1])
    page.evaluate("document.body.dataset.mdColorScheme = 'default'")


@pytest.mark.parametrize("window", [{"width": 1280, "height": 800}, PHONE], ids=["desk", "phone"])
def test_controls_chart_and_text_are_on_one_screen_and_no_word_is_cut(page: Page, window) -> None:
    page.set_viewport_size(window)
    page.wait_for_function("width => innerWidth === width", arg=window["width"])
    settle(page)  # also the observer of the chart's size has seen it
    page.evaluate(TO_IT)
    corners = list(itertools.islice(positions_to_try(), 2 ** len(sliders())))[::9]
    look = f"[{SCREEN}, ({OUTSIDE})()]"
    seen = page.evaluate(f"all => all.map(one => {{ ({MOVE})(one); return {look}; }})", corners)
    seen += page.evaluate(
        "[...document.querySelectorAll('.presets button')].map("
        f"button => {{ button.click(); return {look}; }})"
    )
    for (taken, given), outside in seen:
        assert taken <= given
        assert not outside
    page.set_viewport_size({"width": 1280, "height": 800})


def test_a_link_brings_its_settings_and_leads_to_its_place(page: Page, address: str) -> None:
    query = "?explorer.n=17&explorer.d=64&explorer.flops=90000000000&explorer.r=x"
    show(page, f"{address}{PATH}{query}#exercise-square")
    for anchor in ("exercise-square", "measured", "explore"):  # past what is not laid out yet
        page.evaluate("anchor => location.hash = anchor", anchor)
        settle(page)
        top = page.evaluate(
            "anchor => document.getElementById(anchor).getBoundingClientRect().top", anchor
        )
        assert 0 <= top < 250, (anchor, top)
    page.evaluate(TO_IT)
    page.wait_for_selector(READY)
    check_table(table(page), defaults() | {"d": 64, "flops": 9e10})  # 17 is no step of n


def test_it_works_after_instant_navigation_and_keeps_its_state(page: Page, address: str) -> None:
    def local(route: Route) -> None:  # Material compares addresses with those of the site map
        response = route.fetch()
        text = response.text().replace(site_config(ROOT).site_url, address)
        route.fulfill(response=response, body=text)

    page.route("**/sitemap.xml", local)
    show(page, address)
    page.evaluate("window.kept = true")  # lost if the page is loaded anew
    page.evaluate("link => document.querySelector(link).click()", f"a[href$='{PATH}#explore']")
    page.wait_for_selector(READY)
    page.evaluate(MOVE, {"n": 5})
    page.wait_for_function("location.search === '?explorer.n=32'")
    page.go_back()
    page.wait_for_selector(".hero")
    page.go_forward()
    page.wait_for_selector(".explorer")
    page.evaluate(TO_IT)
    page.wait_for_selector(READY)
    check_table(table(page), defaults() | {"n": 32})
    assert page.evaluate("window.kept")


def test_only_its_page_brings_it(site: Path) -> None:
    bringing = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*.html")
        if 'data-figure="explorer"' in path.read_text(encoding="utf-8")
    ]
    assert bringing == [f"{PATH}index.html"]


def test_without_scripts_the_table_is_there_and_no_control(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}{PATH}")
    for selector in ("form", "input", "button", "figure"):
        for node in page.locator(f".explorer {selector}").all():
            assert not node.is_visible()
    assert page.locator(".explorer td").count() == 30
    assert all(node.is_visible() for node in page.locator(".explorer td").all())
    check_verdict(page.locator(".explorer .says").text_content(), defaults())
    context.close()
