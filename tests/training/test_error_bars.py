"""Error bars: the deviation, and the paired bootstrap against the one that we wrote ourselves."""

import json
import random
import statistics
from dataclasses import replace
from pathlib import Path

import pytest

from snippets.training.bleu import paired_bootstrap
from snippets.training.error_bars import bootstrap_test, main, mean_and_deviation
from snippets.training.grammar import grammar
from snippets.training.train import run
from tests.training.models import TINY

REFERENCES = [german for _, german in grammar("test", "en", "de")][:60]


def worse(share: float, seed: int) -> list[str]:
    """The references, some of their sentences with two words exchanged."""
    draw, found = random.Random(seed), []
    for line in REFERENCES:
        words = line.split()
        if draw.random() < share:
            words[0], words[2] = words[2], words[0]
        found.append(" ".join(words))
    return found


def test_mean_and_deviation_are_those_of_single_runs() -> None:
    assert mean_and_deviation([1.0, 2.0, 6.0], 2) == f"3.00 ± {statistics.stdev([1, 2, 6]):.2f}"
    with pytest.raises(ValueError, match="at least 2 runs, not 1"):
        mean_and_deviation([1.0], 2)


def test_a_system_that_is_clearly_worse_is_called_so() -> None:
    found = bootstrap_test(worse(0.1, 1), worse(0.6, 2), REFERENCES, samples=300)
    assert found["difference"] == found["scores"][1] - found["scores"][0] < -5
    assert found["p"] < 0.01
    ours = paired_bootstrap(worse(0.1, 1), worse(0.6, 2), REFERENCES, samples=300)
    assert ours[0] > 0  # the one is better on every drawn test set, by our count too
    assert "bs:300" in found["signature"]


def test_systems_that_err_alike_are_not_told_apart() -> None:
    found = bootstrap_test(worse(0.3, 3), worse(0.3, 4), REFERENCES, samples=300)
    ours = paired_bootstrap(worse(0.3, 3), worse(0.3, 4), REFERENCES, samples=300)
    assert found["p"] > 0.05
    assert ours[7] < 0 < ours[-8]


def test_other_sentences_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the same sentences, not 2 and 1 translations of 2"):
        bootstrap_test(["a", "b"], ["a"], ["a", "b"])
    with pytest.raises(ValueError, match="the same sentences"):
        bootstrap_test([], [], [])


def test_the_command_compares_two_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for split, count in (("train", 30), ("val", 5)):
        for side, language in enumerate(("de", "en")):
            text = [pair[side] for pair in grammar(split, "de", "en")]
            (tmp_path / f"{split}.{language}").write_text("\n".join(text[:count]), encoding="utf-8")
    run(replace(TINY, corpus=str(tmp_path), steps=2), tmp_path / "run")
    options = ["--split=val", "--beam=1", "--samples=100"]
    main([str(tmp_path / "run"), str(tmp_path / "run"), *options])
    result = json.loads(capsys.readouterr().out)
    assert (result["difference"], result["p"]) == (0, 1)
    with pytest.raises(SystemExit, match="there is no checkpoint"):
        main([str(tmp_path / "run"), str(tmp_path / "none"), *options])
