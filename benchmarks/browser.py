"""Scores and times the translator of the site in Chromium: `python -m benchmarks.browser`.

Both directions are exported from `docs/assets/models/` with matrices of 8 and of 16 bits, and the
site's own program translates the test set, greedily and with a beam of 5. Beside its BLEU stands
that of PyTorch with the same released weights. Then the program is timed, in a Worker and in the
page itself, as fast as the processor is and four times as slow, and its memory is measured. Writes
`docs/assets/data/browser.json` and the tables `browser-*.txt` that
`docs/training/translator.md` embeds. The corpus is downloaded, or read from MULTI30K_DIR.

Translations are kept in a folder, by the checksum of the model and the search, and are not made
again: `--times` measures the times anew, on a machine that does nothing else, and keeps the scores.
"""

import argparse
import functools
import gzip
import hashlib
import http.server
import json
import shutil
import statistics
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import rjsmin
import sacrebleu
import torch
from playwright.sync_api import Browser, Page, sync_playwright
from sacrebleu.metrics import BLEU

from benchmarks.record import DATA, machine, publish, table, versions
from snippets.training.checkpoint import CheckpointError
from snippets.training.data import DataError
from snippets.training.export import export
from snippets.training.multi30k import multi30k
from snippets.training.translate import load_translator, translate

ROOT = DATA.parents[2]
MODELS = DATA.parent / "models"
SCRIPTS = DATA.parent / "javascripts" / "translator"
PROGRAM = ("model.js", "worker.js")
KEPT = ROOT / ".cache" / "browser"
DIRECTIONS = ("de-en", "en-de")
SPLIT = "test_2016_flickr"
SEARCHES = {"greedy": 1, "beam 5": 5}
KINDS = {"int8": 8, "half precision": 16}
FIRST = 5  # visits, each with nothing loaded yet
TIMED = 50  # sentences
WARM_UP = 10
SLOWER = 4
CHUNK = 20
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")

LOAD = """async (url) => {
  const { load } = await import("/model.js");
  window.model = await load(await (await fetch(url)).arrayBuffer());
}"""
TRANSLATE = "([texts, beam]) => texts.map((text) => model.translate(text, { beam }).text)"
ASK = """
  const ask = (message, wanted) => new Promise((resolve, reject) => {
    window.worker.onmessage = ({ data }) => {
      if (data.type === wanted) resolve(data);
      if (data.type === "error") reject(new Error(data.message));
    };
    window.worker.postMessage(message);
  });
"""
FIRST_IN_WORKER = f"""async ([url, text]) => {{
  const begun = performance.now();
  window.worker = new Worker("/worker.js", {{ type: "module" }});
  {ASK}
  await ask({{ type: "load", url }}, "ready");
  await ask({{ type: "translate", id: 0, text }}, "translation");
  return performance.now() - begun;
}}"""
FIRST_IN_PAGE = f"""async ([url, text]) => {{
  const begun = performance.now();
  await ({LOAD})(url);
  model.translate(text);
  return performance.now() - begun;
}}"""
TIME_IN_WORKER = f"""async ([texts, beam]) => {{
  {ASK}
  const times = [];
  for (const [id, text] of texts.entries()) {{
    const begun = performance.now();
    await ask({{ type: "translate", id, text, options: {{ beam }} }}, "translation");
    times.push(performance.now() - begun);
  }}
  return times;
}}"""
TIME_IN_PAGE = """([texts, beam]) => texts.map((text) => {
  const begun = performance.now();
  model.translate(text, { beam });
  return performance.now() - begun;
})"""
BUSY = "() => { const end = performance.now() + 500; while (performance.now() < end); }"
PLACES = {
    "Worker": (FIRST_IN_WORKER, TIME_IN_WORKER),
    "page": (FIRST_IN_PAGE, TIME_IN_PAGE),
}
MEMORY = "async () => (await performance.measureUserAgentSpecificMemory()).bytes"


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves files to pages that may measure their memory; no file is kept by the browser."""

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a server of a folder's files."""
    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def prepared(folder: Path) -> None:
    """Put into a folder what the site publishes: the scripts, the models, and an empty page."""
    for name in PROGRAM:
        smaller = rjsmin.jsmin((SCRIPTS / name).read_text(encoding="utf-8"))
        (folder / name).write_text(smaller, encoding="utf-8")
    for direction in DIRECTIONS:
        for bits in KINDS.values():
            export(MODELS / direction, folder / f"{direction}-{bits}.bin", bits)
    (folder / "index.html").write_text("<!doctype html><title>Empty</title>", encoding="utf-8")


