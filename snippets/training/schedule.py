"""The learning rate over the updates, section 5.3 of the paper: `docs/training/optimizer.md`."""


# --8<-- [start:warmup_rate]
def warmup_rate(step: int, d_model: int, warmup: int) -> float:
    """The paper's learning rate: it rises for `warmup` updates, then falls as 1 / √step.

        rate = d_model^-0.5 · min(step^-0.5, step · warmup^-1.5)

    Its peak, at step = warmup, is (d_model · warmup)^-0.5: 0.0007 for the base model.

    Args:
        step: Number of the update, from 1.
        d_model: Width of the model.
        warmup: Number of updates for which the rate rises, at least 1; 4000 in the paper.

    Raises:
        ValueError: If an argument is less than 1.

    Source: Vaswani et al. (2017), section 5.3, equation (3).
    """
    if min(step, d_model, warmup) < 1:
        raise ValueError(
            "step, d_model and warmup must be at least 1, "
            f"not step = {step}, d_model = {d_model}, warmup = {warmup}"
        )
    return d_model**-0.5 * min(step**-0.5, step * warmup**-1.5)


# --8<-- [end:warmup_rate]


# --8<-- [start:scheduled_rate]
def scheduled_rate(step: int, peak: float, warmup: int, steps: int, cooldown: float) -> float:
    """The paper's curve with a peak of its own, and a straight fall to 0 at its end.

    The paper trains until the rate is small. A short run stops in the middle of the curve, with
    weights that still jump. Over its last part the rate is therefore multiplied by the share of
    that part which is left.

    Args:
        step: Number of the update, from 1 to `steps`.
        peak: The rate at step = warmup.
        warmup: Number of updates for which the rate rises, at least 1.
        steps: Number of updates of the run; the rate reaches 0 right after the last one.
        cooldown: The share of the run over which it falls to 0, in [0, 1]; 0 leaves the curve as it
            is.

    Raises:
        ValueError: If an argument is out of its range.
    """
    if not (peak > 0 and warmup >= 1 and 1 <= step <= steps and 0 <= cooldown <= 1):
        raise ValueError(
            "the rate needs peak > 0, warmup >= 1, 1 <= step <= steps and cooldown in [0, 1], not "
            f"peak = {peak}, warmup = {warmup}, step = {step}, steps = {steps}, "
            f"cooldown = {cooldown}"
        )
    rate = peak * min((warmup / step) ** 0.5, step / warmup)
    falling = cooldown * steps  # updates
    return rate * min(1.0, (steps - step + 1) / falling) if falling else rate


# --8<-- [end:scheduled_rate]
