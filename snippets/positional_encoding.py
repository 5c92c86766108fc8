"""Positional encodings, section 3.5 of the paper: `docs/model/positional-encoding.md`.

Shapes: `n` is the length of a sequence, `d_model` the width of a position's vector and of the
embedding that it is added to.
"""

import torch
from torch import Tensor, nn


# --8<-- [start:sinusoidal_encoding]
def sinusoidal_encoding(
    n: int,
    d_model: int,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Give each position a vector of sines and cosines, of wavelengths that grow geometrically.

        PE[pos, 2i]     = sin(pos / 10000^(2i / d_model))
        PE[pos, 2i + 1] = cos(pos / 10000^(2i / d_model))

    The angles are computed in float64: near a million a float32 angle is off by some hundredths.
    That is done on the CPU, because some devices have no float64.

    Args:
        n: Number of positions, 0 to n - 1; at least 1.
        d_model: Width of a vector, even and at least 2.
        dtype: What the result is made of; if None PyTorch's default, float32 unless it was set.
        device: Where the result is put; if None on PyTorch's default device.

    Returns:
        (n, d_model), sine and cosine of a wavelength side by side, with float32's precision.

    Raises:
        ValueError: If `n` is less than 1, or `d_model` is odd or less than 2.

    Source: Vaswani et al. (2017), section 3.5.
    """
    if n < 1:
        raise ValueError(f"an encoding needs at least 1 position, not {n}")
    if d_model < 2 or d_model % 2 != 0:
        raise ValueError(
            f"d_model must be even, because every sine needs its cosine, and at least 2, "
            f"not {d_model}"
        )
    exact = {"dtype": torch.float64, "device": "cpu"}
    position = torch.arange(n, **exact).unsqueeze(1)  # (n, 1)
    exponent = torch.arange(0, d_model, 2, **exact) / d_model  # (d_model / 2)
    angle = position / 10000**exponent  # (n, d_model / 2)
    encoding = torch.stack([angle.sin(), angle.cos()], dim=-1).flatten(1).float()  # (n, d_model)
    return encoding.to(dtype or torch.get_default_dtype()).to(device or torch.get_default_device())


# --8<-- [end:sinusoidal_encoding]


# --8<-- [start:check_positions]
def check_positions(x: Tensor, start: int, max_len: int, d_model: int) -> None:
    """Raise one clear sentence if there is no row for a position, or x has another width.

    Raises:
        ValueError: If `x` is not (batch, n, d_model), or a position is not in [0, max_len).
    """
    if x.dim() != 3 or x.shape[-1] != d_model:
        raise ValueError(f"x must be (batch, n, {d_model}), not {tuple(x.shape)}")
    if start < 0:
        raise ValueError(f"start must be at least 0, not {start}")
    if start + x.shape[1] > max_len:
        raise ValueError(
            f"a sequence of length {start + x.shape[1]} is longer than max_len = {max_len}"
        )


# --8<-- [end:check_positions]


# --8<-- [start:PositionalEncoding]
class PositionalEncoding(nn.Module):
    """Add the sinusoidal encoding to the embeddings, then drop out.

    The table is a constant: it is no parameter and is left out of `state_dict`. Loading weights
    makes it anew, so that a model that was built on the `meta` device has one.

    Args:
        d_model: Width of the embeddings, even.
        dropout: Probability in [0, 1) of dropping an entry of the sum in training (section 5.4).
        max_len: Length of the longest sequence, at least 1.

    Raises:
        ValueError: If `d_model` is odd, `dropout` is not in [0, 1) or `max_len` is less than 1.

    Source: Vaswani et al. (2017), sections 3.5 and 5.4.
    """

    def __init__(self, d_model: int, dropout: float = 0.0, max_len: int = 5000) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.dropout = nn.Dropout(dropout)
        self.register_buffer("encoding", sinusoidal_encoding(max_len, d_model), persistent=False)
        self.register_load_state_dict_post_hook(PositionalEncoding.restore)

    def restore(self, *_: object) -> None:
        """Make the table anew, in the dtype and on the device that it has; off `meta`, if there."""
        device = None if self.encoding.is_meta else self.encoding.device
        self.encoding = sinusoidal_encoding(*self.encoding.shape, self.encoding.dtype, device)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add to each vector the encoding of its position.

        Args:
            x: (batch, n, d_model), the embeddings.
            start: Position of the first vector; more than 0 when a decoder with a cache is given
                only the new tokens.

        Returns:
            (batch, n, d_model).

        Raises:
            ValueError: If `x` has another width, or start + n is more than `max_len`.
        """
        check_positions(x, start, *self.encoding.shape)
        return self.dropout(x + self.encoding[start : start + x.shape[1]])


# --8<-- [end:PositionalEncoding]


# --8<-- [start:LearnedPositionalEncoding]
class LearnedPositionalEncoding(nn.Module):
    """Add a learned vector for each position to the embeddings, then drop out.

    Every entry starts as N(0, 1/2), so that a row is about as long as a sinusoidal one. The paper
    gives no initialisation.

    Args:
        d_model: Width of the embeddings, at least 1; it may be odd.
        dropout: Probability in [0, 1) of dropping an entry of the sum in training (section 5.4).
        max_len: Number of rows, at least 1. A longer sequence has no vectors and is refused.

    Raises:
        ValueError: If `d_model` or `max_len` is less than 1, or `dropout` is not in [0, 1).

    Source: Vaswani et al. (2017), section 3.5 and Table 3, row (E).
    """

    def __init__(self, d_model: int, dropout: float = 0.0, max_len: int = 512) -> None:
        super().__init__()
        if d_model < 1 or max_len < 1:
            raise ValueError(f"d_model and max_len must be at least 1, not {d_model} and {max_len}")
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be in [0, 1), not {dropout}")
        self.dropout = nn.Dropout(dropout)
        self.weight = nn.Parameter(torch.empty(max_len, d_model))
        nn.init.normal_(self.weight, std=0.5**0.5)

    def forward(self, x: Tensor, start: int = 0) -> Tensor:
        """Add to each vector the row of its position: the arguments of `PositionalEncoding`."""
        check_positions(x, start, *self.weight.shape)
        return self.dropout(x + self.weight[start : start + x.shape[1]])


# --8<-- [end:LearnedPositionalEncoding]
