"""The embedded corpus: the same every time, no sentence in two splits, and both languages right."""

import random
import re

import pytest

from snippets.training.data import DataError
from snippets.training.grammar import (
    ADJECTIVES,
    CREATURES,
    SIZES,
    THINGS,
    NounPhrase,
    grammar,
    sentence,
)

NOUNS = {noun[0]: noun for noun in CREATURES + THINGS}


def test_splits_have_their_sizes_and_share_no_sentence() -> None:
    splits = {name: grammar(name, "de", "en") for name in SIZES}
    assert {name: len(pairs) for name, pairs in splits.items()} == SIZES
    german = [src for pairs in splits.values() for src, _ in pairs]
    assert len(set(german)) == len(german)


def test_a_seed_decides_the_sentences() -> None:
    assert grammar("val", "de", "en") == grammar("val", "de", "en")
    assert grammar("val", "de", "en") != grammar("val", "de", "en", seed=1)


def test_directions_are_each_other_turned_round() -> None:
    turned = [(tgt, src) for src, tgt in grammar("test", "en", "de")]
    assert turned == grammar("test", "de", "en")


@pytest.mark.parametrize(
    ("noun", "definite", "plural", "nominative", "accusative", "english"),
    [
        ("Hund", True, False, "der kleine Hund", "den kleinen Hund", "the small dog"),
        ("Hund", False, False, "ein kleiner Hund", "einen kleinen Hund", "a small dog"),
        ("Hund", True, True, "die kleinen Hunde", "die kleinen Hunde", "the small dogs"),
        ("Hund", False, True, "zwei kleine Hunde", "zwei kleine Hunde", "two small dogs"),
        ("Blume", True, False, "die kleine Blume", "die kleine Blume", "the small flower"),
        ("Blume", False, False, "eine kleine Blume", "eine kleine Blume", "a small flower"),
        ("Buch", True, False, "das kleine Buch", "das kleine Buch", "the small book"),
        ("Buch", False, False, "ein kleines Buch", "ein kleines Buch", "a small book"),
    ],
)
def test_articles_and_endings_follow_gender_and_case(
    noun: str, definite: bool, plural: bool, nominative: str, accusative: str, english: str
) -> None:
    phrase = NounPhrase(NOUNS[noun], ADJECTIVES[0], definite, plural)
    assert phrase.german("nominative") == nominative
    assert phrase.german("accusative") == accusative
    assert phrase.english() == english


def test_an_precedes_a_vowel() -> None:
    assert NounPhrase(NOUNS["Apfel"], None, False, False).english() == "an apple"
    assert NounPhrase(NOUNS["Apfel"], ("rot", "red"), False, False).english() == "a red apple"
    assert NounPhrase(NOUNS["Ball"], ("alt", "old"), False, False).english() == "an old ball"


def test_the_finite_verb_is_second_and_the_participle_last() -> None:
    draw = random.Random(0)
    for german, english in (sentence(draw) for _ in range(300)):
        assert re.fullmatch(r"[A-ZÄÖÜ][\w ]*\.", german)
        if re.search(r"\b(hat|haben)\b", german):
            assert german.endswith(("en.", "t."))
            assert re.search(r"\b(has|have)\b", english)
        if german.startswith(("Heute", "Im", "Am", "Jeden")):
            assert english.startswith(("Today", "In", "Every"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [(("dev", "de", "en"), "splits are test, val, train"), (("val", "de", "fr"), "de and en")],
)
def test_an_unknown_split_or_language_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(DataError, match=message):
        grammar(*arguments)
