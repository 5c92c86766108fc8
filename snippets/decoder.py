"""The decoder, section 3.1 of the paper: `docs/model/decoder.md`.

Shapes: `n_tgt` is the length of the target and `n_src` that of the source, `d_model` the width of
inputs and outputs.
"""

from torch import Tensor, nn

from snippets.feed_forward import FeedForward
from snippets.layer_norm import LayerNorm
from snippets.multi_head import MultiHeadAttention
from snippets.residual import Residual


# --8<-- [start:DecoderLayer]
class DecoderLayer(nn.Module):
    """One layer of the decoder: masked self-attention, cross-attention, then feed-forward.

    In the cross-attention the encoder's output is key and value, and the output of the masked
    self-attention, after its residual, is the query. Each sub-layer has a residual of its own.

    Args:
        d_model: Width of inputs and outputs, and of the memory.
        n_heads: Number of attention heads; it divides `d_model`.
        d_ff: Width inside the feed-forward network.
        dropout: Probability in [0, 1) of dropping a number of a sub-layer's output in training, as
            in the paper. It acts there and nowhere else: neither on the attention weights nor
            inside the feed-forward network, where `torch.nn.TransformerDecoderLayer` drops too.
        norm_first: Pre-norm if True; the paper has post-norm. The memory is not normalised here.

    Raises:
        ValueError: If sizes do not fit, or `dropout` is not in [0, 1).

    Source: Vaswani et al. (2017), sections 3.1, 3.2.3 and 5.4.
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
        self.cross_attention = MultiHeadAttention(d_model, n_heads)
        self.cross_attention_residual = Residual(d_model, dropout, norm_first)
        self.feed_forward = FeedForward(d_model, d_ff)
        self.feed_forward_residual = Residual(d_model, dropout, norm_first)

    def forward(
        self, x: Tensor, memory: Tensor, tgt_mask: Tensor | None, src_mask: Tensor | None
    ) -> Tensor:
        """Look at the target so far, then at the source, then transform each position by itself.

        Args:
            x: (batch, n_tgt, d_model).
            memory: The encoder's output (batch, n_src, d_model).
            tgt_mask: Boolean, True where a target position may attend to another, broadcastable to
                (batch, n_tgt, n_tgt); causal in the paper. None hides nothing, not even the future.
            src_mask: Boolean, True where a target position may attend to a source position,
                broadcastable to (batch, n_tgt, n_src); or None.

        Returns:
            (batch, n_tgt, d_model).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If a mask is not boolean.
        """
        x = self.self_attention_residual(x, lambda y: self.self_attention(y, y, y, tgt_mask))
        x = self.cross_attention_residual(
            x, lambda y: self.cross_attention(y, memory, memory, src_mask)
        )
        return self.feed_forward_residual(x, self.feed_forward)


# --8<-- [end:DecoderLayer]


# --8<-- [start:Decoder]
class Decoder(nn.Module):
    """A stack of decoder layers, each of which reads the same memory.

    A pre-norm stack ends in a `LayerNorm`, because nothing has normalised its last sum. A post-norm
    layer ends in one already, so the paper's stack has none after it.

    Args:
        n_layers: Number of layers, at least 1; 6 in the paper.
        d_model: Width of inputs and outputs, and of the memory.
        n_heads: Number of attention heads; it divides `d_model`.
        d_ff: Width inside the feed-forward networks.
        dropout: Probability in [0, 1), as in `DecoderLayer`.
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
            DecoderLayer(d_model, n_heads, d_ff, dropout, norm_first) for _ in range(n_layers)
        )
        self.norm = LayerNorm(d_model) if norm_first else nn.Identity()

    def forward(
        self, x: Tensor, memory: Tensor, tgt_mask: Tensor | None, src_mask: Tensor | None
    ) -> Tensor:
        """Run the layers one after another, all with the same memory and the same masks.

        Args:
            x: (batch, n_tgt, d_model), embeddings with positions.
            memory: The encoder's output (batch, n_src, d_model).
            tgt_mask: Boolean, True where a target position may attend to another, broadcastable to
                (batch, n_tgt, n_tgt); causal in the paper. None hides nothing, not even the future.
            src_mask: Boolean, True where a target position may attend to a source position,
                broadcastable to (batch, n_tgt, n_src); or None.

        Returns:
            (batch, n_tgt, d_model).

        Raises:
            ValueError: If shapes do not fit.
            TypeError: If a mask is not boolean.
        """
        for layer in self.layers:
            x = layer(x, memory, tgt_mask, src_mask)
        return self.norm(x)


# --8<-- [end:Decoder]
