"""Recurrence, row 2 of the paper's Table 1: `docs/why-attention/recurrence.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of inputs and states.
"""

import torch
from torch import Tensor, nn


# --8<-- [start:RecurrentLayer]
class RecurrentLayer(nn.Module):
    """Carry a state along the sequence, one position after the other.

        h_t = tanh(W_x x_t + W_h h_(t-1) + b),  h_0 = 0

    Args:
        d_model: Width of inputs and states.

    Source: Elman (1990), "Finding Structure in Time"; `torch.nn.RNN` has two biases, which add up
    to `b`.
    """

    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        self.W_x = nn.Linear(d_model, d_model)  # its bias is b
        self.W_h = nn.Linear(d_model, d_model, bias=False)

    def step(self, inputs: Tensor, h: Tensor) -> Tensor:
        """The next state from the projected input W_x x_t + b and the state before it.

        Both have the shape (..., d_model), as has the result.
        """
        return torch.tanh(inputs + self.W_h(h))

    def forward(self, x: Tensor) -> Tensor:
        """Run over the sequence from a state of zeros.

        Args:
            x: (batch, n, d_model).

        Returns:
            The states (batch, n, d_model); the one at t depends on the inputs up to t.

        Raises:
            ValueError: If `x` has another shape, or no position.
        """
        if x.dim() != 3 or x.shape[-1] != self.d_model or x.shape[1] == 0:
            raise ValueError(f"x must be (batch, n, {self.d_model}), not {tuple(x.shape)}")
        inputs = self.W_x(x)  # all positions at once: only the states have to wait
        h = torch.zeros(len(x), self.d_model, dtype=x.dtype, device=x.device)  # (batch, d_model)
        states = []
        for t in range(x.shape[1]):
            h = self.step(inputs[:, t], h)
            states.append(h)
        return torch.stack(states, dim=1)  # (batch, n, d_model)


# --8<-- [end:RecurrentLayer]


# --8<-- [start:last_state_jacobian]
def last_state_jacobian(layer: RecurrentLayer, x: Tensor) -> Tensor:
    """How the last state of a recurrent layer depends on every input.

        dh_n / dx_s = D_n W_h D_(n-1) W_h ... D_(s+1) W_h D_s W_x,  D_t = diag(1 - h_t^2)

    Args:
        layer: The layer.
        x: (batch, n, d_model).

    Returns:
        (batch, n, d_model, d_model): at [:, s] the rows are the features of the last state, the
        columns those of input s.

    Raises:
        ValueError: If `x` has another shape, or no position.
    """
    slopes = 1 - layer(x).square()  # (batch, n, d_model)
    product = torch.eye(layer.d_model, dtype=x.dtype, device=x.device)  # grows from the left
    jacobians = []
    for slope in reversed(slopes.unbind(1)):
        product = product * slope.unsqueeze(-2)  # times D_t: (batch, d_model, d_model)
        jacobians.append(product @ layer.W_x.weight)
        product = product @ layer.W_h.weight
    return torch.stack(jacobians[::-1], dim=1)  # (batch, n, d_model, d_model)


# --8<-- [end:last_state_jacobian]
