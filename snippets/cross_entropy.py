"""Cross-entropy with label smoothing, as in section 5.4: `docs/derivations/cross-entropy.md`.

Shapes: `V` is the size of the vocabulary; `...` are the axes of the tokens, such as (batch, n).
"""

import torch
from torch import Tensor


# --8<-- [start:check_targets]
def check_targets(logits: Tensor, target: Tensor, smoothing: float, pad_id: int | None) -> None:
    """Raise one clear sentence where a loss would broadcast, promote, or lose its meaning.

    Raises:
        ValueError: If `target` has not the shape of `logits` without its last axis, `smoothing` is
            not in [0, 1), or no token is left to average over.
        TypeError: If `logits` is not floating point, `target` holds no integers, or `pad_id` is
            neither an integer nor None.
    """
    if pad_id is not None and (not isinstance(pad_id, int) or isinstance(pad_id, bool)):
        raise TypeError(f"pad_id must be an integer or None, not {pad_id!r}")
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating point, not {logits.dtype}")
    if target.is_floating_point() or target.is_complex() or target.dtype == torch.bool:
        raise TypeError(f"target must hold token ids, which are integers, not {target.dtype}")
    if logits.dim() == 0 or logits.shape[:-1] != target.shape:
        raise ValueError(
            f"logits of shape {tuple(logits.shape)} do not fit a target of shape "
            f"{tuple(target.shape)}: they need one more axis, the vocabulary, at the end"
        )
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must be in [0, 1), not {smoothing}")
    try:
        nothing = target.numel() == 0 or (
            pad_id is not None
            and not torch.compiler.is_compiling()
            and bool((target.long() == pad_id).all())
        )
    except RuntimeError:  # within vmap a value cannot be looked at
        nothing = False
    if nothing:
        raise ValueError(f"there is no token to average over: every target is pad_id = {pad_id}")


# --8<-- [end:check_targets]


# --8<-- [start:label_smoothing_loss]
def label_smoothing_loss(
    logits: Tensor, target: Tensor, smoothing: float = 0.1, pad_id: int | None = None
) -> Tensor:
    """Average the cross-entropy against smoothed targets over the tokens that are not padding.

        L = -Σₖ qₖ log pₖ,  p = softmax(z),  qₖ = (1 - ε) [k = t] + ε / V

    The target token t keeps 1 - ε, and ε is spread over the whole vocabulary, t included. With
    ε = 0 this is the negative log-likelihood, whose exponential is the perplexity. Padding adds
    nothing to the sum, to the count or to the gradient, whatever its logits are.

    Args:
        logits: (..., V), scores before softmax, floating point. A logit of -inf makes the loss
            infinite unless `smoothing` is 0. Half precision is computed in float32.
        target: (...), token ids in [0, V), integer.
        smoothing: ε in [0, 1); the paper has 0.1.
        pad_id: The id at which `target` is padding; it may lie outside [0, V). None if all tokens
            count.

    Returns:
        The mean loss of a token in nats, a number in float32, or in float64 if the logits are.

    Raises:
        ValueError: If shapes do not fit, `smoothing` is not in [0, 1), a token id is not in
            [0, V), or no token is left to average over. `torch.compile` and `vmap` cannot look at
            values: there no token left gives NaN, and an id that is not in [0, V) is an error of
            PyTorch's kernel, as it is on a GPU.
        TypeError: If `logits` is not floating point, `target` holds no integers, or `pad_id` is
            neither an integer nor None.

    Source: Vaswani et al. (2017), section 5.4; Szegedy et al. (2016), section 7.
    """
    check_targets(logits, target, smoothing, pad_id)
    target, V = target.long(), logits.shape[-1]
    real = torch.ones_like(target, dtype=torch.bool) if pad_id is None else target != pad_id
    if pad_id is not None:  # ids and logits that are fit to compute with, and count for nothing
        logits, target = logits.where(real.unsqueeze(-1), 0.0), target.where(real, 0)
    # The log of a sum of exponentials, never of a softmax.
    log_p = torch.log_softmax(logits, -1, dtype=torch.promote_types(logits.dtype, torch.float32))
    try:
        loss = -log_p.gather(-1, target.unsqueeze(-1)).squeeze(-1)  # (...)
    except (IndexError, RuntimeError):
        low, high = target.min().item(), target.max().item()
        raise ValueError(f"target holds ids from {low} to {high} but V = {V}") from None
    if smoothing > 0:
        loss = (1 - smoothing) * loss - smoothing * log_p.mean(-1)
    return loss.where(real, 0.0).sum() / real.sum()


# --8<-- [end:label_smoothing_loss]
