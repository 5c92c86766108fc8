"""The figures that react on the pages of attention, masks and the scale, held to the pages' Python.

Each page is opened once. What the figures show at their defaults stands in their fragments, which
`test_generated` holds to the modules.
"""

import ast
import itertools
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page, Route
from torch import Tensor
from torch.nn import functional as F

from docs.assets import scale
from snippets.attention import scaled_dot_product_attention
from snippets.masks import causal_mask, padding_mask
from snippets.softmax import softmax_jacobian
from tests import ROOT
from tests.oracle import F64, close
from tests.runner.pages import read_blocks
from tests.site.visit import DESK


@contextmanager
def opened(browser: Browser, url: str, figure: str) -> Iterator[Page]:
    """A page with its figure started, which has kept its size; nothing was complained of."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")
    page = context.new_page()
    complaints: list[str] = []
    held: list[Route] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text))
    page.route(f"**/figures/{figure}.js", lambda route: held.append(route))
    size = f"document.querySelector('[data-figure={figure}]').getBoundingClientRect().height"
    with page.expect_request(f"**/figures/{figure}.js"):
        page.goto(url)
        page.locator(f"[data-figure={figure}]").scroll_into_view_if_needed()
    before = page.evaluate(size)
    held[0].continue_()
    page.wait_for_function(f"!document.querySelector('[data-figure={figure}] form').hidden")
    assert page.evaluate(size) == before
    yield page
    context.close()
    assert not complaints


def values(page: Page, selector: str) -> list[list[float]]:
    """The numbers in full precision of all elements of this kind."""
    found = page.locator(f"{selector}[data-value]")
    texts = found.evaluate_all("nodes => nodes.map(node => node.dataset.value)")
    return [[float(number) for number in text.split()] for text in texts]


def column(page: Page, selector: str) -> Tensor:
    return torch.tensor([number for (number,) in values(page, selector)], dtype=F64)


def wait_for_words(page: Page, figure: str, words: str) -> None:
    """Wait until the sentence that a screen reader says begins like this."""
    page.wait_for_function(
        "([figure, words]) => document.querySelector(`[data-figure=${figure}] [aria-live]`)"
        ".textContent.startsWith(words)",
        arg=[figure, words],
    )


# Attention


KEYS = torch.tensor([[2, 0], [-1, 2], [-1, -2]], dtype=F64)
VALUES = torch.tensor([[2.5, 1], [-2, 2.5], [-1, -3]], dtype=F64)
UNIT, MIDDLE = 26, 120  # of the planes


def check_attention(page: Page, query: list[float], scaled: bool) -> None:
    """Hold table, output and drawing to equation (1)."""
    assert values(page, "[data-of=query]") == [query]
    q = torch.tensor([query], dtype=F64)
    factor = 1 if scaled else math.sqrt(2)  # attention divides by the root; this undoes it
    output, weights = scaled_dot_product_attention(factor * q, KEYS, VALUES)
    rows = "[data-figure=attention] tbody"
    close(column(page, f"{rows} td:nth-child(2)"), (q @ KEYS.T)[0])
    close(column(page, f"{rows} td:nth-child(3)"), (factor * q @ KEYS.T)[0] / math.sqrt(2))
    close(column(page, f"{rows} td:nth-child(4) span"), weights[0])
    close(torch.tensor(values(page, "[data-of=output]"), dtype=F64), output)
    text = (
        page.locator("[data-figure=attention] .mixture")
        .text_content()
        .replace("\N{MINUS SIGN}", "-")
    )
    written = [float(number) for number in re.findall(r"-?\d+\.\d+", text)]
    assert written == pytest.approx([*weights[0].tolist(), *output[0].tolist()], abs=0.00501)
    drawn = page.locator("[data-figure=attention] circle:not(.hold)").evaluate_all(
        "dots => dots.map(({cx, cy, r}) => [cx, cy, r].map(one => one.baseVal.value))"
    )
    places = torch.tensor([[x, y] for x, y, _ in drawn], dtype=F64)
    expected = torch.cat([KEYS, q, VALUES, output]) * torch.tensor([UNIT, -UNIT]) + MIDDLE
    close(places, expected, atol=1e-4)
    areas = [((r - 2) / 12) ** 2 for *_, r in drawn[4:7]]
    assert areas == pytest.approx(weights[0].tolist(), abs=0.01)


def test_the_figure_of_attention_follows_keys_and_pointer(browser: Browser, address: str) -> None:
    start = "?attention.x=-0.5&attention.y=2&attention.scaled=false"
    with opened(browser, f"{address}model/attention/{start}", "attention") as page:
        check_attention(page, [-0.5, 2], scaled=False)
        page.locator("[name=scaled]").focus()
        page.keyboard.press("Space")
        check_attention(page, [-0.5, 2], scaled=True)
        handle = page.locator("[data-figure=attention] [role=slider]")
        handle.focus()
        for key in ("ArrowLeft", "Shift+ArrowRight", "ArrowUp", "Shift+ArrowDown"):
            page.keyboard.press(key)
        check_attention(page, [0.4, 1.1], scaled=True)
        assert handle.get_attribute("aria-valuetext") == "(0.4, 1.1)"
        for _ in range(9):
            page.keyboard.press("Shift+ArrowRight")  # and no further than the plane
        check_attention(page, [4, 1.1], scaled=True)
        box = page.locator("[data-figure=attention] .keys").bounding_box()
        grip = page.locator("[data-figure=attention] .hold").bounding_box()
        page.mouse.move(grip["x"] + grip["width"] / 2, grip["y"] + grip["height"] / 2)
        page.mouse.down()
        pixel = box["width"] / 216  # the plane begins at (12, -4)
        page.mouse.move(box["x"] + 56 * pixel, box["y"] + 150 * pixel)
        page.mouse.up()
        ((x, y),) = values(page, "[data-of=query]")
        assert [x, y] == pytest.approx([-2, -1], abs=0.06)
        check_attention(page, [x, y], scaled=True)
        for index, weights in enumerate(([0, 1, 0], [1 / 2, 1 / 2, 0], [1 / 3, 1 / 3, 1 / 3])):
            button = page.locator("[data-figure=attention] [data-query]").nth(index)
            button.click()
            query = [float(number) for number in button.get_attribute("data-query").split()]
            check_attention(page, query, scaled=True)
            found = column(page, "[data-figure=attention] td:nth-child(4) span")
            close(found, torch.tensor(weights, dtype=F64), atol=0.06)
        page.wait_for_function("location.search === '?attention.x=0&attention.y=0'")
        wait_for_words(page, "attention", "Query at (0.0, 0.0). Weights 0.33, 0.33, 0.33. ")


# Masks


TOKENS = torch.tensor([[6, 2, 0, 0]])  # dogs bark <pad> <pad>, as on the page
X = math.sqrt(2) * torch.eye(4)  # a word scores 1 with itself, for d_k is 4, and 0 with the others


def site_and_functional(mask: Tensor) -> Tensor:
    ours = scaled_dot_product_attention(X, X, torch.eye(4), mask)[0]
    theirs = F.scaled_dot_product_attention(X[None], X[None], torch.eye(4)[None], mask[None])[0]
    close(ours, theirs, atol=1e-6)
    return ours


def plain_softmax(mask: Tensor) -> Tensor:
    return torch.softmax((X @ X.T / 2).masked_fill(~mask, -torch.inf), -1)


def module(mask: Tensor) -> Tensor:
    layer = torch.nn.MultiheadAttention(4, num_heads=1, bias=False, batch_first=True)
    with torch.no_grad():
        layer.in_proj_weight.copy_(torch.eye(4).repeat(3, 1))
    return layer(X[None], X[None], X[None], attn_mask=mask)[1][0].detach()


READERS: dict[str, Callable[[Tensor], Tensor]] = {
    "site": site_and_functional,
    "plain": plain_softmax,
    "module": module,
}


def check_masks(page: Page, mask: Tensor, reader: str) -> None:
    """Hold the cells and the weights to the mask and to who reads it."""
    cells = page.locator(".mask tbody td").evaluate_all("all => all.map(one => one.dataset.value)")
    assert cells == [str(is_true).lower() for is_true in mask.flatten().tolist()]
    assert page.locator(".mask tbody td").all_text_contents() == [
        str(is_true) for is_true in mask.flatten().tolist()
    ]
    page.check(f"[name=reader][value={reader}]")
    weights = READERS[reader](mask).to(F64)
    found = column(page, ".weights tbody td").view(4, 4)
    torch.testing.assert_close(found, weights, atol=1e-6, rtol=0, equal_nan=True)
    for text, weight in zip(
        page.locator(".weights tbody td").all_text_contents(),
        weights.flatten().tolist(),
        strict=True,
    ):
        assert text == "0" if weight == 0 else text.lower() == f"{weight:.2f}"
    framed = page.locator(".weights tbody td").evaluate_all(
        "all => all.map(one => one.classList.contains('wrong'))"
    )
    assert framed == ((weights > 0) & ~mask).flatten().tolist()


def test_the_figure_of_masks_is_read_by_three_as_they_read_it(
    browser: Browser, address: str
) -> None:
    start = "?masks.causal=false&masks.reader=plain&masks.cells=0110000011111001"
    with opened(browser, f"{address}model/masks/{start}", "masks") as page:
        edited = torch.tensor([int(bit) for bit in "0110000011111001"]).bool().view(4, 4)
        for reader in ("plain", "site", "module"):
            check_masks(page, edited, reader)
        for causal, padding in itertools.product((True, False), repeat=2):
            page.set_checked("[name=causal]", causal)
            page.set_checked("[name=padding]", padding)
            mask = torch.ones(4, 4, dtype=torch.bool)
            mask = mask & causal_mask(4) if causal else mask
            mask = mask & padding_mask(TOKENS, pad_id=0)[0] if padding else mask
            for reader in READERS:
                check_masks(page, mask, reader)
        page.click("[name=back]")
        mask = causal_mask(4) & padding_mask(TOKENS, pad_id=0)[0]
        check_masks(page, mask, "site")
        page.locator(".mask [tabindex='0']").focus()
        for key in ("ArrowUp", "ArrowRight", "ArrowRight", "Space", "ArrowDown", "Enter", "Space"):
            page.keyboard.press(key)
        focused = page.evaluate("document.activeElement.getAttribute('aria-label')")
        assert focused == "bark, <pad>: False"
        mask[0, 2] = True
        check_masks(page, mask, "site")
        page.click("[name=empty]")
        mask[1] = False
        for reader, words in (
            ("site", "No key is left for bark (2): the weights are zeros"),
            ("plain", "No key is left for bark (2): softmax divides 0 by 0"),
            ("module", "True is read as hidden"),
        ):
            check_masks(page, mask, reader)
            wait_for_words(page, "masks", words)
        # In nn.MultiheadAttention a full row is the empty one.
        page.locator(".mask tbody td").nth(3).click()
        page.locator(".mask tbody td").nth(1).click()
        mask[0] = True
        check_masks(page, mask, "module")
        page.wait_for_function("location.search.includes('masks.cells=1111000011001100')")


# The scale


def page_sample() -> Callable[[int], list[Tensor]]:
    """The function `sample` of the page's own program."""
    (block,) = [
        block
        for block in read_blocks(ROOT / "docs/derivations/scale.md", ROOT)
        if "def sample(" in block.code
    ]
    (function,) = [
        node
        for node in ast.parse(block.code).body
        if isinstance(node, ast.FunctionDef) and node.name == "sample"
    ]
    namespace: dict[str, Any] = {"torch": torch, "Tensor": Tensor}
    exec(ast.unparse(function), namespace)
    return namespace["sample"]


