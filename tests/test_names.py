"""One page, one name; and one stem for what belongs together."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT
from tests.linters.notes import PLANNED

DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix() for path in chain(DOCS.rglob("*.md"), DOCS.glob("lab/*.py"))
)
MODULES = sorted(path for path in (ROOT / "snippets").rglob("*.py") if path.stem != "__init__")
# Why a module that is alone on its page has another name than the page. A lab builds on the
# components of pages, and what is its own is a tool, named for what it does: none is listed here.
OTHER_STEMS = {
    "schedule": "training/optimizer.md: the page explains Adam too, which is PyTorch's",
    "release": "training/results.md: the page reports on runs, and this hands the best ones on",
    "export": "training/translator.md: the page is about the program that reads what this writes",
    "distributed": "training/scaling-out.md: the page also counts what the paper's models take",
}
# Modules that are tested with another one, and why.
TESTED_WITH = {
    "training/config": "train",  # a setting is refused, and explained by --help, where a run begins
    "training/translate": "train",  # a translation needs a run that has been trained
    "training/study_file": "study",  # a wrong file is refused by the command
    "training/study_lines": "study",  # a line needs a run of a study
}
LINK = re.compile(r"\[([^\]]+)\]\(([^)#:]+\.(?:md|py))\)")


class Loader(yaml.SafeLoader):
    """Reads mkdocs.yml without carrying out its tags."""


Loader.add_multi_constructor("", lambda loader, suffix, node: None)


def title(page: str) -> str:
    """The first heading of a page or a lab, without its id."""
    text = (DOCS / page).read_text(encoding="utf-8")
    found = re.search(r"^(?:# )?# (.+?) \{ #[a-z0-9-]+ \}$", text, re.MULTILINE)
    assert found, f"docs/{page} has no title"
    return found[1]


def words(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


def entries(nav: Any) -> list[tuple[str | None, str]]:
    """The pages of the navigation with the names that it gives them, if it does."""
    if isinstance(nav, str):
        return [(None, nav)]
    if isinstance(nav, dict):
        return [
            entry
            for name, value in nav.items()
            for entry in ([(name, value)] if isinstance(value, str) else entries(value))
        ]
    return [entry for item in nav for entry in entries(item)]


def navigation() -> list[tuple[str | None, str]]:
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    return entries(yaml.load(text, Loader)["nav"])


def test_the_navigation_calls_pages_by_their_titles() -> None:
    """A page that it does not name is shown by its title; only the home page has another."""
    named = {page: name for name, page in navigation() if name is not None}
    assert named == {"index.md": "Home"}


@pytest.mark.parametrize("page", [page for page in PAGES if page != "index.md"])
def test_the_words_of_an_address_stand_in_the_title(page: str) -> None:
    missing = iter(words(title(page)))
    assert all(word in missing for word in words(Path(page).stem)), title(page)  # in this order


@pytest.mark.parametrize("page", ["index.md", "reference/glossary.md", "reference/bibliography.md"])
def test_lists_of_pages_call_them_by_their_titles(page: str) -> None:
    lines = (DOCS / page).read_text(encoding="utf-8").splitlines()
    links = [link for line in lines if line.startswith(("|", "- ")) for link in LINK.findall(line)]
    assert len(links) > 20
    for name, target in links:
        linked = (DOCS / page).parent.joinpath(target).resolve().relative_to(DOCS.resolve())
        assert name.lower() == title(linked.as_posix()).lower(), f"docs/{page}: {target}"


def test_the_home_page_lists_every_page() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    assert [page for page in PAGES if page != "index.md" and f"({page}" not in text] == []


def page_of(module: Path) -> str:
    """The page that a module's docstring names first: the one that explains it."""
    found = re.search(r"`docs/([^`]+)`", module.read_text(encoding="utf-8").split('"""')[1])
    assert found, f"{module.relative_to(ROOT)}: the docstring names no page"
    return found[1]


def name_of(module: Path) -> str:
    return module.relative_to(ROOT / "snippets").with_suffix("").as_posix()


def is_page(page: str) -> bool:
    """Whether a page is written, or is in the one list of those that are to be."""
    return (DOCS / page).exists() or page.removesuffix(".md") in PLANNED


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_names_its_page(module: Path) -> None:
    assert is_page(page_of(module)), page_of(module)


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_module_has_its_tests(module: Path) -> None:
    tests = (ROOT / "tests" / module.relative_to(ROOT / "snippets")).parent
    if (tests / f"test_{module.stem}.py").is_file():
        return
    assert name_of(module) in TESTED_WITH, f"tests/{name_of(module)}: no test module of this name"
    beside = tests / f"test_{TESTED_WITH[name_of(module)]}.py"
    name = ".".join(module.relative_to(ROOT).with_suffix("").parts)
    assert f"from {name} import " in beside.read_text(encoding="utf-8")


def misnamed(pages: dict[str, str], others: set[str]) -> dict[str, str]:
    """The pages of one module whose stem is another, and the module.

    Args:
        pages: The page of every module, by the module's stem.
        others: Modules that may have another name than their page.
    """
    return {
        page: module
        for module, page in pages.items()
        if list(pages.values()).count(page) == 1
        if not page.startswith("lab/")
        if Path(page).stem.replace("-", "_") != module and module not in others
    }


def test_a_page_of_one_component_shares_its_stem() -> None:
    pages = {module.stem: page_of(module) for module in MODULES}
    assert len(pages) == len(MODULES), "two modules have one name"
    assert misnamed(pages, set(OTHER_STEMS)) == {}


def test_every_exception_is_one() -> None:
    pages = {module.stem: page_of(module) for module in MODULES}
    for module, why in OTHER_STEMS.items():
        assert why.startswith(f"{pages[module]}: ")
        assert Path(pages[module]).stem != module


def test_another_stem_is_found_in_every_folder() -> None:
    pages = {"masks": "model/masks.md", "rates": "training/optimizer.md"}
    several = {"data": "training/data.md", "byte_pair": "training/data.md"}
    assert misnamed(pages | several, set()) == {"training/optimizer.md": "rates"}
    assert misnamed(pages | several, {"rates"}) == {}
