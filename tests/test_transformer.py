"""The complete model against `nn.Transformer`, and what the page says about it."""

import math
import re
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim, export

from snippets.masks import causal_mask, padding_mask
from snippets.transformer import Transformer
from tests import ROOT
from tests.oracle import (
    F64,
    HALVES,
    all_close,
    close,
    dropout_rates,
    from_torch,
    gradients,
    hidden,
    randomise,
    to_torch,
)

SMALL = {"d_model": 12, "n_heads": 3, "n_layers": 2, "d_ff": 20}
VARIANTS = [
    {"norm_first": norm_first, "share_embeddings": share}
    for norm_first in (False, True)
    for share in (False, True)
]


def small(
    dropout: float = 0.0,
    norm_first: bool = False,
    share_embeddings: bool = False,
    n_layers: int = 2,
) -> Transformer:
    """A small model in float64, all of whose weights have been moved off their start."""
    torch.manual_seed(0)
    model = Transformer(
        11,
        11 if share_embeddings else 13,
        **SMALL | {"n_layers": n_layers},
        dropout=dropout,
        norm_first=norm_first,
        share_embeddings=share_embeddings,
    ).to(F64)
    randomise(model)
    return model


def batch_of(batch: int, n_src: int, n_tgt: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Tokens 1 to 10, padded with 0 on the right, and the masks of training."""
    generator = torch.Generator().manual_seed(seed)
    tokens = []
    for n in (n_src, n_tgt):
        lengths = torch.randint(1, n + 1, (batch, 1), generator=generator)
        words = torch.randint(1, 11, (batch, n), generator=generator)
        tokens.append(words.masked_fill(torch.arange(n) >= lengths, 0))
    src, tgt = tokens
    return src, tgt, padding_mask(src, 0), causal_mask(n_tgt) & padding_mask(tgt, 0)


def positions(n: int, d_model: int) -> Tensor:
    """The sinusoidal encoding, number by number."""
    table = torch.zeros(n, d_model, dtype=F64)
    for pos in range(n):
        for i in range(d_model):
            angle = pos / 10000 ** (i // 2 * 2 / d_model)
            table[pos, i] = math.cos(angle) if i % 2 else math.sin(angle)
    return table.float().to(F64)  # the module keeps it in float32


def part_of(named: dict[str, Tensor], part: str) -> dict[str, Tensor]:
    """The tensors of one part of a model, without the part's name."""
    return {n.removeprefix(f"{part}."): t for n, t in named.items() if n.startswith(f"{part}.")}


def stacks_in_torch(named: dict[str, Tensor]) -> dict[str, Tensor]:
    """Encoder and decoder of our model by the names of `nn.Transformer`."""
    encoder = to_torch(part_of(named, "encoder"))
    decoder = to_torch(part_of(named, "decoder"), decoder=True)
    return {f"encoder.{n}": t for n, t in encoder.items()} | {
        f"decoder.{n}": t for n, t in decoder.items()
    }


def torch_transformer(d_model: int, n_heads: int, n_layers: int, d_ff: int, norm_first: bool):
    """`nn.Transformer` with the paper's stacks.

    With `norm_first` that is PyTorch's model as it comes. Without it, its two stacks still end in
    a norm each, which would follow the one in the last layer, so it is given stacks without.
    """
    options = {"dropout": 0.0, "batch_first": True, "norm_first": norm_first, "dtype": F64}
    sizes, stacks = (d_model, n_heads, d_ff), {}
    if not norm_first:
        stacks["custom_encoder"] = nn.TransformerEncoder(
            nn.TransformerEncoderLayer(*sizes, **options), n_layers, enable_nested_tensor=False
        )
        stacks["custom_decoder"] = nn.TransformerDecoder(
            nn.TransformerDecoderLayer(*sizes, **options), n_layers
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that nested tensors are not used, which nobody asked for
        return nn.Transformer(d_model, n_heads, n_layers, n_layers, d_ff, **stacks, **options)


def reference(ours: Transformer, theirs: nn.Transformer, *batch: Tensor) -> Tensor:
    """What PyTorch makes of the batch, with our embeddings and our output matrix."""
    src, tgt, src_mask, tgt_mask = batch
    d_model, n_heads, n_src, n_tgt = theirs.d_model, theirs.nhead, src.shape[1], tgt.shape[1]
    x, y = (
        nn.functional.embedding(tokens, embedding.weight) * math.sqrt(d_model)
        + positions(tokens.shape[1], d_model)
        for tokens, embedding in ((src, ours.src_embedding), (tgt, ours.tgt_embedding))
    )
    output = theirs(
        x,
        y,
        src_mask=hidden(src_mask, len(src), n_heads, n_src, n_src),
        tgt_mask=hidden(tgt_mask, len(src), n_heads, n_tgt, n_tgt),
        memory_mask=hidden(src_mask, len(src), n_heads, n_tgt, n_src),
    )
    return output @ ours.output.weight.T


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("share_embeddings", [False, True])
@settings(max_examples=12)
@given(
    batch=st.integers(1, 3),
    n_heads=st.integers(1, 3),
    d_k=st.sampled_from([2, 4]),
    n_layers=st.integers(1, 2),
    d_ff=st.integers(1, 9),
    n_src=st.integers(1, 6),
    n_tgt=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_matches_torch_forward_and_backward(
    norm_first: bool,
    share_embeddings: bool,
    batch: int,
    n_heads: int,
    d_k: int,
    n_layers: int,
    d_ff: int,
    n_src: int,
    n_tgt: int,
    seed: int,
) -> None:
    torch.manual_seed(seed)
    sizes = (n_heads * d_k, n_heads, n_layers, d_ff)
    sizes_of_vocabulary = (11, 11) if share_embeddings else (11, 13)
    ours = Transformer(
        *sizes_of_vocabulary, *sizes, 0.0, norm_first, share_embeddings=share_embeddings
    ).to(F64)
    randomise(ours)
    theirs = torch_transformer(*sizes, norm_first=norm_first)
    theirs.load_state_dict(stacks_in_torch(ours.state_dict()))
    inputs = batch_of(batch, n_src, n_tgt, seed)
    output, expected = ours(*inputs), reference(ours, theirs, *inputs)
    assert output.shape == (batch, n_tgt, sizes_of_vocabulary[1])
    close(output, expected)

    ends = nn.ModuleDict({"src": ours.src_embedding, "tgt": ours.tgt_embedding, "o": ours.output})
    found = gradients(ours, output)
    wanted = gradients(nn.ModuleDict({"stacks": theirs, "ends": ends}), expected)
    all_close(stacks_in_torch(found), part_of(wanted, "stacks"))
    in_ours = {"src": "src_embedding", "tgt": "tgt_embedding", "o": "output"}
    for name, gradient in part_of(wanted, "ends").items():
        end, _, kind = name.partition(".")
        close(found[f"{in_ours[end]}.{kind}"], gradient)


@pytest.mark.parametrize("norm_first", [False, True])
def test_weights_of_torch_can_be_loaded(norm_first: bool) -> None:
    ours = small(norm_first=norm_first)
    theirs = torch_transformer(*SMALL.values(), norm_first=norm_first)
    randomise(theirs)
    state = theirs.state_dict()
    ours.encoder.load_state_dict(from_torch(part_of(state, "encoder")))
    ours.decoder.load_state_dict(from_torch(part_of(state, "decoder"), decoder=True))
    inputs = batch_of(3, 7, 5)
    close(ours(*inputs), reference(ours, theirs, *inputs))
    all_close(stacks_in_torch(ours.state_dict()), state)


def test_pytorchs_own_post_norm_model_has_a_norm_more_at_the_end_of_both_stacks() -> None:
    theirs = nn.Transformer(12, 2, 1, 1, 20, batch_first=True)
    assert isinstance(theirs.encoder.norm, nn.LayerNorm)
    assert isinstance(theirs.decoder.norm, nn.LayerNorm)


@pytest.mark.parametrize("variant", VARIANTS)
def test_forward_is_encode_and_then_decode(variant: dict) -> None:
    model, (src, tgt, src_mask, tgt_mask) = small(**variant), batch_of(3, 7, 5)
    memory = model.encode(src, src_mask)
    assert memory.shape == (3, 7, 12)
    assert torch.equal(
        model.decode(tgt, memory, tgt_mask, src_mask), model(src, tgt, src_mask, tgt_mask)
    )


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_logit_depends_on_no_later_target_and_on_no_padding(variant: dict) -> None:
    model = small(**variant)
    src = torch.tensor([[5, 3, 8, 0, 0, 0, 0], [1, 9, 2, 7, 4, 0, 0]])
    tgt = torch.tensor([[1, 6, 4, 9, 0], [1, 7, 3, 2, 5]])
    src_mask = padding_mask(src, 0)
    output = model(src, tgt, src_mask, causal_mask(5) & padding_mask(tgt, 0))
    for n in range(1, 5):
        prefix = tgt[:, :n]
        close(output[:, :n], model(src, prefix, src_mask, causal_mask(n)))
    alone = model(src[:1, :3], tgt[:1, :4], None, causal_mask(4))
    close(output[:1, :4], alone)
    other = torch.where(src == 0, 6, src)  # other words at the padding, and the mask as it was
    close(output, model(other, tgt, src_mask, causal_mask(5) & padding_mask(tgt, 0)))
    unmasked = model(src, tgt, src_mask, None)
    changed = model(src, torch.cat([tgt[:, :4], tgt[:, 3:4]], dim=1), src_mask, None)
    assert not torch.allclose(unmasked[:, :4], changed[:, :4])


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_order_of_the_words_matters(variant: dict) -> None:
    model, (src, tgt, _, tgt_mask) = small(**variant), batch_of(3, 7, 5)
    src = torch.arange(1, 8).expand(3, 7)
    output = model(src, tgt, None, tgt_mask)
    assert not torch.allclose(output, model(src.flip(1), tgt, None, tgt_mask))


def test_shared_embeddings_are_one_parameter() -> None:
    model = small(share_embeddings=True)
    assert model.output.weight is model.tgt_embedding.weight is model.src_embedding.weight
    names = [name for name, _ in model.named_parameters()]
    assert [name for name in names if "embedding" in name or "output" in name] == [
        "src_embedding.weight"
    ]
    separate = small()
    ends = (separate.src_embedding, separate.tgt_embedding, separate.output)
    assert len({id(end.weight) for end in ends}) == 3
    difference = sum(p.numel() for p in separate.parameters()) - sum(
        p.numel() for p in model.parameters()
    )
    assert difference == (13 + 13) * 12
    again = small(share_embeddings=True)
    again.load_state_dict(model.state_dict())
    again.to(torch.float32).to(F64)
    assert again.output.weight is again.src_embedding.weight


def test_the_base_model_has_63_million_parameters() -> None:
    """Counted by hand from the widths; the paper rounds its own to 65 million."""
    with torch.device("meta"):
        model = Transformer(37000, 37000, share_embeddings=True)
    attention = 4 * (512 * 512 + 512)
    feed_forward = 512 * 2048 + 2048 + 2048 * 512 + 512
    norm = 2 * 512
    encoder = 6 * (attention + feed_forward + 2 * norm)
    decoder = 6 * (2 * attention + feed_forward + 3 * norm)
    counted = sum(parameter.numel() for parameter in model.parameters())
    assert counted == 37000 * 512 + encoder + decoder == 63_082_496


def test_defaults_are_the_base_model_of_the_paper() -> None:
    with torch.device("meta"):
        model = Transformer(20, 30)
    assert len(model.encoder.layers) == len(model.decoder.layers) == 6
    for layer in (*model.encoder.layers, *model.decoder.layers):
        assert (layer.self_attention.d_model, layer.self_attention.n_heads) == (512, 8)
        assert layer.feed_forward.d_ff == 2048
        assert not layer.feed_forward_residual.norm_first
        assert layer.feed_forward_residual.dropout.p == 0.1
    assert model.positional_encoding.dropout.p == 0.1
    assert model.output.weight.shape == (30, 512)
    assert model.output.bias is None


@pytest.mark.parametrize("variant", VARIANTS)
def test_matrices_start_as_in_torch_biases_at_0_and_embeddings_normal(variant: dict) -> None:
    torch.manual_seed(0)
    V, d_model = 300, 64
    model = Transformer(V, V, d_model, 4, 2, 96, **variant)
    embeddings = [model.src_embedding.weight, model.tgt_embedding.weight]
    if variant["share_embeddings"]:
        embeddings.append(model.output.weight)
    for weight in embeddings:
        assert abs(weight.std() * math.sqrt(d_model) - 1) < 0.03
        assert weight.abs().max() > 3 / math.sqrt(d_model)  # no uniform goes so far
    for name, parameter in model.named_parameters():
        if any(parameter is weight for weight in embeddings):
            continue
        if parameter.dim() == 2:
            rows, columns = parameter.shape
            in_one_matrix = name.endswith(("W_q.weight", "W_k.weight", "W_v.weight"))
            bound = math.sqrt(6 / ((3 * rows if in_one_matrix else rows) + columns))
            assert 0.98 * bound < parameter.abs().max() <= bound, name
            assert abs(parameter.std() / bound - 3**-0.5) < 0.02, name
        else:
            assert torch.equal(parameter, torch.full_like(parameter, name.endswith("norm.weight")))


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_first_loss_is_near_ln_v(variant: dict) -> None:
    """Above it by half the variance of the logits: 2 d / (V + d) / 2, or 1 / 2 if shared."""
    torch.manual_seed(0)
    V, d_model = 1000, 64
    model = Transformer(V, V, d_model, 4, 3, 96, **variant).eval()
    src, tgt = torch.randint(V, (32, 12)), torch.randint(V, (32, 17))
    with torch.no_grad():
        logits = model(src, tgt[:, :-1], None, causal_mask(16))
    loss = nn.functional.cross_entropy(logits.flatten(0, 1), tgt[:, 1:].flatten())
    excess = 0.5 if variant["share_embeddings"] else d_model / (V + d_model)
    assert abs(loss.item() - math.log(V) - excess) < 0.15


def test_dropout_reaches_the_embedding_sums_and_the_sublayers_and_nothing_else() -> None:
    rates = dropout_rates(small(dropout=0.3))
    assert rates.pop("positional_encoding.dropout") == 0.3
    for i in range(2):
        for name in ("self_attention", "feed_forward"):
            assert rates.pop(f"encoder.layers.{i}.{name}_residual.dropout") == 0.3
        for name in ("self_attention", "cross_attention", "feed_forward"):
            assert rates.pop(f"decoder.layers.{i}.{name}_residual.dropout") == 0.3
    assert len(rates) == 2 * (2 + 3)  # an attention, or two, and a feed-forward network a layer
    assert set(rates.values()) == {0.0}


def test_dropout_drops_the_share_it_names_at_every_one_of_its_places() -> None:
    torch.manual_seed(0)
    p, seen = 0.3, {}
    model = Transformer(50, 60, 32, 4, 2, 48, dropout=p)

    def watch(name: str, module: nn.Module) -> None:
        def hook(_: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
            dropped = (output == 0) & (inputs[0] != 0)
            kept = torch.allclose(output[~dropped], inputs[0][~dropped] / (1 - module.p))
            seen.setdefault(name, []).append((dropped.float().mean().item(), kept))

        module.register_forward_hook(hook)

    for name, module in model.named_modules():
        if isinstance(module, nn.Dropout):
            watch(name, module)
    src, tgt = torch.randint(50, (8, 40)), torch.randint(60, (8, 40))
    model.train()(src, tgt, None, causal_mask(40))
    assert len(seen.pop("positional_encoding.dropout")) == 2  # source and target
    inside = {name: seen.pop(name) for name in list(seen) if "feed_forward.dropout" in name}
    assert all(share == 0 for calls in inside.values() for share, _ in calls)
    assert len(seen) == 2 * 2 + 2 * 3
    for ((share, kept),) in seen.values():
        assert abs(share - p) < 0.02
        assert kept
    seen.clear()
    model.eval()(src, tgt, None, causal_mask(40))
    assert all(share == 0 for calls in seen.values() for share, _ in calls)


@pytest.mark.parametrize("variant", VARIANTS)
def test_evaluation_is_deterministic_and_training_is_not(variant: dict) -> None:
    model, plain, inputs = small(0.3, **variant), small(0.0, **variant), batch_of(3, 7, 5)
    plain.load_state_dict(model.state_dict())
    assert not torch.equal(model(*inputs), model(*inputs))
    model.eval()
    assert torch.equal(model(*inputs), model(*inputs))
    close(model(*inputs), plain.train()(*inputs))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("kind", ["training", "none", "nothing", "one row of nothing"])
def test_half_precision_gives_no_nan(dtype: torch.dtype, kind: str, variant: dict) -> None:
    exact, half = small(**variant), small(**variant).to(dtype)
    src, tgt, src_mask, tgt_mask = batch_of(3, 7, 5)
    if kind == "none":
        src_mask = tgt_mask = None
    if kind == "nothing":
        src_mask, tgt_mask = torch.zeros_like(src_mask), torch.zeros_like(tgt_mask)
    if kind == "one row of nothing":
        src_mask[0], tgt_mask[1, 3] = False, False
    output = half(src, tgt, src_mask, tgt_mask)
    assert output.dtype == dtype
    expected = exact(src, tgt, src_mask, tgt_mask)
    torch.testing.assert_close(output.to(F64), expected, rtol=0.05, atol=0.2)
    nn.functional.cross_entropy(output.float().flatten(0, 1), tgt.flatten()).backward()
    for model in (half, exact):
        if model is exact:
            nn.functional.cross_entropy(expected.flatten(0, 1), tgt.flatten()).backward()
        assert all(parameter.grad.isfinite().all() for parameter in model.parameters())


@pytest.mark.parametrize("variant", [VARIANTS[0], VARIANTS[3]])
def test_torch_compile_takes_the_whole_model_as_one_graph(variant: dict) -> None:
    """With the backend "eager", which captures the graph and runs it as it is."""
    model = small(**variant, n_layers=1)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    inputs = batch_of(3, 7, 5)
    output = compiled(*inputs)
    close(output, model(*inputs))
    found = torch.autograd.grad(output.square().sum(), list(model.parameters()))
    wanted = torch.autograd.grad(model(*inputs).square().sum(), list(model.parameters()))
    for gradient, other in zip(found, wanted, strict=True):
        close(gradient, other)


def test_torch_export_takes_the_model_with_any_batch_and_any_lengths() -> None:
    model = small(norm_first=True, share_embeddings=True, n_layers=1).eval()
    batch, n_src, n_tgt = Dim("batch"), Dim("n_src", max=5000), Dim("n_tgt", max=5000)
    dynamic = (
        {0: batch, 1: n_src},
        {0: batch, 1: n_tgt},
        {0: batch, 2: n_src},
        {0: batch, 1: n_tgt, 2: n_tgt},
    )
    exported = export(model, batch_of(3, 7, 5), dynamic_shapes=dynamic, strict=True).module()
    for sizes in ((3, 7, 5), (2, 4, 9)):
        inputs = batch_of(*sizes)
        close(exported(*inputs), model(*inputs))


def test_rejects_what_does_not_fit() -> None:
    message = "shared embeddings need one vocabulary, but src_vocab_size = 11 and "
    with pytest.raises(ValueError, match=f"^{message}tgt_vocab_size = 13$"):
        Transformer(11, 13, **SMALL, share_embeddings=True)
    with pytest.raises(ValueError, match=r"^d_model = 10 does not divide into n_heads = 3$"):
        Transformer(11, 13, 10, 3)
    with pytest.raises(ValueError, match=r"^n_layers must be at least 1, not 0$"):
        Transformer(11, 13, 12, 3, 0)
    for dropout in (1.0, -0.1):
        with pytest.raises(ValueError, match=re.escape(f"must be in [0, 1), not {dropout}")):
            Transformer(11, 13, **SMALL, dropout=dropout)
    model, (src, tgt, src_mask, tgt_mask) = small(), batch_of(3, 7, 5)
    with pytest.raises(ValueError, match=re.escape("token ids must be in [0, 11)")):
        model(src + 5, tgt, src_mask, tgt_mask)
    with pytest.raises(ValueError, match="query has batch size 3 but key has 2"):
        model(src[:2], tgt, src_mask[:2], tgt_mask)
    with pytest.raises(ValueError, match="does not broadcast"):
        model(src, tgt, tgt_mask, src_mask)  # the masks swapped
    with pytest.raises(TypeError, match="mask must be boolean"):
        model(src, tgt, src_mask, tgt_mask.float())
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'tgt_mask'"):
        model(src, tgt, src_mask)  # a forgotten mask is an error


def test_the_figure_of_the_overview_has_the_parameters_of_the_base_model() -> None:
    svg = (ROOT / "docs/assets/figures/overview.svg").read_text(encoding="utf-8")
    told = dict(re.findall(r'<text x="180" y="722">([^:<]+): ([^<]+)</text>', svg))
    layer = Transformer(11, 11, n_layers=1).decoder.layers[0]

    def parameters(module: nn.Module) -> str:
        return f"{sum(weights.numel() for weights in module.parameters()):,} parameters"

    parts = [module for module in layer.modules() if type(module).__name__ != "DecoderLayer"]
    found = {type(module).__name__: parameters(module) for module in parts}
    assert told["self-attention"] == found["MultiHeadAttention"]
    assert told["masked self-attention"] == told["cross-attention"] == told["self-attention"]
    assert told["feed-forward"] == found["FeedForward"]
    assert told["add and norm"] == found["LayerNorm"]
    assert told["token embedding"] == f"{37_000 * 512:,} parameters"
    assert told["softmax"] == told["positional encoding"] == "no parameters"
