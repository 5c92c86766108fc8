"""A recurrent rival of the Transformer: `docs/why-attention/inductive-bias.md`.

Shapes: `n_src` and `n_tgt` are the lengths of source and target, `d_model` is the width of
embeddings, `d_hidden` that of the states.
"""

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence


# --8<-- [start:RecurrentEncoder]
class RecurrentEncoder(nn.Module):
    """Read the source from both ends with gated recurrent units, layer on layer.

    Args:
        n_layers: Number of layers, at least 1.
        d_model: Width of the embeddings.
        d_hidden: Width of the states of one direction.
        dropout: Probability in [0, 1) of dropping a number of a layer's output in training.

    Source: Bahdanau, Cho and Bengio (2015), section 3.2.
    """

    def __init__(self, n_layers: int, d_model: int, d_hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.gru = nn.GRU(
            d_model, d_hidden, n_layers, batch_first=True, bidirectional=True,
            dropout=dropout if n_layers > 1 else 0.0,
        )  # fmt: skip
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Run over every sentence up to its last word, and back from there.

        Args:
            x: (batch, n_src, d_model).
            mask: A padding mask, boolean (batch, 1, n_src), True at the words, which stand before
                the padding; or None where nothing is padding.

        Returns:
            The states of both directions (batch, n_src, 2 d_hidden), 0 at padding.

        Raises:
            ValueError: If a sentence holds no word, or words stand behind its padding.
        """
        batch, n_src, _ = x.shape
        lengths = torch.full((batch,), n_src) if mask is None else mask.sum((1, 2)).cpu()
        if mask is not None:
            places = torch.arange(n_src, device=mask.device)
            if not torch.equal(mask[:, 0], places < lengths.to(mask.device).unsqueeze(1)):
                raise ValueError("mask must be True at the first positions, False at all others")
        if lengths.min() < 1:
            raise ValueError("a recurrent encoder needs at least one word a sentence")
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=n_src)
        return self.dropout(states)  # (batch, n_src, 2 d_hidden)


# --8<-- [end:RecurrentEncoder]


# --8<-- [start:RecurrentDecoder]
class RecurrentDecoder(nn.Module):
    """Write the target with gated recurrent units that look at the source in every step.

        a_t = softmax(memory W_aᵀ s_t),  c_t = memoryᵀ a_t,  o_t = tanh(W_c [c_t; s_t])

    The states s_t start from the encoder's at the first word, where the direction that comes from
    the end has read the whole sentence. What was attended to in one step is not fed into the next,
    so that training runs over a whole target in one call.

    Args:
        n_layers: Number of layers, at least 1.
        d_model: Width of the embeddings and of the output.
        d_hidden: Width of the states.
        dropout: Probability in [0, 1) of dropping a number of a layer's output in training.

    Source: Luong, Pham and Manning (2015), section 3.1, with the score that they call general; the
    first state is that of Bahdanau, Cho and Bengio (2015), appendix A.2.2.
    """

    def __init__(self, n_layers: int, d_model: int, d_hidden: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.n_layers = n_layers
        self.W_first = nn.Linear(2 * d_hidden, n_layers * d_hidden)
        self.gru = nn.GRU(
            d_model, d_hidden, n_layers, batch_first=True, dropout=dropout if n_layers > 1 else 0.0
        )
        self.W_a = nn.Linear(d_hidden, 2 * d_hidden, bias=False)
        self.W_c = nn.Linear(3 * d_hidden, d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Tensor, memory: Tensor, tgt_mask: Tensor | None, src_mask: Tensor | None
    ) -> Tensor:
        """Run over the target.

        Args:
            x: (batch, n_tgt, d_model).
            memory: The encoder's states (batch, n_src, 2 d_hidden).
            tgt_mask: Not used: a state depends on nothing that comes after it.
            src_mask: Boolean, True at the words of the source, (batch, 1, n_src); or None.

        Returns:
            (batch, n_tgt, d_model).
        """
        first = torch.tanh(self.W_first(memory[:, 0])).unflatten(1, (self.n_layers, -1))
        states, _ = self.gru(x, first.transpose(0, 1).contiguous())  # (batch, n_tgt, d_hidden)
        context = nn.functional.scaled_dot_product_attention(
            self.W_a(self.dropout(states)), memory, memory, attn_mask=src_mask, scale=1.0
        )  # (batch, n_tgt, 2 d_hidden)
        output = torch.tanh(self.W_c(torch.cat([context, self.dropout(states)], dim=-1)))
        return self.dropout(output)  # (batch, n_tgt, d_model)


# --8<-- [end:RecurrentDecoder]
