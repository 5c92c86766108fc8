"""The two tasks: the same sources, one answer a letter, and nothing but the distance differs."""

import itertools

import pytest

from snippets.training.data import DataError, encode_pairs, train_tokenizer
from snippets.training.synthetic import (
    LARGEST,
    SYNTHETIC_SIZES,
    answer,
    is_synthetic,
    partner,
    synthetic,
)


def test_the_splits_have_their_sizes_and_share_no_source() -> None:
    splits = {name: synthetic("far-12", name) for name in SYNTHETIC_SIZES}
    assert {name: len(pairs) for name, pairs in splits.items()} == SYNTHETIC_SIZES
    sources = [src for pairs in splits.values() for src, _ in pairs]
    assert len(set(sources)) == len(sources)
    assert splits["val"] == synthetic("far-12", "val") != synthetic("far-12", "val", seed=1)


def test_the_tasks_have_the_same_sources_and_other_answers() -> None:
    local, far = synthetic("local-12", "val"), synthetic("far-12", "val")
    assert [src for src, _ in local] == [src for src, _ in far]
    assert all(one != other for (_, one), (_, other) in zip(local, far, strict=True))


def test_answers_by_hand() -> None:
    """Locally 2·0 + 1, 2·1 + 0, 2·2 + 3, ...; far away 2·0 + 3, 2·1 + 1, 2·2 + 0, ..."""
    assert answer("local", "01233102") == "12787524"
    assert answer("far", "01233102") == "33486327"


@pytest.mark.parametrize(("task", "distances"), [("local", {1}), ("far", {6})])
def test_partners_are_each_others_and_as_far_as_the_name_says(task: str, distances: set) -> None:
    partners = [partner(task, place, 12) for place in range(12)]
    assert [partner(task, place, 12) for place in partners] == list(range(12))
    assert {abs(place - other) for place, other in enumerate(partners)} == distances


@pytest.mark.parametrize("task", ["local", "far"])
def test_a_target_determines_its_source(task: str) -> None:
    other = partner(task, 0, 8)
    found = set()
    for one, two in itertools.product(range(LARGEST + 1), repeat=2):
        source = ["0"] * 8
        source[0], source[other] = str(one), str(two)
        found.add(answer(task, "".join(source)))
    assert len(found) == (LARGEST + 1) ** 2


def test_a_digit_is_a_token() -> None:
    pairs = synthetic("local-8", "val")
    tokenizer = train_tokenizer(pairs, 40)
    for src, tgt in encode_pairs(tokenizer, pairs):
        assert len(src) == len(tgt) == 9


@pytest.mark.parametrize(
    ("corpus", "split", "message"),
    [
        ("local-6", "val", "N even and at least 8, not local-6"),
        ("far-9", "val", "N even and at least 8, not far-9"),
        ("near-8", "val", "a task is local-N or far-N"),
        ("far-8", "test2016", "the splits of a task are test, val, train"),
    ],
)
def test_another_task_is_refused(corpus: str, split: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        synthetic(corpus, split)
    assert not is_synthetic("grammar")
