"""Every model of the settings: what its name says, and what training and decoding ask of it."""

import math
from dataclasses import replace

import pytest
import torch

from snippets.masks import causal_mask, padding_mask
from snippets.training.batching import make_batch, pad
from snippets.training.config import Config
from snippets.training.data import END, PAD, START
from snippets.training.decode import beam_search, greedy_decode
from snippets.training.loop import Training, logits_of_labels, transformer
from snippets.training.variants import MODELS, attentions, build, equal_width, parameters
from snippets.transformer import Transformer
from tests.oracle import F64, close
from tests.training.models import V, sentences

SIZES = Config(d_model=8, n_heads=2, n_layers=2, d_ff=6, dropout=0.3, vocab_size=V)
RIVALS = ["recurrent", "convolutional"]


def made(name: str, **settings: object) -> Transformer:
    """A model in float64 and evaluation mode, the same random numbers every time."""
    torch.manual_seed(0)
    return build(replace(SIZES, model=name, **settings), V).double().eval()


def logits(model: Transformer, src: torch.Tensor, tgt: torch.Tensor) -> torch.Tensor:
    return model(src, tgt, padding_mask(src, PAD), causal_mask(tgt.shape[1]))


@pytest.fixture
def tokens() -> tuple[torch.Tensor, torch.Tensor]:
    src = pad(sentences(4, 6, seed=1))
    return src, pad([[START, *ids] for ids in sentences(4, 8, seed=2)])


def test_the_settings_offer_the_models_that_there_are() -> None:
    assert list(MODELS) == list(Config.__dataclass_fields__["model"].metadata["choices"])
    with pytest.raises(ValueError, match=r"model must be transformer or .*, not lstm"):
        Config(model="lstm")


@pytest.mark.parametrize("name", MODELS)
def test_no_position_of_the_target_sees_what_comes_after_it(
    name: str, tokens: tuple[torch.Tensor, torch.Tensor]
) -> None:
    model, (src, tgt) = made(name), tokens
    before = logits(model, src, tgt)
    assert before.shape == (*tgt.shape, V)
    for n in range(1, tgt.shape[1]):
        other = tgt.clone()
        other[:, n:] = (other[:, n:] + 3) % V
        close(logits(model, src, other)[:, :n], before[:, :n])
    assert (logits(model, src, (tgt + 3) % V)[:, -1] - before[:, -1]).abs().min() > 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_padding_changes_nothing_and_every_word_something(
    name: str, tokens: tuple[torch.Tensor, torch.Tensor]
) -> None:
    model, (src, tgt) = made(name), tokens
    together = logits(model, src, tgt)
    for row, ids in enumerate(src):
        alone = ids[ids != PAD].unsqueeze(0)
        close(logits(model, alone, tgt[row : row + 1])[0], together[row])
        for place in range(alone.shape[1]):
            other = alone.clone()
            other[0, place] = (other[0, place] - 3) % (V - 4) + 4
            assert (logits(model, other, tgt[row : row + 1])[0] - together[row]).abs().max() > 1e-9


@pytest.mark.parametrize("name", MODELS)
def test_gradients_reach_every_parameter(name: str) -> None:
    model = made(name).train()
    batch = make_batch([(ids, ids) for ids in sentences(6, 7)])
    found, labels = logits_of_labels(model, batch)
    torch.nn.functional.cross_entropy(found, labels).backward()
    for parameter_name, value in model.named_parameters():
        assert value.grad is not None, parameter_name
        # A key's bias adds the same to all scores of a row, and softmax takes it away again.
        if not parameter_name.endswith("W_k.bias"):
            assert value.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", [name for name in MODELS if name not in RIVALS])
def test_the_cache_serves_every_variant(name: str) -> None:
    model, src = made(name), pad(sentences(5, 6))
    assert greedy_decode(model, src, 4) == greedy_decode(model, src, 4, cached=False)


@pytest.mark.parametrize("name", RIVALS)
def test_a_rival_is_decoded_like_a_transformer(name: str) -> None:
    model, src = made(name), pad(sentences(5, 6))
    greedy = greedy_decode(model, src, 4, cached=False)
    for row, ids in enumerate(src):
        written = [START]
        while len(written) <= int((ids != PAD).sum()) + 4:
            found = logits(model, ids[ids != PAD].unsqueeze(0), torch.tensor([written]))
            if (token := int(found[0, -1].argmax())) == END:
                break
            written.append(token)
        assert greedy[row] == written[1:]
    best = beam_search(model, src, 3, alpha=0.0, extra=4, cached=False)
    for hypotheses in best:
        assert [score for _, score in hypotheses] == sorted(
            (s for _, s in hypotheses), key=float.__neg__
        )


