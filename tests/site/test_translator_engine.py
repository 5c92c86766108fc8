"""The translator's program in a browser computes what PyTorch computes with the same weights.

What is held is what the build publishes: the scripts without their comments, and the weights as
`snippets.training.export` wrote them. The sentences are those of the embedded grammar; with
MULTI30K_DIR those of the test set are tried too.
"""

import base64
import copy
import functools
import gzip
import http.server
import math
import os
import threading
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from playwright.sync_api import Browser, Page
from tokenizers import Tokenizer
from torch import Tensor

from snippets.masks import causal_mask, padding_mask
from snippets.training.attention_maps import recorded_weights, without_heads
from snippets.training.batching import pad
from snippets.training.checkpoint import load_parameters
from snippets.training.data import END, PAD, START, UNK
from snippets.training.decode import EXTRA, beam_search, greedy_decode
from snippets.training.export import export, read_export
from snippets.training.grammar import grammar
from snippets.training.multi30k import multi30k
from snippets.training.translate import load_translator
from snippets.transformer import Transformer
from tests import ROOT

DIRECTIONS = ("de-en", "en-de")
LIMIT = 2_700_000  # bytes that are loaded for one direction, compressed
FLOAT_ERROR = 5e-5  # of a logit: PyTorch adds in float32, JavaScript in float64
UNUSUAL = [
    "Ein Mädchen läuft über die Straße.",
    "Ein Ma\u0308dchen la\u0308uft u\u0308ber die Stra\u00dfe.",  # decomposed: letter and dots
    "Zwei Hunde 🐕🐕 und ein 👩\u200d🚒 spielen!",
    "\tTab\tund  zwei   Leerzeichen ",
    "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichen" * 4,
    "„Ja“, sagte er \u2013 \u201anein\u2018 … (3-mal): 50 % & 1/2 = @home_work?",
    "一个女孩在跑步。 Ελλάδα Ω\u0301 ﬁn Å \ud55c\uae00 \u1112\u1161\u11ab",
    "</s> und <unk> sind<s>Zeichen <pad>",
    "▁Unterstrich ▁▁ a▁b",
    "a\u0300\u0316\u0301 \u0301x e\u0301\u0302",
    "zero\u200bwidth, no\u00a0break, soft\u00adhyphen",
    "!?",
    "x",
    "",
]
LOAD = """async ([address, direction]) => {
  const { load } = await import(`${address}assets/javascripts/translator/model.js`);
  const file = await fetch(`${address}assets/models/${direction}/translator.bin`);
  window.load = load;
  window.file = await file.arrayBuffer();
  window.model = await load(window.file);
}"""
TRANSLATE = """([text, options]) => {
  const { attention, ...found } = model.translate(text, options);
  const plain = (maps) => maps.map((heads) => heads.map((map) => [...map]));
  if (options.maps) found.attention = Object.fromEntries(
    Object.entries(attention).map(([name, maps]) => [name, plain(maps)]));
  return found;
}"""
# Numbers as text, since the protocol between browser and test writes each as an object.
FORWARD = """async ([src, tgt]) => {
  const reader = new FileReader();
  reader.readAsDataURL(new Blob(model.forward(src, tgt)));
  await new Promise(resolve => reader.onload = resolve);
  return reader.result.split(",")[1];
}"""
first_direction = pytest.mark.parametrize("engine", DIRECTIONS[:1], indirect=True)
"""Marks tests of what does not differ between the directions."""


def floats(encoded: str) -> Tensor:
    """The float32 numbers that a browser has written as base64."""
    return torch.frombuffer(bytearray(base64.b64decode(encoded)), dtype=torch.float32)


class Engine:
    """One direction: the model in a browser, and PyTorch's with the same weights."""

    def __init__(self, page: Page, address: str, site: Path, direction: str) -> None:
        weights = ROOT / "docs/assets/models" / direction / "model.safetensors"
        self.page = page
        self.released, self.tokenizer, self.config = load_translator(weights)
        self.model = copy.deepcopy(self.released)
        self.file = site / "assets/models" / direction / "translator.bin"
        load_parameters(self.model, read_export(self.file)[0])
        page.evaluate(LOAD, [address, direction])

    def sentences(self, count: int) -> list[str]:
        """Short sentences of the embedded corpus in the language of the source."""
        pairs = grammar("train", self.config.src, self.config.tgt, 0)
        short = sorted((src for src, _ in pairs), key=lambda src: len(src.split()))
        return short[: 5 * count : 5]

    def ids(self, text: str) -> list[int]:
        return [*self.tokenizer.encode(text).ids, END]

    def translate(self, text: str, **options: Any) -> dict[str, Any]:
        return self.page.evaluate(TRANSLATE, [text, options])


