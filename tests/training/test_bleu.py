"""BLEU from its definition is sacrebleu's, on sentences that a model wrote and on odd ones."""

import random

import pytest
import sacrebleu

from snippets.training.bleu import corpus_bleu
from snippets.training.grammar import grammar


def theirs(hypotheses: list[str], references: list[str]) -> float:
    score = sacrebleu.corpus_bleu(
        hypotheses, [references], tokenize="none", smooth_method="none", force=True
    )
    return score.score


def damaged(sentence: str, draw: random.Random) -> str:
    words = sentence.split()
    if draw.random() < 0.5:
        words.pop(draw.randrange(len(words)))
    if draw.random() < 0.3:
        words.insert(draw.randrange(len(words)), draw.choice(words))
    return " ".join(words)


@pytest.mark.parametrize("seed", range(5))
def test_equals_sacrebleu(seed: int) -> None:
    draw = random.Random(seed)
    references = [german for german, _ in grammar("test", "de", "en", seed)]
    hypotheses = [damaged(sentence, draw) for sentence in references]
    score = corpus_bleu(hypotheses, references)
    assert 30 < score < 99
    assert score == pytest.approx(theirs(hypotheses, references), abs=1e-9)


@pytest.mark.parametrize(
    ("hypothesis", "reference"),
    [
        ("the the the the the the the", "the cat is on the mat"),
        ("a b c d", "a b c d"),
        ("a b c d e f g h", "a b c d"),
        ("a b c d", "a b c d e f g h"),
        ("a b c", "a b c"),
        ("", "a b c d"),
        ("x y z w", "a b c d"),
    ],
)
def test_equals_sacrebleu_on_odd_sentences(hypothesis: str, reference: str) -> None:
    ours = corpus_bleu([hypothesis], [reference])
    assert ours == pytest.approx(theirs([hypothesis], [reference]), abs=1e-9)


def test_a_corpus_is_no_mean_of_its_sentences() -> None:
    hypotheses, references = ["a b c d e", "a b x d e"], ["a b c d e", "a b c d e"]
    mean = sum(corpus_bleu([h], [r]) for h, r in zip(hypotheses, references, strict=True)) / 2
    assert abs(corpus_bleu(hypotheses, references) - mean) > 5


def test_another_number_of_references_is_refused() -> None:
    with pytest.raises(ValueError, match="not 1 hypotheses with 2 references"):
        corpus_bleu(["a"], ["a", "b"])
