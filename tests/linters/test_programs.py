"""Every page's program passes the linter, and a finding names the page's file and line."""

import shutil
from pathlib import Path

import pytest

from tests.linters.programs import ROOT, findings
from tests.runner.small_site import make_site

PAGES = sorted((ROOT / "docs").rglob("*.md"))
FLAWED = """\
# Flawed { #flawed }

```python
import torch
```

Some words.

```python
def double(x):
    half = x / 2
    return 2 * x


for pair in zip([1, 2], [3, 4]):
    double(pair)
```

```python
--8<-- "snippets/flawed.py:flawed"
```
"""
SNIPPET = """\
# --8<-- [start:flawed]
def nothing(x):
    y = x


# --8<-- [end:flawed]
"""


@pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
def test_what_readers_copy_passes_the_linter(page: Path) -> None:
    assert list(findings(page, ROOT)) == []


def test_a_finding_names_the_page_the_line_and_where_the_code_was_written(tmp_path: Path) -> None:
    page = tmp_path / "flawed.md"
    page.write_text(FLAWED, encoding="utf-8")
    root = tmp_path / "project"
    root.mkdir()
    make_site(root, page)
    (root / "snippets" / "flawed.py").write_text(SNIPPET, encoding="utf-8")
    shutil.copy(ROOT / "pyproject.toml", root)
    found = [" ".join(finding.split()[:3]) for finding in findings(root / "docs/flawed.md", root)]
    assert sorted(found) == [
        "docs/flawed.md:11: F841 Local",
        "docs/flawed.md:15: B905 `zip()`",
        "docs/flawed.md:20: snippets/flawed.py:3: F841",
        "docs/flawed.md:4: F401 `torch`",
    ]