@pytest.fixture(scope="module", params=DIRECTIONS)
def engine(
    request: pytest.FixtureRequest, browser: Browser, address: str, site: Path
) -> Iterator[Engine]:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/empty.html", lambda route: route.fulfill(body="", content_type="text/html"))
    page.goto(f"{address}empty.html")
    yield Engine(page, address, site, request.param)
    context.close()


def check_translations(engine: Engine, sentences: list[str]) -> None:
    """Tokens, greedy translations and their probabilities are PyTorch's with these weights."""
    src = pad([engine.ids(text) for text in sentences])
    wanted = greedy_decode(engine.model, src)
    found = engine.page.evaluate(
        "texts => texts.map(text => { const { source, target, text: written } ="
        " model.translate(text); return [source.map(token => token.id), written,"
        " target.map(({ id, probability }) => [id, probability])]; })",
        sentences,
    )
    for text, ids, (source, written, target) in zip(sentences, wanted, found, strict=True):
        assert source == engine.ids(text)
        assert [id for id, _ in target] == [*ids, END]
        assert written == engine.tokenizer.decode(ids)
    tgt = pad([[START, *ids] for ids in wanted])
    with torch.no_grad():
        logits = engine.model(src, tgt, padding_mask(src, PAD), causal_mask(tgt.shape[1]))
    for row, (_, _, target) in zip(logits, found, strict=True):
        ids, probabilities = zip(*target, strict=True)
        of_torch = row[range(len(ids)), ids] - row[: len(ids)].logsumexp(-1)
        torch.testing.assert_close(
            torch.tensor(probabilities).log(), of_torch, rtol=0, atol=FLOAT_ERROR
        )


def teacher_forced(
    model: Transformer, src: list[int], tgt: list[int], causal: bool = True
) -> Tensor:
    """Logits (n_tgt, vocab_size) of one sentence."""
    mask = causal_mask(len(tgt)) if causal else None
    return model(torch.tensor([src]), torch.tensor([tgt]), None, mask)[0]


def test_a_hundred_sentences_are_cut_and_translated_as_by_pytorch(engine: Engine) -> None:
    check_translations(engine, engine.sentences(50))  # in each direction


@pytest.mark.skipif(
    "MULTI30K_DIR" not in os.environ, reason="set MULTI30K_DIR to a copy of Multi30k"
)
def test_the_test_set_is_cut_and_translated_as_by_pytorch(engine: Engine) -> None:
    pairs = multi30k("test_2016_flickr", engine.config.src, engine.config.tgt)
    check_translations(engine, [src for src, _ in pairs[::5]])


@first_direction
def test_unusual_text_is_cut_as_by_the_tokenizer(engine: Engine) -> None:
    for text in UNUSUAL:
        stripped = text.strip()
        wanted = engine.tokenizer.encode(stripped)
        found = engine.page.evaluate("text => model.tokenize(text)", text)
        assert [token["id"] for token in found] == wanted.ids, text
        assert [token["piece"] for token in found] == wanted.tokens, text
        units, reached = text.encode("utf-16-le"), len(text) - len(text.lstrip())
        for token in found:
            assert token["known"] == (token["id"] != UNK)
            assert token["start"] <= reached <= token["end"]  # there are no gaps
            typed = units[2 * token["start"] : 2 * token["end"]].decode("utf-16-le")
            made = unicodedata.normalize("NFC", typed).replace(" ", "▁")
            if token["known"] and len(made) <= len(token["piece"]):  # else it is a part of a letter
                assert token["piece"] in (made, f"▁{made}"), text
            reached = token["end"]
        assert not found or units[2 * reached :].decode("utf-16-le").strip() == ""
    assert wanted_text(engine.tokenizer, UNUSUAL) == engine.page.evaluate(
        "texts => texts.map(text => model.detokenize(model.tokenize(text).map(one => one.id)))",
        UNUSUAL,
    )


def wanted_text(tokenizer: Tokenizer, texts: list[str]) -> list[str]:
    return [tokenizer.decode(tokenizer.encode(text.strip()).ids) for text in texts]


