"""A cache changes nothing, a batch is its sentences, and the search finds what a plain one does."""

import pytest
import torch
from torch import Tensor

from snippets.masks import causal_mask, padding_mask
from snippets.training.batching import pad
from snippets.training.data import END, PAD, START
from snippets.training.decode import (
    CachedDecoder,
    UncachedDecoder,
    beam_search,
    greedy_decode,
    in_batches,
    length_penalty,
)
from snippets.transformer import Transformer
from tests.oracle import close
from tests.training.models import V, sentences, small_model

ORDERS = pytest.mark.parametrize("norm_first", [False, True], ids=["post-norm", "pre-norm"])
EXTRA = 6


def source(count: int = 9, seed: int = 0) -> Tensor:
    return pad(sentences(count, seed=seed))


def log_probability(model: Transformer, src: Tensor, ids: list[int]) -> float:
    """Of a whole translation, its end token included, the words before each token given."""
    tgt = torch.tensor([[START, *ids]])
    mask = padding_mask(src, PAD)
    with torch.no_grad():
        logits = model(src, tgt, mask, causal_mask(tgt.shape[1]))
    log_p = torch.log_softmax(logits[0], -1)
    return sum(log_p[n, token].item() for n, token in enumerate([*ids, END]))


def plain_beam_search(
    model: Transformer, src: Tensor, beam: int, alpha: float, extra: int
) -> list[tuple[list[int], float]]:
    """The same search for one sentence, in lists, without a cache and without a batch."""
    mask = padding_mask(src, PAD)
    memory = model.encode(src, mask)
    limit = int((src != PAD).sum()) + extra
    alive, ended = [([], 0.0)], []
    for n in range(1, limit + 2):
        candidates = []
        for ids, score in alive:
            tgt = torch.tensor([[START, *ids]])
            logits = model.decode(tgt, memory, causal_mask(tgt.shape[1]), mask)[0, -1]
            log_p = torch.log_softmax(logits, -1).tolist()
            tokens = [END] if n > limit else range(V)
            candidates += [(score + log_p[token], ids, token) for token in tokens]
        candidates.sort(key=lambda one: -one[0])
        ended += [
            (ids, score / length_penalty(n, alpha))
            for score, ids, token in candidates[:beam]
            if token == END
        ]
        alive = [([*ids, token], score) for score, ids, token in candidates if token != END][:beam]
        if len(ended) >= beam:
            break
    return sorted(ended, key=lambda one: -one[1])[:beam]


@ORDERS
@torch.no_grad()
def test_a_cached_step_equals_an_uncached_one(norm_first: bool) -> None:
    model, src = small_model(norm_first), source()
    mask = padding_mask(src, PAD)
    memory = model.encode(src, mask)
    decoders = [kind(model, memory, mask) for kind in (CachedDecoder, UncachedDecoder)]
    generator = torch.Generator().manual_seed(0)
    tokens = torch.full((len(src),), START)
    for rows in (len(src), len(src), 4, 4, 7):  # rows leave, and come twice
        close(*(decoder.step(tokens) for decoder in decoders), atol=1e-10)
        chosen = torch.randint(0, len(tokens), (rows,), generator=generator)
        for decoder in decoders:
            decoder.choose(chosen)
        tokens = torch.randint(4, V, (rows,), generator=generator)


@ORDERS
@torch.no_grad()
def test_the_rows_of_a_sentence_read_one_memory(norm_first: bool) -> None:
    model, src, beam = small_model(norm_first), source(4), 3
    mask = padding_mask(src, PAD)
    memory = model.encode(src, mask)
    together = CachedDecoder(model, memory, mask, beam)
    apart = CachedDecoder(model, memory.repeat_interleave(beam, 0), mask.repeat_interleave(beam, 0))
    assert together.of_memory[0][0].shape[0] == 4  # one copy a sentence
    generator = torch.Generator().manual_seed(0)
    tokens = torch.full((4 * beam,), START)
    for rows in ([0, 0, 1, 3, 4, 5, 8, 7, 6, 9, 9, 9], [2, 1, 0, 8, 8, 6], [3, 5, 4], [1, 1, 1]):
        close(*(decoder.step(tokens) for decoder in (together, apart)), atol=1e-12)
        for decoder in (together, apart):
            decoder.choose(torch.tensor(rows))
        tokens = torch.randint(4, V, (len(rows),), generator=generator)
    close(*(decoder.step(tokens) for decoder in (together, apart)), atol=1e-12)


@ORDERS
@pytest.mark.parametrize("cached", [True, False])
def test_greedy_takes_the_most_likely_token_each_time(norm_first: bool, cached: bool) -> None:
    model, src = small_model(norm_first), source()
    for row, ids in zip(src, greedy_decode(model, src, EXTRA, cached), strict=True):
        one = row[row != PAD].unsqueeze(0)
        mask = padding_mask(one, PAD)
        with torch.no_grad():
            logits = model(one, torch.tensor([[START, *ids]]), mask, causal_mask(len(ids) + 1))
        best = logits[0].argmax(-1).tolist()
        assert best[: len(ids)] == ids
        assert END not in ids
        limit = one.shape[1] + EXTRA
        assert best[-1] == END if len(ids) < limit else len(ids) == limit


