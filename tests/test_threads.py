"""A page that trains asks for one thread first, in sight, and says why.

Where another program holds a processor, a second thread on small tensors waits for it at every
operation: a page that took 4 s with one thread took 88 s with two. The tests run with one thread;
readers who copy a page have as many as there are processors.
"""

import ast
import re
from pathlib import Path

import pytest

from tests import ROOT
from tests.runner.pages import Line, blocks_of, expand

PAGES = [page for page in sorted((ROOT / "docs").rglob("*.md")) if blocks_of(page, ROOT)]
REQUEST = re.compile(r"torch\.set_num_threads\(1\)  # \w+.*")


LOOPS = (ast.For, ast.While, ast.ListComp, ast.GeneratorExp)


def steps(tree: ast.AST, updates: set[str]) -> bool:
    """Whether a piece of code makes the step of an optimizer, `name.step()`, or calls an update."""
    for call in ast.walk(tree):
        if isinstance(call, ast.Call):
            name = getattr(call.func, "attr", getattr(call.func, "id", None))  # a.name() or name()
            is_step = isinstance(call.func, ast.Attribute) and name == "step" and not call.args
            if is_step or name in updates:
                return True
    return False


def loops(tree: ast.Module) -> list[int]:
    """The lines of the loops in which a model is updated, in place or by a function."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    updates = {
        function.name
        for function in functions
        if "optimizer" in {argument.arg for argument in function.args.args}
        and steps(function, set())
    }
    return [
        node.lineno for node in ast.walk(tree) if isinstance(node, LOOPS) and steps(node, updates)
    ]


def thread_problem(lines: list[Line], boxed: set[int]) -> str | None:
    """Why a program that trains is slow on a busy machine, or None.

    Args:
        lines: The lines of the page's program, in order.
        boxed: The lines of the page that stand in a box, closed at first.
    """
    trains = loops(ast.parse("".join(f"{line.text}\n" for line in lines)))
    requests = [n for n, line in enumerate(lines, 1) if line.text.startswith("torch.set_num_thre")]
    if not trains:
        return "it sets the threads and trains nothing" if requests else None
    if not requests:
        return "it trains and does not set the threads"
    if len(requests) > 1:
        return "it sets the threads more than once"
    if requests[0] > min(trains):
        return "it trains before it sets the threads"
    line = lines[requests[0] - 1]
    if line.page_number in boxed:
        return "the line that sets the threads is in a closed box"
    return None if REQUEST.fullmatch(line.text) else f"no reason given: {line.text}"


def boxed_lines(page: Path) -> set[int]:
    """The lines of a page between `/// builds` or `/// solution` and the end of that box."""
    inside, found = False, set()
    for line in expand(page, ROOT):
        if line.text.startswith("///"):
            inside = line.text.startswith(("/// builds", "/// solution"))
        elif inside:
            found.add(line.page_number)
    return found


def program(page: Path) -> list[Line]:
    return [line for block in blocks_of(page, ROOT) for line in block.lines]


@pytest.mark.parametrize("page", PAGES, ids=[p.relative_to(ROOT).as_posix() for p in PAGES])
def test_a_page_that_trains_sets_one_thread_first(page: Path) -> None:
    assert thread_problem(program(page), boxed_lines(page)) is None


def test_pages_that_train_are_found() -> None:
    """They are those that make an optimizer, whatever they call it."""
    code = {page: "\n".join(line.text for line in program(page)) for page in PAGES}
    train = {page.stem for page in PAGES if loops(ast.parse(code[page]))}
    assert train == {page.stem for page in PAGES if "torch.optim." in code[page]}
    assert "path-length" in train  # where the optimizer is called adam


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("torch.set_num_threads(1)  # small", None),
        ("pass", "it trains and does not set the threads"),
        ("torch.set_num_threads(1)", "no reason given: torch.set_num_threads(1)"),
        (
            "torch.set_num_threads(1)  # a\ntorch.set_num_threads(2)",
            "it sets the threads more than",
        ),
    ],
)
def test_a_missing_line_is_noticed(code: str, problem: str | None) -> None:
    page = Path("page.md")
    text = f"{code}\nfor _ in range(9):\n    optimizer.step()"
    lines = [Line(line, page, n, n) for n, line in enumerate(text.split("\n"), 1)]
    found = thread_problem(lines, boxed=set())
    assert found == problem or (found or "").startswith(problem or "-")
    if problem is None:
        assert thread_problem(lines, boxed={1}) == (
            "the line that sets the threads is in a closed box"
        )
        assert thread_problem([*lines[1:], lines[0]], set()) == (
            "it trains before it sets the threads"
        )
        assert thread_problem(lines[:1], set()) == "it sets the threads and trains nothing"
