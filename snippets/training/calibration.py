"""Whether a model is as sure as it is right: `docs/training/results.md`."""

from collections.abc import Sequence
from typing import Any

import torch

from snippets.training.batching import Pair
from snippets.training.loop import logits_of_pairs
from snippets.transformer import Transformer


# --8<-- [start:calibration]
def calibration(
    model: Transformer, pairs: Sequence[Pair], max_tokens: int, bins: int = 10
) -> list[dict[str, Any]]:
    """The tokens of a split, sorted by how sure the model is of its first choice.

    Args:
        model: Left in the mode in which it was.
        pairs: (source ids, target ids), each ending in the end token; the tokens before each are
            given.
        max_tokens: Padded tokens of a batch at most.
        bins: Number of equal parts of [0, 1], at least 1.

    Returns:
        For each part how many "tokens" have a largest probability in it, the mean of that
        "confidence" over them, and the "accuracy", the share of them whose first choice is right;
        None where there are none. A model is calibrated if the two are equal.

    Raises:
        ValueError: If `bins` is less than 1.

    Source: Guo, Pleiss, Sun and Weinberger (2017), section 2.
    """
    if bins < 1:
        raise ValueError(f"bins must be at least 1, not {bins}")
    sums = torch.zeros(3, bins, dtype=torch.float64)  # tokens, confidence, right
    for logits, labels in logits_of_pairs(model, pairs, max_tokens):
        sure, choice = torch.softmax(logits.double(), -1).max(-1)  # (n_real) each
        place = (sure * bins).long().clamp(max=bins - 1).cpu()
        counted = torch.stack([torch.ones_like(sure), sure, (choice == labels).double()]).cpu()
        sums.index_add_(1, place, counted)
    return [
        {
            "tokens": int(tokens),
            "confidence": confidence / tokens if tokens else None,
            "accuracy": right / tokens if tokens else None,
        }
        for tokens, confidence, right in sums.T.tolist()
    ]


def calibration_error(bins: Sequence[dict[str, Any]]) -> float:
    """The expected calibration error: the mean distance of confidence and accuracy, by tokens."""
    filled = [one for one in bins if one["tokens"]]
    off = sum(one["tokens"] * abs(one["confidence"] - one["accuracy"]) for one in filled)
    return off / sum(one["tokens"] for one in filled)


# --8<-- [end:calibration]
