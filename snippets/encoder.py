"""The encoder, section 3.1 of the paper: `docs/model/encoder.md`.

Shapes: `n` is the length of the source, `d_model` the width of inputs and outputs.
"""

from torch import Tensor, nn

from snippets.feed_forward import FeedForward
from snippets.layer_norm import LayerNorm
from snippets.multi_head import MultiHeadAttention
from snippets.residual import Residual


# --8<-- [start:EncoderLayer]
class EncoderLayer(nn.Module):
    """One layer of the encoder: self-attention, then feed-forward, each with a residual.

    Args:
        d_model: Width of inputs and outputs.
        n_heads: Number of attention heads; it divides `d_model`.
        d_ff: Width inside the feed-forward network.
        dropout: Probability in [0, 1) of dropping a number of a sub-layer's output in training, as
            in section 5.4 of the paper. It acts there and nowhere else: neither on the attention
            weights nor inside the feed-forward network, where `torch.nn.TransformerEncoderLayer`
            drops too.
        norm_first: Pre-norm if True; the paper has post-norm.

    Raises:
        ValueError: If sizes do not fit, or `dropout` is not in [0, 1).

    Source: Vaswani et al. (2017), sections 3.1 and 5.4.
    """

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float = 0.1,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(d_model, n_heads)
        self.self_attention_residual = Residual(d_model, dropout, norm_first)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.feed_forward_residual = Residual(d_model, dropout, norm_first)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Let the positions exchange information, then transform each by itself.

        Args:
            x: (batch, n, d_model).
            mask: Boolean, True where a position may attend to another, broadcastable to
                (batch, n, n); None if every position may attend to every other.

        Returns:
            (batch, n, d_model).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If `mask` is not boolean.
        """
        x = self.self_attention_residual(x, lambda y: self.self_attention(y, y, y, mask))
        return self.feed_forward_residual(x, self.feed_forward)


# --8<-- [end:EncoderLayer]


# --8<-- [start:Encoder]
class Encoder(nn.Module):
    """A stack of encoder layers, which turns embeddings into the memory that the decoder reads.

    A pre-norm stack ends in a `LayerNorm`, because nothing has normalised its last sum. A post-norm
    layer ends in one already, so the paper's stack has none after it.

    Args:
        n_layers: Number of layers, at least 1; 6 in the paper.
        d_model: Width of inputs and outputs.
        n_heads: Number of attention heads; it divides `d_model`.
        d_ff: Width inside the feed-forward networks.
        dropout: Probability in [0, 1), as in `EncoderLayer`.
        norm_first: Pre-norm if True; the paper has post-norm.

    Raises:
        ValueError: If `n_layers` is less than 1, or another argument does not fit.

    Source: Vaswani et al. (2017), section 3.1.
    """

    def __init__(
        self,
        n_layers: int,
        d_model: int,
        n_heads: int,
        d_ff: int,
        dropout: float = 0.1,
        norm_first: bool = False,
    ) -> None:
        super().__init__()
        if n_layers < 1:
            raise ValueError(f"n_layers must be at least 1, not {n_layers}")
        self.layers = nn.ModuleList(
            EncoderLayer(d_model, n_heads, d_ff, dropout, norm_first) for _ in range(n_layers)
        )
        self.norm = LayerNorm(d_model) if norm_first else nn.Identity()

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run the layers one after another, all with the same mask.

        Args:
            x: (batch, n, d_model), embeddings with positions.
            mask: Boolean, True where a position may attend to another, broadcastable to
                (batch, n, n), such as a padding mask (batch, 1, n); or None.

        Returns:
            The memory (batch, n, d_model).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If `mask` is not boolean.
        """
        for layer in self.layers:
            x = layer(x, mask)
        return self.norm(x)


# --8<-- [end:Encoder]
