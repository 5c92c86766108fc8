"""The page runner: what is wrong with a page is reported by file, line and reason.

Every page in `tests/fixtures/pages` is right, or wrong in the one way that its name says.
"""

import random
import tempfile
from pathlib import Path

import pytest
import torch

from tests import ROOT
from tests.runner import accept
from tests.runner.pages import PageError, check_shown_is_run, read_blocks
from tests.runner.small_site import build_site, make_site

PAGES = ROOT / "tests" / "fixtures" / "pages"

NOT_RUN = "fence would not be run; open a block with ```python"
REFUSED = "every block runs, so the mark"
# A page that fails when it is run: its name, the line that is named, and how the reason begins.
FAILING = [
    ("braces", 3, f"a ```{{.python}} {NOT_RUN}"),
    ("braces-with-an-id", 3, f"a ```{{ #one .python }} {NOT_RUN}"),
    ("capital-python", 3, f"a ```Python {NOT_RUN}"),
    ("closed-too-late", 6, "the fence of docs/closed-too-late.md:3 is not closed before this one"),
    ("console-session", 3, f"a ```pycon {NOT_RUN}"),
    ("exits", 6, "SystemExit: 0"),
    ("fence-in-an-include", 3, "snippets/fence.md:1: a fence has to stand on the page, not in an"),
    ("highlighted-block-raises", 5, "NameError: name 'unset' is not defined"),
    ("include-as-a-block", 4, 'write one include a line, as --8<-- "path:region"'),
    ("include-by-line-numbers", 4, 'write one include a line, as --8<-- "path:region"'),
    ("ipython", 3, f"a ```ipython3 {NOT_RUN}"),
    ("leading-space", 3, f"a ``` python {NOT_RUN}"),
    ("mark-cont", 7, f"{REFUSED} pytest-codeblocks:cont is refused"),
    ("mark-expect-error", 3, f"{REFUSED} pytest-codeblocks:expect-error is refused"),
    ("mark-ignore-whitespace", 7, f"{REFUSED} pytest-codeblocks:expected-output-ignore-whitespace"),
    ("mark-importorskip", 3, f"{REFUSED} pytest-codeblocks:importorskip(nothing_of_that_name) is"),
    ("mark-over-a-block", 8, "a ```text fence has to follow the mark for output"),
    ("mark-pytest-skip", 3, f"{REFUSED} pytest.mark.skip(reason='later') is refused"),
    ("mark-skip", 3, f"{REFUSED} pytest-codeblocks:skip is refused"),
    ("mark-skipfile", 1, f"{REFUSED} pytest-codeblocks:skipfile is refused"),
    ("mark-skipif", 3, f"{REFUSED} pytest-codeblocks:skipif(sys.version_info > (3, 0)) is refused"),
    ("mark-under-text", 11, "the mark for output has to follow a Python block"),
    ("mark-without-a-block", 3, "the mark for output has to follow a Python block"),
    ("mark-xfail", 3, f"{REFUSED} pytest.mark.xfail is refused"),
    ("missing-file", 4, "this include failed: Snippet at path 'snippets/missing.py' could not be"),
    ("needs-another-page", 4, "NameError: name 'width' is not defined"),
    ("never-closed", 9, "this fence is never closed"),
    ("no-output-shown", 3, "the block prints, but the page shows no output:\nunseen\n"),
    ("nothing-printed", 3, "the output is not the one shown.\n-- the page shows\nsomething\n"),
    ("py", 3, f"a ```py {NOT_RUN}"),
    ("python3", 3, f"a ```python3 {NOT_RUN}"),
    ("raises", 13, "ZeroDivisionError: division by zero"),
    ("raises-in-a-region", 6, "snippets/broken.py:14: ZeroDivisionError: division by zero"),
    ("raises-in-a-snippet", 6, "snippets/broken.py:14: ZeroDivisionError: division by zero"),
    ("return-outside-a-function", 5, "SyntaxError: 'return' outside function"),
    ("skips-itself", 6, "Skipped: not today"),
    ("syntax-error", 5, "SyntaxError: invalid syntax"),
    ("tildes", 3, f"a ~~~python {NOT_RUN}"),
    ("titled-block-raises", 4, "NameError: name 'unset' is not defined"),
    ("unknown-region", 4, "this include failed: Snippet section 'missing' could not be located"),
    ("unseeded-random", 5, "the output is not the one shown."),
    ("unseeded-torch", 5, "the output is not the one shown."),
    ("warns", 6, "DeprecationWarning: soon to be removed"),
    (
        "wrong-output",
        5,
        "the output is not the one shown.\n-- the page shows\n1  2\n-- the block",
    ),
]
# A page that fails when what its built form shows is held against what runs.
AMISS = [
    ("in-a-comment", 8, "this block runs but the built page does not show it"),
    ("in-a-footnote", 6, "the built page shows this block elsewhere than it runs"),
    ("in-a-quotation", 4, "this Python is shown but never runs"),
    ("indented-code", 5, "this code is shown from no fence"),
    ("raw-html", 7, "this Python is shown but never runs"),
    ("raw-html-code", 7, "this Python is shown but never runs"),
    ("raw-html-without-a-language", 3, "this code is shown from no fence"),
    ("shown-twice", 3, "this Python is shown but never runs"),
]
# Pages with nothing wrong, and the number of their blocks.
RIGHT = [("four-backticks", 0), ("nested", 3), ("directory", 2), ("expects-torch-unchanged", 1)]
OUTPUTS_UP_TO_DATE = """\
# Outputs out of date { #outputs-out-of-date }

```python
print("new")
```

Words between a block and its output stay.

<!--pytest-codeblocks:expected-output-->
```text
new
```

```python
silent = True
```

- In a list.

    ```python
    print("one\\n\\nthree")
    ```

    <!--pytest-codeblocks:expected-output-->
    ```text
    one

    three
    ```

The end.
"""


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """An empty project, in which this repository's own conftest.py collects the pages."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the pages
    pytester.makeini("[pytest]\naddopts = -p no:cacheprovider\n")
    pytester.makeconftest((ROOT / "conftest.py").read_text(encoding="utf-8"))
    return pytester


def run(project: pytest.Pytester, *names: str, block: int | None = None) -> pytest.RunResult:
    """Run fixture pages in this order, or one block of one page."""
    make_site(project.path, *(PAGES / f"{name}.md" for name in names))
    chosen = f"::{block}" if block is not None else ""
    return project.runpytest("-rA", *(f"docs/{name}.md{chosen}" for name in names))


def check_built(root: Path, name: str) -> None:
    """Build a site with one fixture page and hold what is shown against what runs."""
    make_site(root, PAGES / f"{name}.md")
    page = root / "docs" / f"{name}.md"
    check_shown_is_run(read_blocks(page, root), build_site(root)[name], page, root)


@pytest.mark.parametrize(("name", "line", "reason"), FAILING, ids=[row[0] for row in FAILING])
def test_a_page_fails_with_its_file_line_and_reason(
    project: pytest.Pytester, name: str, line: int, reason: str
) -> None:
    torch.manual_seed(0)  # the seed that the pages named unseeded would print the output of
    random.seed(0)
    result = run(project, name)
    assert f"docs/{name}.md:{line}: {reason}" in result.stdout.str()
    outcomes = result.parseoutcomes()
    assert outcomes.pop("failed", 0) + outcomes.pop("errors", outcomes.pop("error", 0)) == 1
    assert set(outcomes) <= {"passed"}


@pytest.mark.parametrize(("name", "line", "reason"), AMISS, ids=[row[0] for row in AMISS])
def test_a_built_page_fails_with_its_file_line_and_reason(
    tmp_path: Path, name: str, line: int, reason: str
) -> None:
    with pytest.raises(PageError) as caught:
        check_built(tmp_path, name)
    assert str(caught.value).startswith(f"docs/{name}.md:{line}: {reason}")


@pytest.mark.parametrize("name", ["in-a-comment", "in-a-footnote", "raw-html", "shown-twice"])
def test_only_the_built_page_gives_these_away(project: pytest.Pytester, name: str) -> None:
    result = run(project, name)
    assert set(result.parseoutcomes()) == {"passed"}


@pytest.mark.parametrize(("name", "count"), RIGHT, ids=[row[0] for row in RIGHT])
def test_a_page_with_nothing_wrong_passes(project: pytest.Pytester, name: str, count: int) -> None:
    check_built(project.path, name)
    assert run(project, name).parseoutcomes() == ({"passed": count} if count else {})


def test_every_fixture_page_is_tested() -> None:
    tabled = {row[0] for row in [*FAILING, *AMISS, *RIGHT]}
    tested_below = {"changes-torch", "defines-a-name", "outputs-out-of-date", "three-blocks"}
    assert {page.stem for page in PAGES.glob("*.md")} == tabled | tested_below


def test_a_traceback_shows_the_lines_of_the_page_and_none_of_the_runner(
    project: pytest.Pytester,
) -> None:
    output = run(project, "raises").stdout.str()
    assert 'File "docs/raises.md", line 13, in <module>\n    halve(halved)' in output
    assert 'File "docs/raises.md", line 5, in halve\n    return n / 0' in output
    assert "program.py" not in output
    output = run(project, "raises-in-a-snippet").stdout.str()
    assert 'File "snippets/broken.py", line 14, in <module>\n    quotient = 1 / den' in output


def test_choosing_a_block_runs_those_above_it(project: pytest.Pytester) -> None:
    assert run(project, "three-blocks", block=7).parseoutcomes() == {"passed": 1}


def test_a_block_under_one_that_failed_does_not_run(project: pytest.Pytester) -> None:
    result = run(project, "three-blocks")
    assert result.parseoutcomes() == {"passed": 2, "failed": 2}
    above = "not run, because the block above it failed: docs/three-blocks.md:17"
    assert f"docs/three-blocks.md:21: {above}" in result.stdout.str()


def test_pages_share_no_names(project: pytest.Pytester) -> None:
    result = run(project, "defines-a-name", "needs-another-page")
    assert result.parseoutcomes() == {"passed": 1, "failed": 1}
    assert "docs/needs-another-page.md:4: NameError" in result.stdout.str()


def test_pages_share_no_settings_of_torch(project: pytest.Pytester) -> None:
    assert run(project, "changes-torch", "expects-torch-unchanged").parseoutcomes() == {"passed": 2}


def test_a_page_leaves_nothing_behind(
    project: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = project.mkdir("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    assert run(project, "directory").parseoutcomes() == {"passed": 2}
    assert Path.cwd() == project.path
    assert list(temporary.iterdir()) == []


def test_accept_writes_what_the_blocks_print(project: pytest.Pytester) -> None:
    make_site(project.path, PAGES / "outputs-out-of-date.md")
    page = project.path / "docs" / "outputs-out-of-date.md"
    accept.main([str(page)], project.path)
    assert page.read_text(encoding="utf-8") == OUTPUTS_UP_TO_DATE
    assert project.runpytest("docs").parseoutcomes() == {"passed": 3}
    accept.main([str(page)], project.path)
    assert page.read_text(encoding="utf-8") == OUTPUTS_UP_TO_DATE


@pytest.mark.parametrize(
    ("name", "place"),
    [("three-blocks", "docs/three-blocks.md:18: ZeroDiv"), ("py", "docs/py.md:3: a ```py fence")],
)
def test_accept_refuses_a_page_that_fails(tmp_path: Path, name: str, place: str) -> None:
    make_site(tmp_path, PAGES / f"{name}.md")
    page = tmp_path / "docs" / f"{name}.md"
    with pytest.raises(SystemExit, match=place):
        accept.main([str(page)], tmp_path)
    assert page.read_bytes() == (PAGES / page.name).read_bytes()