@ORDERS
@pytest.mark.parametrize("beam", [1, 2, 5])
@torch.no_grad()
def test_a_batch_with_a_cache_finds_what_a_plain_search_finds(norm_first: bool, beam: int) -> None:
    model, src = small_model(norm_first), source()
    found = beam_search(model, src, beam, 0.6, EXTRA)
    for row, hypotheses in zip(src, found, strict=True):
        one = row[row != PAD].unsqueeze(0)
        expected = plain_beam_search(model, one, beam, 0.6, EXTRA)
        assert [ids for ids, _ in hypotheses] == [ids for ids, _ in expected]
        for (_, score), (_, other) in zip(hypotheses, expected, strict=True):
            assert score == pytest.approx(other, abs=1e-10)


@ORDERS
@pytest.mark.parametrize("beam", [2, 4])
def test_the_search_is_the_same_without_a_cache_and_one_by_one(norm_first: bool, beam: int) -> None:
    model, src = small_model(norm_first), source(seed=1)
    together = beam_search(model, src, beam, 0.6, EXTRA)
    uncached = beam_search(model, src, beam, 0.6, EXTRA, cached=False)
    alone = [beam_search(model, row[row != PAD].unsqueeze(0), beam, 0.6, EXTRA)[0] for row in src]
    for others in (uncached, alone):
        for ours, theirs in zip(together, others, strict=True):
            assert [ids for ids, _ in ours] == [ids for ids, _ in theirs]
            for (_, score), (_, other) in zip(ours, theirs, strict=True):
                assert score == pytest.approx(other, abs=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_score_is_the_log_probability_of_a_sentence_that_ends(alpha: float) -> None:
    model, src = small_model(), source()
    for row, hypotheses in zip(src, beam_search(model, src, 3, alpha, EXTRA), strict=True):
        assert hypotheses == sorted(hypotheses, key=lambda one: -one[1])
        assert len({tuple(ids) for ids, _ in hypotheses}) == len(hypotheses) > 0
        for ids, score in hypotheses:
            assert END not in ids
            whole = log_probability(model, row[row != PAD].unsqueeze(0), ids)
            assert score == pytest.approx(whole / length_penalty(len(ids) + 1, alpha), abs=1e-10)


def test_a_beam_as_wide_as_all_sentences_finds_the_likeliest() -> None:
    model, src = small_model(), torch.tensor([[5, END]])
    found = beam_search(model, src, V**2, 0.0, extra=0)[0]
    every = [[], *([a] for a in range(V) if a != END)]
    every += [[a, b] for a in range(V) for b in range(V) if END not in (a, b)]
    best = max(every, key=lambda ids: log_probability(model, src, ids))
    assert found[0][0] == best


def test_a_wider_beam_finds_no_less_likely_sentences_on_the_whole() -> None:
    model, src = small_model(), source(40)
    narrow, wide = (
        sum(found[0][1] for found in beam_search(model, src, beam, 0.0, EXTRA)) for beam in (1, 8)
    )
    assert wide > narrow


def test_a_longer_sentence_is_punished_less_with_the_penalty() -> None:
    assert length_penalty(1, 0.6) == 1
    assert length_penalty(7, 1.0) == 2
    assert length_penalty(20, 0.0) == 1


def test_no_translation_is_longer_than_permitted() -> None:
    model = small_model()
    with torch.no_grad():
        model.output.weight[END] = -100 * model.output.weight.abs().max()  # it never ends by itself
    src = source()
    for row, hypotheses in zip(src, beam_search(model, src, 2, 0.6, EXTRA), strict=True):
        limit = int((row != PAD).sum()) + EXTRA
        assert all(len(ids) <= limit for ids, _ in hypotheses)
    for row, ids in zip(src, greedy_decode(model, src, EXTRA), strict=True):
        assert len(ids) <= int((row != PAD).sum()) + EXTRA


def test_a_model_that_drops_out_is_refused() -> None:
    model = small_model().train()
    for decode in (greedy_decode, beam_search):
        with pytest.raises(ValueError, match="training mode"):
            decode(model, source())


@pytest.mark.parametrize("arguments", [(0, 0.6, 5), (2, -1.0, 5), (2, 0.6, -1)])
def test_a_search_refuses_what_is_out_of_range(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="beam search needs beam >= 1"):
        beam_search(small_model(), source(), *arguments)


def test_batches_hold_every_sentence_once_and_neighbours_in_length() -> None:
    lengths = [3, 9, 1, 9, 4, 2, 8]
    batches = in_batches(lengths, 3)
    assert sorted(place for batch in batches for place in batch) == list(range(7))
    assert [[lengths[place] for place in batch] for batch in batches] == [[9, 9, 8], [4, 3, 2], [1]]
