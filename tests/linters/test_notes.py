"""The notes' page has no problems, and whoever damages it is told where.

Every damage is done to the page as it is, and `tests.linters.notes` has to notice it.
"""

# ruff: noqa: RUF001 (the notes are Chinese, and a range takes an en dash)

import hashlib
import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.linters.notes import (
    ORIGINAL,
    PAGE,
    VERDICTS,
    answer_problems,
    answers,
    navigation,
    place_problems,
    problems,
    quote_problems,
    render,
    title_problems,
    words,
)
from tests.runner.pages import site_config

SHA256 = "a887b79fe38ac511a77ad0edb6bc569bee1e4ca808e0096549d094de384d3a83"


@pytest.fixture(scope="module")
def markdown() -> str:
    return PAGE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def original() -> str:
    return ORIGINAL.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def nav() -> set[str]:
    return navigation(site_config(ROOT).nav)


# the page


def test_the_original_is_kept_byte_for_byte() -> None:
    digest = hashlib.sha256(ORIGINAL.read_bytes()).hexdigest()
    assert digest == SHA256, "docs/assets/notes.zh.txt is the source and is not edited: restore it"


def test_no_line_of_the_notes_is_missing_or_out_of_order(markdown: str, original: str) -> None:
    found = answers(markdown)
    wrong = list(quote_problems(found, original)) or list(title_problems(found, original))
    assert not wrong, "\n".join(wrong)


def test_every_quote_has_a_translation_and_a_verdict(markdown: str) -> None:
    wrong = [message for answer in answers(markdown) for message in answer_problems(answer)]
    assert not wrong, "\n".join(wrong)


def test_linked_pages_exist_and_planned_pages_do_not(markdown: str, nav: set[str]) -> None:
    docs = ROOT / "docs"
    wrong = [text for answer in answers(markdown) for text in place_problems(answer, docs, nav)]
    assert not wrong, "\n".join(wrong)


def test_every_verdict_is_explained(markdown: str) -> None:
    items = render(markdown).select("#how-to-read ~ ul:first-of-type > li > strong:first-child")
    assert {words(item.get_text()) for item in items} == VERDICTS


def test_every_missing_image_is_listed_with_its_line(markdown: str, original: str) -> None:
    images = {
        f"{name}, line {number}"
        for number, line in enumerate(original.splitlines(), 1)
        for name in re.findall(r"!\[\[Pasted image (\d+)\.png]]", line)
    }
    items = render(markdown).select("#missing-images + p + ul > li")
    assert images == {words(item.get_text()).partition(":")[0] for item in items}


# the checks


@pytest.fixture
def docs(tmp_path: Path, markdown: str) -> Path:
    """A site with nothing but the pages that the notes link to."""
    for answer in answers(markdown):
        for link in answer.links:
            file = tmp_path / link.partition("#")[0]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch()
    return tmp_path


def replaced(markdown: str, old: str, new: str) -> str:
    assert old in markdown, f"the page no longer has {old!r}: choose another damage"
    return markdown.replace(old, new, 1)