@pytest.mark.parametrize("name", RIVALS)
def test_a_rivals_dropout_is_the_settings(name: str) -> None:
    model = made(name)
    rates = {part.p for part in model.modules() if isinstance(part, torch.nn.Dropout)}
    rates |= {part.dropout for part in model.modules() if isinstance(part, torch.nn.GRU)}
    assert rates == {SIZES.dropout}


@pytest.mark.parametrize("name", ["transformer", *RIVALS])
def test_every_model_learns_to_copy(name: str) -> None:
    pairs = [(ids, ids) for ids in sentences(32, 5)]
    config = Config(
        model=name, d_model=24, n_heads=2, n_layers=1, d_ff=32, dropout=0.0, rate=0.015,
        warmup=10, steps=90, smoothing=0.0,
    )  # fmt: skip
    training = Training(config, pairs, V, build=build)
    losses = [training.update()["loss"] for _ in range(config.steps)]
    assert losses[0] > 1.5
    found = greedy_decode(training.model.eval(), pad([ids for ids, _ in pairs]), cached=False)
    assert sum([*ids, END] == src for ids, (src, _) in zip(found, pairs, strict=True)) >= 28


# What the names say


def test_unscaled_scores_are_the_products() -> None:
    scaled, plain = made("transformer"), made("unscaled")
    x = torch.randn(2, 5, 8, dtype=F64)
    for one, other in zip(attentions(scaled), attentions(plain), strict=True):
        _, weights = other(x, x, x, need_weights=True)
        q, k = (part(x).unflatten(-1, (2, 4)).transpose(1, 2) for part in (one.W_q, one.W_k))
        close(weights, torch.softmax(q @ k.mT, -1))


def test_without_positions_the_encoder_does_not_know_the_order() -> None:
    src = torch.tensor([[4, 5, 6, 7]])
    turned = src.flip(1)
    model = made("no-positions")
    close(model.encode(turned, None).flip(1), model.encode(src, None))
    for name in ("transformer", "learned-positions"):
        model = made(name)
        assert (model.encode(turned, None).flip(1) - model.encode(src, None)).abs().max() > 0.01
    assert "positional_encoding.weight" in dict(made("learned-positions").named_parameters())


def test_the_embeddings_factor_and_ties_are_as_named() -> None:
    tokens = torch.tensor([[4, 5]])
    plain, model = made("unscaled-embeddings"), made("transformer")
    close(plain.src_embedding(tokens), plain.src_embedding.weight[tokens])
    close(model.src_embedding(tokens), model.src_embedding.weight[tokens] * math.sqrt(8))
    assert parameters(replace(SIZES, model="untied")) == parameters(SIZES) + 2 * V * 8


def test_gain_1_is_xaviers_and_draws_the_same_numbers() -> None:
    model, larger = made("transformer", d_model=64), made("gain-1", d_model=64)
    bound = math.sqrt(6 / 128)
    for one, other in zip(attentions(model), attentions(larger), strict=True):
        for letter in "qkv":
            ours, theirs = (getattr(part, f"W_{letter}").weight for part in (one, other))
            torch.testing.assert_close(theirs, ours * math.sqrt(2))
            assert 0.98 * bound < theirs.abs().max() <= bound
        close(other.W_o.weight, one.W_o.weight)


@pytest.mark.parametrize("rival", RIVALS)
def test_rivals_learn_as_many_numbers(rival: str) -> None:
    config = replace(SIZES, d_model=32, d_ff=64)
    found = equal_width(config, rival, n_layers=2)
    assert parameters(found) == pytest.approx(parameters(config), rel=0.02)
    nearest = abs(parameters(found) - parameters(config))
    for d_ff in (found.d_ff - 1, found.d_ff + 1):
        assert abs(parameters(replace(found, d_ff=d_ff)) - parameters(config)) >= nearest


def test_parameters_are_those_of_the_model() -> None:
    for name in MODELS:
        config = replace(SIZES, model=name)
        assert parameters(config) == sum(p.numel() for p in made(name).parameters())
    assert made("transformer").state_dict().keys() == transformer(SIZES, V).state_dict().keys()