@first_direction
@torch.no_grad()
def test_logits_are_pytorchs_and_differ_from_half_precision_by_the_rounding(
    engine: Engine,
) -> None:
    errors, spread = [], []
    for text in engine.sentences(4):
        src = engine.ids(text)
        tgt = [START, *greedy_decode(engine.model, torch.tensor([src]))[0]]
        found = floats(engine.page.evaluate(FORWARD, [src, tgt])).view(len(tgt), -1)
        wanted = teacher_forced(engine.model, src, tgt)
        torch.testing.assert_close(found, wanted, rtol=0, atol=FLOAT_ERROR)
        exact = teacher_forced(engine.released, src, tgt)
        errors.append((found - exact).square().mean())
        spread.append(exact.var())
    share = math.sqrt(sum(errors) / sum(spread))
    assert 0 < share < 0.02, share


@first_direction
def test_a_beam_finds_what_pytorchs_finds(engine: Engine) -> None:
    for text, beam in zip(engine.sentences(3), (5, 2, 8), strict=True):
        found = engine.translate(text, beam=beam)
        wanted = beam_search(engine.model, torch.tensor([engine.ids(text)]), beam, 0.6)[0]
        for one, (ids, score) in zip(found["hypotheses"], wanted, strict=True):
            assert one["text"] == engine.tokenizer.decode(ids)
            assert one["score"] == pytest.approx(score, abs=1e-4)
        assert found["score"] == found["hypotheses"][0]["score"]
        check_tree(found, beam)


def check_tree(found: dict[str, Any], beam: int) -> None:
    """The tree holds each step's candidates, and its finished nodes are the hypotheses."""
    nodes = {node["id"]: node for node in found["tree"]["nodes"]}
    root, *others = nodes.values()
    assert (root["parent"], root["piece"], root["logProbability"]) == (None, "<s>", 0)
    for node in others:
        parent = nodes[node["parent"]]
        assert parent["kept"]
        assert not parent["finished"]
        assert node["step"] == parent["step"] + 1
        assert node["logProbability"] < parent["logProbability"]
    steps = [node["step"] for node in others]
    for step in set(steps):
        kept = [node for node in others if node["step"] == step and node["kept"]]
        assert steps.count(step) == 2 * beam
        assert len([node for node in kept if not node["finished"]]) <= beam
    best = [nodes[id] for id in found["tree"]["best"]]
    assert [node["piece"] for node in best[1:]] == [token["piece"] for token in found["target"]]
    assert best[-1]["finished"]
    for one in found["hypotheses"]:
        node = nodes[one["node"]]
        penalty = ((5 + node["step"]) / 6) ** 0.6
        assert one["score"] == pytest.approx(node["logProbability"] / penalty)


@first_direction
@torch.no_grad()
def test_the_attention_is_that_of_pytorch(engine: Engine) -> None:
    (text,) = engine.sentences(1)
    for beam in (1, 3):
        found = engine.translate(text, beam=beam, maps=True)
        src = [token["id"] for token in found["source"]]
        tgt = [START, *(token["id"] for token in found["target"][:-1])]
        assert found["inputs"] == [engine.tokenizer.id_to_token(id) for id in tgt]
        with recorded_weights(engine.model) as weights:
            teacher_forced(engine.model, src, tgt)
        for name, stack, sublayer, columns in (
            ("encoder", "encoder", "self_attention", len(src)),
            ("self", "decoder", "self_attention", len(tgt)),
            ("cross", "decoder", "cross_attention", len(src)),
        ):
            for layer in range(engine.config.n_layers):
                wanted = weights[f"{stack}.layers.{layer}.{sublayer}"][0]
                maps = torch.tensor(found["attention"][name][layer])
                maps = maps.unflatten(-1, (-1, columns))  # (n_heads, n_query, n_key)
                torch.testing.assert_close(maps, wanted, rtol=0, atol=1e-4)


WHERE = {
    "encoder": "encoder.layers.{}.self_attention",
    "self": "decoder.layers.{}.self_attention",
    "cross": "decoder.layers.{}.cross_attention",
}


