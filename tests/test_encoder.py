"""The encoder against `nn.TransformerEncoder` with the weights copied both ways."""

import re
from collections.abc import Mapping

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from snippets.encoder import Encoder, EncoderLayer
from snippets.layer_norm import LayerNorm
from snippets.masks import padding_mask

F64 = torch.float64
HALVES = [torch.float16, torch.bfloat16]


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=F64, generator=generator, requires_grad=True)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-10)


def names_in_torch(decoder: bool) -> dict[str, str]:
    """What a part of a layer is called in PyTorch."""
    names = {
        "self_attention.W_o.": "self_attn.out_proj.",
        "cross_attention.W_o.": "multihead_attn.out_proj.",
        "feed_forward.W_1.": "linear1.",
        "feed_forward.W_2.": "linear2.",
        "self_attention_residual.norm.": "norm1.",
        "cross_attention_residual.norm.": "norm2.",
        "feed_forward_residual.norm.": "norm3." if decoder else "norm2.",
    }
    if not decoder:
        names = {ours: theirs for ours, theirs in names.items() if "cross" not in ours}
    return names


def to_torch(ours: Mapping[str, Tensor], decoder: bool = False) -> dict[str, Tensor]:
    """The weights, or the gradients, of one of our stacks by PyTorch's names."""
    theirs = {}
    for name, tensor in ours.items():
        if any(f".W_{letter}." in f".{name}" for letter in "kv"):
            continue  # with W_q
        if "W_q." in name:
            together = torch.cat([ours[name.replace("W_q", f"W_{letter}")] for letter in "qkv"])
            attention, _, kind = name.rpartition("W_q.")
            attention = attention.replace("self_attention", "self_attn")
            attention = attention.replace("cross_attention", "multihead_attn")
            theirs[f"{attention}in_proj_{kind}"] = together
            continue
        for mine, other in names_in_torch(decoder).items():
            name = name.replace(mine, other)
        theirs[name] = tensor
    return theirs


def from_torch(theirs: Mapping[str, Tensor], decoder: bool = False) -> dict[str, Tensor]:
    """The weights of one of PyTorch's stacks by our names."""
    ours = {}
    for name, tensor in theirs.items():
        if "in_proj_" in name:
            attention, _, kind = name.rpartition("in_proj_")
            attention = attention.replace("self_attn", "self_attention")
            attention = attention.replace("multihead_attn", "cross_attention")
            for letter, part in zip("qkv", tensor.chunk(3), strict=True):
                ours[f"{attention}W_{letter}.{kind}"] = part
            continue
        for mine, other in names_in_torch(decoder).items():
            name = name.replace(other, mine)
        ours[name] = tensor
    return ours


def randomise(module: nn.Module) -> None:
    """Give every parameter, biases and norms included, a value that no other has."""
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter += 0.3 * random(*parameter.shape, seed=seed)


def gradients(module: nn.Module, output: Tensor, *inputs: Tensor) -> dict[str, Tensor]:
    """The gradients of a random function of the output, by name; an input's name is its number."""
    named = {str(i): x for i, x in enumerate(inputs)} | dict(module.named_parameters())
    direction = random(*output.shape, seed=99).detach()
    values = torch.autograd.grad((direction * output).sum(), list(named.values()))
    return dict(zip(named, values, strict=True))


