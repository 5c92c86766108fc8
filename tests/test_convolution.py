"""The convolutional layer against `nn.Conv1d` with the weights copied across."""

import re

import pytest
import torch
from torch import Tensor, nn

from snippets.convolution import ConvolutionLayer

F64 = torch.float64
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


def random(*shape: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, dtype=F64, generator=generator, requires_grad=True)


def close(actual: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("batch", "n", "d_model", "kernel_size", "dilation"), SIZES)
def test_matches_torch_forward_and_backward(
    batch: int, n: int, d_model: int, kernel_size: int, dilation: int
) -> None:
    torch.manual_seed(n)
    ours = ConvolutionLayer(d_model, kernel_size, dilation).to(F64)
    padding = (kernel_size - 1) // 2 * dilation
    theirs = nn.Conv1d(d_model, d_model, kernel_size, 1, padding, dilation, dtype=F64)
    with torch.no_grad():
        theirs.weight.copy_(ours.W.weight.view(d_model, d_model, kernel_size))
        theirs.bias.copy_(ours.W.bias)
    x = random(batch, n, d_model, seed=0)
    output, expected = ours(x), theirs(x.mT).mT
    assert output.shape == x.shape
    close(output, expected)
    direction = random(batch, n, d_model, seed=1).detach()
    mine = torch.autograd.grad((direction * output).sum(), [x, ours.W.weight, ours.W.bias])
    other = torch.autograd.grad((direction * expected).sum(), [x, theirs.weight, theirs.bias])
    close(mine[0], other[0])
    close(mine[1], other[1].flatten(1))
    close(mine[2], other[2])


def test_sees_the_positions_of_its_kernel_and_no_others() -> None:
    layer = ConvolutionLayer(3, 5, dilation=2).to(F64)
    x = random(1, 13, 3, seed=0)
    (gradient,) = torch.autograd.grad(layer(x)[0, 6].sum(), x)
    assert gradient[0].ne(0).any(-1).nonzero().flatten().tolist() == [2, 4, 6, 8, 10]


def test_a_dilation_far_beyond_the_sequence_takes_no_more_memory() -> None:
    layer, x = ConvolutionLayer(3, 3, dilation=10**12).to(F64), random(2, 5, 3, seed=0)
    middle = layer.W.weight.unflatten(1, (3, 3))[..., 1]
    close(layer(x), x @ middle.T + layer.W.bias)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 4), "kernel_size must be odd and positive, not 4"),
        ((3, 0), "kernel_size must be odd and positive, not 0"),
        ((3, -1), "kernel_size must be odd and positive, not -1"),
        ((3, 3, 0), "dilation must be at least 1, not 0"),
    ],
)
def test_rejects_kernels_without_a_middle(arguments: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvolutionLayer(*arguments)


@pytest.mark.parametrize("shape", [(5, 3), (2, 5, 4), (2, 5, 1, 3)])
def test_rejects_inputs_of_another_shape(shape: tuple[int, ...]) -> None:
    message = f"x must be (batch, n, 3), not {shape}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        ConvolutionLayer(3, 3)(torch.zeros(shape))
