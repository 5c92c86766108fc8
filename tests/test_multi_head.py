"""Multi-head attention against `nn.MultiheadAttention` with the weights copied across."""

import re

import pytest
import torch
from torch import Tensor, nn

from snippets.masks import causal_mask
from snippets.multi_head import MultiHeadAttention, merge_heads, split_heads
from tests.oracle import (
    F64,
    SEEING,
    all_close,
    close,
    gradients,
    hidden,
    make_mask,
    to_torch,
    variable,
)

SIZES = [  # batch, n_heads, n_query, n_key, d_model: all different
    (2, 3, 5, 7, 12),
    (3, 5, 7, 4, 10),
    (4, 2, 1, 6, 14),
    (5, 4, 9, 1, 8),
    (6, 1, 2, 3, 7),
]


def pair(d_model: int, n_heads: int) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Ours and PyTorch's with the same weights and with biases that are not zero."""
    torch.manual_seed(d_model)
    ours = MultiHeadAttention(d_model, n_heads).to(F64)
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True, dtype=F64)
    theirs.load_state_dict(to_torch(ours.state_dict()))
    return ours, theirs


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("kind", SEEING)
@pytest.mark.parametrize(("batch", "n_heads", "n_query", "n_key", "d_model"), SIZES)
def test_matches_torch_forward_and_backward(
    batch: int, n_heads: int, n_query: int, n_key: int, d_model: int, kind: str, need_weights: bool
) -> None:
    ours, theirs = pair(d_model, n_heads)
    inputs = [variable(batch, n, d_model, seed=s) for s, n in enumerate((n_query, n_key, n_key))]
    mask = make_mask(kind, (batch,), n_query, n_key)
    output = ours(*inputs, mask, need_weights)
    expected, expected_weights = theirs(
        *inputs,
        attn_mask=hidden(mask, batch, n_heads, n_query, n_key),
        need_weights=need_weights,
        average_attn_weights=False,
    )
    if need_weights:
        output, weights = output
        assert weights.shape == (batch, n_heads, n_query, n_key)
        close(weights, expected_weights)
    close(output, expected)

    all_close(to_torch(gradients(ours, output, *inputs)), gradients(theirs, expected, *inputs))


def test_equals_the_heads_computed_one_by_one() -> None:
    """The paper's form: each head has its own slice of every projection."""
    ours, _ = pair(12, 3)
    query, key = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    heads = []
    for i in range(3):
        rows = slice(4 * i, 4 * i + 4)
        q, k, v = (
            x @ W.weight[rows].T + W.bias[rows]
            for x, W in ((query, ours.W_q), (key, ours.W_k), (key, ours.W_v))
        )
        heads.append(torch.softmax(q @ k.mT / 4**0.5, dim=-1) @ v)
    close(ours(query, key, key), ours.W_o(torch.cat(heads, dim=-1)))


def test_heads_are_split_and_merged_without_loss() -> None:
    x = variable(2, 5, 12, seed=0)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    close(heads[:, 1], x[..., 4:8])
    assert torch.equal(merge_heads(heads), x)


def test_both_paths_agree_where_a_query_may_attend_to_nothing() -> None:
    ours, _ = pair(12, 3)
    query, key = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    mask = make_mask("random", (2,), 5, 7)
    mask[0, 3] = False
    mask[1] = False
    fused = ours(query, key, key, mask)
    written, weights = ours(query, key, key, mask, need_weights=True)
    close(fused, written)
    close(fused[0, 3], ours.W_o.bias)  # every head gives 0
    close(fused[1], ours.W_o.bias.expand(5, -1))
    assert torch.equal(weights[1], torch.zeros_like(weights[1]))
    for output in (fused, written):
        gradients = torch.autograd.grad(output.sum(), [query, key, *ours.parameters()])
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert torch.equal(gradients[1][1], torch.zeros_like(gradients[1][1]))


@pytest.mark.parametrize("shape", [(7,), (1, 7), (5, 1), (5, 7), (1, 5, 7), (2, 1, 7), (2, 5, 1)])
def test_a_mask_that_broadcasts_is_the_mask_written_out(shape: tuple[int, ...]) -> None:
    ours, _ = pair(12, 3)
    query, key = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    generator = torch.Generator().manual_seed(len(shape))
    mask = torch.rand(shape, generator=generator) < 0.7
    full = mask.expand(2, 5, 7).contiguous()
    close(ours(query, key, key, mask), ours(query, key, key, full))
    weights = ours(query, key, key, mask, need_weights=True)[1]
    assert torch.equal(weights > 0, full.unsqueeze(1).expand(2, 3, 5, 7))


