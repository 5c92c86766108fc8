"""The position-wise feed-forward network, section 3.3 of the paper: `docs/model/feed-forward.md`.

Shapes: `d_model` is the width of inputs and output, `d_ff` that of the layer between; `...` are any
leading axes, such as (batch, n).
"""

import torch
from torch import Tensor, nn


# --8<-- [start:FeedForward]
class FeedForward(nn.Module):
    """Transform every position by itself, with two linear layers and a ReLU between them.

        FFN(x) = max(0, x W_1 + b_1) W_2 + b_2

    Args:
        d_model: Width of inputs and output.
        d_ff: Width between the two layers; 2048 in the paper, where `d_model` is 512.
        dropout: Probability in [0, 1) of dropping an activation in training, after the ReLU and
            before `W_2`, as `torch.nn.TransformerEncoderLayer` does. The paper names none here.

    Raises:
        ValueError: If a width is less than 1, or `dropout` is not in [0, 1).

    Source: Vaswani et al. (2017), section 3.3, equation (2).
    """

    def __init__(self, d_model: int, d_ff: int, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model < 1 or d_ff < 1:
            raise ValueError(f"widths must be at least 1, not d_model = {d_model}, d_ff = {d_ff}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.d_model, self.d_ff = d_model, d_ff
        self.W_1 = nn.Linear(d_model, d_ff)
        self.dropout = nn.Dropout(dropout)
        self.W_2 = nn.Linear(d_ff, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Apply the same two layers at every position.

        Args:
            x: (..., d_model).

        Returns:
            (..., d_model).

        Raises:
            ValueError: If `x` has another width.
        """
        if x.dim() == 0 or x.shape[-1] != self.d_model:
            raise ValueError(f"x must be (..., {self.d_model}), not {tuple(x.shape)}")
        hidden = torch.relu(self.W_1(x))  # (..., d_ff)
        return self.W_2(self.dropout(hidden))  # (..., d_model)


# --8<-- [end:FeedForward]
