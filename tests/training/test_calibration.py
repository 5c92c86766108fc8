"""Calibration, against models whose confidence and accuracy are known."""

import pytest
import torch

from snippets.training.calibration import calibration, calibration_error
from snippets.training.loop import evaluate
from tests.training.models import V, sentences, small_model


def test_every_token_is_in_the_part_of_its_confidence() -> None:
    model, pairs = small_model().train(), [(ids, ids) for ids in sentences(30)]
    bins = calibration(model, pairs, 40, bins=7)
    assert model.training
    assert sum(one["tokens"] for one in bins) == sum(len(ids) for ids, _ in pairs)
    for number, one in enumerate(bins):
        if one["tokens"]:
            assert number / 7 <= one["confidence"] <= (number + 1) / 7
            assert 0 <= one["accuracy"] <= 1
        else:
            assert one["confidence"] is one["accuracy"] is None
    right = sum(one["tokens"] * (one["accuracy"] or 0) for one in bins)
    tokens = sum(one["tokens"] for one in bins)
    assert right / tokens == pytest.approx(evaluate(model, pairs, 40)[1])
    with pytest.raises(ValueError, match="bins must be at least 1, not 0"):
        calibration(model, pairs, 40, bins=0)


def test_a_model_that_is_always_sure_is_as_wrong_as_it_errs() -> None:
    """Its logits name one token, however often that is right: confidence 1, accuracy its share."""
    model, pairs = small_model(), [(ids, ids) for ids in sentences(30)]
    labels = [token for ids, _ in pairs for token in ids]
    sure = torch.full((V,), -100.0, dtype=torch.float64)
    sure[5] = 100.0
    model.output.register_forward_hook(lambda *arguments: sure.expand_as(arguments[2]))
    bins = calibration(model, pairs, 40)
    share = labels.count(5) / len(labels)
    assert bins[-1] == {
        "tokens": len(labels), "confidence": pytest.approx(1), "accuracy": pytest.approx(share)
    }  # fmt: skip
    assert calibration_error(bins) == pytest.approx(1 - share)


def test_the_error_is_the_mean_distance() -> None:
    bins = [
        {"tokens": 30, "confidence": 0.4, "accuracy": 0.5},
        {"tokens": 0, "confidence": None, "accuracy": None},
        {"tokens": 10, "confidence": 0.9, "accuracy": 0.6},
    ]
    assert calibration_error(bins) == pytest.approx(0.75 * 0.1 + 0.25 * 0.3)
