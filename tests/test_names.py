"""One page, one name; and one stem for what belongs together."""

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import ROOT

DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).as_posix() for path in chain(DOCS.rglob("*.md"), DOCS.glob("lab/*.py"))
)
# The pages of `snippets/training/` are not written yet; its modules join with them.
MODULES = sorted(path for path in (ROOT / "snippets").glob("*.py") if path.stem != "__init__")
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


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_names_its_page_and_has_its_tests(module: Path) -> None:
    assert (DOCS / page_of(module)).exists(), page_of(module)
    beside = module.relative_to(ROOT / "snippets").parent
    assert (ROOT / "tests" / beside / f"test_{module.stem}.py").is_file()


def test_a_page_of_one_component_shares_its_stem() -> None:
    modules: dict[str, list[str]] = {}
    for module in MODULES:
        modules.setdefault(page_of(module), []).append(module.stem)
    alone = {page: names[0] for page, names in modules.items() if len(names) == 1}
    # A lab builds on the components of pages; what is its own is a tool, named for what it does.
    others = {
        page: name
        for page, name in alone.items()
        if not page.startswith("lab/") and Path(page).stem.replace("-", "_") != name
    }
    assert not others, others
