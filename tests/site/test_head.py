"""The head of a page: what it answers, its program as a file, and what it says of the last run."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from bs4 import BeautifulSoup
from jinja2 import Environment, FileSystemLoader
from markdown import Markdown

from docs.hooks.program import minutes
from docs.program import Run, digest, program_text, read_record, requirements
from tests import ROOT
from tests.linters.notes import PAGE as NOTES
from tests.linters.notes import answers
from tests.runner import record
from tests.runner.pages import blocks_of, site_config
from tests.site.built import DOCS, PROGRAMS, built, parsed

# Home has a head of its own.
WITH_HEAD = [page for page in PROGRAMS if page != "index.md"]


def front_matter(page: Path) -> dict[str, object]:
    found = re.match(r"---\n(.*?)\n---\n", page.read_text(encoding="utf-8"), re.DOTALL)
    return yaml.safe_load(found[1])


def claimed(page: Path) -> list[str]:
    """The lines of the notes that a page says it answers, as the titles of the notes' boxes."""
    parts = re.split(r",\s*", str(front_matter(page).get("notes", "")))
    return [
        f"Lines {part.replace('-', chr(0x2013))}" if "-" in part else f"Line {part}"
        for part in parts
        if part
    ]


def test_a_page_and_the_notes_name_each_other() -> None:
    found = answers(NOTES.read_text(encoding="utf-8"))
    pages = {answer.title: [link.partition("#")[0] for link in answer.links] for answer in found}
    wrong = []
    for page in WITH_HEAD:
        for lines in claimed(DOCS / page):
            if page not in pages.get(lines, ()):
                wrong.append(f"docs/{page} answers {lines}, but docs/notes.md does not say so")
    for lines, linked in pages.items():
        linked = [DOCS / page for page in linked if page.endswith(".md")]
        opened = ["\n/// know\n" in page.read_text(encoding="utf-8") for page in linked]
        if linked and all(opened) and not any(lines in claimed(page) for page in linked):
            wrong.append(f"docs/notes.md sends {lines} to {linked}, but none says that it answers")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("page", WITH_HEAD)
def test_the_head_says_what_a_reader_asks_first(page: str, site: Path) -> None:
    soup = parsed(built(site, page))
    title = soup.select_one(".md-content h1")
    reading = title.find_next_sibling()
    assert "reading" in reading["class"], f"docs/{page} says nothing under its title"
    assert re.match(r"\d+ min to read", reading.get_text().strip())
    links = [link["href"].partition("#")[2] for link in reading.select("a")]
    expected = [re.search(r"\d+", lines)[0] for lines in claimed(DOCS / page)]
    assert links == [f"line-{number}" for number in expected]
    program = soup.select_one(".md-content .program")
    assert program.find_next_sibling().name == "h2", f"docs/{page}: not before the first section"


@pytest.mark.parametrize("page", PROGRAMS)
def test_the_file_is_the_program(page: str, site: Path) -> None:
    stem = Path(page).stem
    text = (built(site, page).parent / f"{stem}.py").read_text(encoding="utf-8")
    header, _, program = text.partition("\n\n")
    assert all(line.startswith("# ") for line in header.splitlines())
    assert program == program_text([block.code for block in blocks_of(DOCS / page, ROOT)])


def test_requirements_are_what_python_does_not_bring() -> None:
    code = "import math\nimport matplotlib.pyplot as plt\nfrom torch import nn\n"
    assert requirements(code) == ["torch", "matplotlib"]


def test_minutes_count_words_and_lines_of_code_that_are_open() -> None:
    words, code = "word " * 400, "<pre>" + "line\n" * 60 + "</pre>"
    assert minutes(f"<p>{words}</p>") == 2
    assert minutes(f"<p>{words}</p>{code}") == 5
    assert minutes(f"<p>{words}</p><details>{code}</details>") == 2
    assert minutes("<p>word</p>") == 1


# the record

RUN = Run("", "2026-11-25", "3.11.7", "2.13.0", 1.26)


