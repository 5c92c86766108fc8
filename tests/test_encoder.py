"""The encoder against `nn.TransformerEncoder` with the weights copied both ways."""

import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from snippets.encoder import Encoder, EncoderLayer
from snippets.layer_norm import LayerNorm
from snippets.masks import padding_mask
from tests.oracle import (
    F64,
    HALVES,
    LAYER_SIZES,
    MASKS,
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


@pytest.mark.parametrize("norm_first", [False, True])
@settings(max_examples=40)
@given(**LAYER_SIZES)
def test_a_layer_matches_torch_forward_and_backward(
    norm_first: bool, batch: int, n_heads: int, d_k: int, d_ff: int, n: int, kind: str, seed: int
) -> None:
    torch.manual_seed(seed)
    d_model = n_heads * d_k
    ours = EncoderLayer(d_model, n_heads, d_ff, 0.0, norm_first).to(F64)
    randomise(ours)
    theirs = nn.TransformerEncoderLayer(
        d_model, n_heads, d_ff, 0.0, batch_first=True, norm_first=norm_first, dtype=F64
    )
    theirs.load_state_dict(to_torch(ours.state_dict()))
    x, mask = variable(batch, n, d_model, seed=seed), make_mask(kind, (batch,), n, n, seed)
    output = ours(x, mask)
    expected = theirs(x, src_mask=hidden(mask, batch, n_heads, n, n))
    close(output, expected)
    all_close(to_torch(gradients(ours, output, x)), gradients(theirs, expected, x))


def torch_encoder(n_layers: int, *sizes: int, norm_first: bool) -> nn.TransformerEncoder:
    """PyTorch's stack takes its final norm as an argument; only pre-norm needs one."""
    layer = nn.TransformerEncoderLayer(
        *sizes, dropout=0.0, batch_first=True, norm_first=norm_first, dtype=F64
    )
    norm = nn.LayerNorm(sizes[0], dtype=F64) if norm_first else None
    return nn.TransformerEncoder(layer, n_layers, norm, enable_nested_tensor=False)


@pytest.mark.parametrize("norm_first", [False, True])
@settings(max_examples=20)
@given(n_layers=st.integers(1, 3), **LAYER_SIZES)
def test_a_stack_matches_torch_forward_and_backward(
    norm_first: bool,
    n_layers: int,
    batch: int,
    n_heads: int,
    d_k: int,
    d_ff: int,
    n: int,
    kind: str,
    seed: int,
) -> None:
    d_model = n_heads * d_k
    torch.manual_seed(seed)
    ours = Encoder(n_layers, d_model, n_heads, d_ff, 0.0, norm_first).to(F64)
    randomise(ours)
    theirs = torch_encoder(n_layers, d_model, n_heads, d_ff, norm_first=norm_first)
    theirs.load_state_dict(to_torch(ours.state_dict()))
    x, mask = variable(batch, n, d_model, seed=seed), make_mask(kind, (batch,), n, n, seed)
    output = ours(x, mask)
    expected = theirs(x, mask=hidden(mask, batch, n_heads, n, n))
    close(output, expected)
    all_close(to_torch(gradients(ours, output, x)), gradients(theirs, expected, x))


@pytest.mark.parametrize("norm_first", [False, True])
def test_weights_of_torch_can_be_loaded(norm_first: bool) -> None:
    theirs = torch_encoder(2, 12, 3, 20, norm_first=norm_first)
    randomise(theirs)
    ours = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    ours.load_state_dict(from_torch(theirs.state_dict()))
    x = variable(2, 5, 12, seed=0)
    close(ours(x, None), theirs(x))
    all_close(to_torch(ours.state_dict()), theirs.state_dict())


def test_only_a_pre_norm_stack_ends_in_a_norm_of_its_own() -> None:
    x = 5 * variable(2, 5, 12, seed=0)
    for norm_first in (False, True):
        encoder = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
        norms = [name for name, part in encoder.named_modules() if isinstance(part, LayerNorm)]
        assert len(norms) == 2 * 2 + norm_first
        assert ("norm" in norms) == norm_first
        close(encoder(x, None).mean(-1), torch.zeros(2, 5, dtype=F64))
        variance = encoder(x, None).var(-1, correction=0)
        torch.testing.assert_close(variance, torch.ones(2, 5, dtype=F64), rtol=0, atol=1e-4)


@pytest.mark.parametrize("norm_first", [False, True])
def test_what_stands_at_padding_changes_no_real_position(norm_first: bool) -> None:
    encoder = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    mask = padding_mask(torch.tensor([[4, 3, 0, 0, 0], [1, 2, 3, 4, 0]]), 0)
    x = variable(2, 5, 12, seed=0)
    other = torch.where(mask.mT, x, 100 * variable(2, 5, 12, seed=1))
    close(encoder(x, mask)[mask[:, 0]], encoder(other, mask)[mask[:, 0]])
    close(encoder(x, mask)[0, :2], encoder(x[:1, :2], None)[0])
    assert not torch.allclose(encoder(x, None)[0, :2], encoder(other, None)[0, :2])


@pytest.mark.parametrize("norm_first", [False, True])
def test_without_positions_the_order_does_not_matter(norm_first: bool) -> None:
    encoder, x = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64), variable(2, 5, 12, seed=0)
    order = torch.tensor([3, 0, 4, 1, 2])
    close(encoder(x[:, order], None), encoder(x, None)[:, order])


