"""The residual connection around every sub-layer: `docs/model/residual-and-norm.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of inputs and outputs.
"""

from collections.abc import Callable

from torch import Tensor, nn

from snippets.layer_norm import LayerNorm


# --8<-- [start:Residual]
class Residual(nn.Module):
    """Add a sub-layer's output to its input, with dropout and a normalisation.

        post-norm, the paper's:  LayerNorm(x + dropout(sublayer(x)))
        pre-norm, the variant:   x + dropout(sublayer(LayerNorm(x)))

    Args:
        d_model: Width of inputs and outputs.
        dropout: Probability in [0, 1) of dropping a number of the sub-layer's output in training,
            before the sum.
        norm_first: Pre-norm if True. Then nothing normalises the last sum of a stack, and the
            stack needs a `LayerNorm` after its last layer.

    Raises:
        ValueError: If `d_model` is less than 1, or `dropout` is not in [0, 1).

    Source: Vaswani et al. (2017), sections 3.1 and 5.4, for post-norm and the dropout; Xiong et al.
    (2020), *On Layer Normalization in the Transformer Architecture*, for pre-norm.
    """

    def __init__(self, d_model: int, dropout: float = 0.1, norm_first: bool = False) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.norm = LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.norm_first = norm_first

    def forward(self, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Run the sub-layer beside the identity and add the two.

        Args:
            x: (..., d_model).
            sublayer: A function of one tensor that keeps its shape, such as a `FeedForward`, or a
                lambda around an attention.

        Returns:
            (..., d_model).

        Raises:
            ValueError: If `x` has another width, or `sublayer` returns another shape.
        """
        output = sublayer(self.norm(x) if self.norm_first else x)  # (..., d_model)
        if output.shape != x.shape:  # the sum would broadcast
            raise ValueError(
                f"sublayer must return {tuple(x.shape)}, as it got, not {tuple(output.shape)}"
            )
        total = x + self.dropout(output)
        return total if self.norm_first else self.norm(total)


# --8<-- [end:Residual]