def test_a_causal_row_sees_no_future() -> None:
    ours, _ = pair(12, 3)
    x, other = variable(2, 5, 12, seed=0), variable(2, 5, 12, seed=1)
    mixed = torch.cat([x[:, :3], other[:, 3:]], dim=1)
    mask = causal_mask(5)
    close(ours(x, x, x, mask)[:, :3], ours(mixed, mixed, mixed, mask)[:, :3])
    assert not torch.allclose(ours(x, x, x)[:, :3], ours(mixed, mixed, mixed)[:, :3])


@pytest.mark.parametrize("need_weights", [False, True])
def test_dropout_acts_in_training_and_not_in_evaluation(need_weights: bool) -> None:
    """In training half of the weights are zero and the others doubled; in evaluation none is."""
    torch.manual_seed(0)
    n, dropped = 400, MultiHeadAttention(2, 2, dropout=0.5).to(F64)
    plain = MultiHeadAttention(2, 2).to(F64)
    plain.load_state_dict(dropped.state_dict())
    x = variable(3, n, 2, seed=0)

    def output(layer: MultiHeadAttention) -> Tensor:
        result = layer(x, x, x, need_weights=need_weights)
        return result[0] if need_weights else result

    for layer in (dropped, plain):
        with torch.no_grad():  # the heads give the sum of their weights, times 1
            layer.W_v.weight.zero_(), layer.W_v.bias.fill_(1)
            layer.W_o.weight.copy_(torch.eye(2)), layer.W_o.bias.zero_()
            layer.W_q.weight.zero_(), layer.W_q.bias.zero_()  # all weights are 1 / n
    close(output(dropped.eval()), torch.ones(3, n, 2, dtype=F64))
    close(output(plain.train()), torch.ones(3, n, 2, dtype=F64))
    kept = output(dropped.train()) * n / 2  # how many weights are left, each doubled
    close(kept, kept.round())
    assert 190 < kept.mean() < 210
    assert 5 < kept.std() < 15  # binomial: 10
    assert not torch.equal(output(dropped), output(dropped))


def test_weights_are_returned_as_they_are_before_dropout() -> None:
    ours = MultiHeadAttention(12, 3, dropout=0.9).to(F64)
    x = variable(2, 5, 12, seed=0)
    weights = ours.train()(x, x, x, need_weights=True)[1]
    close(weights, ours.eval()(x, x, x, need_weights=True)[1])
    close(weights.sum(-1), torch.ones(2, 3, 5, dtype=F64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((10, 3), "d_model = 10 does not divide into n_heads = 3"),
        ((10, 0), "d_model = 10 does not divide into n_heads = 0"),
        ((10, 2, 1.0), "dropout must be in [0, 1), not 1.0"),
        ((10, 2, -0.1), "dropout must be in [0, 1), not -0.1"),
    ],
)
def test_rejects_sizes_that_do_not_fit(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultiHeadAttention(*arguments)


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 5, 8), (2, 7, 12), (2, 7, 12)), "query must be (batch, n, 12), not (2, 5, 8)"),
        (((2, 5, 12), (2, 7, 8), (2, 7, 12)), "key must be (batch, n, 12), not (2, 7, 8)"),
        (((2, 5, 12), (2, 7, 12), (7, 12)), "value must be (batch, n, 12), not (7, 12)"),
        (((2, 5, 12), (2, 7, 12), (3, 7, 12)), "query has batch size 2 but value has 3"),
        (((2, 5, 12), (2, 7, 12), (2, 6, 12)), "key has length 7 but value has length 6"),
    ],
)
def test_rejects_inputs_of_another_shape(shapes: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        MultiHeadAttention(12, 3)(*(torch.zeros(shape) for shape in shapes))


@pytest.mark.parametrize("need_weights", [False, True])
def test_rejects_masks_that_do_not_fit(need_weights: bool) -> None:
    layer, x = MultiHeadAttention(12, 3), torch.zeros(2, 5, 12)
    with pytest.raises(TypeError, match="mask must be boolean"):
        layer(x, x, x, torch.ones(5, 5), need_weights)
    for shape in ((5, 4), (3, 5, 5), (2, 3, 5, 5), (1, 1, 5, 5)):
        with pytest.raises(ValueError, match="does not broadcast"):
            layer(x, x, x, torch.ones(shape, dtype=torch.bool), need_weights)