def test_dropout_reaches_the_output_of_every_sublayer_and_nothing_else() -> None:
    rates = dropout_rates(Encoder(2, 12, 3, 20, 0.3))
    for layer in ("layers.0", "layers.1"):
        assert rates.pop(f"{layer}.self_attention_residual.dropout") == 0.3
        assert rates.pop(f"{layer}.feed_forward_residual.dropout") == 0.3
        assert rates.pop(f"{layer}.self_attention") == 0.0
        assert rates.pop(f"{layer}.feed_forward.dropout") == 0.0
    assert not rates


def test_dropout_drops_what_the_sublayers_return() -> None:
    """The sub-layers get constant outputs; seen is the residual's sum, less its input."""
    torch.manual_seed(0)
    layer, x = EncoderLayer(200, 2, 3, 0.3, norm_first=True).to(F64), variable(2, 50, 200, seed=0)
    with torch.no_grad():
        for last in (layer.self_attention.W_o, layer.feed_forward.W_2):
            last.weight.zero_(), last.bias.fill_(1)
    added = layer.train()(x, None) - x  # two terms, each 0 or 1 / 0.7
    counts = (added * 0.7).round()
    close(added, counts / 0.7)
    shares = counts.long().flatten().bincount() / counts.numel()
    torch.testing.assert_close(shares, torch.tensor([0.09, 0.42, 0.49]), rtol=0, atol=0.015)
    close(layer.eval()(x, None) - x, torch.full_like(x, 2.0))


@pytest.mark.parametrize("norm_first", [False, True])
def test_evaluation_is_deterministic_and_training_is_not(norm_first: bool) -> None:
    encoder, x = Encoder(2, 12, 3, 20, 0.3, norm_first).to(F64), variable(2, 5, 12, seed=0)
    plain = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    plain.load_state_dict(encoder.state_dict())
    assert not torch.equal(encoder(x, None), encoder(x, None))
    encoder.eval()
    assert torch.equal(encoder(x, None), encoder(x, None))
    close(encoder(x, None), plain.train()(x, None))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", [*MASKS, "nothing"])
def test_half_precision_gives_no_nan(dtype: torch.dtype, kind: str, norm_first: bool) -> None:
    exact = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    half = Encoder(2, 12, 3, 20, 0.0, norm_first).to(dtype)
    half.load_state_dict(exact.state_dict())
    mask = torch.zeros(5, 5, dtype=torch.bool) if kind == "nothing" else make_mask(kind, (2,), 5, 5)
    x = variable(2, 5, 12, seed=0)
    output = half(x.to(dtype), mask)
    assert output.dtype == dtype
    expected = exact(x, mask)
    torch.testing.assert_close(output.to(F64), expected, rtol=0, atol=0.1)
    output.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in half.parameters())


def test_rejects_what_does_not_fit() -> None:
    with pytest.raises(ValueError, match=r"^n_layers must be at least 1, not 0$"):
        Encoder(0, 12, 3, 20)
    with pytest.raises(ValueError, match=r"^d_model = 10 does not divide into n_heads = 3$"):
        Encoder(2, 10, 3, 20)
    with pytest.raises(ValueError, match=re.escape("dropout must be in [0, 1), not 1.0")):
        Encoder(2, 12, 3, 20, dropout=1.0)
    encoder, x = Encoder(2, 12, 3, 20), torch.zeros(2, 5, 12)
    with pytest.raises(ValueError, match=re.escape("must be (batch, n, 12), not (2, 5, 8)")):
        encoder(torch.zeros(2, 5, 8), None)
    with pytest.raises(ValueError, match="does not broadcast"):
        encoder(x, torch.ones(2, 1, 4, dtype=torch.bool))
    with pytest.raises(TypeError, match="mask must be boolean"):
        encoder(x, torch.ones(2, 1, 5))
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'mask'"):
        encoder(x)  # a forgotten mask is an error
