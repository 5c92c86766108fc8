"""A study: its file is read or refused, its runs are made once, and any kill leaves it whole."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock

from snippets.training import study, study_lines, train
from snippets.training.config import MULTI30K, PRESETS, Config
from snippets.training.study_file import StudyError, read_study
from snippets.training.study_lines import read_results
from snippets.training.variants import parameters
from tests import ROOT
from tests.training.processes import ended

TOML = """
about = "Whether smoothing helps"
config = "tiny"
seeds = [0]
splits = ["val"]
beam = 1
calibration = true
save_every = 2
evaluate_every = 4
arms = [{smoothing = [0.0, 0.1]}]

[settings]
corpus = "local-8"
train_pairs = 60
d_model = 8
n_layers = 1
d_ff = 8
max_tokens = 256
steps = 6
"""
RUNS = ["smoothing-0.0_seed-0", "smoothing-0.1_seed-0"]
STUDIES = sorted(path.stem for path in (ROOT / "studies").glob("*.toml"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small study, whose runs are made in a thread: a process takes seconds."""
    (tmp_path / "small.toml").write_text(TOML, encoding="utf-8")
    monkeypatch.setattr(study, "ProcessPoolExecutor", lambda *_: ThreadPoolExecutor(1))
    return tmp_path


def command(folder: Path) -> list[str]:
    return [
        str(folder / "small.toml"), f"--runs={folder / 'runs'}",
        f"--results={folder / 'small.jsonl'}", "--processes=1", "--device=cpu",
    ]  # fmt: skip


def lines(folder: Path) -> list[dict[str, Any]]:
    return read_results(folder / "small.jsonl")


def results(folder: Path) -> list[dict[str, Any]]:
    """What is recorded but for the times, in the order of the names."""
    found = sorted(lines(folder), key=lambda line: line["run"])
    return [{key: line[key] for key in line if key != "seconds"} for line in found]


def refused(folder: Path, message: str) -> None:
    with pytest.raises(SystemExit, match=message) as stopped:
        study.main(command(folder))
    assert "\n" not in str(stopped.value)


def no_training(*_: Any, **__: Any) -> None:
    raise AssertionError("a run is made again")


# What is recorded


def test_a_study_records_each_run_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    study.main(command(folder))
    recorded = lines(folder)
    assert [line["run"] for line in recorded] == RUNS
    for line, smoothing in zip(recorded, (0.0, 0.1), strict=True):
        config = Config(**line["config"])
        assert (config.smoothing, config.seed, config.steps) == (smoothing, 0, 6)
        assert [point["step"] for point in line["curve"]] == [4, 6]
        scores = line["scores"]["val"]
        assert scores["loss"] == pytest.approx(line["curve"][-1]["valid_loss"], abs=1e-4)
        assert torch.tensor(scores["perplexity"]).log().item() == pytest.approx(scores["loss"])
        assert scores["bleu"]["cased"]["signature"].startswith("nrefs:1|case:mixed")
        bins = line["calibration"]["val"]
        assert sum(one["tokens"] for one in bins) == 200 * 9
        right = sum(one["tokens"] * (one["accuracy"] or 0) for one in bins)
        assert right == pytest.approx(200 * 9 * scores["accuracy"])
        assert line["machine"]["threads"] == 1
        assert line["versions"]["torch"] == torch.__version__
        assert line["seconds"]["training"] > 0
        assert str(folder) not in json.dumps(line)
        assert (folder / "runs" / line["run"] / "translations.val").is_file()
    with monkeypatch.context() as patch:
        patch.setattr(train, "run", no_training)
        study.main(command(folder))
    assert lines(folder) == recorded
    # A seed that is added is run, and nothing else.
    more = TOML.replace("seeds = [0]", "seeds = [0, 1]").replace("[0.0, 0.1]", "0.1")
    (folder / "small.toml").write_text(more, encoding="utf-8")
    study.main(command(folder))
    assert [line["run"] for line in lines(folder)] == [*RUNS, "smoothing-0.1_seed-1"]
    capsys.readouterr()
    study.main([*command(folder), "--list"])
    assert capsys.readouterr().out.count("recorded") == 2
    (folder / "small.jsonl").unlink()
    study.main([*command(folder), "--estimate"])
    one, total = capsys.readouterr().out.splitlines()
    assert "12 updates of" in one  # two runs of 6 updates, which are the same work
    assert total == "2 runs, 0.0 hours of one core"