def sizes(*paths: Path) -> dict[str, int]:
    """Bytes of files, as they are and compressed one by one."""
    data = [path.read_bytes() for path in paths]
    return {
        "bytes": sum(map(len, data)),
        "compressed": sum(len(gzip.compress(one, mtime=0)) for one in data),
    }


@contextmanager
def opened(browser: Browser, address: str) -> Iterator[Page]:
    """An empty page of a browser that has kept nothing."""
    context = browser.new_context()
    context.set_default_timeout(0)
    page = context.new_page()
    page.goto(address)
    yield page
    context.close()


def translations(
    browser: Browser, address: str, file: Path, texts: list[str], beam: int
) -> list[str]:
    """What the program makes of sentences; kept in a file by what it depends on."""
    program = (SCRIPTS / "model.js").read_bytes()
    digest = hashlib.sha256(file.read_bytes() + program + json.dumps([texts, beam]).encode())
    kept = KEPT / f"{digest.hexdigest()}.json"
    if not kept.is_file():
        found: list[str] = []
        with opened(browser, address) as page:
            page.evaluate(LOAD, f"/{file.name}")
            for start in range(0, len(texts), CHUNK):
                found += page.evaluate(TRANSLATE, [texts[start : start + CHUNK], beam])
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def scored(browser: Browser, address: str, folder: Path, direction: str) -> dict[str, Any]:
    """BLEU of one direction by kind of weights and search, beside PyTorch's."""
    weights = MODELS / direction / "model.safetensors"
    model, tokenizer, config = load_translator(weights)
    pairs = multi30k(SPLIT, config.src, config.tgt)
    texts, references = map(list, zip(*pairs, strict=True))
    scores: dict[str, dict[str, float]] = {"PyTorch": {}}
    for search, beam in SEARCHES.items():
        found = translate(model, tokenizer, texts, beam)
        scores["PyTorch"][search] = BLEU().corpus_score(found, [references]).score
    for kind, bits in KINDS.items():
        scores[kind] = {}
        for search, beam in SEARCHES.items():
            print(f"{direction}: {kind}, {search}", flush=True)
            file = folder / f"{direction}-{bits}.bin"
            found = translations(browser, address, file, texts, beam)
            scores[kind][search] = BLEU().corpus_score(found, [references]).score
    return {
        "direction": f"{config.src}→{config.tgt}",
        "sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "sentences": len(pairs),
        "scores": scores,
        "sizes": {kind: sizes(folder / f"{direction}-{bits}.bin") for kind, bits in KINDS.items()},
    }


