"""From a source to a translation, section 6.1 of the paper: `docs/training/decoding.md`.

Shapes: `n_src` is the length of the source, `n` the number of tokens written so far, `V` the size
of the vocabulary. In a beam search every sentence has `beam` rows.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from snippets.masks import causal_mask, padding_mask
from snippets.multi_head import MultiHeadAttention, merge_heads, split_heads
from snippets.training.data import END, PAD, START
from snippets.transformer import Transformer


# --8<-- [start:CachedDecoder]
def attend(
    attention: MultiHeadAttention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> Tensor:
    """Attend to keys and values that are projected and split into heads already.

    Args:
        attention: Its `W_q` and `W_o` are used.
        query: (rows, n_query, d_model).
        key: (rows, n_heads, n_key, d_k).
        value: (rows, n_heads, n_key, d_k).
        mask: Boolean, True where a query may attend to a key, (rows, 1, n_key), or None.

    Returns:
        (rows, n_query, d_model).
    """
    q = split_heads(attention.W_q(query), attention.n_heads)  # (rows, n_heads, n_query, d_k)
    mask = None if mask is None else mask.unsqueeze(1)  # (rows, 1, 1, n_key)
    heads = nn.functional.scaled_dot_product_attention(q, key, value, attn_mask=mask)
    return attention.W_o(merge_heads(heads))  # (rows, n_query, d_model)


def keys_and_values(attention: MultiHeadAttention, x: Tensor) -> tuple[Tensor, Tensor]:
    """Project what is attended to: (rows, n, d_model) to two of (rows, n_heads, n, d_k)."""
    key, value = attention.W_k(x), attention.W_v(x)
    return split_heads(key, attention.n_heads), split_heads(value, attention.n_heads)


class CachedDecoder:
    """A decoder that reads one new token a step and keeps what it has computed of the others.

    The causal mask lets no position see what comes after it, so nothing that was computed for the
    tokens before changes when one is appended: their keys and values are kept for every layer, and
    the memory's are projected once.

    Args:
        model: In evaluation mode.
        memory: What `model.encode` returned, (batch, n_src, d_model).
        src_mask: Boolean, True at the real source tokens, (batch, 1, n_src).
        beam: Number of rows a sentence, which stand one after another. They read one memory, of
            which there is one copy for all of them.
    """

    def __init__(self, model: Transformer, memory: Tensor, src_mask: Tensor, beam: int = 1) -> None:
        self.model, self.src_mask, self.beam, self.n = model, src_mask, beam, 0
        layers = model.decoder.layers
        self.of_memory = [keys_and_values(layer.cross_attention, memory) for layer in layers]
        self.of_target: list[tuple[Tensor, Tensor] | None] = [None] * len(layers)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to every row; returns the logits of the next one.

        Args:
            tokens: Integer (rows).

        Returns:
            Logits (rows, V).
        """
        model = self.model
        x = model.positional_encoding(model.tgt_embedding(tokens.unsqueeze(1)), start=self.n)
        self.n += 1
        for index, layer in enumerate(model.decoder.layers):
            x = layer.self_attention_residual(x, lambda y, i=index: self.self_attention(i, y))
            x = layer.cross_attention_residual(x, lambda y, i=index: self.cross_attention(i, y))
            x = layer.feed_forward_residual(x, layer.feed_forward)
        return model.output(model.decoder.norm(x).squeeze(1))  # (rows, V)

    def self_attention(self, index: int, x: Tensor) -> Tensor:
        """Attend to the tokens before and to the new one, x (rows, 1, d_model), in one layer."""
        attention = self.model.decoder.layers[index].self_attention
        key, value = keys_and_values(attention, x)  # (rows, n_heads, 1, d_k)
        if (kept := self.of_target[index]) is not None:
            key = torch.cat([kept[0], key], dim=2)  # (rows, n_heads, n, d_k)
            value = torch.cat([kept[1], value], dim=2)
        self.of_target[index] = key, value
        return attend(attention, x, key, value, None)

    def cross_attention(self, index: int, x: Tensor) -> Tensor:
        """Attend to the memory, x (rows, 1, d_model), in one layer."""
        attention = self.model.decoder.layers[index].cross_attention
        queries = x.view(len(self.src_mask), self.beam, -1)  # (batch, beam, d_model)
        read = attend(attention, queries, *self.of_memory[index], self.src_mask)
        return read.view_as(x)  # (rows, 1, d_model)

    def choose(self, rows: Tensor) -> None:
        """Go on with these rows in place of the present ones; a row may be taken more than once.

        Args:
            rows: Integer, `beam` rows of one sentence, then `beam` rows of another, and so on.
        """
        sentences = rows[:: self.beam] // self.beam  # (batch)
        if not torch.equal(sentences, torch.arange(len(self.src_mask), device=rows.device)):
            self.src_mask = self.src_mask[sentences]
            self.of_memory = [(key[sentences], value[sentences]) for key, value in self.of_memory]
        self.of_target = [kept and (kept[0][rows], kept[1][rows]) for kept in self.of_target]


