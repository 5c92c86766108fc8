"""The file of a study, which lists its runs: `docs/training/results.md`."""

import itertools
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from snippets.training.config import PRESETS, Config
from snippets.training.train import EVALUATE_EVERY, SAVE_EVERY


# --8<-- [start:StudyError]
class StudyError(ValueError):
    """A study that cannot be run; the message says why, in one sentence."""


# --8<-- [end:StudyError]


# --8<-- [start:Study]
@dataclass(frozen=True)
class Study:
    """What a study's file says.

    Attributes:
        name: Of the file.
        about: What the study asks, in one sentence.
        runs: The settings of every run, by the run's name, which says in what it differs.
        scoring: How a run is scored: "splits", translated with a beam of width "beam" by the mean
            of the last "average" sets of weights; whether the "calibration" is kept.
        save_every: Updates between two checkpoints.
        evaluate_every: Updates between two points of the curve.
    """

    name: str
    about: str
    runs: dict[str, Config]
    scoring: dict[str, Any]
    save_every: int
    evaluate_every: int


def read_study(path: Path) -> Study:
    """The study of a file.

    The file names a preset in `config`, `settings` that differ from it in all runs, and `arms`,
    tables of settings in which runs differ. A setting of an arm that is a list stands for each of
    its values. Every arm has a run for each of the `seeds`; the first seed's runs come first.

    Raises:
        StudyError: If there is no such study, or its file says something else.
    """
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in path.parent.glob("*.toml"))) or "none"
        raise StudyError(f"there is no study {path.stem}; those of {path.parent} are: {known}")
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise StudyError(f"{path} cannot be read: {error}") from None
    optional = {"settings": {}, "beam": 5, "average": 1, "calibration": False,
                "save_every": SAVE_EVERY, "evaluate_every": EVALUATE_EVERY}  # fmt: skip
    wanted = {"about": str, "config": str, "seeds": list, "splits": list, "arms": list}
    for key in wanted.keys() - given.keys():
        raise StudyError(f"{path} lacks {key}")
    for key in given.keys() - wanted.keys() - optional.keys():
        raise StudyError(f"{path} has {key}, which a study does not know")
    given = optional | given
    for key, value in given.items():
        kind = wanted.get(key) or type(optional[key])
        if type(value) is not kind:
            raise StudyError(f"{path}: {key} must be a {kind.__name__}, not {value!r}")
    if given["config"] not in PRESETS:
        raise StudyError(f"{path}: config must be {' or '.join(PRESETS)}, not {given['config']}")
    for key in ("beam", "average", "save_every", "evaluate_every"):
        if given[key] < 1:
            raise StudyError(f"{path}: {key} must be at least 1, not {given[key]}")
    if not all(isinstance(arm, dict) for arm in given["arms"]):
        raise StudyError(f"{path}: every arm must be a table of settings")
    common = settled(PRESETS[given["config"]], given["settings"], f"{path}, settings")
    runs: dict[str, Config] = {}
    for seed in given["seeds"]:
        for number, arm in enumerate(given["arms"], 1):
            for one in combinations(arm):
                config = settled(common, one | {"seed": seed}, f"{path}, arm {number}")
                name = "_".join(f"{key}-{value}" for key, value in (one | {"seed": seed}).items())
                name = name.replace("/", "-").lower()
                if name in runs or config in runs.values():
                    raise StudyError(f"{path}, arm {number}: {name} is listed already")
                runs[name] = config
    if not runs:
        raise StudyError(f"{path} lists no run")
    scoring = {key: given[key] for key in ("splits", "beam", "average", "calibration")}
    return Study(
        path.stem, given["about"], runs, scoring, given["save_every"], given["evaluate_every"]
    )


def combinations(arm: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The arm with one value for each setting, in all ways."""
    values = [value if isinstance(value, list) else [value] for value in arm.values()]
    for chosen in itertools.product(*values):
        yield dict(zip(arm, chosen, strict=True))


def settled(config: Config, settings: dict[str, Any], where: str) -> Config:
    """A configuration with other settings.

    Raises:
        StudyError: If a setting is unknown, of another type, or out of its range.
    """
    kinds = {one.name: one.type for one in fields(Config)}
    fitting = {}
    for name, value in settings.items():
        if name not in kinds:
            raise StudyError(f"{where}: there is no setting {name}")
        if kinds[name] is float and type(value) is int:
            value = float(value)
        if type(value) is not kinds[name]:
            raise StudyError(f"{where}: {name} must be a {kinds[name].__name__}, not {value!r}")
        fitting[name] = value
    try:
        return replace(config, **fitting)
    except ValueError as error:
        raise StudyError(f"{where}: {error}") from None


# --8<-- [end:Study]
