"""Dropout and label smoothing on few sentences: `docs/training/regularization.md`.

Run with `python -m benchmarks.regularization`: it takes about a minute on one thread.
"""

import sys
from typing import Any

import torch

from benchmarks.record import machine, publish, table, versions
from snippets.training.config import Config
from snippets.training.data import encode_pairs, train_tokenizer
from snippets.training.error_bars import mean_and_deviation
from snippets.training.grammar import grammar
from snippets.training.loop import Training, evaluate

DROPOUTS = (0.0, 0.1, 0.3)
SMOOTHINGS = (0.0, 0.1)
SEEDS = (0, 1, 2)
N_PAIRS = 100
"""Pairs of the training split that are kept: few enough to be learned by heart."""
STEPS, EVALUATE_EVERY = 200, 40
SETTINGS = {
    "vocab_size": 200,
    "d_model": 32,
    "n_heads": 2,
    "n_layers": 1,
    "d_ff": 64,
    "max_tokens": 512,
    "rate": 0.01,
    "warmup": 30,
    "steps": STEPS,
}


def trained(dropout: float, smoothing: float, seed: int) -> dict[str, Any]:
    """Train once; losses are without smoothing and dropout, nats a token.

    Returns:
        "train": loss and accuracy on the pairs that were trained on, at the end. "valid": the same
        on the validation split, every `EVALUATE_EVERY` updates.
    """
    config = Config(dropout=dropout, smoothing=smoothing, seed=seed, **SETTINGS)
    sentences = grammar("train", "de", "en")[:N_PAIRS]
    tokenizer = train_tokenizer(sentences, config.vocab_size)
    pairs = encode_pairs(tokenizer, sentences)
    valid = encode_pairs(tokenizer, grammar("val", "de", "en"))
    training = Training(config, pairs, tokenizer.get_vocab_size())
    curve = []
    while training.step < config.steps:
        training.update()
        if training.step % EVALUATE_EVERY == 0:
            curve.append(evaluate(training.model, valid, config.max_tokens))
    return {"train": evaluate(training.model, pairs, config.max_tokens), "valid": curve}


def main() -> None:
    torch.set_num_threads(1)
    results = []
    for seed in SEEDS:
        for dropout in DROPOUTS:
            for smoothing in SMOOTHINGS:
                result = trained(dropout, smoothing, seed)
                results.append({"dropout": dropout, "smoothing": smoothing, "seed": seed} | result)
                print(
                    f"seed {seed}, dropout {dropout}, smoothing {smoothing}: {result['valid'][-1]}",
                    file=sys.stderr,
                )
    facts = {
        "command": "python -m benchmarks.regularization",
        "machine": machine(1),
        "versions": versions(),
        "settings": SETTINGS,
        "pairs": N_PAIRS,
        "evaluate_every": EVALUATE_EVERY,
        "results": results,
    }
    publish("regularization", facts, TABLES)
    print(report(facts))


def report(facts: dict) -> str:
    """The results as a Markdown table with the line that says where they come from."""
    losses = ["training loss", "validation loss", "lowest on the way"]
    rows = [["dropout", "smoothing", *losses, "validation accuracy (%)"]]
    results = facts["results"]
    for dropout, smoothing in sorted({(run["dropout"], run["smoothing"]) for run in results}):
        runs = [
            run for run in results if (run["dropout"], run["smoothing"]) == (dropout, smoothing)
        ]
        rows.append(
            [
                f"{dropout:.1f}",
                f"{smoothing:.1f}",
                mean_and_deviation([run["train"][0] for run in runs], 2),
                mean_and_deviation([run["valid"][-1][0] for run in runs], 2),
                mean_and_deviation([min(loss for loss, _ in run["valid"]) for run in runs], 2),
                mean_and_deviation([100 * run["valid"][-1][1] for run in runs], 1),
            ]
        )
    n_seeds = len({run["seed"] for run in results})
    settings = facts["settings"]
    return (
        f"{table(rows)}\nMean and standard deviation over {n_seeds} seeds, after "
        f"{settings['steps']} updates on {facts['pairs']} pairs of the embedded corpus, German to "
        f"English, d_model {settings['d_model']}, n_layers {settings['n_layers']}, pre-norm; "
        f"losses in nats a token, without smoothing and dropout; {facts['machine']}, "
        f"PyTorch {facts['versions']['torch']}. Repeat it with `{facts['command']}`.\n"
    )


TABLES = {"regularization": report}


if __name__ == "__main__":
    main()
