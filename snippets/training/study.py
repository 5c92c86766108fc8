"""Trains many models that differ in few settings, and records them: `docs/training/results.md`.

    python -m snippets.training.study headline

A study is a file `studies/NAME.toml` that lists its runs. The command runs what is missing, side by
side, and appends one line of JSON a run to `docs/assets/data/studies/NAME.jsonl`. The same command
again goes on after any interruption: a run from its last checkpoint, the study with what is not
recorded yet. With `--estimate` it says how many hours of a processor's core are left, and with
`--list` which runs there are. To add a seed, add its number to the study's file.
"""

import argparse
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import connection
from pathlib import Path

import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from snippets.training import train
from snippets.training.batching import Pair
from snippets.training.checkpoint import CheckpointError
from snippets.training.config import Config, check_machine
from snippets.training.data import DataError, encode_pairs, train_tokenizer
from snippets.training.loop import Training
from snippets.training.study_file import Study, StudyError, read_study
from snippets.training.study_lines import kept_line, missing, read_results, record, run_once
from snippets.training.variants import build

ROOT = Path(__file__).parents[2]
STUDIES = ROOT / "studies"
RESULTS = ROOT / "docs" / "assets" / "data" / "studies"


# --8<-- [start:run_study]
def end_with_parent(device: str, threads: int) -> None:
    """Prepare a process of the study: it ends when the study's does, even if that is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    check_machine(device, threads)


def updates_done(folder: Path) -> int:
    """Up to which update a run is logged."""
    try:
        with (folder / "log.jsonl").open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 1000))
            return json.loads(file.read().splitlines()[-1])["step"]
    except (OSError, IndexError, ValueError, KeyError):
        return 0


def run_study(
    study: Study, results: Path, folder: Path, device: str = "cpu", processes: int = 1
) -> dict[str, str]:
    """Run what is missing, and record each run when it has ended.

    Args:
        study: What to run.
        results: The file of lines.
        folder: Where the runs' folders are.
        device: Of all runs, such as "cpu" or "cuda".
        processes: How many runs are made at a time, each with one thread.

    Returns:
        What went wrong, by run; the others are recorded.

    Raises:
        StudyError: If the results are damaged or another process runs this study.
        DataError: If a run's folder holds a run of other settings, or a corpus cannot be read.
            Nothing has been run then.
        CheckpointError: If something cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock", timeout=0):
            todo = missing(study, read_results(results))
            for name, config in todo.items():
                train.begun(folder / name, config)
            check_corpora(study, todo)
            for name in list(todo):
                if line := kept_line(study, name, folder / name):
                    record(results, line)
                    del todo[name]
            return run_side_by_side(study, todo, results, folder, device, processes)
    except Timeout:
        raise StudyError(f"another process runs {study.name} in {folder}") from None
    except OSError as error:
        raise StudyError(f"{folder} cannot be used: {error.strerror}") from None


def check_corpora(study: Study, todo: dict[str, Config]) -> None:
    """Read every split that the runs will read, so that a wrong one is said now.

    Raises:
        DataError: If one cannot be read.
    """
    by_data = {(one.corpus, one.src, one.tgt, one.train_pairs): one for one in todo.values()}
    for config in by_data.values():
        for split in ("train", "val", *study.scoring["splits"]):
            train.read_corpus(config, split)


def run_side_by_side(
    study: Study,
    todo: dict[str, Config],
    results: Path,
    folder: Path,
    device: str,
    processes: int,
) -> dict[str, str]:
    """The runs of a study that are to be made, in several processes: see `run_study`."""
    failed: dict[str, str] = {}
    done = {name: updates_done(folder / name) for name in todo}
    context = multiprocessing.get_context("spawn")  # a fork would copy PyTorch's threads
    bar = tqdm(
        total=sum(config.steps for config in todo.values()),
        initial=sum(done.values()),
        unit=" updates",
        smoothing=0,  # the time left is counted from all of them
        mininterval=0.5 if sys.stderr.isatty() else 60,
        desc=f"{study.name}, {len(todo)} runs to go",
    )
    executor = ProcessPoolExecutor(processes, context, end_with_parent, (device, 1))
    waiting: dict[Future, str] = {
        executor.submit(run_once, study, name, folder / name, device): name for name in todo
    }
    try:
        while waiting:
            ended, _ = wait(waiting, timeout=1, return_when=FIRST_COMPLETED)
            for future in ended:
                name = waiting.pop(future)
                try:
                    line = future.result()
                except BrokenProcessPool:
                    failed[name] = "a process was ended from outside; the same command goes on"
                except (DataError, CheckpointError, ValueError, OSError) as error:
                    failed[name] = str(error)
                else:
                    record(results, line)
                done[name] = todo[name].steps
            for name in waiting.values():
                done[name] = max(done[name], updates_done(folder / name))
            bar.update(sum(done.values()) - bar.n)
            bar.set_description(f"{study.name}, {len(waiting)} runs to go", refresh=False)
    finally:
        bar.close()
        if waiting:  # something went wrong here: nobody waits for the runs
            for process in multiprocessing.active_children():
                process.kill()
        executor.shutdown(cancel_futures=True)
    return failed


