"""What a run takes, in seconds and in bytes, and how that grows: `docs/lab/complexity.py`."""

import itertools
import math
import platform
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy
import torch
from scipy.stats import t
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer


# --8<-- [start:processor]
def processor() -> str:
    """The processor's own name, where the system tells it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


# --8<-- [end:processor]


# --8<-- [start:fastest_seconds]
def fastest_seconds(run: Callable[[], Any], least: float = 0.1) -> float:
    """The shortest wall-clock time of `run` in seconds, on as many threads as PyTorch has now.

    PyTorch's timer warms up, takes short runs in blocks, and measures for at least `least` seconds.
    The shortest time and not the median, because whatever else a machine does can only add to it.
    """
    timer = Timer("run()", globals={"run": run}, num_threads=torch.get_num_threads())
    return min(timer.blocked_autorange(min_run_time=least).times)


# --8<-- [end:fastest_seconds]


# --8<-- [start:peak_memory]
class MemoryMode(TorchDispatchMode):
    """Keeps account of the storages that PyTorch's operations make, and that go again."""

    def __init__(self) -> None:
        super().__init__()
        self.alive: set[int] = set()
        self.now = self.peak = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        given = {id(tensor.untyped_storage()) for tensor in self.tensors((args, kwargs))}
        result = operation(*args, **(kwargs or {}))
        for tensor in self.tensors(result):
            storage = tensor.untyped_storage()
            if id(storage) not in self.alive | given:
                self.alive.add(id(storage))
                self.add(storage.nbytes())
                weakref.finalize(storage, self.free, id(storage), storage.nbytes())
        return result

    def add(self, size: int) -> None:
        self.now += size
        self.peak = max(self.peak, self.now)

    def free(self, identity: int, size: int) -> None:
        self.alive.remove(identity)
        self.now -= size

    @staticmethod
    def tensors(tree: Any) -> list[Tensor]:
        return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]


def peak_memory(run: Callable[[], Any]) -> int:
    """Bytes of all tensors that `run` makes, at the moment when they are most.

    What exists before does not count, nor does what a kernel takes and gives back within one
    operation. The number is the same on every machine.
    """
    account = MemoryMode()
    with account:
        run()
    return account.peak


# --8<-- [end:peak_memory]


# --8<-- [start:fit_exponent]
def fit_exponent(
    sizes: Sequence[float], values: Sequence[float], confidence: float = 0.95
) -> tuple[float, float, float]:
    """The exponent p of the power law c * size ** p that fits best, and its interval.

    A straight line is fitted to the logarithms. The interval is Student's, from the distances of
    the points to the line: it is narrow only if the values follow one power.

    Args:
        sizes: At least three different sizes, positive.
        values: A positive value for each.
        confidence: Probability in (0, 1) that the interval is to have.

    Returns:
        The exponent, and the lower and the upper end of its interval.

    Raises:
        ValueError: If there are fewer than three points, or one is not positive.
    """
    if len(sizes) != len(values) or len(sizes) < 3 or min(*sizes, *values) <= 0:
        raise ValueError(
            f"a fit needs three or more positive sizes and as many positive values, "
            f"not {list(sizes)} and {list(values)}"
        )
    (slope, _), covariance = numpy.polyfit(numpy.log(sizes), numpy.log(values), 1, cov=True)
    margin = t.ppf((1 + confidence) / 2, len(sizes) - 2) * math.sqrt(covariance[0, 0])
    return float(slope), float(slope - margin), float(slope + margin)


# --8<-- [end:fit_exponent]


# --8<-- [start:crossing]
def crossing(
    sizes: Sequence[float], rising: Sequence[float], other: Sequence[float]
) -> float | None:
    """The size at which the rising line passes the other one, or None if it does not.

    Between two sizes both lines are straight in logarithms.

    Args:
        sizes: Positive and increasing.
        rising: A positive value for each size, below the other line at first.
        other: As many positive values.
    """
    gaps = [math.log(a / b) for a, b in zip(rising, other, strict=True)]
    steps = itertools.pairwise(zip(sizes, gaps, strict=True))
    for (size, gap), (next_size, next_gap) in steps:
        if gap <= 0 < next_gap:
            return size * (next_size / size) ** (-gap / (next_gap - gap))
    return None


# --8<-- [end:crossing]
