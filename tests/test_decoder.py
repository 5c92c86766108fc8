"""The decoder against `nn.TransformerDecoder` with the weights copied both ways."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snippets.decoder import Decoder, DecoderLayer
from snippets.layer_norm import LayerNorm
from snippets.masks import causal_mask, padding_mask
from tests.oracle import (
    F64,
    HALVES,
    LAYER_SIZES,
    MASKS,
    SEEING,
    all_close,
    close,
    dropout_rates,
    from_torch,
    gradients,
    hidden,
    make_mask,
    randomise,
    to_torch,
    variable,
)

BOTH_SIZES = LAYER_SIZES | {
    "n_src": st.integers(1, 6),
    "src_kind": st.sampled_from(SEEING),
}


def reference(
    theirs: nn.Module,
    x: Tensor,
    memory: Tensor,
    tgt_mask: Tensor | None,
    src_mask: Tensor | None,
    n_heads: int,
) -> Tensor:
    """PyTorch's output with our masks."""
    batch, n_tgt, n_src = len(x), x.shape[1], memory.shape[1]
    return theirs(
        x,
        memory,
        tgt_mask=hidden(tgt_mask, batch, n_heads, n_tgt, n_tgt),
        memory_mask=hidden(src_mask, batch, n_heads, n_tgt, n_src),
    )


@pytest.mark.parametrize("norm_first", [False, True])
@settings(max_examples=40)
@given(**BOTH_SIZES)
def test_a_layer_matches_torch_forward_and_backward(
    norm_first: bool,
    batch: int,
    n_heads: int,
    d_k: int,
    d_ff: int,
    n: int,
    n_src: int,
    kind: str,
    src_kind: str,
    seed: int,
) -> None:
    d_model = n_heads * d_k
    torch.manual_seed(seed)
    ours = DecoderLayer(d_model, n_heads, d_ff, 0.0, norm_first).to(F64)
    randomise(ours)
    theirs = nn.TransformerDecoderLayer(
        d_model, n_heads, d_ff, 0.0, batch_first=True, norm_first=norm_first, dtype=F64
    )
    theirs.load_state_dict(to_torch(ours.state_dict(), decoder=True))
    x, memory = (
        variable(batch, n, d_model, seed=seed),
        variable(batch, n_src, d_model, seed=seed + 1),
    )
    tgt_mask = make_mask(kind, (batch,), n, n, seed)
    src_mask = make_mask(src_kind, (batch,), n, n_src, seed + 1)
    output = ours(x, memory, tgt_mask, src_mask)
    expected = reference(theirs, x, memory, tgt_mask, src_mask, n_heads)
    close(output, expected)
    all_close(
        to_torch(gradients(ours, output, x, memory), decoder=True),
        gradients(theirs, expected, x, memory),
    )


def torch_decoder(n_layers: int, *sizes: int, norm_first: bool) -> nn.TransformerDecoder:
    """PyTorch's stack takes its final norm as an argument; only pre-norm needs one."""
    layer = nn.TransformerDecoderLayer(
        *sizes, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=F64
    )
    norm = nn.LayerNorm(sizes[0], dtype=F64) if norm_first else None
    return nn.TransformerDecoder(layer, n_layers, norm)


@pytest.mark.parametrize("norm_first", [False, True])
@settings(max_examples=20)
@given(n_layers=st.integers(1, 3), **BOTH_SIZES)
def test_a_stack_matches_torch_forward_and_backward(
    norm_first: bool,
    n_layers: int,
    batch: int,
    n_heads: int,
    d_k: int,
    d_ff: int,
    n: int,
    n_src: int,
    kind: str,
    src_kind: str,
    seed: int,
) -> None:
    d_model = n_heads * d_k
    torch.manual_seed(seed)
    ours = Decoder(n_layers, d_model, n_heads, d_ff, 0.0, norm_first).to(F64)
    randomise(ours)
    theirs = torch_decoder(n_layers, d_model, n_heads, d_ff, norm_first=norm_first)
    theirs.load_state_dict(to_torch(ours.state_dict(), decoder=True))
    x, memory = (
        variable(batch, n, d_model, seed=seed),
        variable(batch, n_src, d_model, seed=seed + 1),
    )
    tgt_mask = make_mask(kind, (batch,), n, n, seed)
    src_mask = make_mask(src_kind, (batch,), n, n_src, seed + 1)
    output = ours(x, memory, tgt_mask, src_mask)
    expected = reference(theirs, x, memory, tgt_mask, src_mask, n_heads)
    close(output, expected)
    all_close(
        to_torch(gradients(ours, output, x, memory), decoder=True),
        gradients(theirs, expected, x, memory),
    )


