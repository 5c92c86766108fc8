"""The recurrent rival, against `torch.nn.GRU` on one sentence at a time and its formula."""

import pytest
import torch

from snippets.training.recurrent_seq2seq import RecurrentDecoder, RecurrentEncoder
from tests.oracle import F64, close, random


def test_the_encoder_is_torchs_gru_on_each_sentence_alone() -> None:
    encoder = RecurrentEncoder(n_layers=2, d_model=5, d_hidden=3).double().eval()
    x, lengths = random(3, 7, 5), [7, 2, 4]
    mask = (torch.arange(7) < torch.tensor(lengths).unsqueeze(1)).unsqueeze(1)  # (3, 1, 7)
    states = encoder(x, mask)
    assert states.shape == (3, 7, 6)
    for row, length in enumerate(lengths):
        close(states[row, :length], encoder.gru(x[row : row + 1, :length])[0][0])
        assert not states[row, length:].any()
    close(encoder(x, None)[0], states[0])


def test_the_encoder_refuses_a_mask_that_is_no_padding() -> None:
    encoder, x = RecurrentEncoder(1, 5, 3).double(), random(1, 3, 5)
    with pytest.raises(ValueError, match="True at the first positions, False at all others"):
        encoder(x, torch.tensor([[[True, False, True]]]))
    with pytest.raises(ValueError, match="at least one word a sentence"):
        encoder(x, torch.tensor([[[False, False, False]]]))


def test_the_decoder_is_its_formula_step_by_step() -> None:
    decoder = RecurrentDecoder(n_layers=1, d_model=5, d_hidden=3).double().eval()
    cell = torch.nn.GRUCell(5, 3, dtype=F64)
    with torch.no_grad():
        for name, value in cell.named_parameters():
            value.copy_(getattr(decoder.gru, f"{name}_l0"))
    x, memory = random(2, 4, 5, seed=1), random(2, 7, 6, seed=2)
    mask = torch.arange(7) < torch.tensor([[[7]], [[3]]])  # (2, 1, 7)
    state = torch.tanh(decoder.W_first(memory[:, 0]))
    found = decoder(x, memory, None, mask)
    for t in range(4):
        state = cell(x[:, t], state)
        scores = (memory @ decoder.W_a(state).unsqueeze(-1)).squeeze(-1)  # (2, 7)
        weights = torch.softmax(scores.masked_fill(~mask[:, 0], -torch.inf), -1)
        context = (weights.unsqueeze(-1) * memory).sum(1)
        close(found[:, t], torch.tanh(decoder.W_c(torch.cat([context, state], -1))))
