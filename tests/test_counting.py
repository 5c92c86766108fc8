"""The closed formulas of `snippets.counting` against counters that watch the model run."""

import contextlib
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from snippets.counting import (
    count_activation_bytes,
    count_cache_bytes,
    count_forward_flops,
    count_parameters,
    count_saved_bytes,
)
from snippets.decoder import Decoder
from snippets.embedding import TokenEmbedding
from snippets.encoder import Encoder
from snippets.feed_forward import FeedForward
from snippets.layer_norm import LayerNorm
from snippets.multi_head import MultiHeadAttention
from snippets.operations import count_flops
from snippets.transformer import Transformer
from tests.oracle import F64

FIGURES = Path(__file__).resolve().parent.parent / "docs" / "assets" / "figures"

# Small sizes that all differ: batch, n_src, n_tgt, d_k / 2, d_ff and the two vocabularies.
SIZES = st.lists(st.integers(1, 13), min_size=7, max_size=7, unique=True)
N_HEADS = st.sampled_from([1, 2, 4])
N_LAYERS = st.integers(1, 3)
FLAGS = st.booleans()


def make_model(
    widths: tuple[int, int, int], vocabs: tuple[int, int], n_layers: int, **options: bool | float
) -> Transformer:
    """A small float64 model of width (d_model, n_heads, d_ff), in training mode."""
    d_model, n_heads, d_ff = widths
    model = Transformer(*vocabs, d_model, n_heads, n_layers, d_ff, **options)
    return model.double().train()


def make_tokens(vocabs: tuple[int, int], batch: int, n_src: int, n_tgt: int) -> tuple[Tensor, ...]:
    """Token ids (batch, n_src) and (batch, n_tgt)."""
    generator = torch.Generator().manual_seed(0)
    lengths = zip(vocabs, (n_src, n_tgt), strict=True)
    return tuple(torch.randint(V, (batch, n), generator=generator) for V, n in lengths)


def make_masks(batch: int, n_src: int, n_tgt: int, masked: bool) -> tuple[Tensor | None, ...]:
    """A source mask (batch, 1, n_src) and a causal target mask, True where attention is allowed."""
    if not masked:
        return None, None
    src_mask = torch.ones(batch, 1, n_src, dtype=torch.bool)
    return src_mask, torch.ones(n_tgt, n_tgt, dtype=torch.bool).tril()


# count_parameters


@given(sizes=SIZES, n_heads=N_HEADS, n_layers=N_LAYERS, norm_first=FLAGS, shared=FLAGS)
def test_parameters_are_those_of_the_model(
    sizes: list[int], n_heads: int, n_layers: int, norm_first: bool, shared: bool
) -> None:
    d_model, d_ff, src_vocab, tgt_vocab = 2 * n_heads * sizes[0], *sizes[1:4]
    src_vocab = tgt_vocab if shared else src_vocab
    options = {"norm_first": norm_first, "share_embeddings": shared}
    model = make_model((d_model, n_heads, d_ff), (src_vocab, tgt_vocab), n_layers, **options)
    counted = count_parameters(src_vocab, tgt_vocab, d_model, n_layers, d_ff, **options)
    assert sum(counted.values()) == sum(p.numel() for p in model.parameters())

    def of(*kinds: type[nn.Module]) -> int:
        parts = [module for module in model.modules() if isinstance(module, kinds)]
        return sum({id(p): p.numel() for part in parts for p in part.parameters()}.values())

    assert counted["attention"] == of(MultiHeadAttention)
    assert counted["feed-forward"] == of(FeedForward)
    assert counted["norms"] == of(LayerNorm)
    rest = of(TokenEmbedding) + (0 if shared else model.output.weight.numel())
    assert counted["embeddings and output"] == rest


def test_the_base_model_has_its_parameters() -> None:
    with torch.device("meta"):
        model = Transformer(37000, 37000, share_embeddings=True)
    counted = count_parameters(37000, 37000, share_embeddings=True)
    assert sum(counted.values()) == sum(p.numel() for p in model.parameters())


def test_parameters_match_those_of_torch() -> None:
    """`nn.Transformer` is both stacks, with a norm more at the end of each, post-norm or not."""
    with torch.device("meta"):
        theirs = nn.Transformer(24, 2, 2, 2, 17, batch_first=True)
    counted = count_parameters(11, 13, 24, 2, 17)
    stacks = sum(counted.values()) - counted["embeddings and output"]
    assert stacks + 2 * 2 * 24 == sum(p.numel() for p in theirs.parameters())


