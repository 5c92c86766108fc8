"""What a test module may import: not another one; what they share is in `tests.oracle`."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
MODULES = sorted(TESTS.rglob("test_*.py"))


def imported(source: str) -> set[str]:
    """The dotted names of all that a module imports, from anywhere in its code."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{'.' * node.level}{node.module or ''}.{a.name}" for a in node.names}
    return names


@pytest.mark.parametrize("module", MODULES, ids=[str(m.relative_to(TESTS)) for m in MODULES])
def test_no_test_module_imports_another(module: Path) -> None:
    names = imported(module.read_text(encoding="utf-8"))
    assert not {n for n in names if any(part.startswith("test_") for part in n.split(".")[:-1])}
    assert not {n for n in names if n.split(".")[-1] in {other.stem for other in MODULES}}
