"""How sure a number is, and a difference of two: `docs/training/results.md`.

    python -m snippets.training.error_bars --split test_2016_flickr runs/one runs/other

translates the split with two trained models and says whether their BLEU differs.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from sacrebleu.metrics import BLEU
from sacrebleu.significance import PairedTest

from snippets.training.checkpoint import CheckpointError
from snippets.training.data import DataError
from snippets.training.train import read_corpus
from snippets.training.translate import load_translator, translate


# --8<-- [start:mean_and_deviation]
def mean_and_deviation(values: Sequence[float], digits: int) -> str:
    """The mean ± the standard deviation of single runs, such as "40.2 ± 0.3".

    The deviation has n - 1 in its denominator: it says how far one more run would be from the mean,
    not how far the mean is from the truth. Say n beside it.

    Args:
        values: Of at least two runs.
        digits: After the decimal point.

    Raises:
        ValueError: If there are fewer than two runs, of which no deviation is known.
    """
    if len(values) < 2:
        raise ValueError(f"a deviation needs at least 2 runs, not {len(values)}")
    return f"{statistics.mean(values):.{digits}f} ± {statistics.stdev(values):.{digits}f}"


# --8<-- [end:mean_and_deviation]


# --8<-- [start:bootstrap_test]
def bootstrap_test(
    ones: Sequence[str], others: Sequence[str], references: Sequence[str], samples: int = 1000
) -> dict[str, Any]:
    """Whether the BLEU of two systems differs by more than the choice of the sentences explains.

    It knows nothing of seeds: another run of the same settings may differ significantly, too.

    Args:
        ones: The translations of one system.
        others: Those of the other, of the same sentences.
        references: One for each sentence.
        samples: Number of test sets that are drawn from the sentences with replacement.

    Returns:
        "scores" of both; "difference", the other's minus the one's; "p", the probability of at
        least such a difference between equal systems; "samples" and sacreBLEU's "signature".

    Raises:
        ValueError: If there are no sentences, or not as many of each.

    Source: Koehn (2004), as sacreBLEU counts it.
    """
    if not len(ones) == len(others) == len(references) or not references:
        raise ValueError(
            f"a paired test needs the same sentences, not {len(ones)} and {len(others)} "
            f"translations of {len(references)}"
        )
    test = PairedTest(
        [("one", list(ones)), ("other", list(others))],
        {"BLEU": BLEU(references=[list(references)])},
        references=None,
        test_type="bs",
        n_samples=samples,
    )
    signatures, scores = test()
    one, other = scores["BLEU"]
    difference = other.score - one.score
    return {
        "scores": [one.score, other.score],
        "difference": difference,
        "p": other.p_value if difference else 1.0,  # sacreBLEU counts larger ones: there is none
        "samples": samples,
        "signature": str(signatures["BLEU"]),
    }


# --8<-- [end:bootstrap_test]


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.error_bars",
        description="Compare the BLEU of two trained models by a paired bootstrap.",
    )
    command.add_argument("runs", nargs=2, type=Path, help="folders of runs")
    command.add_argument("--split", required=True, help="such as val, test or test_2016_flickr")
    command.add_argument("--beam", type=int, default=5, help="width; 1 is greedy (default: 5)")
    command.add_argument("--samples", type=int, default=1000, help="test sets (default: 1000)")
    given = command.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        found, pairs = [], []
        for run in given.runs:
            model, tokenizer, config = load_translator(run)
            pairs.append(read_corpus(config, given.split))
            sources = [src for src, _ in pairs[-1]]
            found.append(translate(model, tokenizer, sources, given.beam))
        if pairs[0] != pairs[1]:
            raise DataError("the runs are of different corpora or directions")
        result = bootstrap_test(*found, [tgt for _, tgt in pairs[0]], given.samples)
    except (CheckpointError, DataError, ValueError) as error:
        sys.exit(f"{command.prog}: {error}")
    print(json.dumps(result | {"seed": os.environ.get("SACREBLEU_SEED", "12345")}))


if __name__ == "__main__":
    main()
