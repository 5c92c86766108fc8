"""Runs the lab on Table 1 as a program and records what it measured: `make bench`.

The lab, `docs/lab/complexity.py`, counts and times; this module writes its results down, as
`docs/assets/data/complexity.json` and as the tables that `docs/why-attention/complexity.md` embeds.
"""

import runpy
from typing import Any

import matplotlib

from benchmarks.record import DATA, machine, publish, table, versions

LAB = DATA.parents[1] / "lab" / "complexity.py"
Fit = list[float]
"""An exponent, and the ends of its 95 % interval."""


def said(fit: Fit) -> str:
    """A fit on one line, with minus signs and spaces that do not break."""
    exponent, low, high = (round(value, 2) + 0.0 for value in fit)  # without -0.00
    return f"{exponent:.2f}\N{NO-BREAK SPACE}[{low:.2f},\N{NO-BREAK SPACE}{high:.2f}]".replace(
        "-", "\N{MINUS SIGN}"
    )


def operations(facts: dict[str, Any]) -> str:
    """The first column: the products that Table 1 counts, and the time of the whole layer."""
    core, time, counted = facts["core_fits"], facts["time_fits"], facts["counted"]
    rows = [["layer", "Table 1", "counted", "exponents, counted", "exponents, time"]]
    for layer, term, size, timed in (
        ("self-attention", "$O(n^2 d)$", "attention", "attention, weights stored"),
        ("recurrent", "$O(n d^2)$", "recurrent", "recurrent"),
        ("convolutional", "$O(k n d^2)$", "convolutional", "convolutional"),
        ("restricted", "$O(r n d)$", "restricted attention", "restricted attention"),
    ):
        value, formula = counted[size]
        fits = [f"${name}$: {said(fit)}" for name, fit in core[size].items()]
        clock = [f"${name}$: {said(fit)}" for name, fit in time[timed].items()]
        cell = f"{formula} =<br>{value:,}"
        rows.append([layer, term, cell, "<br>".join(fits), "<br>".join(clock)])
    return (
        f"{table(rows)}\nTimes: {facts['machine']}, PyTorch {facts['versions']['torch']}, "
        f"seed {facts['seed']}. Repeat them with `{facts['command']}`.\n"
    )


def chains(facts: dict[str, Any]) -> str:
    """The second column: the longest chain of dependent operations."""
    rows = [["layer", "Table 1", "counted", "exponent of $n$"]]
    for layer, term, size in (
        ("self-attention", "$O(1)$", "attention, weights stored"),
        ("recurrent", "$O(n)$", "recurrent"),
        ("convolutional", "$O(1)$", "convolutional"),
        ("restricted", "$O(1)$", "restricted attention"),
    ):
        first, *_, last = facts["chains"][size]
        rows.append([layer, term, f"{first}, {last}", said(facts["chain_fits"][size])])
    return table(rows)


def paths(facts: dict[str, Any]) -> str:
    """The third column: hops until all positions are connected."""
    rows = [["layer", "Table 1", "measured", "exponents"]]
    for layer, term, size in (
        ("self-attention", "$O(1)$", "attention"),
        ("recurrent", "$O(n)$", "recurrent"),
        ("convolutional, contiguous", "$O(n / k)$, section 4", "convolutional"),
        ("convolutional, dilated", r"$O(\log_k n)$", "the same, dilated"),
        ("restricted", "$O(n / r)$", "restricted attention"),
    ):
        measured = ", ".join(str(length) for length in facts["paths"][size])
        fits = [
            f"${name.replace('log', chr(92) + 'log')}$: {said(fit)}"
            for name, fit in facts["path_fits"][size].items()
        ]
        rows.append([layer, term, measured, "<br>".join(fits)])
    return table(rows)


def crossings(facts: dict[str, Any]) -> str:
    """From which length on the recurrent layer is faster than attention."""
    names = ("attention, weights stored", "attention, fused kernel")
    rows = [["$d$", "weights stored", "fused kernel"]]
    for d, found in facts["crossed"].items():
        lengths = (found[name] for name in names)
        rows.append([d, *(f"{length:.0f}" if length else "not measured" for length in lengths)])
    return table(rows)


def nested(fits: dict[tuple, tuple[float, float, float]]) -> dict[str, dict[str, Fit]]:
    """Fits by layer and then by the size that the exponent is of."""
    result: dict[str, dict[str, Fit]] = {}
    for (layer, size, *_), fit in fits.items():
        result.setdefault(layer, {})[size] = list(fit)
    return result


def record(lab: dict[str, Any]) -> dict[str, Any]:
    """What the lab found, as JSON can hold it."""
    n, d, k, r = 1024, 512, lab["K"], lab["R"]
    hardware = lab["hardware"]
    return {
        "command": "make bench",
        "machine": machine(1),
        "versions": versions(),
        "seed": 0,
        "sizes": {"lengths": lab["LENGTHS"], "widths": lab["WIDTHS"], "k": k, "r": r},
        "rates": {
            "flops": hardware.flops,
            "bandwidth": hardware.bandwidth,
            "latency": hardware.latency,
        },
        "counted": {
            "attention": [lab["core"](n, d), "$4n^2d$"],
            "recurrent": [lab["counted"]("recurrent", n, d), "$4nd^2$"],
            "convolutional": [lab["convolution"](n, d, k), "$2knd^2$"],
            "restricted attention": [lab["core"](n, d, r), "$12rnd$"],
        },
        "core_fits": nested(lab["core_fits"]),
        "chained": lab["CHAINED"],
        "chains": lab["chains"],
        "chain_fits": {layer: list(fit) for layer, fit in lab["chain_fits"].items()},
        "paths": lab["paths"],
        "path_fits": nested(lab["path_fits"]),
        "seconds_over_n": lab["seconds_over_n"],
        "seconds_over_d": lab["seconds_over_d"],
        "time_fits": nested({key: by_time for key, (_, by_time) in lab["fits"].items()}),
        "memory_over_n": lab["memory_over_n"],
        "crossed": {str(d): found for d, found in lab["crossed"].items()},
    }


TABLES = {
    "complexity-operations": operations,
    "complexity-chains": chains,
    "complexity-paths": paths,
    "complexity-crossings": crossings,
}


def main() -> None:
    matplotlib.use("Agg")
    publish("complexity", record(runpy.run_path(str(LAB))), TABLES)


if __name__ == "__main__":
    main()
