"""Three figures that react, held to the Python of their pages: positions, the copier, path length.

All three stand on one page, drawn by the scripts of the built site, and are moved by the keyboard.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page
from torch import Tensor, nn

from docs.assets import copier, fragments
from snippets.convolution import ConvolutionLayer
from snippets.multi_head import MultiHeadAttention
from snippets.path_length import maximum_path_length, reach
from snippets.positional_encoding import sinusoidal_encoding
from snippets.recurrent import RecurrentLayer
from tests.site import accessibility
from tests.site.narrow import cut
from tests.site.visit import PHONE

FIGURES = ("path-length", "positional-encoding", "transformer")
N = 16
D_MODEL = 4
# Give the controls of a figure these values.
SET = """([selector, settings]) => {
  for (const form of document.querySelectorAll(`${selector} form`)) {
    for (const [name, value] of Object.entries(settings)) {
      const control = form.elements[name];
      if (typeof value === "boolean" && control) control.checked = value;
      else if (control) control.value = value;
    }
    form.dispatchEvent(new Event("input"));
  }
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, site: Path) -> Iterator[Page]:
    paths = [path for path in fragments.FRAGMENTS if path.stem in FIGURES]
    with fragments.opened(browser, paths, site) as page:
        yield page


def press(page: Page, name: str, *keys: str) -> None:
    """Press keys on the control with an id or a name and value."""
    page.focus(name)
    for key in keys:
        page.keyboard.press(key)


# Positional encoding.

CLOCKS = """() => {
  const figure = document.querySelector("[data-figure=positional-encoding]");
  const numbers = text => text.split(" ").map(Number);
  const read = name => figure.querySelector(`[data-drawn=${name}]`).textContent;
  return {
    p: [...figure.querySelectorAll("path.p")].map(hand => numbers(hand.dataset.value)),
    q: [...figure.querySelectorAll("path.q")].map(hand => numbers(hand.dataset.value)),
    added: [...figure.querySelectorAll("b[data-value]")].map(one => Number(one.dataset.value)),
    hands: [...figure.querySelectorAll("path.p, path.q")].map(one => one.getAttribute("d")),
    angles: [...figure.querySelectorAll("path.angle")].map(one => one.getAttribute("d")),
    product: Number(figure.querySelector("circle[data-value]").dataset.value),
    names: [read("p"), read("q"), read("product")],
  };
}"""


def check_clocks(page: Page, p: int, k: int) -> dict[str, Any]:
    """Hold what the dials and the curve show to the encodings of two positions."""
    shown = page.evaluate(CLOCKS)
    table = sinusoidal_encoding(200, 16).double()  # (n, d_model), rounded to float32
    for name, position in (("p", p), ("q", p + k)):
        wanted = table[position].view(-1, 2)  # a pair a row
        torch.testing.assert_close(torch.tensor(shown[name]).double(), wanted, rtol=0, atol=1e-6)
    pairs = (table[p] * table[p + k]).view(-1, 2).sum(1)
    torch.testing.assert_close(torch.tensor(shown["added"]).double(), pairs, rtol=0, atol=1e-6)
    assert shown["product"] == pytest.approx((table[p] @ table[p + k]).item(), abs=1e-5)
    said = f"{shown['product']:.2f}".replace("-", "\N{MINUS SIGN}")
    assert shown["names"] == [str(p), str(p + k), said]
    return shown


def test_the_clocks_are_the_encoding_and_the_product_stays_when_both_move(page: Page) -> None:
    page.evaluate(SET, [".clocks", {"p": 10, "k": 9}])
    before = check_clocks(page, 10, 9)
    press(page, "#positional-encoding-p", "ArrowRight", "ArrowRight", "ArrowUp")
    moved = check_clocks(page, 13, 9)
    assert moved["product"] == before["product"]
    assert moved["added"] == pytest.approx(before["added"], abs=1e-12)
    assert moved["hands"] != before["hands"]
    press(page, "#positional-encoding-p", "End")
    assert check_clocks(page, 100, 9)["product"] == before["product"]
    press(page, "#positional-encoding-k", "ArrowRight")
    farther = check_clocks(page, 100, 10)
    assert farther["product"] != before["product"]
    assert farther["angles"] != before["angles"]
    for key, k in (("Home", 0), ("End", 60)):
        press(page, "#positional-encoding-k", key)
        check_clocks(page, 100, k)
    page.wait_for_function("location.search.includes('positional-encoding.k=60')")


