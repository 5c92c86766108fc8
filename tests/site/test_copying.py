"""Copying from a page as a reader does it, in a browser, and what is folded until it is pressed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from docs.program import program_text
from tests import ROOT
from tests.runner.pages import blocks_of
from tests.site.built import DOCS, PROGRAMS, path_of
from tests.site.copying import pressed
from tests.site.visit import OPEN_ALL, PHONE, show

# `test_browser` copies the program of every page and compares it with the one that the runner runs;
# these are copied with a pointer and run, and all of them where the environment says COPIES=all.
RUN = ["index.md", "derivations/softmax.md"]
if os.environ.get("COPIES") == "all":
    RUN = PROGRAMS


def run(program: str, folder: Path) -> str:
    """What a program prints in an empty folder, where this repository cannot be imported."""
    script, work = folder / "copied.py", folder / "empty"
    script.write_text(program, encoding="utf-8")
    work.mkdir()
    done = subprocess.run(
        [sys.executable, "-I", str(script)],
        cwd=work,
        env=os.environ | {"OMP_NUM_THREADS": "1", "MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("source", RUN)
def test_a_page_copied_as_it_looks_runs_elsewhere(
    source: str, reader: Page, site: Path, address: str, tmp_path: Path
) -> None:
    blocks = blocks_of(DOCS / source, ROOT)
    show(reader, f"{address}{path_of(source, site)}")
    program = pressed(reader)
    assert program == program_text([block.code for block in blocks])
    assert run(program, tmp_path) == "".join(block.expected_output or "" for block in blocks)


def test_opened_boxes_give_the_same_program(reader: Page, site: Path, address: str) -> None:
    blocks = blocks_of(DOCS / "model/attention.md", ROOT)
    show(reader, f"{address}model/attention/")
    reader.evaluate(OPEN_ALL)
    assert pressed(reader) == program_text([block.code for block in blocks])


FOLDS = "[...document.querySelectorAll('.folded')].map((fold) => fold.checkVisibility())"


def test_a_fold_opens_and_closes_by_pointer_and_keyboard(reader: Page, address: str) -> None:
    reader.set_viewport_size(PHONE)
    show(reader, f"{address}model/attention/")
    assert not any(reader.evaluate(FOLDS))
    button = reader.locator(".fold:visible").first
    assert button.bounding_box()["height"] >= 24
    assert button.bounding_box()["x"] + 40 < PHONE["width"], "a phone does not show the button"
    for press in (button.click, lambda: button.press("Enter"), lambda: button.press("Space")):
        before = button.get_attribute("aria-expanded")
        press()
        assert button.get_attribute("aria-expanded") != before
        shown = button.evaluate("(button) => button.nextElementSibling.checkVisibility()")
        assert shown == (before == "false")
    assert reader.get_by_role("button", name="Args, Returns, Raises, Source").count() > 0


def test_on_paper_and_without_scripts_nothing_is_folded(
    reader: Page, browser: Browser, address: str
) -> None:
    show(reader, f"{address}model/attention/")
    reader.evaluate(OPEN_ALL)
    reader.emulate_media(media="print")
    assert all(reader.evaluate(FOLDS))
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}model/attention/")
    assert page.locator(".folded").first.is_hidden()  # in a closed box
    assert page.locator(".language-python:not(details *) .folded").first.is_visible()
    assert page.locator(".fold:visible").count() == 0
    assert page.locator(".program button:visible").count() == 0
    context.close()