def test_rejects_shared_embeddings_of_two_vocabularies() -> None:
    message = "shared embeddings need one vocabulary, but src_vocab_size = 7 and tgt_vocab_size = 8"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        count_parameters(7, 8, share_embeddings=True)


# count_forward_flops


@settings(max_examples=25)
@given(sizes=SIZES, n_heads=N_HEADS, n_layers=N_LAYERS, masked=FLAGS, norm_first=FLAGS)
def test_flops_are_those_of_the_model(
    sizes: list[int], n_heads: int, n_layers: int, masked: bool, norm_first: bool
) -> None:
    batch, n_src, n_tgt, half, d_ff, *vocabs = sizes
    d_model = 2 * n_heads * half
    model = make_model((d_model, n_heads, d_ff), vocabs, n_layers, norm_first=norm_first)
    src, tgt = make_tokens(vocabs, batch, n_src, n_tgt)
    masks = make_masks(batch, n_src, n_tgt, masked)
    counted = count_forward_flops(batch, n_src, n_tgt, vocabs[1], d_model, n_layers, d_ff)
    assert sum(counted.values()) == count_flops(lambda src: model(src, tgt, *masks), src)
    logits = torch.zeros(batch, n_tgt, d_model, dtype=F64)
    assert counted["output"] == count_flops(model.output, logits)

    def of(kind: type[nn.Module]) -> int:
        """FLOPs inside all modules of a kind, each counted by itself."""
        total = 0
        for module in [module for module in model.modules() if isinstance(module, kind)]:
            n = n_src if any(module is m for m in model.encoder.modules()) else n_tgt
            total += count_flops(module, torch.zeros(batch, n, d_model, dtype=F64))
        return total

    assert counted["feed-forward"] == of(FeedForward)


@settings(max_examples=15)
@given(sizes=SIZES, n_heads=N_HEADS, n_layers=N_LAYERS)
def test_a_training_step_costs_three_forward_passes(
    sizes: list[int], n_heads: int, n_layers: int
) -> None:
    batch, n_src, n_tgt, half, d_ff, *vocabs = sizes
    d_model = 2 * n_heads * half
    model = make_model((d_model, n_heads, d_ff), vocabs, n_layers)
    src, tgt = make_tokens(vocabs, batch, n_src, n_tgt)
    counter = FlopCounterMode(display=False)
    with sdpa_kernel(SDPBackend.MATH), counter:
        model(src, tgt, None, None).sum().backward()
    counted = count_forward_flops(batch, n_src, n_tgt, vocabs[1], d_model, n_layers, d_ff)
    assert counter.get_total_flops() == 3 * sum(counted.values())


@pytest.mark.parametrize("d_ff", [31, 96, 128])
def test_attention_makes_half_of_a_layer_where_the_page_says(d_ff: int) -> None:
    """An encoder layer at n = 2 d_model + d_ff, a decoder layer at n = 2 d_model + d_ff / 2."""
    d_model, n = 24, 48 + d_ff
    encoder = Encoder(1, d_model, 2, d_ff)
    weights = sum(p.numel() for p in encoder.parameters() if p.dim() == 2)
    x = torch.zeros(1, n, d_model)
    assert count_flops(lambda x: encoder(x, None), x) == 2 * (2 * n * weights)
    if d_ff % 2 == 0:
        n = 48 + d_ff // 2
        decoder, x = Decoder(1, d_model, 2, d_ff), torch.zeros(1, n, d_model)
        weights = sum(p.numel() for p in decoder.parameters() if p.dim() == 2)
        assert count_flops(lambda x: decoder(x, x, None, None), x) == 2 * (2 * n * weights)


# count_activation_bytes and count_saved_bytes


