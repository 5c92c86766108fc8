"""Two tasks that differ in one distance: `docs/why-attention/inductive-bias.md`.

A source is a row of digits, and a target has one digit for each of them, which depends on that
digit and on its partner's. In the corpus `local-N` the partner is the neighbour, in `far-N` it
stands half a sentence away; N is the number of digits. Everything else is the same.
"""

import random
import re
from functools import cache

from snippets.training.data import DataError

# --8<-- [start:synthetic]
LARGEST = 3
"""The digits of a source are 0 to this one; those of a target 0 to three times it."""
SYNTHETIC_SIZES = {"test": 500, "val": 200, "train": 16000}
"""Number of sentence pairs in each split."""


def is_synthetic(corpus: str) -> bool:
    """Whether a corpus is named as these are."""
    return re.fullmatch(r"(local|far)-\d+", corpus) is not None


def partner(task: str, place: int, n: int) -> int:
    """The place on which the answer at a place depends besides its own; its partner is `place`."""
    return place ^ 1 if task == "local" else (place + n // 2) % n


def answer(task: str, source: str) -> str:
    """The target of a source, both without spaces.

        y_i = 2 x_i + x_partner(i)

    Source and target determine each other: each digit of the source has to be read.
    """
    x = [int(digit) for digit in source]
    return "".join(str(2 * x[i] + x[partner(task, i, len(x))]) for i in range(len(x)))


@cache
def sources(n: int, seed: int) -> list[str]:
    """The sources of all splits, n digits each, of which no two are the same."""
    draw, found = random.Random(seed), {}
    while len(found) < sum(SYNTHETIC_SIZES.values()):
        found["".join(map(str, draw.choices(range(LARGEST + 1), k=n)))] = None
    return list(found)


def synthetic(corpus: str, split: str, seed: int = 0) -> list[tuple[str, str]]:
    """The sentence pairs of a split; no source is in two of them, and both tasks have the same.

    Args:
        corpus: "local-N" or "far-N", where N is even and at least 8.
        split: "train" (16,000 pairs), "val" (200) or "test" (500).
        seed: Another one gives other sentences.

    Returns:
        (source, target) pairs, digits separated by spaces.

    Raises:
        DataError: If there is no such corpus or split.
    """
    task, _, length = corpus.partition("-")
    if not is_synthetic(corpus) or int(length) < 8 or int(length) % 2:
        raise DataError(f"a task is local-N or far-N with N even and at least 8, not {corpus}")
    if split not in SYNTHETIC_SIZES:
        raise DataError(f"the splits of a task are {', '.join(SYNTHETIC_SIZES)}, not {split}")
    names = list(SYNTHETIC_SIZES)
    start = sum(SYNTHETIC_SIZES[name] for name in names[: names.index(split)])
    chosen = sources(int(length), seed)[start : start + SYNTHETIC_SIZES[split]]
    return [(" ".join(source), " ".join(answer(task, source))) for source in chosen]


# --8<-- [end:synthetic]
