"""The convolutional layer against `nn.Conv1d` with the weights copied across."""

import itertools
import math
import re

import pytest
import torch
from torch import nn

from snippets.convolution import ConvolutionLayer
from snippets.path_length import reach
from tests.oracle import F64, close, random, variable

SIZES = [  # batch, n, d_model, kernel_size, dilation
    (2, 11, 4, 3, 1),
    (3, 7, 2, 5, 1),
    (2, 4, 3, 5, 6),  # a window wider than the sequence
    (3, 13, 5, 3, 4),
    (4, 6, 2, 1, 3),
    (2, 1, 3, 5, 1),
    (3, 7, 2, 5, 7),  # as far apart as the sequence is long, and farther
    (3, 7, 2, 5, 40),
    (5, 8, 1, 7, 2),
]
EVEN = [(2, 9, 3, 2, 1), (3, 7, 4, 4, 2), (2, 5, 3, 2, 8), (1, 1, 2, 6, 3)]


@pytest.mark.parametrize(
    ("causal", "sizes"),
    [(False, sizes) for sizes in SIZES] + [(True, sizes) for sizes in SIZES + EVEN],
)
def test_matches_torch_forward_and_backward(causal: bool, sizes: tuple[int, ...]) -> None:
    batch, n, d_model, kernel_size, dilation = sizes
    torch.manual_seed(n)
    ours = ConvolutionLayer(d_model, kernel_size, dilation, causal).to(F64)
    theirs = nn.Conv1d(d_model, d_model, kernel_size, dilation=dilation, dtype=F64)
    with torch.no_grad():
        theirs.weight.copy_(ours.W.weight.view(d_model, d_model, kernel_size))
        theirs.bias.copy_(ours.W.bias)
    x = variable(batch, n, d_model, seed=0)
    span = (kernel_size - 1) * dilation
    padding = (span, 0) if causal else (span // 2, span // 2)
    output, expected = ours(x), theirs(nn.functional.pad(x.mT, padding)).mT
    assert output.shape == x.shape
    close(output, expected)
    direction = random(batch, n, d_model, seed=1)
    mine = torch.autograd.grad((direction * output).sum(), [x, ours.W.weight, ours.W.bias])
    other = torch.autograd.grad((direction * expected).sum(), [x, theirs.weight, theirs.bias])
    close(mine[0], other[0])
    close(mine[1], other[1].flatten(1))
    close(mine[2], other[2])


def test_a_centred_kernel_is_padding_same() -> None:
    torch.manual_seed(0)
    ours = ConvolutionLayer(3, 5, 2).to(F64)
    theirs = nn.Conv1d(3, 3, 5, padding="same", dilation=2, dtype=F64)
    theirs.load_state_dict(
        {"weight": ours.W.weight.detach().view(3, 3, 5), "bias": ours.W.bias.detach()}
    )
    x = variable(2, 11, 3, seed=0)
    close(ours(x), theirs(x.mT).mT)


def test_sees_the_positions_of_its_kernel_and_no_others() -> None:
    layer = ConvolutionLayer(3, 5, dilation=2).to(F64)
    x = variable(1, 13, 3, seed=0)
    (gradient,) = torch.autograd.grad(layer(x)[0, 6].sum(), x)
    assert gradient[0].ne(0).any(-1).nonzero().flatten().tolist() == [2, 4, 6, 8, 10]


@pytest.mark.parametrize("kernel_size", [1, 2, 3, 4])
def test_a_causal_kernel_sees_its_own_position_and_others_before_it(kernel_size: int) -> None:
    layer, n, dilation = ConvolutionLayer(3, kernel_size, 2, causal=True).to(F64), 9, 2
    seen = reach([layer], n)
    distance = torch.arange(n).unsqueeze(1) - torch.arange(n)
    within = (distance >= 0) & (distance < kernel_size * dilation) & (distance % dilation == 0)
    assert torch.equal(seen, within)


@pytest.mark.parametrize("k", [2, 3, 5])
@pytest.mark.parametrize("dilated", [False, True])
def test_a_causal_stack_reaches_what_its_dilations_add_up_to(k: int, dilated: bool) -> None:
    for depth in (1, 2, 3):
        dilations = [k**layer if dilated else 1 for layer in range(depth)]
        hops = [ConvolutionLayer(2, k, dilation, causal=True).to(F64) for dilation in dilations]
        farthest = k**depth - 1 if dilated else depth * (k - 1)
        n = farthest + 3
        band = torch.ones(n, n, dtype=torch.bool).tril().triu(-farthest)
        assert torch.equal(reach(hops, n), band)


@pytest.mark.parametrize("n", [2, 3, 8, 9, 10, 27])
def test_dilations_by_the_kernel_connect_a_causal_stack_in_log_k_layers(n: int) -> None:
    past = torch.ones(n, n, dtype=torch.bool).tril()
    for k in (2, 3, 4):
        depth = next(depth for depth in itertools.count() if k**depth >= n)
        hops = [ConvolutionLayer(2, k, k**layer, causal=True).to(F64) for layer in range(depth)]
        assert torch.equal(reach(hops, n), past)
        assert depth == 1 or not torch.equal(reach(hops[:-1], n), past)


@pytest.mark.parametrize(("k", "depth"), [(3, 2), (3, 3), (5, 2)])
def test_over_random_signs_the_mean_squared_derivative_is_the_number_of_paths(
    k: int, depth: int
) -> None:
    hops = [ConvolutionLayer(1, k).to(F64) for _ in range(depth)]
    n = depth * (k - 1) + 1
    squares, networks = torch.zeros(n, dtype=F64), 0
    for signs in itertools.product((-1.0, 1.0), repeat=k * depth):
        for hop, weight in zip(hops, torch.tensor(signs, dtype=F64).view(depth, 1, k), strict=True):
            hop.W.weight.data = weight
        x = torch.zeros(1, n, 1, dtype=F64, requires_grad=True)
        (gradient,) = torch.autograd.grad(nn.Sequential(*hops)(x)[0, n // 2, 0], x)
        squares += gradient.flatten().square()
        networks += 1
    steps = itertools.product(range(-(k // 2), k // 2 + 1), repeat=depth)
    ends = torch.tensor([sum(path) for path in steps])
    paths = (ends + n // 2).bincount(minlength=n)
    close(squares / networks, paths.to(F64))
    assert math.isclose(ends.to(F64).var(correction=0).item(), depth * (k**2 - 1) / 12)


def test_a_dilation_far_beyond_the_sequence_takes_no_more_memory() -> None:
    layer, x = ConvolutionLayer(3, 3, dilation=10**12).to(F64), variable(2, 5, 3, seed=0)
    middle = layer.W.weight.unflatten(1, (3, 3))[..., 1]
    close(layer(x), x @ middle.T + layer.W.bias)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4), "kernel_size must be odd and positive, not 4"),
        ((3, 0), "kernel_size must be odd and positive, not 0"),
        ((3, -1), "kernel_size must be odd and positive, not -1"),
        ((3, 0, 1, True), "kernel_size must be positive, not 0"),
        ((3, -2, 1, True), "kernel_size must be positive, not -2"),
        ((3, 2, 0, True), "dilation must be at least 1, not 0"),
        ((3, 3, 0), "dilation must be at least 1, not 0"),
    ],
)
def test_rejects_kernels_without_a_middle(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvolutionLayer(*arguments)


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 4), (2, 5, 1, 3), (2, 0, 3)])
def test_rejects_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"x must be (batch, n, 3), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvolutionLayer(3, 3)(torch.zeros(shape))
