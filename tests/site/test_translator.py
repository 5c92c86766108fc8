"""The page of the live translator: what a reader sees and does there, with the real model.

What the model computes is held to PyTorch by `test_translator_engine.py`; here one page is opened,
fails to load, loads, and is then used by all tests, each of which begins with a state of its own.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import torch
from playwright.sync_api import Browser, Locator, Route

from snippets.training.attention_maps import recorded_weights
from snippets.training.batching import make_batch
from snippets.training.data import END
from snippets.training.export import read_export
from snippets.training.translate import load_translator
from tests.site.accessibility import contrast, everything
from tests.site.built import DOCS, built
from tests.site.narrow import cut
from tests.site.visit import DESK, PHONE, Visit

SOURCE = "training/translator.md"
PATH = "training/translator/"
FILE = "assets/models/de-en/translator.bin"
DOG = "Ein Hund rennt durch den Schnee."
READY = ".translator.alive"
SHOWN = ".translator .live:not([hidden], .stale)"

# The heads without which a sentence is translated otherwise.
EACH_HEAD_ALONE = """async ([file, text]) => {
  const site = document.querySelector("script[src$='/translator/page.js']").src.split("assets/")[0];
  const { load } = await import(`${site}assets/javascripts/translator/model.js`);
  const model = await load(await (await fetch(site + file)).arrayBuffer());
  const { n_layers, n_heads } = model.config, whole = model.translate(text).text, found = [];
  for (const where of ["encoder", "self", "cross"])
    for (let layer = 0; layer < n_layers; layer++)
      for (let head = 0; head < n_heads; head++)
        if (model.translate(text, { off: [{ where, layer, head }] }).text !== whole)
          found.push(`${where}, layer ${layer + 1}, head ${head + 1}`);
  return found;
}"""


class Translator:
    """The page with the loaded model."""

    def __init__(self, visit: Visit, asked: list[str], failures: dict[str, str]) -> None:
        self.visit, self.page = visit, visit.page
        self.asked_before_the_button, self.failures = asked, failures

    def one(self, selector: str) -> Locator:
        return self.page.locator(f".translator {selector}")

    def text(self, selector: str) -> str:
        return self.one(selector).inner_text()

    def wait(self, condition: str, argument: object = None) -> None:
        self.page.wait_for_function(condition, arg=argument)

    def become(self, **state: object) -> str:
        """Press a button of the page, made to ask for this state; gives the translation."""
        self.page.evaluate(
            "state => { const button = document.querySelector('button[data-try]');"
            "const kept = button.dataset.try; button.dataset.try = state;"
            "document.querySelector('.live').classList.add('stale');"
            "button.click(); button.dataset.try = kept; }",
            json.dumps({"text": DOG} | state),
        )
        self.page.wait_for_selector(SHOWN)
        return self.text("output[name=translation]")

    def after(self, act: Callable[[], object]) -> str:
        """Do something that is answered by a translation; gives it."""
        self.page.evaluate("document.querySelector('.live').classList.add('stale')")
        act()
        self.page.wait_for_selector(SHOWN)
        return self.text("output[name=translation]")

    def query(self, **wanted: str | None) -> dict[str, str]:
        """What the address says of the figure, once it says what is wanted, None being nothing.

        figure.js writes it after a pause, which is longer on a busy machine.
        """
        until = time.monotonic() + 20
        while True:
            self.page.wait_for_timeout(350)
            values = parse_qs(urlsplit(self.page.url).query)
            found = {name.removeprefix("translator."): value[0] for name, value in values.items()}
            right = all(found.get(name) == value for name, value in wanted.items())
            if right or time.monotonic() > until:
                return found


@pytest.fixture(scope="module")
def live(browser: Browser, address: str, site: Path) -> Iterator[Translator]:
    """The page, after loading has failed in three ways and then succeeded."""
    context = browser.new_context(viewport=DESK, reduced_motion="reduce")  # with a cache of its own
    visit = Visit(context.new_page(), f"{address}{PATH}")
    page = visit.page
    page.wait_for_selector(READY)
    whole = (site / FILE).read_bytes()
    answers: dict[str, Callable[[Route], None]] = {
        "offline": lambda route: route.abort(),
        "missing": lambda route: route.fulfill(status=404),
        "damaged": lambda route: route.fulfill(body=whole[:-7]),
    }
    asked = list(visit.requested)
    failures = {}
    for name, answer in answers.items():
        page.evaluate("document.querySelector('.translator .status').textContent = ''")
        page.route(f"**/{FILE}", answer)
        page.click(".translator .load")
        page.wait_for_selector(".translator .status.trouble:not(:empty)")
        page.wait_for_selector(".translator .load:enabled")
        failures[name] = page.inner_text(".translator .status")
        page.unroute(f"**/{FILE}")
    visit.complaints.clear()  # the browser's own, of what was kept from it
    page.click(".translator .load")
    page.wait_for_selector(SHOWN)
    yield Translator(visit, asked, failures)
    context.close()
    assert not visit.complaints, visit.complaints


def fragment() -> str:
    return (DOCS / "assets/figures/translator.html").read_text(encoding="utf-8")


# Loading


def test_nothing_of_the_model_is_asked_for_before_the_reader_asks(live: Translator) -> None:
    asked = live.asked_before_the_button
    assert any(url.endswith("/page.js") for url in asked)
    assert not [url for url in asked if re.search(r"/models/|(worker|model)\.js", url)]
    assert any(url.endswith(FILE) for url in live.visit.requested)


def test_the_button_says_how_large_the_model_is(site: Path) -> None:
    said = re.findall(r"\((\d\.\d) MB\)", fragment())
    sizes = {path.stat().st_size for path in site.glob("assets/models/*/translator.bin")}
    assert len(said) == 1
    assert {f"{size / 1e6:.1f}" for size in sizes} == set(said)


def test_a_failure_is_named_and_the_button_tries_again(live: Translator) -> None:
    words = dict(re.findall(r'data-(offline|missing|damaged)="([^"]+)"', fragment()))
    assert live.failures == words
    assert live.become() == "A dog runs through the snow."


def test_no_other_host_is_asked(live: Translator, address: str) -> None:
    outside = [url for url in live.visit.requested if not url.startswith((address, "data:"))]
    assert not outside


# Tokens and steps


def test_the_tokens_stand_there_and_the_steps_go_forward_and_back(live: Translator) -> None:
    live.become()
    assert live.one(".strip.source .token").all_inner_texts() == [*DOG[:-1].split(), ".", "end"]
    target = ["start", *["A", "dog", "runs", "through", "the", "snow"], ".", "end"]
    assert live.one(".strip.target .token").all_inner_texts() == target
    for go, step in [("forward", 2), ("forward", 3), ("back", 2), ("last", 8), ("first", 1)]:
        live.one(f"[data-go={go}]").click()
        assert live.one("input[name=step]").input_value() == str(step)
        chosen = live.one(".strip.target [aria-selected=true]")
        assert chosen.inner_text() == target[step]
        assert live.one(".likely .written .piece").inner_text() == target[step]
        shares = [
            float(value)
            for value in live.one(".likely li").evaluate_all(
                "rows => rows.map(row => row.dataset.value)"
            )
        ]
        assert len(shares) == 5
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1 + 1e-6
    assert live.one("[data-go=back]").is_disabled()


def test_playing_writes_one_token_after_another_and_can_be_stopped(live: Translator) -> None:
    live.become()
    live.page.clock.install()
    live.one("[data-go=play]").click()
    name = live.one("[data-go=play]").get_attribute("aria-label")
    live.page.clock.run_for(1700)
    assert live.one("input[name=step]").input_value() == "3"
    live.one("[data-go=play]").click()
    assert live.one("[data-go=play]").get_attribute("aria-label") != name
    live.page.clock.run_for(5000)
    assert live.one("input[name=step]").input_value() == "3"
    live.page.clock.resume()


# Attention


def test_the_map_holds_the_weights_that_pytorch_has(live: Translator, site: Path) -> None:
    live.become(view="attention", head="32", step=3)
    shown = live.one(".map [data-value]").evaluate_all("cells => cells.map(c => +c.dataset.value)")
    model, tokenizer, _ = load_translator(DOCS / "assets/models/de-en/model.safetensors")
    tensors, _ = read_export(site / FILE)
    model.load_state_dict(tensors, strict=False)
    src = [*tokenizer.encode(DOG).ids, END]
    tgt = [*tokenizer.encode("A dog runs through the snow.").ids, END]
    batch = make_batch([(src, tgt)])
    with torch.no_grad(), recorded_weights(model) as weights:
        model(batch.src, batch.tgt, *batch.masks())
    expected = weights["decoder.layers.2.cross_attention"][0, 1]  # (n_tgt, n_src)
    torch.testing.assert_close(torch.tensor(shown).view_as(expected), expected, atol=2e-4, rtol=0)
    # The tokens are shaded by the row of the token that is written.
    shares = live.one(".strip.source .token").evaluate_all("all => all.map(t => +t.dataset.value)")
    assert shares == pytest.approx(expected[2].tolist(), abs=2e-4)


def test_pointing_at_a_word_shows_what_it_reads_and_a_source_word_reads_in_the_encoder(
    live: Translator,
) -> None:
    live.become(view="attention")
    live.one(".strip.target .token").nth(3).hover()
    assert live.text(".reading-of").split("“")[1].startswith("runs”")
    live.one(".strip.source .token").nth(2).click()
    assert live.one("[name=kind][value=encoder]").is_checked()
    assert live.text(".reading-of").split("“")[1].startswith("rennt”")
    assert live.one(".map [role=rowheader].chosen").inner_text() == "rennt"
    live.one("[name=kind][value=self]").check()
    values = live.one(".map [data-value]").evaluate_all("cells => cells.map(c => +c.dataset.value)")
    n = 8
    assert not any(values[row * n + column] for row in range(n) for column in range(row + 1, n))


def test_a_head_that_is_switched_off_changes_the_translation_beside_the_trained_one(
    live: Translator,
) -> None:
    live.become(view="attention")
    off = live.after(lambda: live.one("[data-off=c43]").uncheck())
    assert off == "A dog runs in the snow."
    assert live.text(".before q") == "A dog runs through the snow."
    assert live.one(".texts mark").all_inner_texts() == ["through", "in"]
    assert "1 of 48" in live.text(".heads")
    assert live.query(off="c43")["off"] == "c43"
    layer = live.one(".layer input").nth(3)
    assert layer.evaluate("box => box.indeterminate")
    live.after(layer.click)  # where some are on, the box of the layer switches all off
    assert "4 of 48" in live.text(".heads")
    back = live.after(live.one(".restore").click)
    assert back == "A dog runs through the snow."
    assert live.one(".before").is_hidden()
    assert "off" not in live.query(off=None)


# What the page says of its experiments


def test_each_experiment_shows_what_the_page_says(live: Translator) -> None:
    buttons = live.page.locator("button[data-try]")
    assert buttons.count() >= 5
    for button in buttons.all():
        lesson = button.locator("xpath=ancestor::li")
        said = " ".join(lesson.inner_text().split())
        found = live.after(button.click)
        quoted = [text.strip(" .,") for text in lesson.locator("em").all_inner_texts()]
        assert any(text in found for text in quoted), (said, found)
        wanted = json.loads(button.get_attribute("data-try"))
        shown = live_state(live)
        assert found != live.become(text=wanted["text"]), "the experiment changes nothing"
        assert wanted.items() >= {k: v for k, v in shown.items() if k in wanted}.items()
    # The first lesson speaks of two sentences, the second of each head, the third of any text.
    turned = live.become(text="Die weiße Katze jagt den schwarzen Hund.", positions=False)
    assert turned == "The black cat is chasing the white dog."
    assert live.become(text="Die weiße Katze jagt den schwarzen Hund.", off=all_cross()) == (
        live.become(off=all_cross())
    )
    page = " ".join((DOCS / SOURCE).read_text(encoding="utf-8").split())
    assert "Of the 48, each switched off alone, one changes this translation." in page
    assert live.page.evaluate(EACH_HEAD_ALONE, [FILE, DOG]) == ["cross, layer 4, head 3"]


def live_state(live: Translator) -> dict[str, object]:
    """The state of the figure as its controls show it."""
    boxes = {name: live.one(f"[name={name}]").is_checked() for name in ("positions", "causal")}
    return boxes | {
        "text": live.one("textarea").input_value(),
        "scaled": live.one("[name=scaled]").is_checked(),
        "beam": int(live.one("[name=beam]").input_value()),
        "view": live.one("[role=tab][aria-selected=true]").get_attribute("data-view"),
    }


def all_cross() -> str:
    return "".join(f"c{layer}{head}" for layer in range(1, 5) for head in range(1, 5))


def test_other_sentences_are_the_nonsense_that_the_page_shows(live: Translator) -> None:
    page = (DOCS / SOURCE).read_text(encoding="utf-8")
    for text in re.findall(
        r"<button type=\"button\" lang=\"de\">(Die Regierung.*?)</button>", fragment()
    ):
        assert f"becomes *{live.become(text=text)}*" in " ".join(page.split())


# The search


def test_the_tree_and_its_list_hold_what_the_search_kept_dropped_and_ended(
    live: Translator,
) -> None:
    live.become(view="search", beam=1)
    greedy = live.one(".tree g").count()
    live.become(view="search", beam=5)
    nodes = live.one(".tree g").evaluate_all("all => all.map(g => g.getAttribute('class'))")
    assert len(nodes) > greedy
    assert {"best", "kept", "dropped", "finished"} == set(nodes)
    assert live.one(".tree > svg > path").count() == len(nodes) - 1
    scores = live.one(".hypotheses li").evaluate_all("all => all.map(li => +li.dataset.value)")
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert live.one(".hypotheses q").first.inner_text() == live.text("output[name=translation]")
    kept, dropped, ended = map(int, re.findall(r"\d+", live.text(".tree-says"))[1:])
    assert nodes.count("dropped") == dropped
    assert len(nodes) - 1 == kept + dropped
    live.one(".branches").locator("xpath=ancestor::details").locator("summary").click()
    live.page.wait_for_selector(".branches li")
    assert live.one(".branches li").count() == len(nodes) - 1
    assert ended >= len(scores)


# What is typed


def test_empty_long_and_unknown_input_is_answered(live: Translator) -> None:
    live.become()
    field = live.one("textarea")
    field.fill("  ")
    live.page.wait_for_selector(".translator .live", state="hidden")
    empty = live.text(".status")
    field.fill("Hund " * 130)
    live.wait(
        "before => document.querySelector('.translator .status').textContent !== before", empty
    )
    assert "128" in live.text(".status")
    assert live.one(".live").is_hidden()
    live.after(lambda: field.fill("Ein 猫 rennt."))
    assert live.one(".token.unknown").all_inner_texts() == ["猫"]
    assert "猫" in live.text(".note")
    assert field.get_attribute("lang") == "de"
    assert field.get_attribute("spellcheck") == "false"


# The address


def test_a_sentence_enters_the_address_on_request_and_comes_back(
    live: Translator, browser: Browser, address: str
) -> None:
    live.become(view="search", beam=3)
    live.after(lambda: live.one("textarea").fill("Ein roter Ball."))
    assert "text" not in live.query(view="search", beam="3")
    live.one(".link").click()
    live.wait("() => document.querySelector('.linked').textContent")
    wanted = {"text": "Ein roter Ball.", "view": "search", "beam": "3"}
    assert live.query(**wanted) == wanted
    query = urlencode(
        {
            "translator.text": "Ein roter Ball.",
            "translator.off": "c43",
            "translator.beam": "nonsense",
            "translator.direction": "de-en",
            "translator.view": "attention",
            "translator.scaled": "false",
        }
    )
    context = browser.new_context(viewport=PHONE, reduced_motion="reduce")
    opened = Visit(context.new_page(), f"{address}{PATH}?{query}")
    page = opened.page
    page.wait_for_selector(READY)
    assert page.input_value(".translator textarea") == "Ein roter Ball."
    assert not any("/models/" in url for url in opened.requested)
    page.click(".translator .load")
    page.wait_for_selector(SHOWN)
    assert page.is_visible("#translator-attention")
    assert not page.is_checked(".translator [name=scaled]")
    assert not page.is_checked("[data-off=c43]")
    assert page.input_value(".translator [name=beam]") == "1"
    context.close()


# Without a mouse, on a phone, in both palettes


def test_the_keyboard_alone_reaches_and_works_everything(live: Translator) -> None:
    page, press = live.page, live.page.keyboard.press
    live.become()
    live.one("textarea").focus()
    press("Control+a")
    live.after(lambda: (page.keyboard.type("Zwei Hunde."), press("Enter")))
    assert live.text("output[name=translation]") == "Two dogs are running."
    live.one(".strip.target .token").first.evaluate("token => token.dataset.same = 'yes'")
    page.wait_for_timeout(450)  # what was typed before is not translated once more
    assert live.one(".strip.target .token[data-same]").count() == 1
    seen = []
    for _ in range(40):
        press("Tab")
        seen.append(
            page.evaluate(
                "() => { const node = document.activeElement, box = node.getBoundingClientRect();"
                "return [node.closest('.translator') && node.classList[0], box.width]; }"
            )
        )
        if seen[-1][0] is None:
            break
    assert all(width for _, width in seen), "something unseen has the focus"
    assert [name for name, _ in seen].count("token") == 2, "one stop for each row of tokens"
    live.one("[role=tab][aria-selected=true]").focus()
    press("ArrowRight")
    assert page.is_visible("#translator-attention")
    live.one(".strip.target .token[tabindex='0']").focus()
    press("End")
    assert live.one(".strip.target [aria-selected=true]").inner_text() == "end"
    press("ArrowLeft")
    assert live.one(".map [role=rowheader].chosen").inner_text() == "."
    live.one(".map [tabindex='0']").focus()
    press("ArrowUp")
    assert live.one(".strip.target [aria-selected=true]").inner_text() == "running"
    live.one("[data-off=c11]").focus()
    live.after(lambda: press("Space"))
    assert live.query(off="c11")["off"] == "c11"
    assert page.evaluate("document.activeElement.dataset.off") == "c11"


# Where it cannot run


def test_without_scripts_workers_or_a_server_the_figure_and_a_sentence_stand_there(
    browser: Browser, address: str, site: Path
) -> None:
    here = f"{address}{PATH}"
    disk = built(site, SOURCE).as_uri()
    for url, options, script in [
        (here, {"java_script_enabled": False}, None),
        (here, {}, "delete window.Worker"),
        (disk, {}, None),
    ]:
        context = browser.new_context(**options)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        page.goto(url)
        page.wait_for_selector(".translator .absent", state="visible")
        assert page.is_visible(".translator .sample svg")
        assert not page.locator(".translator form :is(button, input, textarea)").first.is_visible()
        context.close()


def test_the_english_model_is_asked_for_on_its_own(live: Translator) -> None:
    live.become(beam=4, off="c43")
    live.after(live.one(".restore").click)
    live.one("[name=direction][value=en-de]").check()
    assert live.one("textarea").get_attribute("lang") == "en"
    assert live.one("textarea").input_value() == "A dog runs through the snow."
    assert live.one(".load").is_visible()
    assert not any("en-de" in url for url in live.visit.requested)
    assert live.after(live.one(".load").click) == DOG
    assert live.one("output[name=translation]").get_attribute("lang") == "de"


def test_a_loaded_translator_is_accessible_and_cut_nowhere(live: Translator) -> None:
    """The last test: it takes the rest of the page away, which other tests look at."""
    live.page.evaluate(
        "document.querySelectorAll('article > :not(.translator, h1)').forEach(n => n.remove())"
    )
    live.page.evaluate(  # all three at once
        "document.querySelectorAll('[role=tabpanel]').forEach(panel => panel.hidden = false)"
    )
    live.visit.change(viewport=PHONE)
    assert live.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert not (found := everything(live.page)), f"phone: {found}"
    assert not (found := cut(live.page)), f"phone: {found}"
    live.visit.change(viewport=DESK, color_scheme="dark")
    assert not (found := contrast(live.page, set())), f"dark: {found}"
    assert not (found := cut(live.page)), f"dark: {found}"