def check_width(panels: dict[str, Any], query: Tensor, key: Tensor) -> None:
    """Hold a width's six panels to attention and softmax's Jacobian on the page's draws."""
    d_k = query.shape[-1]
    for way, factor in ("scaled", 1.0), ("raw", math.sqrt(d_k)):
        scores, weights, gradients = (
            panels[f"{way} {shown}"] for shown in ("scores", "weights", "gradients")
        )
        _, right = scaled_dot_product_attention(factor * query, key, key)
        products = (factor * query * key).sum(-1) / math.sqrt(d_k)  # (200, 64)
        bins = ((products + 65) / 2).floor()  # from -65 to 65
        within = bins[(bins >= 0) & (bins < 65)].int()
        assert torch.bincount(within.flatten(), minlength=65).tolist() == scores["curve"]
        norms = torch.linalg.matrix_norm(softmax_jacobian(right[:, 0])).sort()[0]
        ranked = right[:, 0].sort(dim=1, descending=True)[0].mean(0)
        assert scores["value"] == pytest.approx(products.std().item(), rel=1e-5)
        assert weights["value"] == pytest.approx(right.amax(-1).mean().item(), rel=1e-5)
        assert gradients["value"] == pytest.approx(norms[99].item(), rel=1e-5)  # as torch.median
        assert weights["curve"] == pytest.approx((10_000 * ranked).tolist(), abs=0.501)
        ends = [gradients["curve"][0], gradients["curve"][-1]]
        assert ends == pytest.approx((10_000 * norms[[0, -1]]).tolist(), abs=0.501)