# --8<-- [end:CachedDecoder]


# --8<-- [start:UncachedDecoder]
class UncachedDecoder:
    """The same steps without a cache: every step runs the decoder over all tokens so far."""

    def __init__(self, model: Transformer, memory: Tensor, src_mask: Tensor, beam: int = 1) -> None:
        self.model = model
        self.memory, self.src_mask = (x.repeat_interleave(beam, 0) for x in (memory, src_mask))
        self.tgt = torch.empty(len(self.memory), 0, dtype=torch.int64, device=memory.device)

    def step(self, tokens: Tensor) -> Tensor:
        """As in `CachedDecoder`."""
        self.tgt = torch.cat([self.tgt, tokens.unsqueeze(1)], dim=1)  # (rows, n)
        model, mask = self.model, causal_mask(self.tgt.shape[1], self.tgt.device)
        x = model.positional_encoding(model.tgt_embedding(self.tgt))  # (rows, n, d_model)
        x = model.decoder(x, self.memory, mask, self.src_mask)
        return model.output(x[:, -1])  # (rows, V): of the last position alone

    def choose(self, rows: Tensor) -> None:
        """As in `CachedDecoder`."""
        self.tgt, self.memory, self.src_mask = (
            self.tgt[rows],
            self.memory[rows],
            self.src_mask[rows],
        )


# --8<-- [end:UncachedDecoder]

# --8<-- [start:EXTRA]
EXTRA = 50
"""How many tokens longer than its source a translation may be (section 6.1 of the paper)."""
# --8<-- [end:EXTRA]


# --8<-- [start:greedy_decode]
@torch.no_grad()
def greedy_decode(
    model: Transformer, src: Tensor, extra: int = EXTRA, cached: bool = True
) -> list[list[int]]:
    """Write the most likely token again and again, until the end token.

    Args:
        model: In evaluation mode.
        src: Source tokens, integer (batch, n_src), each sentence with the end token, then padding.
        extra: A translation is at most this much longer than its source.
        cached: Whether what was computed for earlier tokens is kept.

    Returns:
        A list of token ids for every sentence, without the end token. Where the longest permitted
        translation has not ended, it ends there.

    Raises:
        ValueError: If the model is in training mode, whose dropout would disturb the result.
    """
    check_evaluation(model)
    src_mask = padding_mask(src, PAD)
    memory = model.encode(src, src_mask)  # (batch, n_src, d_model)
    decoder = (CachedDecoder if cached else UncachedDecoder)(model, memory, src_mask)
    limits = (src != PAD).sum(1) + extra  # (batch)
    written: list[list[int]] = [[] for _ in src]
    alive = torch.arange(len(src), device=src.device)  # the sentences that have not ended
    tokens = torch.full_like(alive, START)
    for n in range(1, int(limits.max()) + 1):
        tokens = decoder.step(tokens).argmax(-1)  # (rows)
        going_on = (tokens != END) & (limits[alive] >= n)
        if not going_on.all():
            rows = going_on.nonzero().squeeze(1)
            decoder.choose(rows)
            alive, tokens = alive[rows], tokens[rows]
        if len(alive) == 0:
            break
        for sentence, token in zip(alive.tolist(), tokens.tolist(), strict=True):
            written[sentence].append(token)
    return written


def check_evaluation(model: nn.Module) -> None:
    """Raise if a model would drop out.

    Raises:
        ValueError: If the model is in training mode.
    """
    if model.training:
        raise ValueError(
            "the model is in training mode and would drop out: call model.eval() first"
        )


# --8<-- [end:greedy_decode]


# --8<-- [start:beam_search]
def length_penalty(n: int, alpha: float) -> float:
    """What a hypothesis of n tokens divides its log-probability by: ((5 + n) / 6)^alpha.

    Every token makes a sentence less likely, so without it the search prefers short ones.

    Source: Wu et al. (2016), equation (14); section 6.1 of the paper has alpha = 0.6.
    """
    return ((5 + n) / 6) ** alpha


