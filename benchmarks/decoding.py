"""Times ways to translate with one trained model, and measures what beam and cache gain.

    python -m benchmarks.decoding --checkpoint runs/de-en --data multi30k

The ways translate the same batches in turns, in one process and with one thread, and what counts
is the processor's time, so that what slows the machine slows all of them. The plain loop over
`torch.nn.Transformer` has the same weights. Writes `docs/assets/data/decoding.json` and the tables
that `docs/training/decoding.md` embeds. Without a checkpoint a tiny model is trained on the
grammar's sentences, measured and shown, and nothing is written.
"""

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from sacrebleu.metrics import BLEU
from torch import Tensor, nn
from tqdm import tqdm

from benchmarks.record import DATA, machine, medians, publish, table, updates, versions
from snippets.masks import causal_mask, padding_mask
from snippets.training.batching import make_batch, pad
from snippets.training.config import PRESETS
from snippets.training.data import END, PAD, START
from snippets.training.decode import (
    EXTRA,
    CachedDecoder,
    UncachedDecoder,
    beam_search,
    greedy_decode,
    in_batches,
)
from snippets.training.loop import logits_of_labels
from snippets.training.train import read_corpus, run
from snippets.training.translate import load_translator
from snippets.transformer import Transformer
from tests.oracle import to_torch

ROWS = 64
ALONE = 4
"""The ways that take one sentence at a time get every fourth sentence."""
ALPHA = 0.6
LENGTHS = (1, 2, 4, 8, 16, 32, 64)
N_SRC = 16
REPEATS = 2

Way = Callable[[Tensor], list[list[int]]]


def one_by_one(way: Way, src: Tensor) -> list[list[int]]:
    """Translate the sentences of a batch alone, without padding."""
    return [way(row[row != PAD].unsqueeze(0))[0] for row in src]


def search(model: Transformer, src: Tensor, beam: int, alpha: float, cached: bool = True):
    """The best hypothesis of a beam search for each sentence."""
    return [found[0][0] for found in beam_search(model, src, beam, alpha, cached=cached)]


class PlainLoop:
    """Greedy decoding as it is mostly written: `nn.Transformer` over all tokens at every step.

    The source is encoded once, and the last position alone gets logits.
    """

    def __init__(self, ours: Transformer) -> None:
        encoder, decoder = ours.encoder.layers, ours.decoder.layers
        attention, width = encoder[0].self_attention, encoder[0].feed_forward.W_1.out_features
        pre_norm = not isinstance(ours.encoder.norm, nn.Identity)
        sizes = (attention.d_model, attention.n_heads, len(encoder), len(decoder), width)
        self.ours = ours
        self.stacks = nn.Transformer(*sizes, dropout=0.0, batch_first=True, norm_first=pre_norm)
        if not pre_norm:
            self.stacks.encoder.norm = self.stacks.decoder.norm = None  # as in the paper
        for mine, theirs, is_decoder in (
            (ours.encoder, self.stacks.encoder, False),
            (ours.decoder, self.stacks.decoder, True),
        ):
            theirs.load_state_dict(to_torch(mine.state_dict(), is_decoder))
        self.stacks.eval()

    def embed(self, tokens: Tensor) -> Tensor:
        return self.ours.positional_encoding(self.ours.tgt_embedding(tokens))

    @torch.no_grad()
    def __call__(self, src: Tensor) -> list[list[int]]:
        """Translate a batch (batch, n_src); sentences that have ended are carried along."""
        hidden = src == PAD  # torch.nn's masks are True where attention is forbidden
        memory = self.stacks.encoder(self.embed(src), src_key_padding_mask=hidden)
        tgt = torch.full((len(src), 1), START)
        ended = torch.zeros(len(src), dtype=torch.bool)
        limits = (~hidden).sum(1) + EXTRA
        for n in range(1, int(limits.max()) + 1):
            x = self.stacks.decoder(
                self.embed(tgt), memory, ~causal_mask(n), memory_key_padding_mask=hidden
            )
            tokens = self.ours.output(x[:, -1]).argmax(-1)
            ended |= (tokens == END) | (limits < n)
            tgt = torch.cat([tgt, tokens.masked_fill(ended, PAD).unsqueeze(1)], dim=1)
            if ended.all():
                break
        return [[token for token in row if token != PAD] for row in tgt[:, 1:].tolist()]