DRAWN = """panels => panels.map(panel => ({ name: panel.dataset.panel,
  path: panel.querySelector(".area").getAttribute("d"),
  text: panel.querySelector("[data-shows]").textContent,
  value: JSON.parse(panel.querySelector("[data-shows]").dataset.value ?? "null") }))"""


def heights(path: str, positions: Tensor) -> list[float]:
    """How high the outline of bars, or of an area, stands above its base at these positions."""
    if "H" in path:  # bars: up or down to a height, then across
        steps = [(float(y), float(x)) for y, x in re.findall(r"V([\d.]+)H([\d.]+)", path)]
        return [104 - next(y for y, right in steps if x < right) for x in positions.tolist()]
    points = [(float(x), float(y)) for x, y in re.findall(r"L([\d.]+),([\d.]+)", path)]
    assert [x for x, _ in points] == pytest.approx(positions.tolist(), abs=0.051)
    return [104 - y for _, y in points]


def test_the_figure_of_the_scale_shows_what_the_page_measures(
    browser: Browser, address: str
) -> None:
    sample = page_sample()
    record = json.loads(scale.RECORD.read_text(encoding="utf-8"))
    for d_k in (1, 8, 64, 1024):
        query, key, *_ = sample(d_k)
        check_width(record[str(d_k)], query, key)
    with opened(browser, f"{address}derivations/scale/", "scale") as page:
        requested: list[str] = []  # of the figure's data: a browser asks for its icon when it likes
        page.on("request", lambda one: requested.append(one.url) if "/data/" in one.url else None)
        slider = page.locator("#scale-d-k")
        assert slider.get_attribute("aria-valuetext") == "64"
        check_panels(page, record["64"], fetched=False)
        assert not requested
        slider.focus()
        page.keyboard.press("Home")
        for d_k, panels in record.items():
            assert slider.get_attribute("aria-valuetext") == d_k
            page.wait_for_selector("[data-figure=scale]:not(.waiting)")
            check_panels(page, panels)
            page.keyboard.press("ArrowRight")
        assert requested == [f"{address}assets/data/scale.json"]
        page.wait_for_function("location.search === '?scale.d_k=1024'")
        wait_for_words(page, "scale", "d_k = 1024. Divided: standard deviation of the scores 1.0, ")


def check_panels(page: Page, expected: dict[str, Any], *, fetched: bool = True) -> None:
    """Hold what is drawn and written to the record of a width, once fetched in full precision."""
    panels = page.locator("[data-panel]").evaluate_all(DRAWN)
    assert [panel["name"] for panel in panels] == list(expected)
    for panel in panels:
        right, shows = expected[panel["name"]], panel["name"].split()[1]
        assert panel["value"] == (right["value"] if fetched else None)
        assert panel["text"].split()[-1] == right["text"]
        assert float(right["text"]) == pytest.approx(right["value"], rel=0.05, abs=0.051)
        curve, n = torch.tensor(right["curve"], dtype=F64), len(right["curve"])
        whole = {"scores": 0.7 * 200 * 64, "weights": 10_000, "gradients": 5_000}[shows]
        at = torch.arange(n, dtype=F64)
        at = at * 196 / (n - 1) if shows == "gradients" else (at + 0.5) * 196 / n
        drawn = heights(panel["path"], at)
        assert drawn == pytest.approx((84 * curve / whole).tolist(), abs=0.051)