@pytest.mark.parametrize("norm_first", [False, True])
def test_weights_of_torch_can_be_loaded(norm_first: bool) -> None:
    theirs = torch_decoder(2, 12, 3, 20, norm_first=norm_first)
    randomise(theirs)
    ours = Decoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    ours.load_state_dict(from_torch(theirs.state_dict(), decoder=True))
    x, memory = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    close(ours(x, memory, None, None), theirs(x, memory))
    all_close(to_torch(ours.state_dict(), decoder=True), theirs.state_dict())


def test_every_masked_output_gets_a_weighted_sum_of_the_values() -> None:
    """The notes' sentence, on the layer: query from the masked output, values from the memory."""
    layer = DecoderLayer(12, 3, 20, 0.0).to(F64)
    x, memory = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0, 0]]), 0)
    seen = {}
    layer.self_attention_residual.register_forward_hook(
        lambda module, inputs, output: seen.update(masked=output)
    )
    layer.cross_attention.register_forward_hook(
        lambda module, inputs, output: seen.update(inputs=inputs, output=output)
    )
    layer(x, memory, causal_mask(5), mask)
    output = seen["output"]
    query, key, value, used = seen["inputs"]
    assert query is seen["masked"]
    assert key is memory
    assert value is memory
    assert used is mask
    _, weights = layer.cross_attention(query, key, value, mask, need_weights=True)
    assert (weights >= 0).all()
    close(weights.sum(-1), torch.ones(2, 3, 5, dtype=F64))
    assert (weights[1, :, :, 3:] == 0).all()
    values = layer.cross_attention.W_v(memory)  # (batch, n_src, d_model), a third for each head
    sums = torch.zeros(2, 5, 12, dtype=F64)
    for i in range(5):
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            for j in range(7):
                sums[:, i, part] += weights[:, head, i, j, None] * values[:, j, part]
    close(output, layer.cross_attention.W_o(sums))


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_causal_row_sees_no_future(norm_first: bool) -> None:
    decoder = Decoder(3, 12, 3, 20, 0.0, norm_first).to(F64)
    x, other, memory = (variable(2, n, 12, seed=s) for s, n in enumerate((5, 5, 7)))
    mixed = torch.cat([x[:, :3], other[:, 3:]], dim=1)
    output = decoder(x, memory, causal_mask(5), None)
    close(output[:, :3], decoder(mixed, memory, causal_mask(5), None)[:, :3])
    for n in range(1, 6):
        close(output[:, :n], decoder(x[:, :n], memory, causal_mask(n), None))
    unmasked = [decoder(y, memory, None, None)[:, :3] for y in (x, mixed)]
    assert not torch.allclose(*unmasked)


@pytest.mark.parametrize("norm_first", [False, True])
def test_every_layer_reads_the_memory_and_none_reads_its_padding(norm_first: bool) -> None:
    decoder = Decoder(3, 12, 3, 20, 0.0, norm_first).to(F64)
    x, memory = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    src_mask = padding_mask(torch.tensor([[1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0, 0]]), 0)
    output = decoder(x, memory, causal_mask(5), src_mask)
    (gradient,) = torch.autograd.grad(output.square().sum(), memory)
    assert torch.equal((gradient != 0).any(-1), src_mask[:, 0])
    for layer in decoder.layers:
        alone = layer(x, memory, None, src_mask)
        assert not torch.allclose(alone, layer(x, 2 * memory, None, src_mask))


def test_only_a_pre_norm_stack_ends_in_a_norm_of_its_own() -> None:
    x, memory = 5 * variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    for norm_first in (False, True):
        decoder = Decoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
        norms = [name for name, part in decoder.named_modules() if isinstance(part, LayerNorm)]
        assert len(norms) == 2 * 3 + norm_first
        assert ("norm" in norms) == norm_first
        output = decoder(x, memory, None, None)
        close(output.mean(-1), torch.zeros(2, 5, dtype=F64))
        variance = output.var(-1, correction=0)
        torch.testing.assert_close(variance, torch.ones(2, 5, dtype=F64), rtol=0, atol=1e-4)