@settings(max_examples=100)
@given(
    sizes=SIZES,
    n_heads=N_HEADS,
    n_layers=N_LAYERS,
    dropout=FLAGS,
    masked=FLAGS,
    fused=FLAGS,
    norm_first=FLAGS,
    dtype=st.sampled_from([torch.float32, F64]),
)
def test_activations_are_what_autograd_saves(
    sizes: list[int],
    n_heads: int,
    n_layers: int,
    dropout: bool,
    masked: bool,
    fused: bool,
    norm_first: bool,
    dtype: torch.dtype,
) -> None:
    batch, n_src, n_tgt, half, d_ff, *vocabs = sizes
    d_model = 2 * n_heads * half
    options = {"norm_first": norm_first, "dropout": 0.1 * dropout}
    model = make_model((d_model, n_heads, d_ff), vocabs, n_layers, **options).to(dtype)
    tokens = make_tokens(vocabs, batch, n_src, n_tgt)
    masks = make_masks(batch, n_src, n_tgt, masked)
    kernel = contextlib.nullcontext() if fused else sdpa_kernel(SDPBackend.MATH)
    with kernel:
        saved = count_saved_bytes(model, lambda: model(*tokens, *masks))
    counted = count_activation_bytes(
        batch,
        n_src,
        n_tgt,
        d_model,
        n_heads,
        n_layers,
        d_ff,
        dropout,
        masked,
        fused,
        norm_first,
        dtype.itemsize,
    )
    assert sum(counted.values()) == saved


def test_nothing_is_saved_without_gradients() -> None:
    model = make_model((8, 2, 5), (7, 11), 1)
    tokens = make_tokens((7, 11), 2, 3, 4)
    with torch.no_grad():
        assert count_saved_bytes(model, lambda: model(*tokens, None, None)) == 0


def test_memory_that_is_shared_counts_once() -> None:
    x = torch.ones(5, 7, requires_grad=True)
    layer = nn.Linear(7, 3)
    assert count_saved_bytes(layer, lambda: layer(x)) == 5 * 7 * 4  # the input, not the weights
    assert count_saved_bytes(layer, lambda: (x * x).sum() + (x[1:] * x[:-1]).sum()) == 5 * 7 * 4
    assert count_saved_bytes(nn.Identity(), lambda: (x.exp(), x.tanh())) == 2 * 5 * 7 * 4


# count_cache_bytes


@settings(max_examples=15)
@given(sizes=SIZES, n_heads=N_HEADS, n_layers=N_LAYERS)
def test_the_cache_holds_every_key_and_value(sizes: list[int], n_heads: int, n_layers: int) -> None:
    batch, n_src, n_tgt, half, d_ff, *vocabs = sizes
    d_model = 2 * n_heads * half
    model = make_model((d_model, n_heads, d_ff), vocabs, n_layers)
    sizes_made = []
    for layer in model.decoder.layers:
        for attention in (layer.self_attention, layer.cross_attention):
            for projection in (attention.W_k, attention.W_v):
                projection.register_forward_hook(
                    lambda module, inputs, output: sizes_made.append(output.nbytes)
                )
    model(*make_tokens(vocabs, batch, n_src, n_tgt), None, None)
    assert sum(sizes_made) == count_cache_bytes(batch, n_src, n_tgt, d_model, n_layers, 8)


# The figures


@pytest.mark.parametrize("layer", ["encoder", "decoder"])
def test_the_curves_of_the_figure_are_the_shares(layer: str) -> None:
    """At width 1 and d_ff = 4; the formula is a polynomial, so n may be a fraction."""
    svg = (FIGURES / "counting-share.svg").read_text(encoding="utf-8")
    (line,) = re.findall(rf'data-shows="{layer}" points="([^"]+)"', svg)
    points = [tuple(map(float, point.split(","))) for point in line.split()]
    assert len(points) == 65
    for x, y in points:
        n = 2 ** ((x - 70) / 540 * 8 - 3)
        both = count_forward_flops(1, n, n, 0, 1, 1, 4)
        encoder = count_forward_flops(1, n, 0, 0, 1, 1, 4)
        encoder["projections"] -= 4 * n  # of the decoder, which projects the memory
        flops = encoder if layer == "encoder" else {k: both[k] - encoder[k] for k in both}
        share = flops["scores and mixtures"] / sum(flops.values())
        assert abs((250 - y) / 220 - share) < 0.001


def test_the_tables_of_the_figure_are_the_masks() -> None:
    svg = (FIGURES / "overview-families.svg").read_text(encoding="utf-8")
    filled = svg.split('<g class="highlight">')[1].split("</g>")[0]
    cells = {tuple(map(int, cell)) for cell in re.findall(r'<rect x="(\d+)" y="(\d+)"', filled)}
    causal, source = torch.ones(6, 6).tril().bool(), torch.arange(6) < 3
    for left, mask in ((52, torch.ones(6, 6).bool()), (262, causal), (472, causal | source)):
        drawn = {((x - left) // 22, (y - 66) // 22) for x, y in cells if left <= x < left + 132}
        assert drawn == {(j, i) for i, j in mask.nonzero().tolist()}
