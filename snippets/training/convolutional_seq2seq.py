"""A convolutional rival of the Transformer: `docs/why-attention/inductive-bias.md`.

Shapes: `n_src` and `n_tgt` are the lengths of source and target, `d_model` is the width of
embeddings, `d_hidden` that of the layers.
"""

import torch
from torch import Tensor, nn

HALF = 0.5**0.5
"""What keeps the variance when two numbers are added."""


# --8<-- [start:GatedConvolution]
class GatedConvolution(nn.Module):
    """A convolution whose one half of channels decides how much of the other passes.

        y = a ⊙ sigmoid(b),  (a, b) = conv(dropout(x))

    Args:
        d_hidden: Width of inputs and outputs.
        kernel_size: Number of positions that an output sees; odd unless `causal`.
        dropout: Probability in [0, 1) of dropping an input in training.
        causal: Whether the kernel ends at its own position; otherwise it is centred.

    Raises:
        ValueError: If `kernel_size` is not positive, or even and centred.

    Source: Gehring et al. (2017), sections 3.2 and 3.5; Dauphin et al. (2017).
    """

    def __init__(self, d_hidden: int, kernel_size: int, dropout: float, causal: bool) -> None:
        super().__init__()
        if kernel_size < 1 or (kernel_size % 2 == 0 and not causal):
            wanted = "positive" if causal else "odd and positive"
            raise ValueError(f"kernel_size must be {wanted}, not {kernel_size}")
        span = kernel_size - 1
        self.padding = (span, 0) if causal else (span // 2, span // 2)
        self.dropout = nn.Dropout(dropout)
        self.conv = nn.Conv1d(d_hidden, 2 * d_hidden, kernel_size)
        nn.init.normal_(self.conv.weight, std=(4 * (1 - dropout) / (kernel_size * d_hidden)) ** 0.5)
        nn.init.zeros_(self.conv.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, n, d_hidden) to the same shape; outside the sequence there are zeros."""
        padded = nn.functional.pad(self.dropout(x).transpose(1, 2), self.padding)
        return nn.functional.glu(self.conv(padded), dim=1).transpose(1, 2)  # (batch, n, d_hidden)


# --8<-- [end:GatedConvolution]


# --8<-- [start:ConvolutionalEncoder]
class ConvolutionalEncoder(nn.Module):
    """Read the source with gated convolutions, layer on layer, each with a residual.

    Args:
        n_layers: Number of layers, at least 1.
        d_model: Width of the embeddings.
        d_hidden: Width of the layers.
        dropout: Probability in [0, 1) of dropping an input of a layer in training.
        kernel_size: Number of positions that an output of one layer sees, odd.

    Source: Gehring et al. (2017), section 3. Their weight normalisation is left out, and so is the
    factor on the encoder's gradients.
    """

    def __init__(
        self,
        n_layers: int,
        d_model: int,
        d_hidden: int,
        dropout: float = 0.1,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        self.W_in = nn.Linear(d_model, d_hidden)
        self.layers = nn.ModuleList(
            GatedConvolution(d_hidden, kernel_size, dropout, causal=False) for _ in range(n_layers)
        )
        self.W_out = nn.Linear(d_hidden, d_model)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the layers; padding counts as zeros, like everything outside the sentence.

        Args:
            x: (batch, n_src, d_model), embeddings with positions.
            mask: A padding mask, boolean (batch, 1, n_src), True at the words; or None.

        Returns:
            The keys of the decoder's attention, and beside them its values, which are the keys with
            the embeddings added: (batch, n_src, 2 d_model).
        """
        real = 1.0 if mask is None else mask.transpose(1, 2).to(x.dtype)  # (batch, n_src, 1)
        h = self.W_in(x)  # (batch, n_src, d_hidden)
        for layer in self.layers:
            h = (layer(h * real) + h) * HALF
        keys = self.W_out(h)  # (batch, n_src, d_model)
        return torch.cat([keys, (keys + x) * HALF], dim=-1)  # (batch, n_src, 2 d_model)


# --8<-- [end:ConvolutionalEncoder]


# --8<-- [start:ConvolutionalDecoder]
class ConvolutionalDecoder(nn.Module):
    """Write the target with causal gated convolutions, which all look at the source.

    Scores are divided by √d_model, unlike in the source: embeddings have the variance 1 here, and
    0.01 there.

    Args:
        n_layers: Number of layers, at least 1.
        d_model: Width of the embeddings and of the output.
        d_hidden: Width of the layers.
        dropout: Probability in [0, 1) of dropping an input of a layer in training.
        kernel_size: Number of positions that an output of one layer sees.

    Source: Gehring et al. (2017), sections 3.3 and 3.4.
    """

    def __init__(
        self,
        n_layers: int,
        d_model: int,
        d_hidden: int,
        dropout: float = 0.1,
        kernel_size: int = 3,
    ) -> None:
        super().__init__()
        self.W_in = nn.Linear(d_model, d_hidden)
        self.layers = nn.ModuleList(
            GatedConvolution(d_hidden, kernel_size, dropout, causal=True) for _ in range(n_layers)
        )
        self.W_query = nn.ModuleList(nn.Linear(d_hidden, d_model) for _ in range(n_layers))
        self.W_context = nn.ModuleList(nn.Linear(d_model, d_hidden) for _ in range(n_layers))
        self.W_out = nn.Linear(d_hidden, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, tgt_mask: Tensor | None, src_mask: Tensor | None
    ) -> Tensor:
        """Run the layers over the target.

        Args:
            x: (batch, n_tgt, d_model), embeddings with positions.
            memory: The encoder's keys and values (batch, n_src, 2 d_model).
            tgt_mask: Not used: the kernels end at their own position.
            src_mask: Boolean, True at the words of the source, (batch, 1, n_src); or None.

        Returns:
            (batch, n_tgt, d_model).
        """
        keys, values = memory.chunk(2, dim=-1)  # each (batch, n_src, d_model)
        words = memory.shape[1] if src_mask is None else src_mask.sum(-1, keepdim=True)
        # Scaled as in section 3.4: a mean of m values has a variance that is m times smaller.
        growth = words**0.5  # (batch, 1, 1), or a number
        h = self.W_in(x)  # (batch, n_tgt, d_hidden)
        for layer, W_query, W_context in zip(
            self.layers, self.W_query, self.W_context, strict=True
        ):
            inside = layer(h)  # (batch, n_tgt, d_hidden)
            query = (W_query(inside) + x) * HALF  # (batch, n_tgt, d_model)
            context = nn.functional.scaled_dot_product_attention(
                query, keys, values, attn_mask=src_mask
            )  # (batch, n_tgt, d_model)
            inside = (inside + W_context(context * growth)) * HALF
            h = (inside + h) * HALF
        return self.dropout(self.W_out(h))  # (batch, n_tgt, d_model)


# --8<-- [end:ConvolutionalDecoder]
