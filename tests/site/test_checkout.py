"""MkDocs as people start it: by its own name, from any folder, in a checkout of any name."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests import ROOT

MKDOCS = Path(sys.executable).with_name("mkdocs")
PAGE = """\
---
description: A page with a formula and an include.
---

# Page { #page }

A formula, $d_k$.

```python
--8<-- "snippets/softmax.py:softmax"
```
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The site with one page, in a folder whose name would mean something in YAML."""
    root = tmp_path / "a #1: copy"
    for name in ("docs/extensions", "docs/hooks", "docs/overrides", "docs/assets", "snippets"):
        shutil.copytree(ROOT / name, root / name)
    for path in (ROOT / "docs").glob("*.py"):  # what hooks and extensions share
        shutil.copy(path, root / "docs")
    shutil.copy(ROOT / "mkdocs.yml", root / "site.yml")
    (root / "docs" / "index.md").write_text(PAGE, encoding="utf-8")
    (root / "mkdocs.yml").write_text("INHERIT: site.yml\nnav: null\n", encoding="utf-8")
    return root


@pytest.mark.parametrize("where", ["the checkout", "another folder"])
def test_mkdocs_by_its_own_name_builds_the_site(where: str, checkout: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    inside = where == "the checkout"
    if inside:  # elsewhere the hook has to find what exports the models; once is enough
        shutil.rmtree(checkout / "docs/assets/models")
    options = [] if inside else ["--config-file", str(checkout / "mkdocs.yml")]
    variables = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    run = subprocess.run(
        [MKDOCS, "build", "--strict", *options],
        cwd=checkout if inside else elsewhere,
        env=variables | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert run.returncode == 0, run.stdout
    exported = [path.parent.name for path in checkout.rglob("site/**/translator.bin")]
    assert sorted(exported) == ([] if inside else ["de-en", "en-de"])
    html = (checkout / "site" / "index.html").read_text(encoding="utf-8")
    assert 'data-latex="d_k"' in html
    assert "def softmax" in html.replace("</span>", "").replace('<span class="k">', "").replace(
        '<span class="nf">', ""
    ).replace('<span class="w">', "")
    assert not any(elsewhere.iterdir())


SMALL_SITE = """\
import sys
from pathlib import Path
from tests.runner.small_site import ROOT, build_site, make_site
root, page = map(Path, sys.argv[1:])
make_site(root, page)
print(ROOT)
print(build_site(root)[page.stem])
"""


def test_small_sites_are_made_in_a_checkout_of_any_name(checkout: Path, tmp_path: Path) -> None:
    for name in ("__init__.py", "runner/__init__.py", "runner/small_site.py"):
        copy = checkout / "tests" / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "tests" / name, copy)
    page = tmp_path / "formula.md"
    page.write_text("# Formula\n\n$d_k$\n", encoding="utf-8")
    root = tmp_path / "b #2: site"
    root.mkdir()
    run = subprocess.run(
        [sys.executable, "-c", SMALL_SITE, str(root), str(page)],
        cwd=checkout,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{checkout}\n")
    assert 'data-latex="d_k"' in run.stdout


def test_an_extension_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = {
        "INHERIT": str(ROOT / "mkdocs.yml"),
        "extra": {"markdown_extensions": ["docs.extensions.missing"]},
        "plugins": [],
        "hooks": [str(ROOT / "docs/hooks/extensions.py")],
        "theme": {"name": None, "custom_dir": "."},
        "nav": None,
        "watch": [],
    }
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(json.dumps(config), encoding="utf-8")
    run = subprocess.run([MKDOCS, "build"], cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode != 0
    said = " ".join(run.stderr.split())
    assert "mkdocs.yml names the extension docs.extensions.missing, but" in said
    assert "Traceback" not in said


def test_zensical_is_told_of_every_extension() -> None:
    """It reads no hooks and no tag of MkDocs's own: what it reads is plain YAML."""
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert "!relative" not in text
    told = yaml.safe_load((ROOT / "zensical.yml").read_text(encoding="utf-8"))
    config = yaml.safe_load(text.replace("!ENV", ""))
    assert told["INHERIT"] == "mkdocs.yml"
    assert told["markdown_extensions"] == config["extra"]["markdown_extensions"]
