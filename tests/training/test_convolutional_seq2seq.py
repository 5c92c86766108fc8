"""The convolutional rival, against our own convolution, a loop, and how far it sees."""

import pytest
import torch

from snippets.convolution import ConvolutionLayer
from snippets.training.convolutional_seq2seq import (
    HALF,
    ConvolutionalDecoder,
    ConvolutionalEncoder,
    GatedConvolution,
)
from tests.oracle import close, random


@pytest.mark.parametrize("causal", [True, False])
def test_a_gated_convolution_is_two_convolutions_and_a_gate(causal: bool) -> None:
    gated = GatedConvolution(4, 3, 0.5, causal).double().eval()
    x, halves = random(2, 5, 4), []
    for start in (0, 4):
        plain = ConvolutionLayer(4, 3, causal=causal).double()
        with torch.no_grad():
            plain.W.weight.copy_(gated.conv.weight[start : start + 4].flatten(1))
            plain.W.bias.copy_(gated.conv.bias[start : start + 4])
        halves.append(plain(x))
    close(gated(x), halves[0] * torch.sigmoid(halves[1]))


def test_a_gated_convolution_keeps_the_variance() -> None:
    torch.manual_seed(0)
    for dropout in (0.0, 0.4):
        gated = GatedConvolution(64, 3, dropout, causal=True)
        variance = gated(torch.randn(8, 200, 64))[:, 2:].var().item()
        assert variance == pytest.approx(1.25, abs=0.25)  # section 3.5 neglects the gate's own


def test_an_even_kernel_has_no_centre() -> None:
    with pytest.raises(ValueError, match="kernel_size must be odd and positive, not 2"):
        GatedConvolution(4, 2, 0.0, causal=False)
    GatedConvolution(4, 2, 0.0, causal=True)


def test_a_layer_of_the_encoder_sees_one_neighbour_on_each_side() -> None:
    encoder = ConvolutionalEncoder(n_layers=2, d_model=4, d_hidden=3).double().eval()
    x = random(1, 9, 4).requires_grad_()
    (gradient,) = torch.autograd.grad(encoder(x, None)[0, 4].sum(), x)
    assert gradient[0].any(-1).tolist() == [False] * 2 + [True] * 5 + [False] * 2


def test_the_decoder_is_its_formula() -> None:
    decoder = ConvolutionalDecoder(n_layers=1, d_model=4, d_hidden=3).double().eval()
    x, memory = random(2, 6, 4, seed=1), random(2, 5, 8, seed=2)
    mask = torch.arange(5) < torch.tensor([[[5]], [[2]]])  # (2, 1, 5)
    keys, values = memory[..., :4], memory[..., 4:]
    h = decoder.W_in(x)
    inside = decoder.layers[0](h)
    query = (decoder.W_query[0](inside) + x) * HALF
    weights = torch.softmax((query @ keys.mT / 2).masked_fill(~mask, -torch.inf), -1)
    context = weights @ values * torch.tensor([[[5.0]], [[2.0]]]).sqrt()
    inside = (inside + decoder.W_context[0](context)) * HALF
    close(decoder(x, memory, None, mask), decoder.W_out((inside + h) * HALF), atol=1e-6)
