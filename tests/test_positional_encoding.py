"""The positional encodings against Python's `math`, and against what theory says."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.testing import assert_close

from snippets.positional_encoding import (
    LearnedPositionalEncoding,
    PositionalEncoding,
    sinusoidal_encoding,
)
from tests import ROOT
from tests.oracle import F64, close

FIGURES = ROOT / "docs/assets/figures"
ROUNDING = 2**-24  # half a unit in the last place of float32, for numbers up to 1


def reference(positions: range, d_model: int) -> Tensor:
    """The formula, one number at a time, in Python's float64."""
    rows = []
    for pos in positions:
        row = []
        for i in range(d_model // 2):
            angle = pos / 10000 ** (2 * i / d_model)
            row += [math.sin(angle), math.cos(angle)]
        rows.append(row)
    return torch.tensor(rows, dtype=F64)


@given(n=st.integers(1, 40), half=st.integers(1, 20))
def test_matches_the_formula_in_python(n: int, half: int) -> None:
    encoding = sinusoidal_encoding(n, 2 * half)
    assert encoding.shape == (n, 2 * half)
    assert encoding.dtype == torch.float32
    assert_close(encoding.to(F64), reference(range(n), 2 * half), rtol=0, atol=ROUNDING + 1e-14)


def test_large_positions_are_as_exact_as_small_ones() -> None:
    last = sinusoidal_encoding(1_000_000, 6)[-50:].to(F64)
    expected = reference(range(999_950, 1_000_000), 6)
    assert_close(last, expected, rtol=0, atol=ROUNDING + 1e-9)


@given(half=st.integers(1, 40), k=st.integers(-50, 50), pos=st.integers(50, 900))
def test_a_step_is_a_rotation_that_does_not_depend_on_the_position(
    half: int, k: int, pos: int
) -> None:
    PE = sinusoidal_encoding(1000, 2 * half).to(F64)
    blocks = []
    for i in range(half):
        turn = k * 10000 ** (-i / half)
        sin, cos = math.sin(turn), math.cos(turn)
        blocks.append(torch.tensor([[cos, sin], [-sin, cos]], dtype=F64))
    R = torch.block_diag(*blocks)
    assert_close(R @ PE[pos], PE[pos + k], rtol=0, atol=4 * ROUNDING)
    assert_close(R.T @ R, torch.eye(2 * half, dtype=F64), rtol=0, atol=1e-14)


@pytest.mark.parametrize("d_model", [2, 10, 64, 512])
def test_every_norm_is_the_root_of_half_the_width(d_model: int) -> None:
    squares = sinusoidal_encoding(5000, d_model).to(F64).square().sum(1)
    expected = torch.full((5000,), d_model / 2, dtype=F64)
    assert_close(squares, expected, rtol=4 * ROUNDING, atol=0)


@pytest.mark.parametrize("d_model", [2, 10, 64, 512])
def test_a_dot_product_depends_on_the_distance_alone(d_model: int) -> None:
    PE = sinusoidal_encoding(200, d_model).to(F64)
    products = PE @ PE.T
    for distance in (0, 1, 7, 60, 199):
        omega = [10000 ** (-2 * i / d_model) for i in range(d_model // 2)]
        expected = math.fsum(math.cos(w * distance) for w in omega)
        for diagonal in (products.diagonal(distance), products.diagonal(-distance)):
            assert_close(
                diagonal, torch.full_like(diagonal, expected), rtol=0, atol=d_model * ROUNDING
            )


def test_no_two_positions_share_a_vector() -> None:
    PE = sinusoidal_encoding(5000, 64)
    assert len(torch.unique(PE, dim=0)) == 5000


@pytest.mark.parametrize("d_model", [7, 1, 0, -2])
def test_rejects_a_width_that_is_odd_or_empty(d_model: int) -> None:
    message = "d_model must be even, because every sine needs its cosine, and at least 2"
    for make in (lambda: sinusoidal_encoding(5, d_model), lambda: PositionalEncoding(d_model)):
        with pytest.raises(ValueError, match=f"^{message}, not {d_model}$"):
            make()


def test_rejects_a_table_without_positions() -> None:
    with pytest.raises(ValueError, match=r"^an encoding needs at least 1 position, not 0$"):
        sinusoidal_encoding(0, 8)
    with pytest.raises(ValueError, match=r"^an encoding needs at least 1 position, not -1$"):
        PositionalEncoding(8, max_len=-1)
    with pytest.raises(ValueError, match=r"^d_model and max_len must be at least 1, not 8 and 0$"):
        LearnedPositionalEncoding(8, max_len=0)
    with pytest.raises(ValueError, match=r"^d_model and max_len must be at least 1, not 0 and 5$"):
        LearnedPositionalEncoding(0, max_len=5)


# The modules

Layer = PositionalEncoding | LearnedPositionalEncoding
LAYERS = [PositionalEncoding, LearnedPositionalEncoding]
both = pytest.mark.parametrize("kind", LAYERS)


def table(layer: Layer) -> Tensor:
    return layer.encoding if isinstance(layer, PositionalEncoding) else layer.weight


@both
@pytest.mark.parametrize(("n", "start"), [(5, 0), (1, 0), (5, 3), (11, 0), (1, 10), (0, 11)])
def test_adds_the_row_of_each_position(kind: type[Layer], n: int, start: int) -> None:
    layer = kind(6, max_len=11).to(F64)
    x = torch.randn(3, n, 6, dtype=F64, generator=torch.Generator().manual_seed(0))
    output = layer(x, start) if start else layer(x)
    assert output.shape == x.shape
    for b in range(3):
        for i in range(n):
            assert torch.equal(output[b, i], x[b, i] + table(layer)[start + i])


def test_the_table_is_the_sinusoidal_encoding_and_neither_trained_nor_saved() -> None:
    layer = PositionalEncoding(6, max_len=11)
    assert torch.equal(layer.encoding, sinusoidal_encoding(11, 6))
    assert list(layer.parameters()) == []
    assert layer.state_dict() == {}
    assert layer.to(F64).encoding.dtype == F64
    assert layer.to("meta").encoding.device.type == "meta"
    assert len(PositionalEncoding(2).encoding) == 5000


def test_the_learned_table_is_trained_and_saved_and_may_be_odd() -> None:
    layer = LearnedPositionalEncoding(7, max_len=5).to(F64)
    assert list(layer.state_dict()) == ["weight"]
    x = torch.zeros(2, 3, 7, dtype=F64)
    layer(x, 1).sum().backward()
    expected = torch.tensor([0.0, 2, 2, 2, 0], dtype=F64).unsqueeze(1).expand(5, 7)
    assert torch.equal(layer.weight.grad, expected)


def test_learned_rows_start_as_long_as_sinusoidal_ones() -> None:
    torch.manual_seed(0)
    squares = LearnedPositionalEncoding(64, max_len=4000).weight.detach().square().sum(1)
    assert abs(squares.mean() - 32) < 5 * squares.std() / math.sqrt(4000)


@both
def test_dropout_acts_on_the_sum_in_training_and_not_in_evaluation(kind: type[Layer]) -> None:
    torch.manual_seed(0)
    layer = kind(10, dropout=0.25, max_len=400).to(F64)
    x = torch.randn(7, 400, 10, dtype=F64)
    total = x + table(layer)
    assert torch.equal(layer.eval()(x), total)
    output = layer.train()(x)
    kept = output != 0
    assert abs(kept.double().mean() - 0.75) < 5 * math.sqrt(0.75 * 0.25 / x.numel())
    close(output[kept], total[kept] / 0.75)
    without = kind(10, max_len=400).to(F64).train()
    assert torch.equal(without(x), x + table(without))


@both
@pytest.mark.parametrize("dropout", [-0.1, 1.0])
def test_rejects_a_dropout_outside_its_range(kind: type[Layer], dropout: float) -> None:
    with pytest.raises(ValueError, match=rf"^dropout must be in \[0, 1\), not {dropout}$"):
        kind(6, dropout=dropout)


@both
@pytest.mark.parametrize(
    ("shape", "start", "message"),
    [
        ((2, 12, 6), 0, "a sequence of length 12 is longer than max_len = 11"),
        ((2, 1, 6), 11, "a sequence of length 12 is longer than max_len = 11"),
        ((2, 5, 6), -1, "start must be at least 0, not -1"),
        ((2, 5, 7), 0, "x must be (batch, n, 6), not (2, 5, 7)"),
        ((5, 6), 0, "x must be (batch, n, 6), not (5, 6)"),
    ],
)
def test_rejects_inputs_that_do_not_fit(
    kind: type[Layer], shape: tuple[int, ...], start: int, message: str
) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        kind(6, max_len=11)(torch.zeros(shape), start)


@both
def test_a_cache_that_feeds_pieces_gives_what_one_pass_gives(kind: type[Layer]) -> None:
    layer = kind(6, max_len=11).to(F64)
    x = torch.randn(2, 9, 6, dtype=F64)
    pieces = [layer(x[:, a:b], start=a) for a, b in ((0, 4), (4, 5), (5, 9))]
    assert torch.equal(torch.cat(pieces, dim=1), layer(x))


@both
def test_self_attention_loses_its_symmetry_when_positions_are_added(kind: type[Layer]) -> None:
    torch.manual_seed(0)
    attention = nn.MultiheadAttention(6, 2, batch_first=True, dtype=F64)
    x, order = torch.randn(2, 5, 6, dtype=F64), torch.tensor([3, 0, 4, 1, 2])
    layer = kind(6, max_len=11).to(F64)

    def attend(x: Tensor) -> Tensor:
        return attention(x, x, x, need_weights=False)[0]

    close(attend(x[:, order]), attend(x)[:, order])
    assert (attend(layer(x[:, order])) - attend(layer(x))[:, order]).abs().max() > 0.01


# The figures


def points(shows: str, svg: str) -> list[list[tuple[float, float]]]:
    found = re.findall(rf'data-shows="{shows}"[^>]* points="([^"]+)"', svg)
    return [[tuple(map(float, p.split(","))) for p in line.split()] for line in found]


def test_the_curves_of_the_figure_are_the_features() -> None:
    svg = (FIGURES / "positional-encoding.svg").read_text(encoding="utf-8")
    encoding = sinusoidal_encoding(51, 8)
    for offset, shows in ((0, "sine"), (1, "cosine")):
        curves = points(shows, svg)
        assert len(curves) == 4
        for i, curve in enumerate(curves):
            at = {round((x - 170) / 9.1, 1): (36 + 64 * i - y) / 24 for x, y in curve}
            drawn = torch.tensor([at[float(pos)] for pos in range(51)])
            assert_close(drawn, encoding[:, 2 * i + offset], rtol=0, atol=0.005)


def test_the_curve_of_the_figure_is_the_dot_product_by_distance() -> None:
    svg = (FIGURES / "positional-encoding-distance.svg").read_text(encoding="utf-8")
    (curve,) = points("dot product", svg)
    PE = sinusoidal_encoding(61, 512)
    drawn = {round((x - 340) * 60 / 280): (200 - y) / 180 * 256 for x, y in curve}
    assert sorted(drawn) == list(range(-60, 61))
    for distance, value in drawn.items():
        assert abs(value - PE[0] @ PE[abs(distance)]) < 0.1
