"""Reads every head of a trained model, and switches each off: `docs/training/attention-maps.md`.

    python -m benchmarks.attention_maps --checkpoint runs/de-en

The checkpoint is a run on Multi30k from German to English. The sentence was written for this
project; the losses are those of the validation split.
"""

import argparse
from pathlib import Path
from typing import Any

import torch

from benchmarks.record import publish, table, updates, versions
from snippets.training.attention_maps import recorded_weights, without_heads
from snippets.training.batching import Pair, make_batch
from snippets.training.data import END, encode_pairs
from snippets.training.loop import evaluate
from snippets.training.train import read_corpus
from snippets.training.translate import load_translator
from snippets.transformer import Transformer

SENTENCE = (
    "Ein alter Mann mit einem roten Hut spielt auf der Straße Gitarre.",
    "An old man with a red hat is playing guitar on the street.",
)
KINDS = ("encoder.self_attention", "decoder.self_attention", "decoder.cross_attention")
COUNTS = (1, 2, 4, 8, 12, 16, 24, 32)
"""How many of the least important heads are switched off together."""


def attention(kind: str, layer: int) -> str:
    """The name of an attention in the model."""
    stack, part = kind.split(".")
    return f"{stack}.layers.{layer}.{part}"


def maps(model: Transformer, pair: Pair) -> dict[str, list[Any]]:
    """The weights of one sentence, by kind: [layer][head][query][key], to three digits."""
    batch = make_batch([pair])
    with torch.no_grad(), recorded_weights(model) as weights:
        model(batch.src, batch.tgt, *batch.masks())
    n_layers = len(model.encoder.layers)
    return {
        kind: [
            [
                [[round(weight, 3) for weight in row] for row in head]
                for head in weights[attention(kind, layer)][0].tolist()
            ]
            for layer in range(n_layers)
        ]
        for kind in KINDS
    }


def losses_without(
    model: Transformer, pairs: list[Pair], max_tokens: int
) -> tuple[float, dict[str, list[list[float]]], dict[str, float]]:
    """The loss as it is, without each head, and without the n least important heads."""

    def loss(off: dict[str, list[int]]) -> float:
        with without_heads(model, off):
            return round(evaluate(model, pairs, max_tokens)[0], 5)

    n_layers, n_heads = len(model.encoder.layers), model.encoder.layers[0].self_attention.n_heads
    one = {
        kind: [
            [loss({attention(kind, layer): [head]}) for head in range(n_heads)]
            for layer in range(n_layers)
        ]
        for kind in KINDS
    }
    order = sorted(
        (one[kind][layer][head], kind, layer, head)
        for kind in KINDS
        for layer in range(n_layers)
        for head in range(n_heads)
    )
    together = {}
    for count in (count for count in COUNTS if count < len(order)):
        off: dict[str, list[int]] = {}
        for _, kind, layer, head in order[:count]:
            off.setdefault(attention(kind, layer), []).append(head)
        together[str(count)] = loss(off)
    return loss({}), one, together


def heads(facts: dict[str, Any]) -> str:
    """How much the loss rises without each head: a row an attention."""
    n_heads = len(facts["loss_without"][KINDS[0]][0])
    rows = [["attention", *(f"without head {head}" for head in range(n_heads))]]
    for kind in KINDS:
        for layer, losses in enumerate(facts["loss_without"][kind]):
            name = f"{kind.replace('.', ', ').replace('_', '-')}, layer {layer + 1}"
            rows.append([name, *(f"{loss - facts['loss']:+.3f}" for loss in losses)])
    return table(rows)


def together(facts: dict[str, Any]) -> str:
    """The loss without the least important heads."""
    losses = facts["loss_without_together"]
    rows = [["heads switched off", "0", *losses]]
    values = [facts["loss"], *losses.values()]
    rows.append(["validation loss", *(f"{loss:.2f}" for loss in values)])
    return table(rows)


TABLES = {"attention-maps-heads": heads, "attention-maps-together": together}


def main() -> None:
    """Run the command."""
    command = argparse.ArgumentParser(prog="python -m benchmarks.attention_maps")
    command.add_argument("--checkpoint", type=Path, required=True, help="a run, de to en")
    given = command.parse_args()
    torch.set_num_threads(1)
    model, tokenizer, config = load_translator(given.checkpoint)
    if (config.src, config.tgt) != ("de", "en"):
        raise SystemExit(f"the sentence is German, but the run is from {config.src}")
    pair = encode_pairs(tokenizer, [SENTENCE])[0]
    whole, one, together = losses_without(
        model, encode_pairs(tokenizer, read_corpus(config, "val")), config.max_tokens
    )
    facts = {
        "corpus": config.corpus,
        "update": updates(given.checkpoint),
        "updates": config.steps,
        "versions": versions(),
        "src": [tokenizer.id_to_token(token) for token in pair[0]],
        "tgt": [tokenizer.id_to_token(token) for token in pair[1]],
        "loss": whole,
        "loss_without": one,
        "loss_without_together": together,
        "weights": maps(model, pair),
    }
    assert pair[0][-1] == pair[1][-1] == END
    publish("attention-maps", facts, TABLES, indent=None)


if __name__ == "__main__":
    main()
