"""BLEU, the score of a translation, from its definition: `docs/training/bleu.md`.

What is published is counted by `sacrebleu`, which also cuts sentences into words in a way that
everybody shares; this counts words that are separated by spaces.
"""

import math
from collections import Counter
from collections.abc import Sequence

import torch

# --8<-- [start:corpus_bleu]
N = 4
"""Up to how many words in a row are compared."""


def ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n words stands in a sentence."""
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


def bleu_counts(hypothesis: str, reference: str) -> list[int]:
    """What BLEU has to know of a sentence: for a corpus these counts are added up.

    Returns:
        For n = 1 to 4 how many runs of n words are right, and how many there are; then the number
        of words of the hypothesis and of the reference: 10 counts.
    """
    ours, theirs = hypothesis.split(), reference.split()
    right = [(ngrams(ours, n) & ngrams(theirs, n)).total() for n in range(1, N + 1)]
    return [*right, *(max(len(ours) - n + 1, 0) for n in range(1, N + 1)), len(ours), len(theirs)]


def bleu_from_counts(counts: Sequence[int]) -> float:
    """BLEU in [0, 100], of what `bleu_counts` counted; 0 where no run of some length is right."""
    right, total, (c, r) = counts[:N], counts[N : 2 * N], counts[2 * N :]
    if min(right) == 0:
        return 0.0
    log_precision = sum(math.log(x / y) for x, y in zip(right, total, strict=True)) / N
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(log_precision)


def corpus_bleu(hypotheses: Sequence[str], references: Sequence[str]) -> float:
    """The share of the translations' words and runs of words that their references have too.

        BLEU = 100 · min(1, exp(1 - r / c)) · (p_1 p_2 p_3 p_4)^(1/4)

    p_n is the share of the runs of n words, over the whole corpus, that stand in the reference of
    their sentence; a run counts at most as often as it stands there. c and r are the numbers of
    words in all hypotheses and in all references: a short translation is punished, because it
    could leave out what is hard.

    Args:
        hypotheses: The translations, words separated by spaces.
        references: One for each of them.

    Returns:
        A number in [0, 100]; 0 where no run of some length is right.

    Raises:
        ValueError: If there are no sentences, or not as many references as hypotheses.

    Source: Papineni, Roukos, Ward and Zhu (2002).
    """
    if len(hypotheses) != len(references) or not hypotheses:
        raise ValueError(
            f"BLEU compares sentence with sentence, not {len(hypotheses)} hypotheses with "
            f"{len(references)} references"
        )
    rows = map(bleu_counts, hypotheses, references)
    return bleu_from_counts([sum(column) for column in zip(*rows, strict=True)])


# --8<-- [end:corpus_bleu]


# --8<-- [start:paired_bootstrap]
def paired_bootstrap(
    ones: Sequence[str],
    others: Sequence[str],
    references: Sequence[str],
    samples: int = 1000,
    seed: int = 0,
) -> list[float]:
    """By how much one system is better than another, on test sets that might have been.

    Such a test set has as many sentences as the real one, drawn from it with replacement, the same
    ones for both systems.

    Args:
        ones: The translations of one system, words separated by spaces.
        others: Those of the other, of the same sentences.
        references: One for each sentence.
        samples: Number of test sets that are drawn, at least 1.
        seed: Decides which.

    Returns:
        The BLEU of the one minus that of the other on each drawn test set, in ascending order. The
        2.5 % at either end stand outside the interval of 95 %.

    Raises:
        ValueError: If there are no sentences, or not as many of each.

    Source: Koehn (2004).
    """
    if not len(ones) == len(others) == len(references) or not references:
        raise ValueError(
            f"a paired test needs the same sentences, not {len(ones)} and {len(others)} "
            f"translations of {len(references)}"
        )
    systems = [list(map(bleu_counts, system, references)) for system in (ones, others)]
    counts = torch.tensor(systems)  # (2, n, 10)
    generator = torch.Generator().manual_seed(seed)
    differences = []
    for _ in range(samples):
        drawn = torch.randint(len(references), (len(references),), generator=generator)
        one, other = counts[:, drawn].sum(1).tolist()
        differences.append(bleu_from_counts(one) - bleu_from_counts(other))
    return sorted(differences)


# --8<-- [end:paired_bootstrap]