def all_close(actual: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    for name, tensor in actual.items():
        close(tensor, expected[name])


def some_mask(kind: str, batch: int, n_query: int, n_key: int, seed: int) -> Tensor | None:
    """A mask of one of the kinds that occur; every query may attend to the first key."""
    generator = torch.Generator().manual_seed(seed)
    if kind == "none":
        return None
    if kind == "causal":
        return torch.ones(n_query, n_key, dtype=torch.bool).tril()
    if kind == "padding":
        lengths = torch.randint(1, n_key + 1, (batch, 1), generator=generator)
        return padding_mask((torch.arange(n_key) < lengths).long(), 0)
    mask = torch.rand(batch, n_query, n_key, generator=generator) < 0.6
    mask[:, :, 0] = True
    return mask


KINDS = ("none", "causal", "padding", "any")


def hidden(
    mask: Tensor | None, batch: int, n_heads: int, n_query: int, n_key: int
) -> Tensor | None:
    """The mask in PyTorch's convention: True hides, and the heads are laid along the batch."""
    if mask is None:
        return None
    return ~mask.expand(batch, n_query, n_key).repeat_interleave(n_heads, dim=0)


SIZES = {
    "batch": st.integers(1, 3),
    "n_heads": st.integers(1, 3),
    "d_k": st.integers(1, 3),
    "d_ff": st.integers(1, 9),
    "n": st.integers(1, 6),
    "kind": st.sampled_from(KINDS),
    "seed": st.integers(0, 99),
}


@pytest.mark.parametrize("norm_first", [False, True])
@settings(derandomize=True, deadline=None, max_examples=40)
@given(**SIZES)
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
    x, mask = random(batch, n, d_model, seed=seed), some_mask(kind, batch, n, n, seed)
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
@settings(derandomize=True, deadline=None, max_examples=20)
@given(n_layers=st.integers(1, 3), **SIZES)
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
    x, mask = random(batch, n, d_model, seed=seed), some_mask(kind, batch, n, n, seed)
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
    x = random(2, 5, 12, seed=0)
    close(ours(x, None), theirs(x))
    all_close(to_torch(ours.state_dict()), theirs.state_dict())


def test_only_a_pre_norm_stack_ends_in_a_norm_of_its_own() -> None:
    x = 5 * random(2, 5, 12, seed=0)
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
    x = random(2, 5, 12, seed=0)
    other = torch.where(mask.mT, x, 100 * random(2, 5, 12, seed=1))
    close(encoder(x, mask)[mask[:, 0]], encoder(other, mask)[mask[:, 0]])
    close(encoder(x, mask)[0, :2], encoder(x[:1, :2], None)[0])
    assert not torch.allclose(encoder(x, None)[0, :2], encoder(other, None)[0, :2])


@pytest.mark.parametrize("norm_first", [False, True])
def test_without_positions_the_order_does_not_matter(norm_first: bool) -> None:
    encoder, x = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64), random(2, 5, 12, seed=0)
    order = torch.tensor([3, 0, 4, 1, 2])
    close(encoder(x[:, order], None), encoder(x, None)[:, order])


def dropout_rates(module: nn.Module) -> dict[str, float]:
    """Every rate in a module, by the name of the part that holds it, an attention's included."""
    rates = {name: part.p for name, part in module.named_modules() if isinstance(part, nn.Dropout)}
    parts = dict(module.named_modules())
    return rates | {
        n: p.dropout for n, p in parts.items() if isinstance(vars(p).get("dropout"), float)
    }


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
    layer, x = EncoderLayer(200, 2, 3, 0.3, norm_first=True).to(F64), random(2, 50, 200, seed=0)
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
    encoder, x = Encoder(2, 12, 3, 20, 0.3, norm_first).to(F64), random(2, 5, 12, seed=0)
    plain = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    plain.load_state_dict(encoder.state_dict())
    assert not torch.equal(encoder(x, None), encoder(x, None))
    encoder.eval()
    assert torch.equal(encoder(x, None), encoder(x, None))
    close(encoder(x, None), plain.train()(x, None))


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", [*KINDS, "nothing", "one row of nothing"])
def test_half_precision_gives_no_nan(dtype: torch.dtype, kind: str, norm_first: bool) -> None:
    exact = Encoder(2, 12, 3, 20, 0.0, norm_first).to(F64)
    half = Encoder(2, 12, 3, 20, 0.0, norm_first).to(dtype)
    half.load_state_dict(exact.state_dict())
    mask = some_mask(kind, 2, 5, 5, 0)
    if kind == "nothing":
        mask = torch.zeros_like(mask)
    if kind == "one row of nothing":
        mask[1, 3] = False
    x = random(2, 5, 12, seed=0)
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
