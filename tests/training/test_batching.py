"""Every sentence is in one batch, batches pad little, and the decoder reads one token behind."""

import random

import pytest
import torch

from snippets.training.batching import bucketed, make_batch, pad
from snippets.training.data import END, PAD, START


def corpus(size: int = 500) -> list[tuple[list[int], list[int]]]:
    draw = random.Random(0)
    sides = [
        [[*(draw.randint(4, 99) for _ in range(length - 1)), END] for length in lengths]
        for lengths in [[draw.randint(1, 40) for _ in range(size)] for _ in range(2)]
    ]
    return list(zip(*sides, strict=True))


def test_shorter_sentences_get_padding_behind_them() -> None:
    assert pad([[5, 6, END], [7, END]]).tolist() == [[5, 6, END], [7, END, PAD]]


def test_the_decoder_reads_the_start_token_and_all_but_the_last_label() -> None:
    batch = make_batch([([5, END], [6, 7, END]), ([8, 9, END], [4, END])])
    assert batch.src.tolist() == [[5, END, PAD], [8, 9, END]]
    assert batch.labels.tolist() == [[6, 7, END], [4, END, PAD]]
    assert batch.tgt.tolist() == [[START, 6, 7], [START, 4, PAD]]
    real = batch.labels[:, :-1] != END
    assert torch.equal(batch.tgt[:, 1:][real], batch.labels[:, :-1][real])


def test_masks_hide_padding_of_the_source_and_the_future_of_the_target() -> None:
    src_mask, tgt_mask = make_batch([([5, END], [6, END]), ([8, 9, END], [4, END])]).masks()
    assert src_mask.tolist() == [[[True, True, False]], [[True, True, True]]]
    assert tgt_mask.tolist() == [[True, False], [True, True]]


@pytest.mark.parametrize("pool", [64, 8192])
def test_every_pair_is_in_exactly_one_batch_within_the_limit(pool: int) -> None:
    pairs = corpus()
    batches = bucketed(pairs, 256, seed=3, pool=pool)
    assert sorted(pair for batch in batches for pair in batch) == sorted(pairs)
    for batch in batches:
        assert len(batch) * max(len(side) for pair in batch for side in pair) <= 256


def test_a_seed_decides_the_batches() -> None:
    pairs = corpus()
    assert bucketed(pairs, 256, seed=3) == bucketed(pairs, 256, seed=3)
    assert bucketed(pairs, 256, seed=3) != bucketed(pairs, 256, seed=4)


def test_batches_are_not_in_the_order_of_their_lengths() -> None:
    longest = [max(map(len, batch[-1])) for batch in bucketed(corpus(), 256, seed=0)]
    assert longest != sorted(longest)


def test_neighbours_in_length_save_padding() -> None:
    def padded(batches: list) -> int:
        return sum(len(make_batch(batch).src.flatten()) for batch in batches)

    def longest(batch: list) -> int:
        return max(map(len, batch[-1]))

    pairs = corpus(2000)
    by_length, one_by_one = (bucketed(pairs, 512, 0, pool) for pool in (8192, 1))
    assert padded(by_length) < 1.4 * padded(one_by_one)  # alone a sentence needs no padding
    shuffled = [pairs[start : start + 12] for start in range(0, len(pairs), 12)]
    assert padded(by_length) < 0.75 * padded(shuffled)


def test_a_sentence_longer_than_a_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="a sentence of 9 tokens exceeds max_tokens = 8"):
        bucketed([([5] * 9, [6])], 8, seed=0)
