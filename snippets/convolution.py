"""A convolutional layer, row 3 of the paper's Table 1: `docs/why-attention/convolution.md`.

Shapes: `n` is the length of the sequence, `d_model` the width of inputs and outputs.
"""

from torch import Tensor, nn


# --8<-- [start:ConvolutionLayer]
class ConvolutionLayer(nn.Module):
    """Mix each position with its neighbours, by one matrix that is the same at every position.

        y_i = b + sum over j of W_j x_(i + j * dilation),  j = -(k - 1)/2, ..., (k - 1)/2

    Positions outside the sequence count as zeros, so the output is as long as the input.

    Args:
        d_model: Width of inputs and outputs.
        kernel_size: k, the number of positions that an output sees; odd unless `causal`.
        dilation: Distance between two of them, at least 1.
        causal: Whether the kernel ends at its own position, j = -(k - 1), ..., 0, so that an
            output sees nothing that comes after it. Otherwise the kernel is centred.

    Raises:
        ValueError: If `kernel_size` is not positive, or even and centred, or if `dilation` is
            less than 1.

    Source: `torch.nn.Conv1d`, whose weight (d_model, d_model, k) is here flattened to a matrix
    (d_model, d_model * k): with `padding="same"`, or on an input padded at the front if causal.
    """

    def __init__(
        self, d_model: int, kernel_size: int, dilation: int = 1, causal: bool = False
    ) -> None:
        super().__init__()
        if kernel_size < 1 or (kernel_size % 2 == 0 and not causal):
            wanted = "positive" if causal else "odd and positive"
            raise ValueError(f"kernel_size must be {wanted}, not {kernel_size}")
        if dilation < 1:
            raise ValueError(f"dilation must be at least 1, not {dilation}")
        self.d_model, self.kernel_size, self.dilation = d_model, kernel_size, dilation
        self.causal = causal
        self.W = nn.Linear(d_model * kernel_size, d_model)

    def forward(self, x: Tensor) -> Tensor:
        """Convolve the sequence.

        Args:
            x: (batch, n, d_model).

        Returns:
            (batch, n, d_model).

        Raises:
            ValueError: If `x` has another shape, or no position.
        """
        if x.dim() != 3 or x.shape[-1] != self.d_model or x.shape[1] == 0:
            raise ValueError(f"x must be (batch, n, {self.d_model}), not {tuple(x.shape)}")
        dilation = min(self.dilation, x.shape[1])  # farther out there are only zeros
        span = (self.kernel_size - 1) * dilation  # from the first input of a window to its last
        before = span if self.causal else span // 2
        padded = nn.functional.pad(x, (0, 0, before, span - before))  # (batch, n + span, d_model)
        windows = padded.unfold(1, span + 1, 1)[..., ::dilation]
        # (batch, n, d_model, kernel_size)
        return self.W(windows.flatten(-2))  # (batch, n, d_model)


# --8<-- [end:ConvolutionLayer]
