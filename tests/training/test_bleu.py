"""BLEU from its definition is sacrebleu's, on sentences that a model wrote and on odd ones."""

import random

import pytest
import sacrebleu
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from snippets.training.bleu import corpus_bleu, paired_bootstrap
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


def test_the_bootstrap_of_one_sentence_is_its_score() -> None:
    one, other, reference = ["a b c d e"], ["a b c d x"], ["a b c d e"]
    wanted = corpus_bleu(one, reference) - corpus_bleu(other, reference)
    assert paired_bootstrap(one, other, reference, samples=3) == [wanted] * 3


def test_the_bootstrap_spreads_as_that_of_sacrebleu() -> None:
    draw = random.Random(0)
    references = [german for german, _ in grammar("test", "de", "en")]
    systems = {
        name: [damaged(sentence, draw) if draw.random() < share else sentence for sentence in text]
        for name, share, text in (("one", 0.5, references), ("other", 0.6, references))
    }
    bleu = BLEU(tokenize="none", smooth_method="none", force=True)
    test = PairedTest(
        list(systems.items()), {"BLEU": bleu}, [references], test_type="bs", n_samples=1000
    )
    one, other = test()[1]["BLEU"]
    assert one.score == pytest.approx(corpus_bleu(systems["one"], references), abs=1e-9)
    ours = paired_bootstrap(systems["one"], systems["other"], references)
    observed, sizes = one.score - other.score, [abs(difference) for difference in ours]
    assert sum(ours) / 1000 == pytest.approx(observed, abs=0.2)
    beyond = sum(size - sum(sizes) / 1000 > abs(observed) for size in sizes)
    assert (beyond + 1) / 1001 == pytest.approx(other.p_value, abs=0.03)
    assert 0.001 < other.p_value < 0.5
    low, high = ours[25], ours[974]
    assert low < 0 < high or other.p_value < 0.05
    assert low < observed < high


def test_a_system_differs_from_itself_on_no_test_set() -> None:
    draw = random.Random(1)
    references = [german for german, _ in grammar("test", "de", "en")][:20]
    hypotheses = [damaged(sentence, draw) for sentence in references]
    assert paired_bootstrap(hypotheses, hypotheses, references, samples=20) == [0.0] * 20


def test_a_bootstrap_of_different_sentences_is_refused() -> None:
    with pytest.raises(ValueError, match="not 1 and 2 translations of 2"):
        paired_bootstrap(["a"], ["a", "b"], ["a", "b"])
