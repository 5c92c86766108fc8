"""Cross-entropy with label smoothing against PyTorch, its definition, sympy and optimisation."""

import math

import pytest
import sympy
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional
from torch.testing import assert_close

from snippets.cross_entropy import label_smoothing_loss
from tests.oracle import F64, close

seeds = st.integers(0, 2**31)
smoothings = st.sampled_from([0.0, 1e-3, 0.1, 0.5, 0.99])
shapes = st.permutations([2, 3, 5, 7]).flatmap(
    lambda sizes: st.integers(0, 3).map(lambda n_axes: tuple(sizes[:n_axes]))
)


def make(
    shape: tuple[int, ...], vocab_size: int, seed: int, scale: float = 3.0
) -> tuple[Tensor, Tensor]:
    """Logits (*shape, vocab_size) in float64 that want a gradient, and token ids (*shape)."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(*shape, vocab_size, dtype=F64, generator=generator)
    return logits.requires_grad_(), torch.randint(vocab_size, shape, generator=generator)


def smoothed(target: Tensor, vocab_size: int, smoothing: float) -> Tensor:
    """The smoothed target (..., vocab_size), written out."""
    one_hot = functional.one_hot(target, vocab_size).to(F64)
    return (1 - smoothing) * one_hot + smoothing / vocab_size


def gradient(loss: Tensor, logits: Tensor) -> Tensor:
    return torch.autograd.grad(loss, logits)[0]


@given(shapes, st.sampled_from([1, 2, 11, 13]), seeds, smoothings)
def test_matches_torch_forward_and_backward(
    shape: tuple[int, ...], vocab_size: int, seed: int, smoothing: float
) -> None:
    logits, target = make(shape, vocab_size, seed)
    ours = label_smoothing_loss(logits, target, smoothing)
    theirs = functional.cross_entropy(
        logits.reshape(-1, vocab_size), target.reshape(-1), label_smoothing=smoothing
    )
    assert ours.shape == ()
    close(ours, theirs)
    close(gradient(ours, logits), gradient(theirs, logits))


@given(shapes, seeds, smoothings, st.sampled_from([0, 4, 10, -100, -1, 11]))
def test_matches_torch_where_padding_is_ignored(
    shape: tuple[int, ...], seed: int, smoothing: float, pad_id: int
) -> None:
    vocab_size = 11
    logits, target = make(shape, vocab_size, seed)
    is_padding = torch.rand(shape, generator=torch.Generator().manual_seed(seed + 1)) < 0.4
    target = target.masked_fill(is_padding, pad_id)
    target.view(-1)[0] = 7  # at least one real token
    ours = label_smoothing_loss(logits, target, smoothing, pad_id)
    theirs = functional.cross_entropy(
        logits.reshape(-1, vocab_size),
        target.reshape(-1),
        label_smoothing=smoothing,
        ignore_index=pad_id,
    )
    close(ours, theirs)
    close(gradient(ours, logits), gradient(theirs, logits))


def test_the_default_smoothing_is_the_papers() -> None:
    logits, target = make((3, 5), 7, seed=0)
    close(label_smoothing_loss(logits, target), label_smoothing_loss(logits, target, 0.1))
    assert label_smoothing_loss(logits, target) != label_smoothing_loss(logits, target, 0.0)


def test_without_a_pad_id_every_token_counts() -> None:
    logits, _ = make((2, 3), 5, seed=0)
    target = torch.zeros(2, 3, dtype=torch.long)
    close(label_smoothing_loss(logits, target, 0.0), -logits.log_softmax(-1)[..., 0].mean())


@given(shapes, st.sampled_from([2, 11]), seeds, smoothings)
def test_is_the_cross_entropy_of_the_smoothed_target(
    shape: tuple[int, ...], vocab_size: int, seed: int, smoothing: float
) -> None:
    logits, target = make(shape, vocab_size, seed)
    q = smoothed(target, vocab_size, smoothing)
    close(q.sum(-1), torch.ones(shape, dtype=F64))
    expected = -(q * torch.log(torch.softmax(logits, -1))).sum(-1).mean()
    close(label_smoothing_loss(logits, target, smoothing), expected)


@given(shapes, st.sampled_from([2, 11]), seeds, smoothings)
def test_the_gradient_is_weights_minus_target(
    shape: tuple[int, ...], vocab_size: int, seed: int, smoothing: float
) -> None:
    logits, target = make(shape, vocab_size, seed)
    p = torch.softmax(logits.detach(), -1)
    expected = (p - smoothed(target, vocab_size, smoothing)) / target.numel()
    actual = gradient(label_smoothing_loss(logits, target, smoothing), logits)
    close(actual, expected)
    close(actual.sum(-1), torch.zeros(shape, dtype=F64))


@given(st.sampled_from([2, 5, 11]), seeds, st.sampled_from([0.01, 0.1, 0.5]))
def test_differs_from_the_divergence_by_the_entropy_of_the_target(
    vocab_size: int, seed: int, smoothing: float
) -> None:
    logits, target = make((3, 7), vocab_size, seed)
    q = smoothed(target, vocab_size, smoothing)
    entropy = torch.special.entr(q).sum(-1).mean()
    divergence = functional.kl_div(
        logits.log_softmax(-1).flatten(0, 1), q.flatten(0, 1), reduction="batchmean"
    )
    ours = label_smoothing_loss(logits, target, smoothing)
    close(ours, divergence + entropy)
    close(gradient(ours, logits), gradient(divergence, logits))
    assert ours >= entropy > 0


@pytest.mark.parametrize("smoothing", [0.05, 0.1, 0.4])
@pytest.mark.parametrize("vocab_size", [2, 7])
def test_gradient_descent_finds_the_finite_gap(vocab_size: int, smoothing: float) -> None:
    logits = torch.zeros(vocab_size, dtype=F64, requires_grad=True)
    target = torch.tensor(1)
    optimizer = torch.optim.LBFGS([logits], max_iter=500, tolerance_grad=1e-12, tolerance_change=0)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = label_smoothing_loss(logits, target, smoothing)
        loss.backward()
        return loss

    optimizer.step(closure)
    z = logits.detach()
    others = z[torch.arange(vocab_size) != 1]
    gap = math.log((1 - smoothing + smoothing / vocab_size) / (smoothing / vocab_size))
    close(z[1] - others, torch.full((vocab_size - 1,), gap, dtype=F64), atol=1e-8)
    q = smoothed(target, vocab_size, smoothing)
    close(closure().detach(), torch.special.entr(q).sum(), atol=1e-12)


def test_without_smoothing_a_larger_gap_is_always_better() -> None:
    losses = [
        label_smoothing_loss(torch.tensor([gap, 0.0, 0.0], dtype=F64), torch.tensor(0), 0.0).item()
        for gap in (1, 5, 20, 30)
    ]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] > 0


def test_padding_changes_neither_the_loss_nor_any_gradient() -> None:
    logits, target = make((2, 3), 7, seed=0)
    target = target.clamp(min=1)
    alone = label_smoothing_loss(logits, target, 0.1, pad_id=0)
    junk = 100 * torch.randn(2, 5, 7, dtype=F64, generator=torch.Generator().manual_seed(1))
    padded = torch.cat([logits.detach(), junk], dim=1).requires_grad_()  # (2, 8, 7)
    padded_target = torch.cat([target, torch.zeros(2, 5, dtype=torch.long)], dim=1)
    together = label_smoothing_loss(padded, padded_target, 0.1, pad_id=0)
    close(together, alone)
    padded_gradient = gradient(together, padded)
    close(padded_gradient[:, :3], gradient(alone, logits))
    assert (padded_gradient[:, 3:] == 0).all()


@pytest.mark.parametrize("junk", [math.nan, math.inf, -math.inf])
def test_not_even_broken_logits_at_padding_reach_the_loss(junk: float) -> None:
    logits, target = make((2, 3), 7, seed=0)
    target = target.clamp(min=1)
    target[1, 2] = 0
    expected = label_smoothing_loss(logits, target, 0.1, pad_id=0)
    broken = logits.detach().clone()
    broken[1, 2] = junk
    broken.requires_grad_()
    loss = label_smoothing_loss(broken, target, 0.1, pad_id=0)
    assert torch.equal(loss, expected)
    assert torch.equal(gradient(loss, broken), gradient(expected, logits))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, F64])
def test_large_logits_neither_overflow_nor_underflow(dtype: torch.dtype) -> None:
    logits = torch.tensor([[1000.0, 0.0], [-1000.0, -1000.0]], dtype=dtype, requires_grad=True)
    target = torch.tensor([1, 0])
    loss = label_smoothing_loss(logits, target, 0.1)
    assert loss.dtype == torch.promote_types(dtype, torch.float32)
    expected = ((0.95 * 1000) + math.log(2)) / 2
    assert_close(loss, torch.tensor(expected, dtype=loss.dtype), rtol=1e-5, atol=0)
    expected_gradient = torch.tensor([[0.95, -0.95], [-0.45, 0.45]], dtype=dtype) / 2
    assert_close(gradient(loss, logits), expected_gradient, rtol=1e-2, atol=0)


def test_a_common_shift_costs_no_accuracy() -> None:
    z = torch.tensor([[0.5, -1.5, 2.25]])
    shifted = label_smoothing_loss(z + 1e6, torch.tensor([2]), 0.1)
    assert_close(shifted, label_smoothing_loss(z, torch.tensor([2]), 0.1), rtol=0, atol=1e-6)


def test_an_impossible_class_costs_nothing_only_without_smoothing() -> None:
    logits = torch.tensor([[2.0, -math.inf, 1.0]], dtype=F64, requires_grad=True)
    target = torch.tensor([0])
    loss = label_smoothing_loss(logits, target, 0.0)
    close(loss, torch.log1p(torch.tensor(math.exp(-1), dtype=F64)))
    assert gradient(loss, logits).isfinite().all()
    assert label_smoothing_loss(logits, target, 0.1) == math.inf


def test_first_and_second_derivatives_pass_gradcheck() -> None:
    logits, target = make((2, 3), 5, seed=0)
    target[0, 1] = -100

    def loss(logits: Tensor) -> Tensor:
        return label_smoothing_loss(logits, target, 0.1, pad_id=-100)

    assert torch.autograd.gradcheck(loss, logits)
    assert torch.autograd.gradgradcheck(loss, logits)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64])
def test_accepts_token_ids_of_every_integer_type(dtype: torch.dtype) -> None:
    logits, target = make((2, 3), 5, seed=0)
    expected = label_smoothing_loss(logits, target, pad_id=0)
    assert torch.equal(label_smoothing_loss(logits, target.to(dtype), pad_id=0), expected)


def test_changes_none_of_its_arguments() -> None:
    logits, target = make((2, 3), 5, seed=0)
    copies = logits.detach().clone(), target.clone()
    label_smoothing_loss(logits, target, pad_id=0)
    assert torch.equal(logits, copies[0])
    assert torch.equal(target, copies[1])


@pytest.mark.parametrize("smoothing", [-0.1, 1.0, 1.5, math.nan])
def test_rejects_smoothing_outside_the_unit_interval(smoothing: float) -> None:
    logits, target = make((2,), 5, seed=0)
    with pytest.raises(ValueError, match=rf"^smoothing must be in \[0, 1\), not {smoothing}$"):
        label_smoothing_loss(logits, target, smoothing)


@pytest.mark.parametrize(
    ("logits_shape", "target_shape"),
    [((2, 3, 5), (2, 5)), ((2, 3, 5), (2, 3, 5)), ((2, 3, 5), (3,)), ((3, 5), (1,)), ((), ())],
)
def test_rejects_a_target_of_another_shape(
    logits_shape: tuple[int, ...], target_shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"do not fit a target of shape") as raised:
        label_smoothing_loss(
            torch.zeros(logits_shape), torch.zeros(target_shape, dtype=torch.long), pad_id=0
        )
    assert str(raised.value) == (
        f"logits of shape {logits_shape} do not fit a target of shape {target_shape}: they need "
        "one more axis, the vocabulary, at the end"
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.complex64])
def test_rejects_targets_that_are_not_token_ids(dtype: torch.dtype) -> None:
    message = rf"^target must hold token ids, which are integers, not {dtype}$"
    with pytest.raises(TypeError, match=message):
        label_smoothing_loss(torch.zeros(2, 5), torch.zeros(2, dtype=dtype))


def test_rejects_logits_that_are_not_floating_point() -> None:
    with pytest.raises(TypeError, match=r"^logits must be floating point, not torch\.int64$"):
        label_smoothing_loss(torch.zeros(2, 5, dtype=torch.long), torch.tensor([0, 1]))


def test_rejects_a_batch_without_a_real_token() -> None:
    message = r"^there is no token to average over: every target is pad_id = 0$"
    with pytest.raises(ValueError, match=message):
        label_smoothing_loss(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long), pad_id=0)
    with pytest.raises(ValueError, match=r"^there is no token to average over"):
        label_smoothing_loss(torch.zeros(2, 0, 5), torch.zeros(2, 0, dtype=torch.long))


@pytest.mark.parametrize(("ids", "pad_id"), [([0, 5], None), ([-1, 4], None), ([-100, 2], 0)])
def test_rejects_ids_outside_the_vocabulary(ids: list[int], pad_id: int | None) -> None:
    message = rf"^target holds ids from {ids[0]} to {ids[1]} but V = 5$"
    with pytest.raises(ValueError, match=message):
        label_smoothing_loss(torch.zeros(2, 5), torch.tensor(ids), pad_id=pad_id)


# the derivation, with symbols in place of numbers

Z = sympy.symbols("z_1:4", real=True)
Q = sympy.symbols("q_1:4", positive=True)
P = [sympy.exp(z) / sum(sympy.exp(z) for z in Z) for z in Z]


def test_sympy_derives_weights_minus_target_when_the_target_sums_to_one() -> None:
    q = [Q[0], Q[1], 1 - Q[0] - Q[1]]
    loss = -sum(a * sympy.log(b) for a, b in zip(q, P, strict=True))
    for k in range(3):
        assert sympy.simplify(sympy.diff(loss, Z[k]) - (P[k] - q[k])) == 0


def test_sympy_derives_the_gradient_of_a_target_with_another_sum() -> None:
    loss = -sum(a * sympy.log(b) for a, b in zip(Q, P, strict=True))
    for k in range(3):
        claimed = P[k] * sum(Q) - Q[k]
        assert sympy.simplify(sympy.diff(loss, Z[k]) - claimed) == 0
        assert sympy.simplify(sympy.diff(loss, Z[k]) - (P[k] - Q[k])) != 0


def test_sympy_derives_the_gap() -> None:
    epsilon, V = sympy.symbols("epsilon V", positive=True)
    gap = sympy.log((1 - epsilon + epsilon / V) / (epsilon / V))
    of_target = sympy.exp(gap) / (sympy.exp(gap) + V - 1)
    assert sympy.simplify(of_target - (1 - epsilon + epsilon / V)) == 0
    other = 1 / (sympy.exp(gap) + V - 1)
    assert sympy.simplify(other - epsilon / V) == 0
    assert sympy.simplify(sympy.exp(gap) - (1 + (1 - epsilon) * V / epsilon)) == 0