# The places damaged are links, not plans: a plan leaves the page when its page is written.
DAMAGES = {
    "a line deleted": ("1.n\n", "", "here line 4 of the notes should be quoted"),
    "the last line deleted": (
        "这个导数形式对于实现softmax的反向传播非常重要，",
        "",
        "here line 80 of the notes should be quoted",
    ),
    "a backslash eaten": (r"n\*d n\*d", "n*d n*d", "here line 28 of the notes should be quoted"),
    "two lines exchanged": (
        "2. feed forwar:\n1. MLP 两个线形层",
        "1. MLP 两个线形层\n2. feed forwar:",
        "(lines 9–10 of the notes): here line 9 of the notes should be quoted",
    ),
    "a line quoted twice": ("1.n\n", "1.n\n1.n\n", "here line 5 of the notes should be quoted"),
    "a fence turned into Markdown": (
        "``` { .text .no-copy }\n4. embedding？\n```",
        "4. embedding？",
        "here line 12 of the notes should be quoted",
    ),
    "a title with another number": ("| Line 7\n", "| Line 8\n", "the title should be Line 7"),
    "an id with another number": ("{id: line-7}", "{id: line-6}", "the id should be line-7"),
    "a translation deleted": ("4\\. Embedding?\n", "", "the quote has no translation"),
    "a verdict deleted": ("**Corrected.** Many", "Many", "the answer should open with one of"),
    "an unknown verdict": ("**Corrected.** Many", "**Fine.** Many", "not with Fine"),
    "a place deleted": ("→ [Masks](model/masks.md)", "", "no place"),
    "a page of another name": (
        "(model/attention.md)",
        "(model/atention.md)",
        "the linked page docs/model/atention.md does not exist",
    ),
    "a link to somewhere else": (
        "→ [Masks](model/masks.md)",
        "→ [Masks](https://example.org)",
        "is not a page of this site",
    ),
    "an existing page called planned": (
        "→ [Masks](model/masks.md)",
        "→ `model/masks`, planned",
        "model/masks is called planned, but docs/model/masks.md exists: link it",
    ),
    "a lab called planned": (
        "[Saturation](lab/saturation.py)",
        "`lab/saturation`, planned",
        "lab/saturation is called planned, but docs/lab/saturation.py exists: link it",
    ),
    "a planned page misspelt": (
        "→ [Masks](model/masks.md)",
        "→ `model/maks`, planned",
        "model/maks is called planned, but PLAN",
    ),
    "a name that is neither": (
        "→ [Masks](model/masks.md)",
        "→ `model/multi-head`; `model/decoder`, planned",
        "write `model/multi-head`, planned",
    ),
    "planned without a name": (
        "→ [Masks](model/masks.md)",
        "→ planned",
        "each planned page is written",
    ),
    "checked by a page to come": (
        "→ [Masks](model/masks.md)",
        "→ `model/decoder`, planned",
        "Checked needs a link",
    ),
}


def test_an_undamaged_page_has_no_problems(
    markdown: str, original: str, docs: Path, nav: set[str]
) -> None:
    assert problems(markdown, original, docs, nav) == []


@pytest.mark.parametrize(("old", "new", "message"), DAMAGES.values(), ids=DAMAGES)
def test_reports(
    old: str, new: str, message: str, markdown: str, original: str, docs: Path, nav: set[str]
) -> None:
    wrong = problems(replaced(markdown, old, new), original, docs, nav)
    found = [text for text in wrong if message in text]
    assert found, "\n".join(wrong) or "no problem was reported"
    assert re.match(r"docs/notes\.md:[1-9]\d* \(lines? \d", found[0])


def test_reports_a_quote_deleted_at_the_end(
    markdown: str, original: str, docs: Path, nav: set[str]
) -> None:
    cut = markdown[: markdown.index("/// notes | Line 80")]
    assert any(
        text.startswith("docs/notes.md: line 80 of the notes is not quoted")
        for text in problems(cut, original, docs, nav)
    )


def test_reports_a_planned_page_once_it_is_written(
    markdown: str, original: str, docs: Path, nav: set[str]
) -> None:
    """The notes as they were before the embedding's page, and then with that page."""
    link = r"\[Embedding\]\(model/embedding\.md[^)]*\)"
    earlier = re.sub(link, "`model/embedding`, planned", markdown)
    nav = nav - {"model/embedding.md"}
    (docs / "model/embedding.md").unlink()
    assert problems(earlier, original, docs, nav) == []
    (docs / "model/embedding.md").touch()
    wrong = problems(earlier, original, docs, nav)
    assert [text.partition("(")[2].partition(" of")[0] for text in wrong] == [
        "line 12",
        "line 13",
        "line 16",
    ]
    assert all(text.endswith("docs/model/embedding.md exists: link it") for text in wrong)
