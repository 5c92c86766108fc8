"""What may import what: components no training, and nothing but `tests/site` a browser.

The imports are read, not run, and followed from module to module.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

from tests import ROOT


def imported(file: Path) -> set[str]:
    """The modules that a file names in its imports, wherever they stand."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.ImportFrom):
            raise AssertionError(f"{file}:{node.lineno}: import from the root of the repository")
    return names


def reached(files: Iterable[Path], root: Path) -> dict[str, Path]:
    """Every module that the files import, also by way of others, and the file that imports it."""
    found: dict[str, Path] = {}
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        for name in imported(file) - found.keys():
            found[name] = file
            path = root / name.replace(".", "/")
            waiting += filter(Path.is_file, (path.with_suffix(".py"), path / "__init__.py"))
    return found


def within(package: str, modules: dict[str, Path], root: Path) -> list[str]:
    """Who imports a package, or something in it."""
    return [
        f"{file.relative_to(root)} imports {name}"
        for name, file in modules.items()
        if name == package or name.startswith(f"{package}.")
    ]


def training_imports(root: Path) -> list[str]:
    """The imports by which a component comes to need the training that is made of components."""
    return within("snippets.training", reached((root / "snippets").glob("*.py"), root), root)


def browser_imports(root: Path) -> list[str]:
    """The imports by which a test outside `tests/site` comes to need Playwright."""
    outside = [
        file
        for file in [root / "conftest.py", *(root / "tests").rglob("*.py")]
        if not file.is_relative_to(root / "tests" / "site")
    ]
    return within("playwright", reached(outside, root), root)


def test_components_never_import_training() -> None:
    assert len(reached((ROOT / "snippets").glob("*.py"), ROOT)) > 10
    assert training_imports(ROOT) == []


def test_no_test_outside_its_folder_needs_a_browser() -> None:
    site = (ROOT / "tests" / "site").glob("*.py")
    assert within("playwright", reached(site, ROOT), ROOT)
    assert browser_imports(ROOT) == []


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def test_a_component_that_comes_to_training_by_way_of_another_is_noticed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "snippets/masks.py": "import torch",
            "snippets/decoder.py": "def step():\n    from snippets import helpers",
            "snippets/helpers.py": "from snippets.training import decode",
            "snippets/training/decode.py": "from snippets.masks import causal_mask",
        },
    )
    assert set(training_imports(tmp_path)) == {
        "snippets/helpers.py imports snippets.training",
        "snippets/helpers.py imports snippets.training.decode",
    }
    write(tmp_path, {"snippets/helpers.py": "import torch"})
    assert training_imports(tmp_path) == []


def test_a_component_test_that_comes_to_a_browser_is_noticed(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "conftest.py": "from tests.runner.pages import Block",
            "tests/runner/pages.py": "import re",
            "tests/test_masks.py": "from tests.site import conftest",
            "tests/site/conftest.py": "from playwright.sync_api import Browser",
        },
    )
    assert "tests/site/conftest.py imports playwright.sync_api" in browser_imports(tmp_path)
    write(tmp_path, {"tests/test_masks.py": "import torch"})
    assert browser_imports(tmp_path) == []
