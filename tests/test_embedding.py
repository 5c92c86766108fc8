"""The token embedding against `nn.Embedding` with the table copied across."""

import math
import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from snippets.embedding import TokenEmbedding
from tests.oracle import F64, close, generator


def pair(vocab_size: int, d_model: int) -> tuple[TokenEmbedding, nn.Embedding]:
    torch.manual_seed(vocab_size)
    ours = TokenEmbedding(vocab_size, d_model).to(F64)
    theirs = nn.Embedding(vocab_size, d_model, dtype=F64)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight)
    return ours, theirs


@given(
    leading=st.sampled_from([(), (2,), (3, 2)]),
    n=st.integers(0, 5),
    vocab_size=st.integers(1, 13),
    d_model=st.integers(1, 9),
    dtype=st.sampled_from([torch.int64, torch.int32]),
    seed=st.integers(0, 2**16),
)
def test_matches_torch_forward_and_backward(
    leading: tuple[int, ...], n: int, vocab_size: int, d_model: int, dtype: torch.dtype, seed: int
) -> None:
    ours, theirs = pair(vocab_size, d_model)
    tokens = torch.randint(vocab_size, (*leading, n), generator=generator(seed)).to(dtype)
    output, expected = ours(tokens), math.sqrt(d_model) * theirs(tokens)
    assert output.shape == (*leading, n, d_model)
    close(output, expected)
    direction = torch.randn(output.shape, dtype=F64, generator=generator(seed))
    gradient = torch.autograd.grad(output, ours.weight, direction)[0]
    expected_gradient = torch.autograd.grad(expected, theirs.weight, direction)[0]
    close(gradient, expected_gradient)


def test_equals_one_hot_vectors_times_the_table() -> None:
    ours, _ = pair(11, 6)
    tokens = torch.randint(11, (3, 5), generator=generator(0))
    one_hot = functional.one_hot(tokens, 11).to(F64)
    close(ours(tokens), math.sqrt(6) * one_hot @ ours.weight)


def test_a_row_gets_the_sum_of_its_gradients_and_an_unused_row_none() -> None:
    ours, _ = pair(7, 3)
    tokens = torch.tensor([[5, 2, 5], [5, 5, 2]])
    g = torch.randn(2, 3, 3, dtype=F64, generator=generator(1))
    gradient = torch.autograd.grad(ours(tokens), ours.weight, g)[0]
    for row in range(7):
        expected = torch.zeros(3, dtype=F64)
        for place in (tokens == row).nonzero().tolist():
            expected = expected + math.sqrt(3) * g[*place]
        close(gradient[row], expected)


@pytest.mark.parametrize("d_model", [16, 64, 512])
def test_entries_start_normal_with_variance_one_over_d_model(d_model: int) -> None:
    torch.manual_seed(0)
    rows = 400_000 // d_model
    weight = TokenEmbedding(rows, d_model).weight.detach().to(F64)
    count = weight.numel()
    z = weight * math.sqrt(d_model)
    assert abs(z.mean()) < 5 / math.sqrt(count)
    assert abs(z.square().mean() - 1) < 5 * math.sqrt(2 / count)
    assert abs(z.pow(4).mean() - 3) < 5 * math.sqrt(96 / count)  # a normal's fourth moment
    assert abs(weight.square().sum(1).mean() - 1) < 5 * math.sqrt(2 / count)


def tie(embedding: TokenEmbedding) -> nn.Linear:
    projection = nn.Linear(embedding.d_model, embedding.vocab_size, bias=False, dtype=F64)
    projection.weight = embedding.weight
    return projection


def test_a_tied_projection_shares_the_table_and_gives_every_row_a_gradient() -> None:
    embedding, _ = pair(11, 6)
    projection = tie(embedding)
    model = nn.ModuleList([embedding, projection])
    assert sum(p.numel() for p in model.parameters()) == 11 * 6
    tokens, labels = torch.tensor([5, 2, 5]), torch.tensor([2, 5, 9])

    def loss(read: Tensor, written: Tensor) -> Tensor:
        x = math.sqrt(6) * functional.one_hot(tokens, 11).to(F64) @ read
        return functional.cross_entropy(x @ written.T, labels)

    functional.cross_entropy(projection(embedding(tokens)), labels).backward()
    read, written = (embedding.weight.detach().clone().requires_grad_() for _ in "ab")
    sides = torch.autograd.grad(loss(read, written), [read, written])
    close(embedding.weight.grad, sides[0] + sides[1])
    assert embedding.weight.grad.any(dim=1).all()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert torch.equal(projection.weight, embedding.weight)


def test_the_first_loss_of_a_tied_head_is_about_ln_v_plus_one_half() -> None:
    torch.manual_seed(0)
    vocab_size, d_model = 5000, 256
    E = TokenEmbedding(vocab_size, d_model).weight.detach()
    h = functional.layer_norm(torch.randn(200, d_model), [d_model])
    labels = torch.randint(vocab_size, (200,))
    loss = functional.cross_entropy(h @ E.T, labels)
    assert abs(loss - math.log(vocab_size) - 0.5) < 5 / math.sqrt(200)
    default = functional.cross_entropy(h @ (E * math.sqrt(d_model)).T, labels)
    assert 45 < default < math.sqrt(2 * d_model * math.log(vocab_size))


@pytest.mark.parametrize("dtype", [torch.float32, F64, torch.bool, torch.int16, torch.uint8])
def test_rejects_ids_that_are_not_int64_or_int32(dtype: torch.dtype) -> None:
    with pytest.raises(TypeError, match=rf"^token ids must be int64 or int32, not {dtype}$"):
        TokenEmbedding(11, 6)(torch.ones(2, 3, dtype=dtype))


@pytest.mark.parametrize(("low", "high"), [(0, 11), (-1, 3), (-7, 40)])
def test_rejects_ids_outside_the_table(low: int, high: int) -> None:
    message = f"token ids must be in [0, 11), but they run from {low} to {high}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$") as raised:
        TokenEmbedding(11, 6)(torch.tensor([[low, 0], [2, high]]))
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


@pytest.mark.parametrize(("vocab_size", "d_model"), [(0, 6), (11, 0), (-1, 6)])
def test_rejects_an_empty_table(vocab_size: int, d_model: int) -> None:
    message = f"vocab_size and d_model must be at least 1, not {vocab_size} and {d_model}"
    with pytest.raises(ValueError, match=f"^{message}$"):
        TokenEmbedding(vocab_size, d_model)


def test_the_state_dict_is_that_of_nn_embedding() -> None:
    ours, theirs = pair(11, 6)
    assert list(ours.state_dict()) == list(theirs.state_dict()) == ["weight"]
    with torch.no_grad():
        theirs.weight.add_(1)
    ours.load_state_dict(theirs.state_dict())
    assert torch.equal(ours.weight, theirs.weight)