@torch.no_grad()
def beam_search(
    model: Transformer,
    src: Tensor,
    beam: int = 4,
    alpha: float = 0.6,
    extra: int = EXTRA,
    cached: bool = True,
) -> list[list[tuple[list[int], float]]]:
    """Keep the `beam` most likely beginnings at every step, until `beam` of them have ended.

    Args:
        model: In evaluation mode.
        src: Source tokens, integer (batch, n_src), each sentence with the end token, then padding.
        beam: Number of beginnings, at least 1; with 1 the search is greedy.
        alpha: Strength of the length penalty, at least 0.
        extra: A translation is at most this much longer than its source; there it has to end.
        cached: Whether what was computed for earlier tokens is kept.

    Returns:
        For every sentence its hypotheses, the best first: token ids without the end token, and the
        log-probability, of the end token too, divided by the length penalty.

    Raises:
        ValueError: If the model is in training mode, or an argument is out of its range.
    """
    check_evaluation(model)
    if beam < 1 or alpha < 0 or extra < 0:
        raise ValueError(
            f"beam search needs beam >= 1, alpha >= 0 and extra >= 0, not {beam}, {alpha}, {extra}"
        )
    src_mask = padding_mask(src, PAD)
    memory = model.encode(src, src_mask)  # (batch, n_src, d_model)
    decoder = (CachedDecoder if cached else UncachedDecoder)(model, memory, src_mask, beam)
    device, batch = src.device, len(src)
    limits = ((src != PAD).sum(1) + extra).tolist()
    ended: list[list[tuple[list[int], float]]] = [[] for _ in src]
    alive = list(range(batch))  # the sentences that are still searched
    tokens = torch.full((batch * beam,), START, device=device)
    prefixes = torch.empty(batch * beam, 0, dtype=torch.int64, device=device)
    scores = torch.full((batch, beam), -torch.inf, dtype=memory.dtype, device=device)
    scores[:, 0] = 0  # the rows of a sentence are equal at first: one of them counts
    for n in range(1, max(limits) + 2):
        log_p = torch.log_softmax(decoder.step(tokens), -1)  # (rows, V)
        V = log_p.shape[-1]
        log_p = log_p.view(len(alive), beam, V)
        must_end = [n > limits[sentence] for sentence in alive]
        if any(must_end):
            log_p[must_end, :, :END] = log_p[must_end, :, END + 1 :] = -torch.inf
        total = (scores.unsqueeze(-1) + log_p).flatten(1)  # (alive, beam * V)
        best, index = total.topk(min(2 * beam, total.shape[1]), dim=1)  # half may be end tokens
        keep_rows, keep_tokens, keep_scores, going_on = [], [], [], []
        for place, sentence in enumerate(alive):
            goes_on = []
            pairs = zip(best[place].tolist(), index[place].tolist(), strict=True)
            for rank, (score, flat) in enumerate(pairs):
                row, token = place * beam + flat // V, flat % V
                if score == -torch.inf:
                    continue
                if token != END:
                    goes_on.append((row, token, score))
                elif rank < beam:
                    ended[sentence].append(
                        (prefixes[row].tolist(), score / length_penalty(n, alpha))
                    )
            if len(ended[sentence]) < beam and goes_on:
                goes_on = (goes_on + [(goes_on[0][0], PAD, -torch.inf)] * beam)[:beam]
                rows, words, values = zip(*goes_on, strict=True)
                keep_rows += rows
                keep_tokens += words
                keep_scores.append(values)
                going_on.append(sentence)
        alive = going_on
        if not alive:
            break
        rows = torch.tensor(keep_rows, device=device)
        tokens = torch.tensor(keep_tokens, device=device)
        scores = torch.tensor(keep_scores, dtype=memory.dtype, device=device)
        decoder.choose(rows)
        prefixes = torch.cat([prefixes[rows], tokens.unsqueeze(1)], dim=1)  # (rows, n)
    return [sorted(found, key=lambda one: -one[1])[:beam] for found in ended]


# --8<-- [end:beam_search]


# --8<-- [start:in_batches]
def in_batches(lengths: Sequence[int], rows: int) -> list[list[int]]:
    """Cut sentences into batches of about one length; returns their places in the list."""
    order = sorted(range(len(lengths)), key=lambda place: -lengths[place])
    return [order[start : start + rows] for start in range(0, len(order), rows)]


# --8<-- [end:in_batches]
