"""The score that others report is counted on text prepared as theirs is."""

import json
import os
from pathlib import Path

import pytest

from snippets.training.grammar import grammar
from snippets.training.multi30k import multi30k
from snippets.training.score import bleu_scores, lowercased_and_tokenized, main
from snippets.training.train import run
from tests.training.models import TINY


@pytest.mark.parametrize(
    ("language", "line", "prepared"),
    [
        ("de", "Zwei Männer, die „Hallo“ sagen.", "zwei männer , die &quot; hallo &quot; sagen ."),
        ("de", "Ein 3-jähriges Kind z.B. lacht…", "ein 3-jähriges kind z.b. lacht ..."),
        ("en", "A man's dog isn't here.", "a man &apos;s dog isn &apos;t here ."),
    ],
)
def test_a_line_is_prepared_as_moses_does(language: str, line: str, prepared: str) -> None:
    assert lowercased_and_tokenized([line], language) == [prepared]


@pytest.mark.skipif(
    "MULTI30K_DIR" not in os.environ, reason="set MULTI30K_DIR to a copy of Multi30k"
)
@pytest.mark.parametrize("split", ["test_2016_flickr", "test_2017_flickr"])
def test_the_corpus_is_prepared_as_its_own_files_are(split: str) -> None:
    raw, prepared = multi30k(split, "de", "en"), multi30k(split, "de", "en", tokenized=True)
    for side, language in enumerate(("de", "en")):
        made = lowercased_and_tokenized([pair[side] for pair in raw], language)
        wrong = [
            (line, pair[side])
            for line, pair in zip(made, prepared, strict=True)
            if line != pair[side]
        ]
        assert not wrong, wrong[:3]


def test_case_and_tokens_make_the_three_scores() -> None:
    references = [german for _, german in grammar("test", "en", "de", 0)][:50]
    titles = [line.title() for line in references]
    scores = bleu_scores(titles, references, "de")
    assert scores["cased"]["score"] < 20
    assert scores["lowercased"]["score"] == pytest.approx(100)
    assert scores["tokenized"]["score"] == pytest.approx(100)
    for name, part in {
        "cased": "tok:13a",
        "lowercased": "case:lc",
        "tokenized": "tok:none",
    }.items():
        assert part in scores[name]["signature"]
    assert list(bleu_scores(references, references, "de", tokenized=True)) == ["tokenized"]


def test_the_command_appends_a_line_and_writes_the_translations(tmp_path: Path) -> None:
    run(TINY, tmp_path / "run")
    out, text = tmp_path / "scores.jsonl", tmp_path / "translations"
    out.write_text("{}\n", encoding="utf-8")
    main([f"--checkpoint={tmp_path / 'run'}", "--split=test", "--beam=1",
          f"--out={out}", f"--translations={text}"])  # fmt: skip
    first, line = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    assert first == {}
    assert line["beam"] == 1
    assert line["config"]["d_model"] == TINY.d_model
    assert len(text.read_text(encoding="utf-8").splitlines()) == line["sentences"]
