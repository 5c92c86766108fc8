"""Variants of the Transformer, and its rivals: `docs/why-attention/inductive-bias.md`.

A variant is the Transformer with one part exchanged after it was built, so that the components stay
as they are and every variant starts from the same random numbers. A rival has the Transformer's
frame, which is embeddings, one matrix for them and the logits, and another encoder and decoder in
it. Training, decoding and scores are the same for all.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from snippets.multi_head import MultiHeadAttention
from snippets.positional_encoding import LearnedPositionalEncoding
from snippets.training.config import Config
from snippets.training.convolutional_seq2seq import ConvolutionalDecoder, ConvolutionalEncoder
from snippets.training.loop import transformer
from snippets.training.recurrent_seq2seq import RecurrentDecoder, RecurrentEncoder
from snippets.transformer import Transformer

MAX_LEN = 256
"""Positions that have a learned vector."""


# --8<-- [start:NoPositions]
class NoPositions(nn.Module):
    """Drop out, and add nothing; it stands in the place of `PositionalEncoding`.

    Args:
        dropout: Probability in [0, 1) of dropping a number in training.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """The arguments of `PositionalEncoding`; `start` makes no difference."""
        return self.dropout(x)


# --8<-- [end:NoPositions]


# --8<-- [start:variants]
def multiply(part: nn.Module, factor: float) -> None:
    """Multiply a part's output by a factor from now on."""
    part.register_forward_hook(lambda module, arguments, output: output * factor)


def attentions(model: Transformer) -> list[MultiHeadAttention]:
    """All attentions of a model."""
    return [part for part in model.modules() if isinstance(part, MultiHeadAttention)]


def unscaled(config: Config, vocab_size: int) -> Transformer:
    """Scores that are not divided by √d_k: queries are multiplied by it."""
    model = transformer(config, vocab_size)
    for attention in attentions(model):
        multiply(attention.W_q, math.sqrt(attention.d_model / attention.n_heads))
    return model


def no_positions(config: Config, vocab_size: int) -> Transformer:
    """No positional encoding; the decoder knows the order by its causal mask alone."""
    model = transformer(config, vocab_size)
    model.positional_encoding = NoPositions(config.dropout)
    return model


def learned_positions(config: Config, vocab_size: int) -> Transformer:
    """A learned vector for each position, one table for source and target."""
    model = transformer(config, vocab_size)
    model.positional_encoding = LearnedPositionalEncoding(config.d_model, config.dropout, MAX_LEN)
    return model


def unscaled_embeddings(config: Config, vocab_size: int) -> Transformer:
    """Embeddings that are not multiplied by √d_model."""
    model = transformer(config, vocab_size)
    multiply(model.src_embedding, config.d_model**-0.5)  # the target's is the same module
    return model


def untied(config: Config, vocab_size: int) -> Transformer:
    """Three matrices in place of one, for source, target and logits."""
    return transformer(config, vocab_size, share_embeddings=False)


def gain_1(config: Config, vocab_size: int) -> Transformer:
    """W_q, W_k and W_v drawn Xavier uniform each by itself: √2 times as large."""
    model = transformer(config, vocab_size)
    with torch.no_grad():
        for attention in attentions(model):
            for part in (attention.W_q, attention.W_k, attention.W_v):
                part.weight *= math.sqrt(2)
    return model


# --8<-- [end:variants]


# --8<-- [start:rivals]
def recurrent(config: Config, vocab_size: int) -> Transformer:
    """Gated recurrent units with attention; `d_ff` is the width of the states."""
    model = transformer(replace(config, n_layers=1), vocab_size)
    sizes = (config.n_layers, config.d_model, config.d_ff, config.dropout)
    model.positional_encoding = NoPositions(config.dropout)
    model.encoder, model.decoder = RecurrentEncoder(*sizes), RecurrentDecoder(*sizes)
    return model


def convolutional(config: Config, vocab_size: int) -> Transformer:
    """Gated convolutions with attention; `d_ff` is the width of the layers."""
    model = transformer(replace(config, n_layers=1), vocab_size)
    sizes = (config.n_layers, config.d_model, config.d_ff, config.dropout)
    model.positional_encoding = LearnedPositionalEncoding(config.d_model, config.dropout, MAX_LEN)
    model.encoder, model.decoder = ConvolutionalEncoder(*sizes), ConvolutionalDecoder(*sizes)
    return model


# --8<-- [end:rivals]


# --8<-- [start:build]
MODELS: dict[str, Callable[[Config, int], Transformer]] = {
    "transformer": transformer,
    "unscaled": unscaled,
    "no-positions": no_positions,
    "learned-positions": learned_positions,
    "unscaled-embeddings": unscaled_embeddings,
    "untied": untied,
    "gain-1": gain_1,
    "recurrent": recurrent,
    "convolutional": convolutional,
}


def build(config: Config, vocab_size: int) -> Transformer:
    """The model that the settings name.

    Args:
        config: The settings.
        vocab_size: Number of tokens that the vocabulary really has.
    """
    return MODELS[config.model](config, vocab_size)


def parameters(config: Config) -> int:
    """How many numbers a model of these settings learns, its vocabulary being full."""
    with torch.device("meta"):  # no memory is taken
        return sum(value.numel() for value in build(config, config.vocab_size).parameters())


def equal_width(config: Config, rival: str, n_layers: int) -> Config:
    """The settings of a rival that learns as many numbers as the model of other settings.

    Embeddings stay as wide as they are; the width of the states, `d_ff`, is chosen.

    Args:
        config: Of the model to compare with.
        rival: "recurrent" or "convolutional".
        n_layers: The rival's.

    Returns:
        The settings whose number of parameters is nearest.
    """
    wanted = parameters(config)

    def wide(d_ff: int) -> Config:
        return replace(config, model=rival, n_layers=n_layers, d_ff=d_ff)

    low, high = 1, 1
    while parameters(wide(high)) < wanted:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(wide(middle)) < wanted else (low, middle)
    return min(wide(low), wide(high), key=lambda one: abs(parameters(one) - wanted))


# --8<-- [end:build]
