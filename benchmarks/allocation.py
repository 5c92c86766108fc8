"""Measures what fresh memory costs attention, apart from its arithmetic: `make bench`.

The same runs are made in two processes. One has the C library's allocator as it comes, which gives
large results back to the system and asks for new pages every time. The other keeps what it once
got, by the variables of `KEPT`. The arithmetic is the same, so that what differs is the memory.
Page faults and the system's share of the time are counted as well.

Writes `docs/assets/data/allocation.json` and `allocation.txt`, the table that
`docs/why-attention/self-attention.md` embeds. The variables are those of the GNU C library.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.complexity import said
from benchmarks.record import machine, publish, table, versions
from snippets.attention import scaled_dot_product_attention
from snippets.multi_head import MultiHeadAttention
from snippets.recurrent import RecurrentLayer
from snippets.restricted import banded_attention
from snippets.seconds_and_bytes import crossing, fit_exponent
from snippets.softmax import softmax

SEED, D, N_PARTS = 0, 64, 4096
LENGTHS = [724, 1024, 1448, 2048, 2896, 4096, 5793, 8192]  # as in the lab's fits
WARM, REPEATS, LEAST = 8, 5, 0.1  # runs that do not count, runs at least, and their seconds
BANDED = {"n": 8192, "r": 64, "n_heads": 8, "d_k": 64}  # as in benchmarks/restricted.py
KEPT = {
    "MALLOC_MMAP_THRESHOLD_": str(2**40),
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
    "MALLOC_TOP_PAD_": str(2**28),
}
"""What makes the allocator keep memory: no mapping of its own for a large result, nothing given
back, and 256 MiB in advance."""

Measured = dict[str, float]


def measure(run: Callable[[], Any], repeats: int = REPEATS, warm: int = WARM) -> Measured:
    """Seconds on the processor, the least of all runs; page faults and shares, means over them.

    Time on the processor and not by the clock, so that what else the machine does is not in it;
    with one thread on an idle machine the two are the same. The first runs do not count: they are
    what fills the memory that can be kept.
    """
    for _ in range(warm):
        run()
    before, seconds = resource.getrusage(resource.RUSAGE_SELF), []
    while len(seconds) < repeats or sum(seconds) < LEAST:
        start = time.process_time()
        run()
        seconds.append(time.process_time() - start)
    after = resource.getrusage(resource.RUSAGE_SELF)
    system, user = after.ru_stime - before.ru_stime, after.ru_utime - before.ru_utime
    return {
        "seconds": min(seconds),
        "faults": (after.ru_minflt - before.ru_minflt) / len(seconds),
        "system": system / (system + user),
    }


def layers() -> dict[str, list[Measured]]:
    """The three layers whose crossings the lab looks for, over the lengths of its fits."""
    attention, recurrent = MultiHeadAttention(D, 1), RecurrentLayer(D)
    runs: dict[str, Callable[[torch.Tensor], Any]] = {
        "attention, weights stored": lambda x: attention(x, x, x, need_weights=True),
        "attention, fused kernel": lambda x: attention(x, x, x),
        "recurrent": recurrent,
    }
    inputs = [torch.randn(1, n, D) for n in LENGTHS]
    return {
        name: [measure(lambda x=x, run=run: run(x)) for x in inputs] for name, run in runs.items()
    }


def parts() -> dict[str, Measured]:
    """The three steps of attention at one length."""
    query, key, value = (torch.randn(1, 1, N_PARTS, D) for _ in range(3))
    scores = query @ key.mT
    weights = softmax(scores)
    return {
        "scores": measure(lambda: query @ key.mT),
        "softmax": measure(lambda: softmax(scores)),
        "average of the values": measure(lambda: weights @ value),
    }


def copies() -> dict[str, Measured]:
    """64 MiB copied into a new tensor, and into one that is there."""
    numbers = torch.randn(2**24)
    there = torch.empty_like(numbers)
    return {
        "clone": measure(lambda: numbers.clone()),
        "copy": measure(lambda: there.copy_(numbers)),
    }


def banded() -> dict[str, Measured]:
    """Attention under a band mask with its weights stored, and by blocks."""
    n, r = BANDED["n"], BANDED["r"]
    shape = (1, n, BANDED["n_heads"], BANDED["d_k"])  # as split_heads leaves them
    query, key, value = (torch.randn(shape).transpose(1, 2) for _ in range(3))
    position = torch.arange(n)
    near = (position.unsqueeze(1) - position).abs() <= r  # True where attention is allowed
    return {
        "masked": measure(lambda: scaled_dot_product_attention(query, key, value, near), 2, 1),
        "banded": measure(lambda: banded_attention(query, key, value, r)),
    }


def measured() -> dict[str, Any]:
    """All that one process measures, on one thread and without gradients."""
    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    with torch.no_grad():
        return {"layers": layers(), "parts": parts(), "copies": copies(), "banded": banded()}


def in_a_process(settings: dict[str, str]) -> dict[str, Any]:
    """What `measured` finds in a process with these variables set."""
    environment = {key: text for key, text in os.environ.items() if not key.startswith("MALLOC_")}
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.allocation", "measured"],
        env=environment | settings,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(run.stdout)


def conclusions(found: dict[str, Any]) -> dict[str, Any]:
    """The numbers that the pages quote, from what one process measured."""
    seconds = {name: [m["seconds"] for m in row] for name, row in found["layers"].items()}
    stored = [m["faults"] for m in found["layers"]["attention, weights stored"]]
    recurrent = seconds["recurrent"]
    total = sum(part["seconds"] for part in found["parts"].values())
    size = 2 * 4 * 2**24  # bytes that a copy reads and writes
    return {
        "fits": {name: list(fit_exponent(LENGTHS, column)) for name, column in seconds.items()},
        "crossings": {
            name: crossing(LENGTHS, seconds[name], recurrent)
            for name in ("attention, weights stored", "attention, fused kernel")
        },
        "milliseconds": 1e3 * seconds["attention, weights stored"][-1],
        "faults": stored[-1],
        "softmax": found["parts"]["softmax"]["seconds"] / total,
        "bandwidth": {name: size / copy["seconds"] for name, copy in found["copies"].items()},
        "times_banded": found["banded"]["masked"]["seconds"] / found["banded"]["banded"]["seconds"],
    }


def report(facts: dict[str, Any]) -> str:
    """The layer's table: the same arithmetic with fresh and with kept memory."""
    columns = [conclusions(facts[kind]) for kind in ("fresh", "kept")]

    def row(name: str, show: Callable[[dict], str]) -> list[str]:
        return [name, *map(show, columns)]

    stored, fused = "attention, weights stored", "attention, fused kernel"
    crossings = ("crossings", stored), ("crossings", fused)
    rows = [
        ["", "fresh memory", "kept memory"],
        row(f"weights stored, $n = {LENGTHS[-1]}$: page faults", lambda c: f"{c['faults']:,.0f}"),
        row("the same: time", lambda c: f"{c['milliseconds']:.0f} ms"),
        row(
            f"softmax, of its three steps at $n = {N_PARTS}$",
            lambda c: f"{100 * c['softmax']:.0f} %",
        ),
        row("exponent of $n$, weights stored", lambda c: said(c["fits"][stored])),
        row("exponent of $n$, fused kernel", lambda c: said(c["fits"][fused])),
        *(
            row(
                f"recurrence is faster than {name.split(', ')[1]} from $n =$",
                lambda c, key=key, name=name: f"{c[key][name]:.0f}" if c[key][name] else "none",
            )
            for key, name in crossings
        ),
        row("a copy of 64 MiB to a new tensor", lambda c: rate(c["bandwidth"]["clone"])),
        row("a copy of 64 MiB to one that is there", lambda c: rate(c["bandwidth"]["copy"])),
    ]
    lengths, torch_version = f"{LENGTHS[0]} to {LENGTHS[-1]}", facts["versions"]["torch"]
    return (
        f"{table(rows)}\nOne head of {D}, {facts['machine']}, PyTorch {torch_version}, "
        f"seed {facts['seed']}; exponents over $n$ from {lengths}; the least time on the "
        f"processor of several runs. Repeat it with `{facts['command']}`.\n"
    )


def rate(bandwidth: float) -> str:
    return f"{bandwidth / 1e9:.1f} GB/s"


def main() -> None:
    facts = {
        "command": "make bench",
        "machine": machine(1),
        "versions": versions(),
        "seed": SEED,
        "variables": KEPT,
        "lengths": LENGTHS,
        "banded_sizes": BANDED,
        "fresh": in_a_process({}),
        "kept": in_a_process(KEPT),
    }
    publish("allocation", facts, TABLES)
    print(report(facts))


TABLES = {"allocation": report}


if __name__ == "__main__":
    if sys.argv[1:] == ["measured"]:
        print(json.dumps(measured()))
    else:
        main()
