"""Byte-pair encoding, what the vocabulary is learned by: `docs/training/data.md`.

A word is a list of tokens, single characters at first. The real vocabulary is learned by the
`tokenizers` library, which finds the same merges a hundred times faster.
"""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise


# --8<-- [start:learn_merges]
def merged(word: list[str], pair: tuple[str, str]) -> list[str]:
    """A word in which every occurrence of a pair of neighbours has become one token."""
    tokens: list[str] = []
    for token in word:
        if tokens and (tokens[-1], token) == pair:
            tokens[-1] += token
        else:
            tokens.append(token)
    return tokens


def learn_merges(words: Iterable[str], count: int) -> list[tuple[str, str]]:
    """Join the most frequent pair of neighbours again and again.

    Args:
        words: The words of a text, each as often as it stands there.
        count: Number of merges at most; there are fewer where no neighbours are left.

    Returns:
        The pairs, in the order in which they were joined. Of pairs that are equally frequent the
        one whose tokens are older is joined first, as the `tokenizers` library does.

    Source: Sennrich, Haddow and Birch (2016), section 3.2.
    """
    spelled = {tuple(word): number for word, number in Counter(words).items()}
    tokens = sorted({character for word in spelled for character in word})
    age = {token: index for index, token in enumerate(tokens)}
    merges: list[tuple[str, str]] = []
    while len(merges) < count:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, number in spelled.items():
            for pair in pairwise(word):
                pairs[pair] += number
        if not pairs:
            break
        best = min(pairs, key=lambda pair: (-pairs[pair], age[pair[0]], age[pair[1]]))
        merges.append(best)
        age.setdefault("".join(best), len(age))
        spelled = {tuple(merged(list(word), best)): number for word, number in spelled.items()}
    return merges


# --8<-- [end:learn_merges]


# --8<-- [start:apply_merges]
def apply_merges(word: str, merges: list[tuple[str, str]]) -> list[str]:
    """Cut a word into its characters, and join them by the merges in the order of learning."""
    tokens = list(word)
    for pair in merges:
        tokens = merged(tokens, pair)
    return tokens


# --8<-- [end:apply_merges]
