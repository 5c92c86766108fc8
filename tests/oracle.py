"""What tests of components share: inputs, masks, tolerances, and PyTorch's names of our weights.

Hypothesis has one profile, which the `conftest.py` at the root loads: the same examples every time,
and no deadline. A test that wants another number of them says so: `@settings(max_examples=12)`.
"""

from collections.abc import Mapping

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

F64 = torch.float64
HALVES = [torch.float16, torch.bfloat16]
PRIMES = [2, 3, 5, 7, 11, 13, 17]  # sizes that all differ, so that a swapped axis fails


def generator(seed: int) -> torch.Generator:
    """PyTorch's generator, seeded."""
    return torch.Generator().manual_seed(seed)


def random(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """Normal numbers in float64, the same for the same seed."""
    return scale * torch.randn(*shape, dtype=F64, generator=generator(seed))


def variable(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    """The same numbers as `random` gives, as a leaf that wants a gradient."""
    return random(*shape, seed=seed, scale=scale).requires_grad_()


def close(actual: Tensor, expected: Tensor, atol: float = 1e-12, rtol: float = 0.0) -> None:
    """Equal in shape and dtype, and in value up to the rounding of float64."""
    torch.testing.assert_close(actual, expected, atol=atol, rtol=rtol)


def all_close(
    actual: Mapping[str, Tensor], expected: Mapping[str, Tensor], atol: float = 1e-12
) -> None:
    """The same names, and under each of them the same values."""
    assert actual.keys() == expected.keys()
    for name, tensor in actual.items():
        close(tensor, expected[name], atol)


# Attention's inputs and masks


def make_inputs(
    leading: tuple[int, ...], n_query: int, n_key: int, d_k: int, d_v: int, seed: int = 0
) -> list[Tensor]:
    """Query (..., n_query, d_k), key (..., n_key, d_k) and value (..., n_key, d_v) in float64."""
    sizes = [(n_query, d_k), (n_key, d_k), (n_key, d_v)]
    return [variable(*leading, *size, seed=3 * seed + i) for i, size in enumerate(sizes)]


SEEING = ["none", "causal", "padding", "random"]  # every query may attend to the first key
MASKS = [*SEEING, "empty row"]
LAYER_SIZES = {
    "batch": st.integers(1, 3),
    "n_heads": st.integers(1, 3),
    "d_k": st.integers(1, 3),
    "d_ff": st.integers(1, 9),
    "n": st.integers(1, 6),
    "kind": st.sampled_from(SEEING),
    "seed": st.integers(0, 99),
}


def make_mask(
    kind: str, leading: tuple[int, ...], n_query: int, n_key: int, seed: int = 1
) -> Tensor | None:
    """A boolean mask of one kind, True where attention is allowed; not made by `snippets.masks`."""
    if kind == "none":
        return None
    if kind == "causal":  # aligned with the upper left corner, as is_causal=True is
        return torch.arange(n_query).unsqueeze(1) >= torch.arange(n_key)
    if kind == "padding":  # one row for all queries, and at least one real key
        n_real = torch.randint(1, n_key + 1, (*leading, 1, 1), generator=generator(seed))
        return torch.arange(n_key) < n_real
    mask = torch.rand(*leading, n_query, n_key, generator=generator(seed)) < 0.6
    mask[..., 0] = True
    if kind == "empty row":
        mask[..., n_query // 2, :] = False
    return mask


def hidden(
    mask: Tensor | None, batch: int, n_heads: int, n_query: int, n_key: int
) -> Tensor | None:
    """The mask as `nn.MultiheadAttention` has it: True hides, the heads laid along the batch."""
    if mask is None:
        return None
    return ~mask.expand(batch, n_query, n_key).repeat_interleave(n_heads, dim=0)


# Weights and gradients, by our names and by PyTorch's


def randomise(module: nn.Module) -> None:
    """Give every parameter, biases and norms included, a value that no other has."""
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter += random(*parameter.shape, seed=seed, scale=0.3)


def gradients(module: nn.Module, output: Tensor, *inputs: Tensor) -> dict[str, Tensor]:
    """The gradients of a random function of the output, by name; an input's name is its number."""
    named = {str(i): x for i, x in enumerate(inputs)} | dict(module.named_parameters())
    direction = random(*output.shape, seed=99)
    values = torch.autograd.grad((direction * output).sum(), list(named.values()))
    return dict(zip(named, values, strict=True))


def names_in_torch(decoder: bool) -> dict[str, str]:
    """What a part of a layer, or of an attention, is called in PyTorch."""
    names = {
        "self_attention.": "self_attn.",
        "cross_attention.": "multihead_attn.",
        "W_o.": "out_proj.",
        "feed_forward.W_1.": "linear1.",
        "feed_forward.W_2.": "linear2.",
        "self_attention_residual.norm.": "norm1.",
        "cross_attention_residual.norm.": "norm2.",
        "feed_forward_residual.norm.": "norm3." if decoder else "norm2.",
    }
    return {mine: other for mine, other in names.items() if decoder or "cross" not in mine}


def to_torch(ours: Mapping[str, Tensor], decoder: bool = False) -> dict[str, Tensor]:
    """The weights, or the gradients, of one of our stacks or attentions by PyTorch's names."""
    theirs = {}
    for name, tensor in ours.items():
        if any(f".W_{letter}." in f".{name}" for letter in "kv"):
            continue  # with W_q
        if "W_q." in name:
            tensor = torch.cat([ours[name.replace("W_q", f"W_{letter}")] for letter in "qkv"])
            name = name.replace("W_q.", "in_proj_")
        for mine, other in names_in_torch(decoder).items():
            name = name.replace(mine, other)
        theirs[name] = tensor
    return theirs


def from_torch(theirs: Mapping[str, Tensor], decoder: bool = False) -> dict[str, Tensor]:
    """The weights of one of PyTorch's stacks or attentions by our names."""
    ours = {}
    for name, tensor in theirs.items():
        for mine, other in names_in_torch(decoder).items():
            name = name.replace(other, mine)
        if "in_proj_" not in name:
            ours[name] = tensor
            continue
        for letter, part in zip("qkv", tensor.chunk(3), strict=True):
            ours[name.replace("in_proj_", f"W_{letter}.")] = part
    return ours


def dropout_rates(module: nn.Module) -> dict[str, float]:
    """Every rate in a module, by the name of the part that holds it, an attention's included."""
    rates = {name: part.p for name, part in module.named_modules() if isinstance(part, nn.Dropout)}
    parts = dict(module.named_modules())
    return rates | {
        n: p.dropout for n, p in parts.items() if isinstance(vars(p).get("dropout"), float)
    }