def test_dropout_reaches_the_output_of_every_sublayer_and_nothing_else() -> None:
    rates = dropout_rates(Decoder(2, 12, 3, 20, 0.3))
    for layer in ("layers.0", "layers.1"):
        for part in ("self_attention", "cross_attention", "feed_forward"):
            assert rates.pop(f"{layer}.{part}_residual.dropout") == 0.3
        assert rates.pop(f"{layer}.self_attention") == 0.0
        assert rates.pop(f"{layer}.cross_attention") == 0.0
        assert rates.pop(f"{layer}.feed_forward.dropout") == 0.0
    assert not rates


def test_dropout_drops_what_the_sublayers_return() -> None:
    """The sub-layers return ones; seen is the sum of the three, less the layer's input."""
    torch.manual_seed(0)
    layer = DecoderLayer(200, 2, 3, 0.3, norm_first=True).to(F64)
    x, memory = variable(2, 50, 200, seed=0), variable(2, 7, 200, seed=1)
    with torch.no_grad():
        for last in (layer.self_attention.W_o, layer.cross_attention.W_o, layer.feed_forward.W_2):
            last.weight.zero_(), last.bias.fill_(1)
    added = layer.train()(x, memory, None, None) - x  # three terms, each 0 or 1 / 0.7
    counts = (added * 0.7).round()
    close(added, counts / 0.7)
    shares = counts.long().flatten().bincount() / counts.numel()
    binomial = torch.tensor([0.027, 0.189, 0.441, 0.343])
    torch.testing.assert_close(shares, binomial, rtol=0, atol=0.015)
    close(layer.eval()(x, memory, None, None) - x, torch.full_like(x, 3.0))


@pytest.mark.parametrize("norm_first", [False, True])
def test_evaluation_is_deterministic_and_training_is_not(norm_first: bool) -> None:
    decoder = Decoder(2, 12, 3, 20, 0.3, norm_first).to(F64)
    plain = Decoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    plain.load_state_dict(decoder.state_dict())
    arguments = (variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1), causal_mask(5), None)
    assert not torch.equal(decoder(*arguments), decoder(*arguments))
    decoder.eval()
    assert torch.equal(decoder(*arguments), decoder(*arguments))
    close(decoder(*arguments), plain.train()(*arguments))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", [*MASKS, "nothing"])
def test_half_precision_gives_no_nan(dtype: torch.dtype, kind: str, norm_first: bool) -> None:
    exact = Decoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    half = Decoder(2, 12, 3, 20, 0.0, norm_first).to(dtype)
    half.load_state_dict(exact.state_dict())
    x, memory = variable(2, 5, 12, seed=0), variable(2, 7, 12, seed=1)
    if kind == "nothing":
        tgt_mask, src_mask = (torch.zeros(5, n, dtype=torch.bool) for n in (5, 7))
    else:
        tgt_mask, src_mask = (make_mask(kind, (2,), 5, n, seed=n) for n in (5, 7))
    output = half(x.to(dtype), memory.to(dtype), tgt_mask, src_mask)
    assert output.dtype == dtype
    expected = exact(x, memory, tgt_mask, src_mask)
    torch.testing.assert_close(output.to(F64), expected, rtol=0, atol=0.1)
    output.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in half.parameters())


def test_rejects_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^n_layers must be at least 1, not 0$"):
        Decoder(0, 12, 3, 20)
    with pytest.raises(ValueError, match=r"^d_model = 10 does not divide into n_heads = 3$"):
        Decoder(2, 10, 3, 20)
    with pytest.raises(ValueError, match=re.escape("dropout must be in [0, 1), not 1.0")):
        Decoder(2, 12, 3, 20, dropout=1.0)
    decoder, x, memory = Decoder(2, 12, 3, 20), torch.zeros(2, 5, 12), torch.zeros(2, 7, 12)
    with pytest.raises(ValueError, match=re.escape("key must be (batch, n, 12), not (2, 7, 8)")):
        decoder(x, torch.zeros(2, 7, 8), None, None)
    with pytest.raises(ValueError, match="query has batch size 2 but key has 3"):
        decoder(x, torch.zeros(3, 7, 12), None, None)
    right = (causal_mask(5), torch.ones(2, 1, 7, dtype=torch.bool))
    with pytest.raises(ValueError, match="does not broadcast"):
        decoder(x, memory, *reversed(right))  # the masks swapped
    for masks in ((right[0].float(), right[1]), (right[0], right[1].float())):
        with pytest.raises(TypeError, match="mask must be boolean"):
            decoder(x, memory, *masks)
    with pytest.raises(TypeError, match="missing 2 required positional arguments"):
        decoder(x, memory)  # a forgotten mask is an error