def head_of(run: Run | None, blocks: list[str]) -> str:
    """The text of a page's program box, given the record of its last run."""
    environment = Environment(loader=FileSystemLoader(DOCS / "overrides"), autoescape=False)
    head = {
        "file": "page",
        "run": run,
        "changed": run is not None and run.program != digest(blocks),
        "slow": run is not None and run.seconds > 10,
    }
    page = SimpleNamespace(
        meta={"program": blocks, "head": head}, file=SimpleNamespace(src_uri="model/page.md")
    )
    extra = {**site_config(ROOT).extra} | {"notebooks": "https://host.invalid/notebooks/"}
    template = environment.from_string(
        '{% import "partials/head.html" as head with context %}{{ head.program(page) }}'
    )
    return template.render(page=page, config=SimpleNamespace(extra=extra))


def test_a_page_says_when_it_last_ran() -> None:
    text = head_of(replace(RUN, program=digest(["print(1)"])), ["print(1)"])
    assert "Executed on 2026-11-25 with Python 3.11.7 and PyTorch 2.13.0, in 1.3 s." in text
    assert "A run of the program" not in text
    assert "https://host.invalid/notebooks/model/page.ipynb" in text


def test_a_page_that_changed_shows_no_stale_stamp() -> None:
    text = head_of(replace(RUN, program=digest(["print(1)"])), ["print(2)"])
    assert "Executed" not in text
    assert "Changed since it was last run, on 2026-11-25." in text


def test_a_page_without_a_record_says_so() -> None:
    assert "No run is recorded yet." in head_of(None, ["print(1)"])


def test_a_long_run_is_announced() -> None:
    text = head_of(replace(RUN, program=digest(["print(1)"]), seconds=14.2), ["print(1)"])
    assert "A run of the program takes about 14 s." in text


@pytest.mark.parametrize("page", WITH_HEAD)
def test_a_built_page_shows_what_the_record_says(page: str, site: Path) -> None:
    soup = parsed(built(site, page))
    text = soup.select_one(".program .record").get_text()
    run = read_record().get(page)
    current = digest([block.code for block in blocks_of(DOCS / page, ROOT)])
    if run is None:
        assert "No run is recorded yet." in text
    elif run.program == current:
        assert f"Executed on {run.date}" in text
    else:
        assert f"Changed since it was last run, on {run.date}" in text


def passed(page: str, block: int, *properties: tuple[str, object]) -> SimpleNamespace:
    return SimpleNamespace(
        when="call", passed=True, nodeid=f"docs/{page}::{block}", user_properties=properties
    )


def test_only_a_page_whose_blocks_all_passed_is_recorded(tmp_path: Path) -> None:
    file = tmp_path / "record.json"
    recorder = record.Recorder(file)
    codes = ["print(1)\n", "print(2)\n"]
    for page, first_passed in (("model/whole.md", True), ("model/half.md", False)):
        if first_passed:
            recorder.pytest_runtest_logreport(passed(page, 1))
        recorder.pytest_runtest_logreport(passed(page, 2, record.run_of(page, codes, 0.5)))
    recorder.pytest_sessionfinish()
    runs = read_record(file)
    assert list(runs) == ["model/whole.md"]
    assert runs["model/whole.md"].program == digest(["print(1)", "print(2)"])
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


# the line at which the essentials end


def sections(*ids: str) -> list[str]:
    """What stands in the page with these sections, in order."""
    config = site_config(ROOT)
    md = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    html = md.convert("\n\n".join(f"## Heading {{ #{name} }}\n\nText." for name in ids))
    soup = BeautifulSoup(html, "lxml")
    return [node.get("id", "the line") for node in soup.select("h2, .essentials")]


@pytest.mark.parametrize("further", ["check-it", "in-the-notes", "what-goes-wrong", "exercises"])
def test_the_essentials_end_before_the_first_further_section(further: str) -> None:
    assert sections("the-idea", "run-it", further, "sources") == [
        "the-idea",
        "run-it",
        "the line",
        further,
        "sources",
    ]


def test_the_line_is_drawn_once_and_after_an_essential_section() -> None:
    ids = ["in-the-notes", "the-idea", "check-it", "exercises"]
    assert sections(*ids) == ["in-the-notes", "the-idea", "the line", "check-it", "exercises"]
    assert sections("check-it", "exercises") == ["check-it", "exercises"]
    assert sections("the-idea", "sources") == ["the-idea", "sources"]
    assert sections("run-it", "where-next", "sources") == ["run-it", "where-next", "sources"]


def test_a_section_of_a_pages_own_is_essential_before_the_run_and_not_after_it() -> None:
    ids = ["the-idea", "own", "run-it", "another", "check-it"]
    assert sections(*ids) == ["the-idea", "own", "run-it", "the line", "another", "check-it"]
