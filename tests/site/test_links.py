"""A link or an anchor that leads nowhere is reported with its page and its line."""

from pathlib import Path

import pytest

from tests.runner.lab_site import HEADER, build, lab, make_lab_site

FRONT = "---\ndescription: A page.\n---\n\n"
PAGE = """\
# Page { #page }

`[code](missing.md)` is not a link.

```text
[nor is this](missing.md)
```

A [page](missing.md) that is not there, and a [place](index.md#nowhere)
of one that is. A [place](#here) of this one, and
[a folder](folder).
"""
LAB = """ [markdown]
# # Lab { #lab }
#
# A [page](../missing.md), and a
# [place](../index.md#nowhere)."""


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What a strict build of a site with broken links says, without its line breaks."""
    root = tmp_path_factory.mktemp("links")
    make_lab_site(root, {"docs/page.md": FRONT + PAGE, "docs/lab/tried.py": lab(LAB)})
    run = build(root)
    assert run.returncode != 0
    return " ".join(run.stdout.split())


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (9, "contains a link 'missing.md', but the target is not found"),
        (9, "contains a link 'index.md#nowhere', but the doc 'index.md' does not contain an"),
        (10, "contains a link '#here', but there is no such anchor on this page"),
        (11, "contains an unrecognized relative link 'folder'"),
    ],
)
def test_a_page_names_the_line_of_a_link_that_leads_nowhere(
    said: str, line: int, message: str
) -> None:
    number = line + FRONT.count("\n")
    assert f"docs/page.md:{number}: Doc file 'page.md' {message}" in said


@pytest.mark.parametrize(("line", "link"), [(3, "../missing.md"), (4, "../index.md#nowhere")])
def test_a_lab_names_the_line_of_its_script(said: str, line: int, link: str) -> None:
    number = HEADER.count("\n") + 2 + line
    assert f"docs/lab/tried.py:{number}: Doc file 'lab/tried.py' contains a link '{link}'" in said


def test_the_nav_names_its_line(tmp_path: Path) -> None:
    make_lab_site(tmp_path, {})
    config = (tmp_path / "mkdocs.yml").read_text(encoding="utf-8")
    nav = '"nav": [{"Home": "index.md"},\n{"Gone": "gone.md"}]'
    (tmp_path / "mkdocs.yml").write_text(config.replace('"nav": null', nav), encoding="utf-8")
    said = " ".join(build(tmp_path).stdout.split())
    assert "mkdocs.yml:2: A reference to 'gone.md' is included in the 'nav'" in said