def test_a_study_that_is_stopped_before_it_records_records_once(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run_once", kept)
    with monkeypatch.context() as patch:
        patch.setattr(study, "record", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        refused(folder, "interrupted; the same command goes on")
    assert lines(folder) == []
    assert (folder / "runs" / RUNS[0] / study_lines.LINE).is_file()
    (folder / "runs" / RUNS[1] / study_lines.LINE).unlink(missing_ok=True)
    made = []
    monkeypatch.setattr(study, "run_once", lambda *given: made.append(given[1]) or kept(*given))
    study.main(command(folder))
    assert made == RUNS[1:]
    assert [line["run"] for line in lines(folder)] == RUNS


def kept(one: study.Study, name: str, folder: Path, device: str) -> dict[str, Any]:
    """The least that a run leaves: its line, which is kept in its folder."""
    line = {"run": name, **only(one, name)}
    train.write_text(folder / study_lines.LINE, json.dumps(line))
    return line


def only(one: study.Study, name: str) -> dict[str, Any]:
    """The least that a line says."""
    return {"config": vars(one.runs[name]), "scoring": one.scoring}


def test_a_full_disk_is_said_and_the_next_command_records(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run_once", kept)
    (folder / "small.jsonl").mkdir()
    (folder / "small.jsonl" / "file").touch()  # in the way of what is written
    refused(folder, "cannot be written")
    (folder / "small.jsonl" / "file").unlink()
    (folder / "small.jsonl").rmdir()
    study.main(command(folder))
    assert sorted(line["run"] for line in lines(folder)) == RUNS


def test_a_run_that_diverges_is_a_result(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    update = train.Training.update

    def poisoned(training: train.Training) -> dict[str, float]:
        if training.step == 4 and training.config.smoothing:
            with torch.no_grad():
                training.model.encoder.norm.weight[0] = torch.nan
        return update(training)

    monkeypatch.setattr(train.Training, "update", poisoned)
    study.main(command(folder))
    whole, diverged = lines(folder)
    assert "failure" not in whole
    assert diverged["failure"].startswith("update 5: the loss is nan")
    assert "scores" not in diverged
    assert [point["step"] for point in diverged["curve"]] == [4]


def test_a_run_that_cannot_be_made_is_said_and_the_others_are_recorded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def broken(one: study.Study, name: str, *_: Any) -> dict[str, Any]:
        if name == RUNS[0]:
            raise train.CheckpointError("its checkpoint is damaged")
        return {"run": name, **only(one, name)}

    monkeypatch.setattr(study, "run_once", broken)
    refused(folder, f"{RUNS[0]}: its checkpoint is damaged")
    assert [line["run"] for line in lines(folder)] == RUNS[1:]


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('about = "Whether smoothing helps"', "", "lacks about"),
        ("beam = 1", "bean = 1", "has bean, which a study does not know"),
        ("beam = 1", "beam = 0", "beam must be at least 1, not 0"),
        ("beam = 1", "beam = true", "beam must be a int, not True"),
        ('"tiny"', '"huge"', "config must be tiny or multi30k or .*, not huge"),
        ("seeds = [0]", "seeds = []", "lists no run"),
        ("seeds = [0]", "seeds = [0, 0]", "smoothing-0.0_seed-0 is listed already"),
        ("seeds = [0]", "seeds = [0.5]", "seed must be a int, not 0.5"),
        ("[0.0, 0.1]", "[0.0, 1.5]", r"arm 1: smoothing must be in \[0, 1\), not 1.5"),
        ("{smoothing", "{smothing", "arm 1: there is no setting smothing"),
        ("d_ff = 8", "d_fff = 8", "settings: there is no setting d_fff"),
        ("d_ff = 8", 'd_ff = "8"', "settings: d_ff must be a int, not '8'"),
        ("arms = [{smoothing = [0.0, 0.1]}]", "arms = [1]", "every arm must be a table"),
        ("arms = [", "arms = ", "cannot be read"),
        ('["val"]', '["test2016"]', "the splits of a task are test, val, train, not test2016"),
        ("train_pairs = 60", "train_pairs = 99999", "train_pairs is 99999, but the corpus holds"),
    ],
)
def test_a_wrong_file_is_refused_before_anything_runs(
    folder: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, message: str
) -> None:
    assert old in TOML
    (folder / "small.toml").write_text(TOML.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(study, "run_once", no_training)
    refused(folder, message)
    assert not (folder / "small.jsonl").exists()


def test_an_unknown_study_is_answered_with_those_that_there_are() -> None:
    with pytest.raises(SystemExit, match=r"there is no study nothing; those of .*headline"):
        study.main(["nothing"])
    with pytest.raises(SystemExit, match="processes must be at least 1, not 0"):
        study.main(["headline", "--processes=0"])


def test_results_that_do_not_fit_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = read_study(folder / "small.toml")
    line = json.dumps({"run": RUNS[0], **only(one, RUNS[0])}) + "\n"
    monkeypatch.setattr(study, "run_once", no_training)
    for text, message in (
        (line + line[:-30], r"small.jsonl:2: this line is damaged; delete it"),
        (line + "{}\n", "small.jsonl:2: this line is damaged"),
        (line + line, "small.jsonl:2: this run is recorded already"),
        (line.replace('"beam": 1', '"beam": 5'), "is recorded with other scores"),
    ):
        (folder / "small.jsonl").write_text(text, encoding="utf-8")
        refused(folder, message)
        assert (folder / "small.jsonl").read_text(encoding="utf-8") == text


def test_a_folder_of_another_run_and_a_second_process_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study, "run_once", no_training)
    settings = folder / "runs" / RUNS[1] / "config.json"
    settings.parent.mkdir(parents=True)
    settings.write_text(json.dumps({"steps": 7}), encoding="utf-8")
    refused(folder, f"{RUNS[1]} holds a run of other settings")
    with FileLock(folder / "runs" / "lock"):
        refused(folder, "another process runs small")


def test_a_run_of_before_a_setting_was_added_is_the_same_run(tmp_path: Path) -> None:
    """Its file lacks the setting, which is therefore the default."""
    old = {key: value for key, value in vars(MULTI30K).items() if key not in ("model",)}
    (tmp_path / "config.json").write_text(json.dumps(old), encoding="utf-8")
    assert train.begun(tmp_path, MULTI30K)
    with pytest.raises(train.DataError, match="holds a run of other settings"):
        train.begun(tmp_path, replace(MULTI30K, model="recurrent"))


# Killed


def test_a_study_that_is_killed_and_resumed_is_the_study_left_alone(folder: Path) -> None:
    """The process that is killed has one of its own, which must end, too: it holds no lock."""
    killed = folder / "killed"
    killed.mkdir()
    text = TOML.replace("steps = 6", "steps = 60").replace("[0.0, 0.1]", "0.1")
    for place in (folder, killed):
        (place / "small.toml").write_text(text, encoding="utf-8")
    program = [sys.executable, "-m", "snippets.training.study", *command(killed)]
    run = killed / "runs" / RUNS[1]
    with ended(subprocess.Popen(program, cwd=ROOT, stderr=subprocess.DEVNULL)) as process:
        until = time.monotonic() + 300
        while not (run / "last.safetensors").is_file():
            assert process.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
    assert lines(killed) == []
    step, same = study.updates_done(run), 0
    while same < 20:  # a second without an update: its process has ended with it
        time.sleep(0.05)
        same = same + 1 if study.updates_done(run) == step else 0
        step = study.updates_done(run)
    assert step < 60, "the run was not stopped"
    for place in (killed, folder):
        study.main(command(place))
    assert results(killed) == results(folder)
    assert len(results(folder)) == 1


# The studies of the repository


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_of_the_repository_can_be_run(name: str) -> None:
    found = read_study(ROOT / "studies" / f"{name}.toml")
    assert found.about.endswith(".")
    seeds = {config.seed for config in found.runs.values()}
    assert len(seeds) >= 3 or "rates" in name
    for result in read_results(study.RESULTS / f"{name}.jsonl"):
        assert result["study"] == name
        assert result["run"] in found.runs, f"{name} records {result['run']} and does not list it"


@pytest.mark.parametrize("name", [name for name in STUDIES if name.startswith(("ind", "dist"))])
def test_rivals_have_as_many_parameters(name: str) -> None:
    found = read_study(ROOT / "studies" / f"{name}.toml")
    counts = {config.model: set() for config in found.runs.values()}
    for config in found.runs.values():
        counts[config.model].add(parameters(replace(config, seed=0, rate=1.0)))
    (transformers,) = counts["transformer"]
    assert counts.keys() == {"transformer", "recurrent", "convolutional"}
    for model, (count,) in counts.items():
        assert count == pytest.approx(transformers, rel=0.02), model


def test_the_headline_is_the_recipe_of_the_training_pages() -> None:
    found = read_study(ROOT / "studies" / "headline.toml")
    recipe = PRESETS["multi30k"]
    assert {(one.src, one.tgt) for one in found.runs.values()} == {("en", "de"), ("de", "en")}
    for config in found.runs.values():
        assert replace(config, src="de", tgt="en", seed=0) == replace(recipe, src="de", tgt="en")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "small.toml").write_bytes(b"about = '\xff'")
    with pytest.raises(StudyError, match="cannot be read"):
        read_study(tmp_path / "small.toml")