def ways_of(model: Transformer) -> dict[str, tuple[int, Way]]:
    """By name: how many sentences apart those are that a way translates, and the way."""
    plain = PlainLoop(model)
    greedy = partial(greedy_decode, model)
    uncached = partial(greedy_decode, model, cached=False)
    ways = {
        "plain loop, one by one": (ALONE, partial(one_by_one, plain)),
        "plain loop, batches": (1, plain),
        "greedy, uncached, batches": (1, uncached),
        "greedy, cached, one by one": (ALONE, partial(one_by_one, greedy)),
        "greedy, cached, batches": (1, greedy),
        "beam 5, uncached, batches": (1, partial(search, model, beam=5, alpha=ALPHA, cached=False)),
    }
    for beam, alpha in ((2, ALPHA), (5, ALPHA), (10, ALPHA), (5, 0.0), (10, 0.0)):
        name = f"beam {beam}, cached, batches" + (", no penalty" if alpha == 0 else "")
        ways[name] = (1, partial(search, model, beam=beam, alpha=alpha))
    return ways


@torch.no_grad()
def log_probability(model: Transformer, sources: list, written: list) -> float:
    """The mean log-probability of a translation, its end token included."""
    total = 0.0
    for places in in_batches([len(src) for src in sources], ROWS):
        batch = make_batch([(sources[place], [*written[place], END]) for place in places])
        logits, labels = logits_of_labels(model, batch)  # (n_real, V), (n_real)
        total -= nn.functional.cross_entropy(logits, labels, reduction="sum").item()
    return total / len(sources)


def translations(
    model: Transformer, sources: list[list[int]]
) -> tuple[dict[str, float], dict[str, dict[int, list[int]]]]:
    """Seconds a sentence of each way, and what it wrote for each sentence."""
    ways = ways_of(model)
    batches = in_batches([len(src) for src in sources], ROWS)
    for _, way in ways.values():
        way(pad(sources[:2]))  # the first run allocates memory
    seconds, written = dict.fromkeys(ways, 0.0), {name: {} for name in ways}
    for batch in tqdm(batches, disable=None, unit=" batches"):
        for name, (apart, way) in ways.items():
            places = batch[::apart]
            src = pad([sources[place] for place in places])
            start = time.process_time()
            found = way(src)
            seconds[name] += time.process_time() - start
            written[name] |= dict(zip(places, found, strict=True))
    return {name: seconds[name] / len(written[name]) for name in ways}, written


def lengths(model: Transformer) -> dict[str, dict[str, list[float]]]:
    """Seconds in which so many tokens are written, by the number of rows and the decoder."""
    generator = torch.Generator().manual_seed(0)
    measured: dict[str, dict[str, list[float]]] = {}
    for rows in (1, ROWS):
        src = torch.randint(4, model.output.out_features, (rows, N_SRC), generator=generator)
        mask = padding_mask(src, PAD)
        with torch.no_grad():
            memory = model.encode(src, mask)
        seconds = {"cached": [], "uncached": []}
        for n in LENGTHS:
            steps = {
                name: partial(write_tokens, kind, model, memory, mask, n)
                for name, kind in (("cached", CachedDecoder), ("uncached", UncachedDecoder))
            }
            for name, median in medians(steps, REPEATS, time.process_time).items():
                seconds[name].append(median)
        measured[str(rows)] = seconds
    return measured


@torch.no_grad()
def write_tokens(kind: type, model: Transformer, memory: Tensor, mask: Tensor, n: int) -> None:
    """Write n tokens, whatever they are."""
    decoder = kind(model, memory, mask)
    tokens = torch.full((len(memory),), START)
    for _ in range(n):
        tokens = decoder.step(tokens).argmax(-1)


# The tables


def rate(facts: dict, name: str) -> float:
    """Sentences a second."""
    return 1 / facts["seconds"][name]


def speeds(facts: dict) -> str:
    """The ways with their speed, and under them how they were measured."""
    rows = [["", "sentences a second", "times the plain loop"]]
    names = {
        "plain loop, one by one": "plain loop over `nn.Transformer`, one sentence at a time",
        "plain loop, batches": f"plain loop over `nn.Transformer`, batches of {ROWS}",
        "greedy, uncached, batches": f"greedy, no cache, batches of {ROWS}",
        "greedy, cached, one by one": "greedy, cache, one sentence at a time",
        "greedy, cached, batches": f"**greedy, cache, batches of {ROWS}**",
        "beam 5, uncached, batches": f"beam 5, no cache, batches of {ROWS}",
        "beam 5, cached, batches": f"**beam 5, cache, batches of {ROWS}**",
    }
    plain = rate(facts, "plain loop, one by one")
    for name, words in names.items():
        rows.append([words, f"{rate(facts, name):.0f}", f"{rate(facts, name) / plain:.1f}"])
    return f"{table(rows)}\n{how(facts)}"


