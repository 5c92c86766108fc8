"""Counts BLEU of a trained model's translations in the ways in which scores are reported.

    python -m benchmarks.bleu --checkpoint runs/de-en --data multi30k

Writes `docs/assets/data/bleu.json` and the table that `docs/training/bleu.md` embeds.
"""

import argparse
import os
from pathlib import Path

import torch
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a

from benchmarks.record import DATA, publish, table, updates, versions
from snippets.training.bleu import corpus_bleu, paired_bootstrap
from snippets.training.train import read_corpus
from snippets.training.translate import load_translator, translate

BEAMS = {"greedy": 1, "beam 5": 5}
WAYS = {
    "as it stands": {"tokenize": "none"},
    "13a": {},
    "13a, lowercased": {"lowercase": True},
    "intl": {"tokenize": "intl"},
    "characters": {"tokenize": "char"},
    "prepared before": {"tokenize": "none", "force": True},
}
"""The options of `sacrebleu`; for the last way the text is lowercased and cut before."""


def measure(checkpoint: Path, split: str) -> dict:
    """Translate a split greedily and with a beam, and count in every way."""
    model, tokenizer, config = load_translator(checkpoint)
    pairs = read_corpus(config, split)
    references = [tgt for _, tgt in pairs]
    systems = {
        name: translate(model, tokenizer, [src for src, _ in pairs], beam)
        for name, beam in BEAMS.items()
    }
    ways = {}
    cut = Tokenizer13a()
    for name, options in WAYS.items():
        bleu, prepare = BLEU(**options), str
        if name == "prepared before":
            prepare = lambda line: cut(line.lower())  # noqa: E731
        wanted = [list(map(prepare, references))]
        scores = {
            system: bleu.corpus_score(list(map(prepare, text)), wanted).score
            for system, text in systems.items()
        }
        ways[name] = {"scores": scores, "signature": str(bleu.get_signature())}
    plain = BLEU(tokenize="none", smooth_method="none", force=True)
    ours = {
        system: corpus_bleu(text, references) - plain.corpus_score(text, [references]).score
        for system, text in systems.items()
    }
    differences = paired_bootstrap(systems["beam 5"], systems["greedy"], references)
    return {
        "split": split if config.corpus.startswith("multi30k") else f"{config.corpus}, {split}",
        "direction": [config.src, config.tgt],
        "sentences": len(pairs),
        "updates": updates(checkpoint),
        "versions": versions(),
        "ways": ways,
        "ours_minus_sacrebleu": ours,
        "beam_minus_greedy": [differences[25], differences[974]],
    }


def ways(facts: dict) -> str:
    """The scores of the same translations, a way a row, and what was translated."""
    rows = [["words", *BEAMS, "case, tok"]]
    parts = [
        dict(part.split(":") for part in way["signature"].split("|"))
        for way in facts["ways"].values()
    ]
    for (name, way), part in zip(facts["ways"].items(), parts, strict=True):
        scores = (f"{way['scores'][system]:.2f}" for system in BEAMS)
        rows.append([name, *scores, f"{part['case']}, {part['tok']}"])
    rest = "|".join(f"{key}:{value}" for key, value in parts[0].items() if key not in CHANGING)
    src, tgt = facts["direction"]
    low, high = facts["beam_minus_greedy"]
    return (
        f"{table(rows)}\nThe rest of every signature is `{rest}`. "
        f"{facts['sentences']:,} sentences of `{facts['split']}`, {src} to {tgt}; a "
        f"model after {facts['updates']:,} updates. On 95 % of the test sets that the paired "
        f"bootstrap draws, the beam has {low:+.1f} to {high:+.1f} BLEU more than greedy decoding, "
        "counted as it stands. Repeat it with `make bench CHECKPOINT=runs/de-en`.\n"
    )


CHANGING = ("case", "tok")
"""What differs between the signatures."""
TABLES = {"bleu-ways": ways}


def parser() -> argparse.ArgumentParser:
    command = argparse.ArgumentParser(
        prog="python -m benchmarks.bleu", description="Count BLEU in several ways."
    )
    command.add_argument("--checkpoint", type=Path, required=True, help="a run, or its weights")
    command.add_argument("--data", type=Path, help="folder of Multi30k (default: MULTI30K_DIR)")
    command.add_argument("--split", default="test_2016_flickr", help="default: test_2016_flickr")
    command.add_argument(
        "--out", type=Path, default=DATA, help="folder (default: docs/assets/data)"
    )
    return command


def main(arguments: list[str] | None = None) -> None:
    given = parser().parse_args(arguments)
    torch.set_num_threads(1)
    if given.data:
        os.environ["MULTI30K_DIR"] = str(given.data)
    facts = measure(given.checkpoint, given.split)
    publish("bleu", facts, TABLES, given.out)
    print(ways(facts))


if __name__ == "__main__":
    main()
