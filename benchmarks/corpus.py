"""Counts what vocabularies and batches make of Multi30k: `python -m benchmarks.corpus`.

Nothing is timed, so another machine counts the same. `docs/training/data.md` and
`docs/training/batching.md` embed the tables. The corpus is downloaded, or read from MULTI30K_DIR.
"""

import random
from typing import Any

import tokenizers

from benchmarks.record import publish, table
from snippets.training.batching import Pair, bucketed, make_batch
from snippets.training.config import PRESETS
from snippets.training.data import UNK, encode_pairs, train_tokenizer
from snippets.training.multi30k import SPLITS, multi30k

VOCABULARIES = (1000, 2000, 4000, 6000, 10000)
POOLS = (64, 512, 4096, 8192, 29000)
RARE = 10
"""A token that the training split holds fewer times is counted as rare."""


def positions(batches: list[list[Pair]]) -> tuple[int, int]:
    """The positions that a model computes, source and target together, and those of real tokens."""
    made = [make_batch(batch) for batch in batches]
    every = sum(batch.src.numel() + batch.tgt.numel() for batch in made)
    return every, sum(len(side) for batch in batches for pair in batch for side in pair)


def batches_of(name: str, batches: list[list[Pair]]) -> dict[str, Any]:
    """A row on batches."""
    every, real = positions(batches)
    return {"order": name, "batches": len(batches), "positions": every, "tokens": real}


def at_random(pairs: list[Pair], max_tokens: int, seed: int) -> list[list[Pair]]:
    """Batches within the same limit, filled in random order: what buckets are compared with."""
    order = list(pairs)
    random.Random(seed).shuffle(order)
    batches: list[list[Pair]] = [[]]
    longest = 0
    for pair in order:
        longest = max(longest, *map(len, pair))
        if longest * (len(batches[-1]) + 1) > max_tokens:
            batches.append([])
            longest = max(map(len, pair))
        batches[-1].append(pair)
    return batches


def vocabulary_of(vocab_size: int, splits: dict[str, list[tuple[str, str]]]) -> dict[str, Any]:
    """A row on a vocabulary that is learned from the training split."""
    tokenizer = train_tokenizer(splits["train"], vocab_size)
    ids = {split: encode_pairs(tokenizer, pairs) for split, pairs in splits.items()}
    times = [0] * tokenizer.get_vocab_size()
    for pair in ids["train"]:
        for token in [*pair[0], *pair[1]]:
            times[token] += 1
    n_pairs = len(ids["train"])
    return {
        "vocab_size": len(times),
        "de": sum(len(de) for de, _ in ids["train"]) / n_pairs,
        "en": sum(len(en) for _, en in ids["train"]) / n_pairs,
        "rare": sum(count < RARE for count in times[UNK + 1 :]),
        "unknown": {
            split: sum(side.count(UNK) for pair in ids[split] for side in pair) for split in SPLITS
        },
    }


def measure() -> dict[str, Any]:
    """All rows, and what they were counted with."""
    config = PRESETS["multi30k"]
    splits = {split: multi30k(split, "de", "en") for split in SPLITS}
    pairs = encode_pairs(train_tokenizer(splits["train"], config.vocab_size), splits["train"])
    limit, seed = config.max_tokens, config.seed
    rows = [batches_of("as they come, shuffled", at_random(pairs, limit, seed))]
    for pool in POOLS:
        rows.append(batches_of(f"buckets, pools of {pool:,}", bucketed(pairs, limit, seed, pool)))
    return {
        "command": "python -m benchmarks.corpus",
        "tokenizers": tokenizers.__version__,
        "seed": seed,
        "max_tokens": limit,
        "vocab_size": config.vocab_size,
        "pairs": {split: len(pairs) for split, pairs in splits.items()},
        "vocabularies": [vocabulary_of(size, splits) for size in VOCABULARIES],
        "batches": rows,
    }


def counted_with(facts: dict[str, Any]) -> str:
    return f"Counted by `{facts['command']}` with tokenizers {facts['tokenizers']}"


def vocabularies(facts: dict[str, Any]) -> str:
    """The table of the page on data."""
    rows = [["tokens in the vocabulary", "a German sentence", "an English one", "rare"]]
    for row in facts["vocabularies"]:
        lengths = [f"{row['de']:.1f} tokens", f"{row['en']:.1f} tokens"]
        rows.append([f"{row['vocab_size']:,}", *lengths, f"{row['rare']:,}"])
    return f"{table(rows)}\n{counted_with(facts)}; the end token is counted.\n"


def padding(row: dict[str, Any]) -> float:
    """The share of padding among the positions."""
    return 1 - row["tokens"] / row["positions"]


def batches(facts: dict[str, Any]) -> str:
    """The table of the page on batching."""
    rows = [["batches", "batches an epoch", "positions an epoch", "of them padding"]]
    for row in facts["batches"]:
        cells = [f"{row['batches']:,}", f"{row['positions']:,}", f"{padding(row):.1%}"]
        rows.append([row["order"], *cells])
    return (
        f"{table(rows)}\n{counted_with(facts)}: {facts['pairs']['train']:,} pairs, a joint "
        f"vocabulary of {facts['vocab_size']:,}, `max_tokens` {facts['max_tokens']:,}, "
        f"seed {facts['seed']}.\n"
    )


TABLES = {"corpus-vocabularies": vocabularies, "corpus-batches": batches}


def main() -> None:
    """Count, and write the counts and their tables."""
    publish("corpus", measure(), TABLES)


if __name__ == "__main__":
    main()