def how(facts: dict) -> str:
    """What was measured, on what."""
    src, tgt = facts["direction"]
    return (
        f"{facts['sentences']:,} sentences of `{facts['split']}`, {src} to {tgt}; a model of "
        f"{facts['parameters']:,} parameters after {facts['updates']:,} updates. "
        f"{facts['machine']}, PyTorch {facts['versions']['torch']}; seconds of the processor. "
        f"The ways that take one sentence at a time got every {ALONE}th sentence. Repeat it with "
        f"`{facts['command']}`.\n"
    )


def searches(facts: dict) -> str:
    """What a wider beam finds, and what it costs."""
    rows = [["beam", r"$\alpha$", "log-probability", "length", "BLEU", "sentences a second"]]
    for name, found in facts["searches"].items():
        beam = "1 (greedy)" if name.startswith("greedy") else name.split(",")[0].split()[1]
        alpha = "" if beam.startswith("1 ") else "0" if "no penalty" in name else f"{ALPHA}"
        numbers = [f"{found['log_probability']:.2f}", f"{found['length']:.3f}"]
        rows.append([beam, alpha, *numbers, f"{found['bleu']:.2f}", f"{rate(facts, name):.0f}"])
    return (
        f"{table(rows)}\nThe log-probability is the mean of a sentence's, the length that of all "
        f"translations divided by that of the references; BLEU is `{facts['signature']}`.\n"
    )


def pays(facts: dict) -> str:
    """The time to write so many tokens, with a cache and without one."""
    columns = ("cache", "no cache", "times")
    rows = [["tokens", *(f"{n}: {column}" for n in (1, ROWS) for column in columns)]]
    for place, n in enumerate(LENGTHS):
        row = [str(n)]
        for seconds in facts["lengths"].values():
            cached, uncached = (seconds[kind][place] for kind in ("cached", "uncached"))
            row += [f"{1000 * cached:.0f} ms", f"{1000 * uncached:.0f} ms"]
            row.append(f"{uncached / cached:.1f}")
        rows.append(row)
    return table(rows)


TABLES = {"decoding-speeds": speeds, "decoding-beams": searches, "decoding-lengths": pays}


# The command


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.decoding", description="Time ways to translate."
    )
    command.add_argument("--checkpoint", type=Path, help="a trained run, or its weights")
    command.add_argument("--data", type=Path, help="folder of Multi30k (default: MULTI30K_DIR)")
    command.add_argument("--split", default="test_2016_flickr", help="default: test_2016_flickr")
    command.add_argument("--sentences", type=int, default=1000, help="at most (default: 1000)")
    command.add_argument(
        "--out", type=Path, default=DATA, help="folder (default: docs/assets/data)"
    )
    return command


def measure(checkpoint: Path, split: str, count: int) -> dict:
    """Translate the first sentences of a split in every way."""
    model, tokenizer, config = load_translator(checkpoint)
    pairs = read_corpus(config, split)[:count]
    sources = [[*found.ids, END] for found in tokenizer.encode_batch([src for src, _ in pairs])]
    seconds, written = translations(model, sources)
    bleu, references = BLEU(), [[tgt for _, tgt in pairs]]
    found = {}
    for name, ids in written.items():
        if ", cached, batches" not in name:
            continue  # the others write the same, or a part of it
        in_order = [ids[place] for place in range(len(pairs))]
        score = bleu.corpus_score(tokenizer.decode_batch(in_order), references)
        found[name] = {
            "log_probability": log_probability(model, sources, in_order),
            "length": score.sys_len / score.ref_len,
            "bleu": score.score,
        }
    plain = written["plain loop, batches"]
    same = {
        name: sum(ids == plain[place] for place, ids in written[name].items()) / len(written[name])
        for name in written
        if "beam" not in name
    }
    return {
        "split": split if config.corpus.startswith("multi30k") else f"{config.corpus}, {split}",
        "direction": [config.src, config.tgt],
        "sentences": len(pairs),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "updates": updates(checkpoint),
        "machine": machine(1),
        "versions": versions(),
        "seconds": seconds,
        "same_as_plain": same,
        "searches": found,
        "signature": str(bleu.get_signature()),
        "lengths": lengths(model),
    }


def main(arguments: list[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", ".*nested.tensor")
    if given.data:
        os.environ["MULTI30K_DIR"] = str(given.data)
    if given.checkpoint:
        facts = measure(given.checkpoint, given.split, given.sentences)
    else:
        print("no checkpoint: a tiny model is trained, and nothing is written", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            config = replace(PRESETS["tiny"], steps=150)
            run(config, Path(folder))
            facts = measure(Path(folder), "test", min(given.sentences, 200))
    facts = {"command": "make bench CHECKPOINT=runs/de-en"} | facts
    if given.checkpoint:
        publish("decoding", facts, TABLES, given.out)
    for report in TABLES.values():
        print(report(facts))
    print("the same as the plain loop writes:", facts["same_as_plain"])


if __name__ == "__main__":
    main()