# --8<-- [end:run_study]


# --8<-- [start:estimate]
def seconds_an_update(
    config: Config, pairs: list[Pair], vocab_size: int, updates: int = 3
) -> float:
    """Processor seconds of one update on one thread, the mean of a few after the first.

    The processor's own clock is read, which does not run while other processes have the core.
    """
    training = Training(config, pairs, vocab_size, build=build)
    training.update()
    begun = time.process_time()
    for _ in range(updates):
        training.update()
    return (time.process_time() - begun) / updates


def estimate(todo: dict[str, Config]) -> Iterator[tuple[str, int, float]]:
    """What runs will take; those that differ in what does not change the work are measured once.

    Yields:
        (name of the first run, number of updates, seconds an update) for each sort of run.
    """
    same = {"seed": 0, "rate": 1.0, "warmup": 1, "steps": 1, "cooldown": 0.0, "smoothing": 0.1,
            "norm_first": True, "start_at_peak": False}  # fmt: skip
    sorts: dict[Config, tuple[str, int]] = {}
    for name, config in todo.items():
        first, updates = sorts.get(sort := replace(config, **same), (name, 0))
        sorts[sort] = first, updates + config.steps
    texts: dict[tuple, tuple[list[Pair], int]] = {}
    for name, updates in sorts.values():
        config = todo[name]
        data = (config.corpus, config.src, config.tgt, config.train_pairs, config.vocab_size)
        if data not in texts:
            pairs = train.read_corpus(config, "train")
            tokenizer = train_tokenizer(pairs, config.vocab_size)
            texts[data] = encode_pairs(tokenizer, pairs), tokenizer.get_vocab_size()
        yield name, updates, seconds_an_update(config, *texts[data])


# --8<-- [end:estimate]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.study",
        description="Run what is missing of a study. The same command again goes on with it.",
    )
    command.add_argument(
        "study", help="the name of a file in studies/, or a path that ends in .toml"
    )
    command.add_argument(
        "--runs", type=Path, help="folder of the runs' folders (default: runs/STUDY)"
    )
    command.add_argument("--results", type=Path, help=f"(default: {RESULTS.relative_to(ROOT)}/…)")
    command.add_argument(
        "--device",
        default="cuda" if torch.cuda.is_available() else "cpu",
        help="cpu, cuda or mps, for all runs (default: cuda where there is one)",
    )
    command.add_argument(
        "--processes",
        type=int,
        default=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        help="runs at a time, each with one thread (default: one for each core)",
    )
    command.add_argument("--list", action="store_true", help="name the runs, and end")
    command.add_argument(
        "--estimate", action="store_true", help="say how long the missing runs take, and end"
    )
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    path = Path(given.study)
    path = path if path.suffix == ".toml" else STUDIES / f"{given.study}.toml"
    try:
        if given.processes < 1:
            raise StudyError(f"processes must be at least 1, not {given.processes}")
        check_machine(given.device, 1)
        study = read_study(path)
        results = given.results or RESULTS / f"{study.name}.jsonl"
        folder = given.runs or Path("runs") / study.name
        todo = missing(study, read_results(results))
        if given.list:
            for name in study.runs:
                print(f"{'to do ' if name in todo else 'recorded'}  {name}")
            return
        if given.estimate:
            hours = 0.0
            for name, updates, seconds in estimate(todo):
                hours += updates * seconds / 3600
                print(f"{updates:9,} updates of {1000 * seconds:6.0f} ms  {name} …", flush=True)
            print(f"{len(todo)} runs, {hours:.1f} hours of one core")
            return
        failed = run_study(study, results, folder, given.device, given.processes)
    except (StudyError, DataError, CheckpointError, ValueError) as error:
        sys.exit(f"{command.prog}: {error}")
    except KeyboardInterrupt:
        sys.exit(f"{command.prog}: interrupted; the same command goes on")
    if failed:
        sys.exit(
            "\n".join(f"{command.prog}: {name}: {message}" for name, message in failed.items())
        )
    print(f"{len(read_results(results))} runs are recorded in {results}")


if __name__ == "__main__":
    main()
