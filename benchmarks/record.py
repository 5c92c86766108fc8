"""What all measurements share: turns, the machine that they ran on, and whole files."""

import json
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from snippets.seconds_and_bytes import processor
from snippets.training.checkpoint import read_checkpoint

DATA = Path(__file__).parents[1] / "docs" / "assets" / "data"


def machine(threads: int) -> str:
    """The processor, and how much of it was used."""
    return f"{processor()}, {threads} thread{'s' if threads > 1 else ''}"


def versions() -> dict[str, str]:
    return {"python": platform.python_version(), "torch": torch.__version__}


def updates(checkpoint: Path) -> int:
    """After how many updates the weights of a run, or of a file, were kept."""
    files = sorted(checkpoint.glob("update-*.safetensors")) if checkpoint.is_dir() else [checkpoint]
    return read_checkpoint(files[-1])[1]["step"]


def timed(run: Callable[[], None], clock: Callable[[], float] = time.perf_counter) -> float:
    start = clock()
    run()
    return clock() - start


def medians(
    steps: dict[str, Callable[[], None]],
    repeats: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median seconds of each step, taken in turns; the clock may be the processor's."""
    for step in steps.values():
        step()
    times = {name: [] for name in steps}
    for _ in range(repeats):
        for name, step in steps.items():
            times[name].append(timed(step, clock))
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


def publish(
    name: str,
    facts: Any,
    tables: dict[str, Callable[[Any], str]],
    folder: Path = DATA,
    indent: int | None = 1,
) -> None:
    """Write what was measured as NAME.json, and its tables as text files that pages embed."""
    facts_as_text = json.dumps(facts, indent=indent, ensure_ascii=False)
    write(folder / f"{name}.json", f"{facts_as_text}\n")
    for table_name, make in tables.items():
        write(folder / f"{table_name}.txt", make(facts))
