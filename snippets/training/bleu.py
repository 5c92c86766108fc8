"""BLEU, the score of a translation, from its definition: `docs/training/bleu.md`.

What is published is counted by `sacrebleu`, which also cuts sentences into words in a way that
everybody shares; this counts words that are separated by spaces.
"""

import math
from collections import Counter
from collections.abc import Sequence

N = 4
"""Up to how many words in a row are compared."""


# --8<-- [start:corpus_bleu]
def ngrams(words: Sequence[str], n: int) -> Counter[tuple[str, ...]]:
    """How often each run of n words stands in a sentence."""
    return Counter(tuple(words[start : start + n]) for start in range(len(words) - n + 1))


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
    right, total, c, r = [0] * N, [0] * N, 0, 0
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        ours, theirs = hypothesis.split(), reference.split()
        c, r = c + len(ours), r + len(theirs)
        for n in range(1, N + 1):
            found = ngrams(ours, n)
            right[n - 1] += (found & ngrams(theirs, n)).total()
            total[n - 1] += found.total()
    if min(right) == 0:
        return 0.0
    log_precision = sum(math.log(x / y) for x, y in zip(right, total, strict=True)) / N
    return 100 * min(1.0, math.exp(1 - r / c)) * math.exp(log_precision)


# --8<-- [end:corpus_bleu]
