"""Batches of sentences of about one length: `docs/training/batching.md`.

A sentence is a list of token ids that ends in the end token. `n_src` and `n_tgt` are the lengths of
the longest source and target of a batch.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from snippets.masks import causal_mask, padding_mask
from snippets.training.data import PAD, START

Pair = tuple[Sequence[int], Sequence[int]]


# --8<-- [start:Batch]
@dataclass(frozen=True)
class Batch:
    """Some sentence pairs, padded to one length a side.

    Attributes:
        src: Source tokens (batch, n_src).
        tgt: What the decoder reads (batch, n_tgt): the start token, then the target but its last
            token.
        labels: What the decoder has to name at each position (batch, n_tgt): the target, which
            ends in the end token.
    """

    src: Tensor
    tgt: Tensor
    labels: Tensor

    def masks(self) -> tuple[Tensor, Tensor]:
        """The source's mask (batch, 1, n_src) and the target's (n_tgt, n_tgt).

        Boolean, True where attention is allowed. Padding of the target needs no mask: it stands
        behind the words, where the causal mask hides it from them, and its labels do not count.
        """
        return padding_mask(self.src, PAD), causal_mask(self.tgt.shape[1], self.tgt.device)

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(self.src.to(device), self.tgt.to(device), self.labels.to(device))


def make_batch(pairs: Sequence[Pair]) -> Batch:
    """Pad sentence pairs to one length a side, and shift the target for the decoder.

    Args:
        pairs: At least one (source ids, target ids), each ending in the end token.

    Returns:
        A batch of int64 tensors.
    """
    src = pad([src for src, _ in pairs])
    tgt = pad([[START, *tgt[:-1]] for _, tgt in pairs])
    return Batch(src, tgt, pad([tgt for _, tgt in pairs]))


def pad(sentences: Sequence[Sequence[int]]) -> Tensor:
    """Sentences as one tensor, int64 (batch, longest), with padding behind the shorter ones."""
    longest = max(map(len, sentences))
    return torch.tensor([[*ids, *[PAD] * (longest - len(ids))] for ids in sentences])


# --8<-- [end:Batch]


# --8<-- [start:bucketed]
def longer_side_first(pair: Pair) -> list[int]:
    """The lengths of a pair, the longer one first: what neighbours in a batch should share."""
    return sorted(map(len, pair), reverse=True)


def bucketed(
    pairs: Sequence[Pair], max_tokens: int, seed: int, pool: int = 8192
) -> list[list[Pair]]:
    """Cut a corpus into batches of sentences of about one length, in random order.

    The corpus is shuffled and cut into pools. A pool is sorted by length, so that neighbours pad
    each other little, and cut into batches; the batches are shuffled again. Another seed gives
    other batches: an epoch takes its number into the seed.

    Args:
        pairs: (source ids, target ids).
        max_tokens: Padded tokens of a batch at most, on its longer side: number of sentences times
            the length of the longest one. Section 5.1 of the paper has about 25,000 a side.
        seed: Decides the order.
        pool: Number of pairs that are sorted together. A larger pool pads less; one as large as the
            corpus would let sentences of one length meet in every epoch.

    Returns:
        The batches, each a list of pairs; every pair is in exactly one.

    Raises:
        ValueError: If a pair alone is longer than `max_tokens`.
    """
    shuffle = random.Random(seed).shuffle
    order = list(pairs)
    shuffle(order)
    batches = []
    for start in range(0, len(order), pool):
        batch, longest = [], 0
        for pair in sorted(order[start : start + pool], key=longer_side_first):
            length = max(map(len, pair))
            if length > max_tokens:
                raise ValueError(f"a sentence of {length} tokens exceeds max_tokens = {max_tokens}")
            if batch and max(longest, length) * (len(batch) + 1) > max_tokens:
                batches.append(batch)
                batch, longest = [], 0
            batch.append(pair)
            longest = max(longest, length)
        batches.append(batch)
    shuffle(batches)
    return batches


# --8<-- [end:bucketed]