@first_direction
@pytest.mark.parametrize("change", ["off", "positions", "scaled", "causal"])
@torch.no_grad()
def test_what_is_taken_away_is_missing_as_in_pytorch(engine: Engine, change: str) -> None:
    (text,) = engine.sentences(1)
    off = [
        {"where": where, "layer": layer, "head": head}
        for where, layer, head in (
            ("encoder", 0, 1),
            ("encoder", 0, 3),
            ("self", 2, 0),
            ("cross", 3, 2),
        )
    ]
    found = engine.translate(text, **{change: off if change == "off" else False}, maps=True)
    model, src = engine.model, engine.ids(text)
    silenced: dict[str, list[int]] = {}
    for one in off if change == "off" else []:
        name = WHERE[one["where"]].format(one["layer"])
        silenced.setdefault(name, []).append(one["head"])
    with ExitStack() as stack:
        if change == "off":
            stack.enter_context(without_heads(model, silenced))
        if change == "positions":
            kept = model.positional_encoding.encoding.clone()
            stack.callback(model.positional_encoding.encoding.copy_, kept)
            model.positional_encoding.encoding.zero_()
        if change == "scaled":
            for name, parameter in model.named_parameters():
                if ".W_q." in name:  # (c x) y / √d_k is x y for c = √d_k
                    stack.callback(parameter.copy_, parameter.clone())
                    parameter.mul_(math.sqrt(engine.config.d_model / engine.config.n_heads))
        tgt, probabilities = [START], []
        while len(tgt) <= len(src) + EXTRA:
            logits = teacher_forced(model, src, tgt, causal=change != "causal")[-1]
            probabilities.append(logits.softmax(-1).max())
            tgt.append(int(logits.argmax()))
            if tgt[-1] == END:
                break
    assert [token["id"] for token in found["target"]] == tgt[1:]
    torch.testing.assert_close(
        torch.tensor([token["probability"] for token in found["target"]]),
        torch.stack(probabilities),
        rtol=1e-3,
        atol=1e-5,
    )
    plain = engine.translate(text)["target"]
    differ = [
        one["probability"] != other["probability"]
        for one, other in zip(found["target"], plain, strict=False)
    ]
    assert differ[0] == (change != "causal")  # a first token has nothing behind it to read
    assert any(differ)
    if change == "causal":
        maps = torch.tensor(found["attention"]["self"][0][0]).view(len(tgt) - 1, -1)
        assert maps.triu(1).any()
        torch.testing.assert_close(maps.sum(1), torch.ones(len(maps)))


def problem(engine: Engine, call: str, *arguments: Any) -> tuple[str, str]:
    """The code and the sentence of the error with which a call fails."""
    return tuple(
        engine.page.evaluate(
            f"async (given) => {{ try {{ await ({call})(...given); }}"
            " catch (error) { return [error.code, error.message]; } }",
            list(arguments),
        )
    )


@first_direction
def test_what_cannot_be_translated_is_said(engine: Engine) -> None:
    translate = "(text, options) => model.translate(text, options)"
    assert problem(engine, translate, "  \n ")[0] == "empty"
    assert problem(engine, translate, "Hund " * 129)[0] == "too-long"
    assert problem(engine, translate, "x" * 100_000) == (
        "too-long",
        "The text is longer than 128 tokens.",
    )
    assert engine.page.evaluate("text => model.steps(text).next().value.limit", "Hund " * 128) == (
        engine.page.evaluate("model.maxSource") + 1 + EXTRA
    )
    for options in (
        {"beam": 0},
        {"beam": 1.5},
        {"off": [{"where": "decoder", "layer": 0, "head": 0}]},
        {"off": [{"where": "cross", "layer": 4, "head": 0}]},
        {"off": [{"where": "cross", "layer": 0, "head": -1}]},
    ):
        assert problem(engine, translate, "x", options)[0] == "options"


@first_direction
def test_a_damaged_file_is_refused(engine: Engine) -> None:
    change = "(at, by) => {{ const copy = new Uint8Array(file.slice(0, {})); {} }}"
    flip = "copy[at] ^= by; return load(copy.buffer);"
    for at, sentence in (
        (0, "not a model that was exported"),
        (12, "the format 3, and this program reads 1"),
        (16, "did not arrive whole"),
        (21, "checksum is another"),
        (5_000, "checksum is another"),
        (2_000_000, "checksum is another"),
    ):
        code, message = problem(engine, change.format("undefined", flip), at, 2)
        assert (code, sentence in message) == ("damaged", True), message
    for length in (0, 20, 60, 2_000_000):
        code, message = problem(engine, change.format(length, flip), 0, 0)
        assert code == "damaged", message