def timed(browser: Browser, address: str) -> dict[str, Any]:
    """Milliseconds of the first translation and of others, and the memory that they take."""
    pairs = multi30k(SPLIT, "de", "en")
    texts = [src for src, _ in pairs[: WARM_UP + TIMED]]
    url, found, memory = f"{address}de-en-8.bin", {}, []
    for place, (first, each) in PLACES.items():
        for rate in (1, SLOWER):
            times: dict[str, list[float]] = {"first": []}
            for visit in range(FIRST):
                with opened(browser, address) as page:
                    if rate == 1 and visit == 0 and place == "Worker":
                        memory.append(page.evaluate(MEMORY))
                    session = page.context.new_cdp_session(page)
                    session.send("Emulation.setCPUThrottlingRate", {"rate": rate})
                    page.evaluate(BUSY)  # by the end of it the processor is slowed
                    times["first"].append(page.evaluate(first, [url, texts[0]]))
                    if visit:
                        continue
                    for search, beam in SEARCHES.items():
                        page.evaluate(each, [texts[:WARM_UP], beam])
                        times[search] = page.evaluate(each, [texts[WARM_UP:], beam])
                    if rate == 1 and place == "Worker":
                        memory.append(page.evaluate(MEMORY))
            found[f"{place}, {rate}"] = {
                name: round(statistics.median(values), 1) for name, values in times.items()
            }
    lengths = [len(text.split()) for text in texts[WARM_UP:]]
    return {
        "milliseconds": found,
        "words": statistics.median(lengths),
        "memory": {"before": memory[0], "after": memory[1]},
        "chromium": browser.version,
        "machine": machine(1),
    }


def scores_table(facts: dict[str, Any]) -> str:
    """BLEU and bytes, a row for each direction and search."""
    rows = [["direction", "search", "PyTorch, half precision", *(f"browser, {k}" for k in KINDS)]]
    for one in facts["directions"]:
        for search in SEARCHES:
            numbers = [one["scores"][who][search] for who in ("PyTorch", *KINDS)]
            rows.append([one["direction"], search, *(f"{number:.2f}" for number in numbers)])
    return table(rows)


def sizes_table(facts: dict[str, Any]) -> str:
    """What a reader loads for one direction."""
    rows = [["what", "bytes", "compressed"]]
    for kind in KINDS:
        about = facts["directions"][0]["sizes"][kind]
        rows.append([f"weights and vocabulary, {kind}", *mega(about)])
    rows.append(["the program", *mega(facts["scripts"])])
    return table(rows)


def mega(about: dict[str, int]) -> list[str]:
    return [f"{about[name] / 1e6:.3f} MB" for name in ("bytes", "compressed")]


def times_table(facts: dict[str, Any]) -> str:
    """Milliseconds by place and speed of the processor; Chromium slows no Worker."""
    rows = [["where", "processor", "first translation", *SEARCHES]]
    for name, times in facts["times"]["milliseconds"].items():
        place, rate = name.split(", ")
        if place == "Worker" and rate != "1":
            continue
        speed = "as it is" if rate == "1" else f"{rate} times as slow"
        rows.append([place, speed, *(f"{times[key]:.0f} ms" for key in ("first", *SEARCHES))])
    return table(rows)


TABLES = {
    "browser-scores": scores_table,
    "browser-sizes": sizes_table,
    "browser-times": times_table,
}


def main(arguments: list[str] | None = None) -> None:
    """Run the command."""
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.browser", description="Score and time the site's translator."
    )
    command.add_argument("--times", action="store_true", help="measure the times only")
    given = command.parse_args(arguments)
    torch.set_num_threads(1)
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        sys.exit(f"{command.prog}: no Chromium found: install it")
    try:
        with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
            folder = Path(name)
            prepared(folder)
            browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
            with served(folder) as address:
                kept = DATA / "browser.json"
                facts = json.loads(kept.read_text(encoding="utf-8")) if given.times else {}
                if not given.times:
                    facts["directions"] = [
                        scored(browser, address, folder, direction) for direction in DIRECTIONS
                    ]
                facts["scripts"] = sizes(*(folder / name for name in PROGRAM))
                facts["times"] = timed(browser, address)
            facts["versions"] = versions() | {"sacrebleu": sacrebleu.__version__}
            browser.close()
    except (CheckpointError, DataError) as error:
        sys.exit(f"{command.prog}: {error}")
    publish("browser", facts, TABLES)
    for make in TABLES.values():
        print(make(facts))


if __name__ == "__main__":
    main()
