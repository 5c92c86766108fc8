"""The loop: several batches make the gradient of one, and a run that is resumed is the run."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from snippets.cross_entropy import label_smoothing_loss
from snippets.training.batching import make_batch
from snippets.training.checkpoint import CheckpointError
from snippets.training.data import PAD
from snippets.training.loop import Training, TrainingError, evaluate, logits_of_labels, update
from tests.oracle import close
from tests.training.models import TINY, V, sentences, small_model


def pairs(count: int = 40, seed: int = 0) -> list[tuple[list[int], list[int]]]:
    both = zip(sentences(count, seed=seed), sentences(count, seed=seed + 1), strict=True)
    return list(both)


def gradients_after(groups: list[list], clip: float = 1e9) -> tuple[dict[str, Tensor], float]:
    """The gradients of one update from these batches, in float64 and without dropout."""
    model = small_model()
    optimizer = torch.optim.SGD(model.parameters())
    loss, _ = update(model, optimizer, [make_batch(g) for g in groups], 0.0, 0.1, clip)
    return {name: p.grad for name, p in model.named_parameters()}, loss


def test_only_labels_that_are_no_padding_get_logits() -> None:
    model, batch = small_model(), make_batch(pairs(6))
    logits, labels = logits_of_labels(model, batch)
    whole = model(batch.src, batch.tgt, *batch.masks())
    real = batch.labels != PAD
    close(logits, whole[real])
    assert torch.equal(labels, batch.labels[real])
    close(
        label_smoothing_loss(logits, labels, 0.1),
        label_smoothing_loss(whole, batch.labels, 0.1, PAD),
    )


def test_accumulated_gradients_equal_those_of_the_large_batch() -> None:
    corpus = pairs(24)
    whole, loss = gradients_after([corpus])
    parts, same = gradients_after([corpus[:3], corpus[3:14], corpus[14:]])
    assert same == pytest.approx(loss, abs=1e-10)
    for name, gradient in whole.items():
        close(parts[name], gradient, atol=1e-10)


def test_a_gradient_is_cut_to_the_norm_and_its_own_norm_reported() -> None:
    whole, _ = gradients_after([pairs(8)])
    norm = math.sqrt(sum(float(g.square().sum()) for g in whole.values()))
    cut, _ = gradients_after([pairs(8)], clip=norm / 3)
    for name, gradient in whole.items():
        close(cut[name], gradient / 3, atol=1e-6)


def test_a_loss_that_is_no_number_leaves_the_weights() -> None:
    model = small_model()
    before = {name: p.clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.Adam(model.parameters())
    batch = make_batch(pairs(4))
    with torch.no_grad():
        model.encoder.norm.weight[0] = math.nan
    with pytest.raises(TrainingError, match="the loss is nan"):
        update(model, optimizer, [batch], 0.1, 0.1, 1.0)
    for name, p in model.named_parameters():
        if name != "encoder.norm.weight":
            assert torch.equal(p, before[name])


def test_evaluation_is_the_mean_over_tokens_whatever_the_batches() -> None:
    model, corpus = small_model().train(), pairs(30)
    results = [evaluate(model, corpus, max_tokens) for max_tokens in (16, 64, 4096)]
    assert model.training
    model.eval()
    logits, labels = logits_of_labels(model, make_batch(corpus))
    loss = torch.nn.functional.cross_entropy(logits, labels).item()
    accuracy = (logits.argmax(-1) == labels).double().mean().item()
    for result in results:
        assert result == pytest.approx((loss, accuracy), abs=1e-10)


def losses(training: Training, count: int) -> list[float]:
    return [training.update()["loss"] for _ in range(count)]


@pytest.mark.parametrize("stop", [1, 5, 11])
def test_a_resumed_run_is_the_run_left_alone_to_the_last_bit(tmp_path: Path, stop: int) -> None:
    config, path = replace(TINY, max_tokens=64, accumulate=2), tmp_path / "a.safetensors"
    alone = Training(config, pairs(), V)
    expected = losses(alone, config.steps)
    first = Training(config, pairs(), V)
    found = losses(first, stop)
    first.save(path, {"seconds": 3.0})
    losses(first, 1)  # lost, as at a kill
    torch.manual_seed(99)
    second = Training(config, pairs(), V)
    assert second.load(path)["seconds"] == 3.0
    found += losses(second, config.steps - stop)
    assert found == expected
    for (name, p), (_, q) in zip(
        alone.model.named_parameters(), second.model.named_parameters(), strict=True
    ):
        assert torch.equal(p, q), name


def test_a_run_sees_every_pair_once_an_epoch() -> None:
    training = Training(replace(TINY, max_tokens=32), pairs(), V)
    for epoch in range(3):
        seen = []
        while training.epoch == epoch:
            batch = next(training.batches)
            if training.epoch == epoch:
                seen += [tuple(row[row != PAD].tolist()) for row in batch.src]
            else:
                break
        if epoch == 0:
            assert sorted(seen) == sorted(tuple(src) for src, _ in pairs())


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    training = Training(TINY, pairs(), V)
    training.update()
    training.save(path, {})
    for other, message in [
        (replace(TINY, n_layers=1), "is in one of them only"),
        (replace(TINY, d_ff=16), r"has the shape \(12, 8\) and not \(16, 8\)"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            Training(other, pairs(), V).load(path)


def test_a_run_learns() -> None:
    training = Training(replace(TINY, steps=60, rate=0.01), pairs(), V)
    found = losses(training, 60)
    assert sum(found[-5:]) / 5 < found[0] - 0.3


def test_a_run_that_starts_at_its_peak_leaves_out_the_rise_and_nothing_else() -> None:
    """The rates from the end of the warm-up on are the same, and those before are the peak."""
    rates = {}
    for start_at_peak in (False, True):
        config = replace(TINY, start_at_peak=start_at_peak, steps=9, warmup=4, cooldown=0.4)
        training = Training(config, pairs(), V)
        rates[start_at_peak] = [training.update()["rate"] for _ in range(config.steps)]
    assert rates[False][0] == pytest.approx(TINY.rate / 4)
    assert rates[True][:4] == [TINY.rate] * 4
    assert rates[True][4:] == rates[False][4:]
