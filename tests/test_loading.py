"""What the constructor made and a state does not hold: loading restores it, or refuses."""

import copy
import pickle

import pytest
import torch

from snippets.masks import causal_mask
from snippets.multi_head import MultiHeadAttention
from snippets.transformer import Transformer
from tests.oracle import random

SIZES = {"d_model": 12, "n_heads": 3, "n_layers": 1, "d_ff": 20, "dropout": 0.0}
SRC, TGT = torch.tensor([[1, 2, 3, 4]]), torch.tensor([[5, 6, 7]])


def build(share: bool = True, seed: int = 0) -> Transformer:
    torch.manual_seed(seed)
    return Transformer(11, 11, **SIZES, share_embeddings=share)


def output(model: Transformer) -> torch.Tensor:
    return model(SRC, TGT, None, causal_mask(3))


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("emptied", [False, True])
def test_a_model_from_the_meta_device_is_the_one_that_was_saved(
    share: bool, assign: bool, emptied: bool
) -> None:
    saved = build(share)
    with torch.device("meta"):
        model = build(share)
    if emptied:
        model.to_empty(device="cpu")
        model.positional_encoding.encoding.fill_(torch.nan)  # what lay in memory
    elif not assign:
        return  # nothing can be copied into a tensor without memory
    model.load_state_dict(saved.state_dict(), assign=assign)
    assert torch.equal(output(model), output(saved))
    assert (model.output.weight is model.src_embedding.weight) == share
    assert (model.output.weight is model.tgt_embedding.weight) == share


@pytest.mark.parametrize("again", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_loaded_and_tied_like_the_model(again) -> None:
    model, other = again(build()), build(seed=1)
    assert torch.equal(output(model), output(build()))
    model.load_state_dict(other.state_dict(), assign=True)
    assert model.output.weight is model.src_embedding.weight is not other.output.weight
    assert torch.equal(output(model), output(other))


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("part", ["src_embedding", "tgt_embedding", "output"])
def test_different_matrices_are_refused_before_anything_is_loaded(part: str, assign: bool) -> None:
    model, state = build(), build(seed=1).state_dict()
    before = output(model)
    state[f"{part}.weight"] = torch.ones(11, 12)
    with pytest.raises(ValueError, match=r"^shared embeddings need one matrix: "):
        model.load_state_dict(state, assign=assign)
    assert torch.equal(output(model), before)


@pytest.mark.parametrize("assign", [False, True])
@pytest.mark.parametrize("part", ["src_embedding", "tgt_embedding", "output"])
def test_a_shared_matrix_may_be_saved_once(part: str, assign: bool) -> None:
    model, other = build(), build(seed=1)
    state = other.state_dict()
    for name in {"src_embedding", "tgt_embedding", "output"} - {part}:
        del state[f"{name}.weight"]
    torch.nn.ModuleDict({"inner": model}).load_state_dict(
        {f"inner.{name}": tensor for name, tensor in state.items()}, assign=assign
    )
    assert torch.equal(output(model), output(other))
    assert model.output.weight is model.src_embedding.weight


def test_the_table_keeps_its_dtype_and_its_numbers() -> None:
    for dtype in (torch.float32, torch.float64, torch.bfloat16):
        model = build().to(dtype)
        before = model.positional_encoding.encoding
        model.load_state_dict(model.state_dict())
        assert torch.equal(model.positional_encoding.encoding, before)
        assert model.positional_encoding.encoding.dtype == dtype


def test_another_number_of_heads_is_not_seen_in_the_weights() -> None:
    """What the docstring says: keep the arguments beside the weights."""
    three, two = MultiHeadAttention(12, 3), MultiHeadAttention(12, 2)
    two.load_state_dict(three.state_dict())
    x = random(1, 4, 12).float()
    assert not torch.allclose(two(x, x, x), three(x, x, x))