def test_what_is_loaded_for_a_direction_is_small(engine: Engine, site: Path) -> None:
    files = [engine.file, *(site / "assets/javascripts/translator").glob("*.js")]
    assert len(files) >= 3
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < LIMIT


def test_the_site_has_what_the_command_writes_and_the_zip_goes_without(
    engine: Engine, site: Path, tmp_path: Path
) -> None:
    name = f"{engine.config.src}-{engine.config.tgt}"
    exported = export(ROOT / "docs/assets/models" / name, tmp_path / "translator.bin")
    assert engine.file.read_bytes() == exported.read_bytes()
    with zipfile.ZipFile(site / "executable-transformer.zip") as archive:
        names = archive.namelist()
    assert any(path.endswith(f"assets/models/{name}/model.safetensors") for path in names)
    assert not any(path.endswith("translator.bin") for path in names)


# The worker

ASK = """([message, wanted]) => new Promise(resolve => {
  const heard = [];
  setTimeout(() => resolve(heard), 30_000); // a test that fails does not wait for ever
  const listen = ({ data }) => {
    heard.push(data);
    if (![wanted, "error"].includes(data.type)) return;
    worker.removeEventListener("message", listen);
    resolve(heard);
  };
  worker.addEventListener("message", listen);
  for (const one of [message].flat()) worker.postMessage(one);
})"""
START_WORKER = """address => {
  window.worker?.terminate();
  window.worker = new Worker(address, { type: "module" });
}"""


def test_the_worker_answers_the_newest_request_and_keeps_the_model(
    browser: Browser, site: Path
) -> None:
    handler = functools.partial(QuietHandler, directory=str(site / "assets"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    program, url = f"{address}javascripts/translator/worker.js", f"{address}models/de-en/"
    context = browser.new_context()
    page = context.new_page()
    page.route("**/empty.html", lambda route: route.fulfill(body="", content_type="text/html"))
    page.goto(f"{address}empty.html")
    page.evaluate(START_WORKER, program)

    def ask(message: dict[str, Any] | list[dict[str, Any]], wanted: str) -> list[dict[str, Any]]:
        return page.evaluate(ASK, [message, wanted])

    text = "Ein Hund rennt durch den Schnee."
    (error,) = ask({"type": "translate", "id": 1, "text": text}, "error")
    assert (error["id"], error["code"]) == (1, "not-loaded")
    for name, code in (("nothing.bin", "missing"), ("tokenizer.json", "damaged")):
        error = ask({"type": "load", "url": f"{url}{name}"}, "error")[-1]
        assert (error["url"], error["code"]) == (f"{url}{name}", code)

    load = {"type": "load", "url": f"{url}translator.bin"}
    *progress, ready = ask(load, "ready")
    length = (site / "assets/models/de-en/translator.bin").stat().st_size
    assert [one["type"] for one in progress] == ["progress"] * len(progress)
    assert progress[-1]["loaded"] == progress[-1]["total"] == length
    loaded = [one["loaded"] for one in progress]
    assert loaded == sorted(loaded)
    assert (ready["config"]["src"], ready["maxSource"], ready["cached"]) == ("de", 128, False)

    (tokens,) = ask({"type": "tokenize", "id": 2, "text": text}, "tokens")
    assert [token["piece"] for token in tokens["tokens"]][:2] == ["▁Ein", "▁Hund"]
    request = {"type": "translate", "text": text}
    requests = [
        request | {"id": 3, "options": {"beam": 8}},
        request | {"id": 4},
        request | {"id": 5, "options": {"steps": True}},
    ]
    *steps, answer = ask(requests, "translation")
    assert {one["id"] for one in (*steps, answer)} == {5}
    assert [step["n"] for step in steps] == [*range(1, len(steps) + 1)]
    assert answer["result"]["text"] == "A dog runs through the snow."
    (error,) = ask({"type": "translate", "id": 6, "text": " "}, "error")
    assert (error["id"], error["code"]) == (6, "empty")

    page.evaluate(START_WORKER, program)  # the next visit
    ask({"type": "tokenize", "id": 7, "text": text}, "error")  # its scripts are there
    server.shutdown()
    server.server_close()
    (ready,) = ask(load, "ready")
    assert ready["cached"]
    (error,) = ask({"type": "load", "url": f"{url}other.bin"}, "error")
    assert error["code"] == "offline"
    context.close()


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments: object) -> None:
        pass
