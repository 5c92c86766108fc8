"""The weights of every head, and heads that are switched off."""

import pytest
import torch
from torch import nn

from snippets.masks import causal_mask, padding_mask
from snippets.training.attention_maps import recorded_weights, without_heads
from snippets.training.batching import pad
from snippets.training.data import PAD
from tests.training.models import V, sentences, small_model


def inputs() -> tuple[torch.Tensor, ...]:
    src, tgt = pad(sentences(5)), pad(sentences(5, longest=4, seed=1))
    return src, tgt, padding_mask(src, PAD), causal_mask(tgt.shape[1])


@pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
def test_recording_changes_no_output_and_finds_every_attention(norm_first: bool) -> None:
    model, given = small_model(norm_first), inputs()
    with torch.no_grad():
        plain = model(*given)
        with recorded_weights(model) as weights:
            assert torch.equal(model(*given), plain)
        weights = dict(weights)
        model(*given)
    assert len(weights) == 6
    n_src, n_tgt = given[0].shape[1], given[1].shape[1]
    for name, found in weights.items():
        n_query = n_src if name.startswith("encoder") else n_tgt
        n_key = n_tgt if name.startswith("decoder") and name.endswith("self_attention") else n_src
        assert found.shape == (5, 2, n_query, n_key)
        torch.testing.assert_close(found.sum(-1), torch.ones_like(found[..., 0]))
        if name.startswith("decoder") and name.endswith("self_attention"):
            assert not found.triu(1).any()
        else:
            hidden = ~given[2].unsqueeze(1).expand_as(found)
            assert not found[hidden].any()


def test_pytorchs_attention_hands_out_the_weights_of_ours() -> None:
    ours = small_model().encoder.layers[0].self_attention
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double().eval()
    parts = (ours.W_q, ours.W_k, ours.W_v)
    x = torch.randn(3, 7, 8, dtype=torch.float64)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        with recorded_weights(theirs) as weights:
            output, none = theirs(x, x, x, need_weights=False)
        assert none is None
        assert output.shape == x.shape
        expected = ours(x, x, x, need_weights=True)[1]
    torch.testing.assert_close(weights[""], expected, rtol=0, atol=1e-12)


def test_a_model_in_training_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="training mode"),
        recorded_weights(small_model().train()),
    ):
        pass


@pytest.mark.parametrize("head", [0, 1])
def test_a_head_that_is_off_is_one_whose_columns_of_w_o_are_zero(head: int) -> None:
    model, given = small_model(), inputs()
    name = "decoder.layers.1.cross_attention"
    with torch.no_grad():
        plain = model(*given)
        with without_heads(model, {name: [head]}):
            off = model(*given)
        assert torch.equal(model(*given), plain)
        model.get_submodule(name).W_o.weight[:, 4 * head : 4 * head + 4] = 0
        expected = model(*given)
    assert expected.shape[-1] == V
    torch.testing.assert_close(off, expected, rtol=0, atol=1e-12)
    assert (off - plain).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("off", "message"),
    [
        ({"encoder": [0]}, "the model has no attention encoder"),
        ({"encoder.layers.0.self_attention": [2]}, "has the heads 0 to 1, not"),
        ({"encoder.layers.0.self_attention": [-1]}, "has the heads 0 to 1, not"),
    ],
)
def test_a_head_that_is_not_there_is_named(off: dict[str, list[int]], message: str) -> None:
    with pytest.raises(ValueError, match=message), without_heads(small_model(), off):
        pass