def test_the_curve_is_the_product_at_every_distance(page: Page) -> None:
    """A point a distance of a half; where the curve stands for a product is told by two ends."""
    page.evaluate(SET, [".clocks", {"p": 100}])
    path = page.locator("[data-drawn=curve] path").first.get_attribute("d")
    points = [[float(one) for one in point.split()] for point in path[1:].split("L")]
    table = sinusoidal_encoding(61, 16).double()
    products = (table @ table[0]).tolist()
    assert len(points) == 121
    ys = [y for _, y in points[::2]]
    assert ys == pytest.approx([172 - 160 * product / 8 for product in products], abs=0.06)
    box = page.locator(".curve").bounding_box()
    at = box["x"] + box["width"] * points[40][0] / 640
    page.mouse.click(at, box["y"] + box["height"] / 2)
    check_clocks(page, 100, 20)


# Path length.


class Masked(nn.Module):
    """Self-attention behind a mask, True where attention is allowed."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.attention, self.d_model = MultiHeadAttention(D_MODEL, 2), D_MODEL
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x, self.mask)


def layers(settings: dict[str, Any]) -> list[nn.Module]:
    """The N lowest layers of the stack that the figure shows."""
    everything = torch.ones(N, N, dtype=torch.bool)
    causal = settings["causal"]
    if settings["kind"] == "recurrent":
        return [RecurrentLayer(D_MODEL).double()] * N
    if settings["kind"] == "convolution":
        k, factor = settings["k"], settings["dilation"]
        return [
            ConvolutionLayer(D_MODEL, k, factor**layer, causal=causal).double()
            for layer in range(N)
        ]
    mask = everything.tril() if causal else everything
    if settings["kind"] == "restricted":
        mask = mask.triu(-settings["r"]).tril(settings["r"])
    return [Masked(mask).double()] * N


DEFAULTS = {
    "kind": "convolution",
    "depth": 4,
    "k": 3,
    "r": 2,
    "dilation": 1,
    "causal": False,
    "output": 10,
    "input": 6,
}
STACK = """() => {
  const { seen, path, length, needed } = document.querySelector(".stack svg").dataset;
  const numbers = text => text ? text.split(" ").map(Number) : [];
  const lit = [...document.querySelectorAll(".stack .lit circle")].map(
    circle => `${circle.getAttribute("cx")} ${circle.getAttribute("cy")}`
  );
  return {
    seen: numbers(seen), path: numbers(path), length: Number(length), needed: Number(needed), lit,
    says: document.querySelector(".stack .says").textContent,
  };
}"""


def check_stack(page: Page, **changes: Any) -> dict[str, Any]:
    """Hold what the figure says of a stack to the gradients of running layers."""
    settings = DEFAULTS | changes
    hops = layers(settings)
    output, source, depth = settings["output"], settings["input"], settings["depth"]
    shown = page.evaluate(STACK)
    row = reach(hops[:depth], N)[output]
    assert shown["seen"] == row.nonzero().flatten().tolist(), settings

    lengths = (length for length in range(1, N + 1) if reach(hops[:length], N)[output, source])
    length = next(lengths, -1)
    assert shown["length"] == length, settings
    try:
        needed = maximum_path_length(iter(hops), N, causal=settings["causal"])
    except ValueError:
        needed = -1
    assert shown["needed"] == needed, settings

    path = shown["path"]
    assert bool(path) == (0 < length <= depth), settings
    if path:
        assert path[0] == output
        assert path[-1] == source
        if settings["kind"] == "recurrent":
            assert path[:-1] == list(range(output, source - 1, -1))
            assert len(path) - 1 == length
        else:
            steps = zip(path, path[1:], reversed(hops[:depth]), strict=False)
            assert len(path) == depth + 1
            assert all(reach([hop], N)[upper, lower] for upper, lower, hop in steps), settings
            assert path[: depth - length + 1] == [output] * (depth - length + 1), settings
    unit = "step" if settings["kind"] == "recurrent" else "layer"
    counted = {f"{n} {unit}{'s' * (n != 1)}" for n in (length, needed) if n > 0}
    if not (settings["causal"] and source > output):
        assert counted <= set(re.findall(r"\d+ (?:layer|step)s?", shown["says"])), settings
    return shown


STACKS = [
    {},
    {"kind": "attention", "depth": 3},
    {"kind": "attention", "causal": True, "input": 12},
    {"kind": "recurrent", "depth": 6, "output": 12, "input": 8},
    {"kind": "recurrent", "depth": 3, "output": 1, "input": 0},
    {"k": 5, "depth": 2, "output": 15, "input": 0},
    {"dilation": 2, "output": 15, "input": 0},
    {"dilation": 4, "depth": 3, "input": 8},  # with holes
    {"dilation": 2, "k": 5, "depth": 3, "causal": True, "output": 14, "input": 2},
    {"kind": "restricted", "depth": 16, "input": 0},
    {"kind": "restricted", "r": 3, "depth": 2, "causal": True, "output": 9, "input": 3},
]


@pytest.mark.parametrize(
    "changes", STACKS, ids=lambda changes: "-".join(map(str, changes.values()))
)
def test_what_is_lit_is_what_the_gradient_reaches(page: Page, changes: dict[str, Any]) -> None:
    page.evaluate(SET, [".stack", DEFAULTS | changes])
    check_stack(page, **changes)


def test_the_keyboard_and_the_pointer_choose_layer_depth_and_ends(page: Page) -> None:
    page.evaluate(SET, [".stack", DEFAULTS])
    press(page, "#path-length-output", "ArrowRight")
    check_stack(page, output=11)
    press(page, "#path-length-input", "Home")
    press(page, "#path-length-depth", "End")
    check_stack(page, output=11, input=0, depth=16)
    press(page, ".stack [value=convolution]", "ArrowRight")
    check_stack(page, output=11, input=0, depth=16, kind="restricted")
    press(page, ".stack [name=causal]", " ")
    check_stack(page, output=11, input=0, depth=16, kind="restricted", causal=True)
    assert page.locator("#path-length-k").is_hidden()
    assert page.locator("#path-length-r").is_visible()
    box = page.locator(".stack svg").bounding_box()
    unit = box["width"] / 640
    for y, ends in ((30, {"output": 14}), (350, {"output": 14, "input": 3})):
        column = list(ends.values())[-1]
        page.mouse.click(box["x"] + unit * (64 + 36 * (column + 0.5)), box["y"] + unit * y)
        check_stack(page, **({"input": 0} | ends), depth=16, kind="restricted", causal=True)


# The copier.


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    return copier.facts()


def printed(pattern: str) -> list[tuple[str, ...]]:
    """What the page shows as the output of its program, which the test of the page holds to it."""
    return re.findall(pattern, copier.PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def mean(heads: list[list[list[int]]]) -> Tensor:
    """The mean of the heads of a layer, (n_tgt, n_src)."""
    return torch.tensor(heads, dtype=torch.float64).mean(0) / 1000


def test_the_record_is_what_the_page_prints(recorded: dict[str, Any]) -> None:
    losses = recorded["losses"]
    steps = printed(r"^step +(\d+): loss (\S+)$")
    assert len(steps) == 4
    for step, loss in steps:
        assert f"{losses[int(step) - 1]:.1f}" == loss
    assert printed(r"^after (\d+) steps the loss is below 0.02: True$")[0] == str(len(losses))
    assert losses[-1] < 0.02
    moments = {moment["step"]: moment for moment in recorded["moments"]}
    assert list(moments) == copier.STEPS
    assert moments[300]["written"] == recorded["source"]
    rows = printed(r"^layer (\d), weight on the same position: (.*)$")
    assert len(rows) == 2
    early = moments[150]  # what it reads of its own copy is true, and so what the page gives it
    assert early["written"][:-1] == recorded["source"][:-1]
    for layer, weights in rows:
        diagonal = mean(early["attention"][int(layer) - 1]).diagonal().tolist()
        assert diagonal == pytest.approx([float(one) for one in weights.split()], abs=0.0056)
    for moment in recorded["moments"]:
        weights = torch.tensor(moment["attention"])  # (n_layers, n_heads, n_tgt, n_src)
        assert weights.shape == (2, 2, len(moment["written"]), len(recorded["source"]))
        assert ((weights.sum(-1) - 1000).abs() <= 5).all()


COPIER = """() => {
  const figure = document.querySelector("[data-figure=transformer]");
  const weights = figure.querySelector("[data-drawn=weights]");
  return {
    names: [...weights.querySelectorAll(".name")].map(one => one.textContent),
    cells: [...weights.querySelectorAll("[data-value]")].map(cell => [
      (cell.getAttribute("y") - 36) / 33, (cell.getAttribute("x") - 54) / 33,
      Number(cell.dataset.value),
    ]),
    now: (weights.querySelector(".now").getAttribute("y") - 36) / 33,
    says: figure.querySelector(".says").textContent,
  };
}"""


def check_copier(
    page: Page, recorded: dict[str, Any], step: int, rows: int = 9, layer: int = 1, head: int = 0
) -> str:
    """Hold what the figure shows of a moment to the record; head 0 is the mean."""
    shown = page.evaluate(COPIER)
    moment = recorded["moments"][step // 15]
    written = moment["written"][:rows]
    named = zip(written, recorded["source"], strict=False)
    assert shown["names"] == [one if one == true else f"{one} ≠ {true}" for one, true in named]
    heads = moment["attention"][layer - 1]
    wanted = mean(heads if head == 0 else heads[head - 1 : head])[:rows]
    drawn_weights = torch.zeros_like(wanted)
    for i, j, weight in shown["cells"]:
        drawn_weights[int(i), int(j)] = weight
    drawn_or_too_small = wanted.where(wanted >= 0.005, 0)
    torch.testing.assert_close(drawn_weights, drawn_or_too_small, rtol=0, atol=1e-9)
    assert shown["now"] == len(written) - 1
    loss = recorded["losses"][max(0, step - 1)]
    last = wanted[-1]
    assert f"After {step} steps of training the loss is {loss:g}." in shown["says"]
    assert f"Token {len(written)} of the copy is {written[-1]}" in shown["says"]
    assert f"probability of {moment['probability'][len(written) - 1]:.2f}" in shown["says"]
    assert f"reads token {last.argmax() + 1} of the source most" in shown["says"]
    assert ("and it is right" in shown["says"]) == (shown["names"][-1] == written[-1])
    return shown["says"]


def test_the_copier_is_led_through_its_training_and_its_copy_by_the_keyboard(
    page: Page, recorded: dict[str, Any]
) -> None:
    page.evaluate(SET, [".copier", {"step": 300, "token": 9, "layer": 1, "head": "mean"}])
    assert "ended" not in check_copier(page, recorded, 300)
    press(page, "#transformer-step", "Home")
    check_copier(page, recorded, 0)
    for step in range(15, 121, 15):
        press(page, "#transformer-step", "ArrowRight")
        early = len(recorded["moments"][step // 15]["written"]) < 9
        assert ("ended its copy early" in check_copier(page, recorded, step)) == early
    press(page, "#transformer-token", "Home", "ArrowRight", "ArrowRight")
    check_copier(page, recorded, 120, rows=3)
    press(page, ".copier [name=layer][value='1']", "ArrowRight")
    check_copier(page, recorded, 120, rows=3, layer=2)
    press(page, ".copier [name=head][value=mean]", "ArrowRight", "ArrowRight")
    check_copier(page, recorded, 120, rows=3, layer=2, head=2)
    press(page, ".copier summary", "Enter")
    page.wait_for_selector(".copier table")
    read = "rows => rows.map(row => [...row.cells].slice(1).map(cell => cell.textContent))"
    table = page.locator(".copier tr").evaluate_all(read)
    weights = mean(recorded["moments"][8]["attention"][1][1:])[:3]
    assert table[0] == recorded["source"]
    shown = torch.tensor([[float(one) for one in row] for row in table[1:]]).double()
    torch.testing.assert_close(shown, weights, rtol=0, atol=0.0051)
    press(page, ".copier summary", "Enter")
    box = page.locator(".copier .loss").bounding_box()
    x = 40 + 310 * 78 / 300  # the nearest moment is 75
    page.mouse.click(box["x"] + box["width"] * x / 360, box["y"] + box["height"] / 2)
    assert page.locator("#transformer-step").input_value() == "75"


# All of them.


def test_all_can_be_used_and_read_on_a_desk_and_a_phone(page: Page) -> None:
    assert not accessibility.everything(page)
    assert not cut(page)
    page.add_style_tag(content="body { background: var(--paper); color: var(--ink) }")
    page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
    assert not accessibility.contrast(page, set())
    page.set_viewport_size({**PHONE, "height": 3000})
    page.wait_for_function("width => innerWidth === width", arg=PHONE["width"])
    assert not cut(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
