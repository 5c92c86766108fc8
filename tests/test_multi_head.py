"""Multi-head attention against `nn.MultiheadAttention` with the weights copied across."""

import re

import pytest
import torch
from torch import Tensor, nn

from snippets.masks import causal_mask, padding_mask
from snippets.multi_head import MultiHeadAttention, merge_heads, split_heads

F64 = torch.float64
SIZES = [  # batch, n_heads, n_query, n_key, d_model: all different
    (2, 3, 5, 7, 12),
    (3, 5, 7, 4, 10),
    (4, 2, 1, 6, 14),
    (5, 4, 9, 1, 8),
    (6, 1, 2, 3, 7),
]


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=F64, generator=generator, requires_grad=True)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


def pair(d_model: int, n_heads: int) -> tuple[MultiHeadAttention, nn.MultiheadAttention]:
    """Ours and PyTorch's with the same weights and with biases that are not zero."""
    torch.manual_seed(d_model)
    ours = MultiHeadAttention(d_model, n_heads).to(F64)
    theirs = nn.MultiheadAttention(d_model, n_heads, batch_first=True, dtype=F64)
    with torch.no_grad():
        projections = (ours.W_q, ours.W_k, ours.W_v)
        theirs.in_proj_weight.copy_(torch.cat([W.weight for W in projections]))
        theirs.in_proj_bias.copy_(torch.cat([W.bias for W in projections]))
        theirs.out_proj.weight.copy_(ours.W_o.weight)
        theirs.out_proj.bias.copy_(ours.W_o.bias)
    return ours, theirs


def some_mask(kind: str, batch: int, n_query: int, n_key: int) -> Tensor | None:
    """A mask of one of the kinds that occur; every query may attend to the first key."""
    if kind == "none":
        return None
    if kind == "causal":
        return torch.ones(n_query, n_key, dtype=torch.bool).tril()
    if kind == "padding":
        tokens = torch.arange(n_key) + torch.arange(1, batch + 1).unsqueeze(1)
        tokens = torch.where(tokens > n_key, 0, tokens)
        tokens[:, 0] = 1
        return padding_mask(tokens, 0)
    generator = torch.Generator().manual_seed(n_query)
    mask = torch.rand(batch, n_query, n_key, generator=generator) < 0.6
    mask[:, :, 0] = True
    return mask


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("kind", ["none", "causal", "padding", "any"])
@pytest.mark.parametrize(("batch", "n_heads", "n_query", "n_key", "d_model"), SIZES)
def test_matches_torch_forward_and_backward(
    batch: int, n_heads: int, n_query: int, n_key: int, d_model: int, kind: str, need_weights: bool
) -> None:
    ours, theirs = pair(d_model, n_heads)
    inputs = [random(batch, n, d_model, seed=s) for s, n in enumerate((n_query, n_key, n_key))]
    mask = some_mask(kind, batch, n_query, n_key)
    hidden = None
    if mask is not None:  # the opposite convention, and the heads laid along the batch
        hidden = ~mask.expand(batch, n_query, n_key).repeat_interleave(n_heads, dim=0)
    output = ours(*inputs, mask, need_weights)
    expected, expected_weights = theirs(
        *inputs, attn_mask=hidden, need_weights=need_weights, average_attn_weights=False
    )
    if need_weights:
        output, weights = output
        assert weights.shape == (batch, n_heads, n_query, n_key)
        close(weights, expected_weights)
    close(output, expected)

    direction = random(*expected.shape, seed=9).detach()
    projections = (ours.W_q, ours.W_k, ours.W_v)
    ours_all = [*inputs, *(W.weight for W in projections), *(W.bias for W in projections)]
    ours_all += [ours.W_o.weight, ours.W_o.bias]
    gradients = torch.autograd.grad((direction * output).sum(), ours_all)
    theirs_all = [*inputs, theirs.in_proj_weight, theirs.in_proj_bias]
    theirs_all += [theirs.out_proj.weight, theirs.out_proj.bias]
    expected_gradients = torch.autograd.grad((direction * expected).sum(), theirs_all)
    for gradient, wanted in zip(gradients[:3], expected_gradients[:3], strict=True):
        close(gradient, wanted)
    close(torch.cat(gradients[3:6]), expected_gradients[3])
    close(torch.cat(gradients[6:9]), expected_gradients[4])
    for gradient, wanted in zip(gradients[9:], expected_gradients[5:], strict=True):
        close(gradient, wanted)


def test_equals_the_heads_computed_one_by_one() -> None:
    """The paper's form: each head has its own slice of every projection."""
    ours, _ = pair(12, 3)
    query, key = random(2, 5, 12, seed=0), random(2, 7, 12, seed=1)
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
    x = random(2, 5, 12, seed=0)
    heads = split_heads(x, 3)
    assert heads.shape == (2, 3, 5, 4)
    close(heads[:, 1], x[..., 4:8])
    assert torch.equal(merge_heads(heads), x)


def test_both_paths_agree_where_a_query_may_attend_to_nothing() -> None:
    ours, _ = pair(12, 3)
    query, key = random(2, 5, 12, seed=0), random(2, 7, 12, seed=1)
    mask = some_mask("any", 2, 5, 7)
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
    query, key = random(2, 5, 12, seed=0), random(2, 7, 12, seed=1)
    generator = torch.Generator().manual_seed(len(shape))
    mask = torch.rand(shape, generator=generator) < 0.7
    full = mask.expand(2, 5, 7).contiguous()
    close(ours(query, key, key, mask), ours(query, key, key, full))
    weights = ours(query, key, key, mask, need_weights=True)[1]
    assert torch.equal(weights > 0, full.unsqueeze(1).expand(2, 3, 5, 7))


def test_a_causal_row_sees_no_future() -> None:
    ours, _ = pair(12, 3)
    x, other = random(2, 5, 12, seed=0), random(2, 5, 12, seed=1)
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
    x = random(3, n, 2, seed=0)

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
    x = random(2, 5, 12, seed=0)
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
