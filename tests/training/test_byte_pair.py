"""The merges of a few lines are those of the `tokenizers` library."""

import json

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from snippets.training.byte_pair import apply_merges, learn_merges, merged
from snippets.training.grammar import grammar

TOY = "low low low low low lower lower newest newest newest newest newest newest widest widest"


def library(text: str, count: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    size = len(set(text.replace(" ", ""))) + count
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False)
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


def merges_of(tokenizer: Tokenizer) -> list[tuple[str, str]]:
    return [tuple(pair) for pair in json.loads(tokenizer.to_str())["model"]["merges"]]


@pytest.mark.parametrize("count", [1, 5, 12, 40])
def test_learns_the_merges_of_the_library(count: int) -> None:
    corpus = " ".join(german for german, _ in grammar("val", "de", "en"))
    for text in (TOY, corpus):
        assert learn_merges(text.split(), count) == merges_of(library(text, count))


def test_cuts_words_as_the_library_does() -> None:
    text = " ".join(german for german, _ in grammar("val", "de", "en"))
    tokenizer = library(text, 60)
    merges = learn_merges(text.split(), 60)
    for word in [*set(text.split()), "Haustür", "lowest"]:
        if set(word) <= set(text):
            assert apply_merges(word, merges) == tokenizer.encode(word).tokens


def test_a_pair_is_joined_from_the_left() -> None:
    assert merged(list("aaaab"), ("a", "a")) == ["aa", "aa", "b"]
    assert merged(["aa", "a"], ("a", "a")) == ["aa", "a"]
    assert merged(list("abc"), ("b", "c")) == ["a", "bc"]


def test_ends_where_no_neighbours_are_left() -> None:
    assert learn_merges(["ab", "ab"], 9) == [("a", "b")]
