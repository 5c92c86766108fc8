"""What all measurements share: turns, the machine that they ran on, and whole files."""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from snippets.seconds_and_bytes import processor

DATA = Path(__file__).parents[1] / "docs" / "assets" / "data"


def machine(threads: int) -> str:
    """The processor, and how much of it was used."""
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__}


def timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(steps: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """Median seconds of each step, taken in turns."""
    for step in steps.values():
        step()
    times = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(timed(step))
    return {name: statistics.median(values) for name, values in times.items()}


def table(rows: list[list[str]]) -> str:
    """Rows as a Markdown table; the first holds the headings."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def write(path: Path, text: str) -> None:
    """Write a file in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)
