"""Which tests stay in one process, where several share them.

The blocks of a page are one program, and the tests of a module share what is dear to make: a run, a
page that is open, a parsed site. So a file stays together. `xdist_group` cannot say so: pytest 9.2
takes no other name of a test, and pytest-xdist 3.8 then spreads the group without a word.
"""

import pytest
from xdist.scheduler import LoadScopeScheduling

# Their tests share nothing, and some of them take long.
SPREAD = {
    "tests/runner/test_pages.py",
    "tests/site/test_browser.py",
    "tests/site/test_checkout.py",
    "tests/site/test_copying.py",
    "tests/site/test_labs.py",
    "tests/site/test_links.py",
    "tests/site/test_notebooks.py",
    "tests/site/test_print.py",
    "tests/site/test_search.py",
    "tests/training/test_train.py",
}
# These read every page of the built site, and what takes long is to parse it.
READERS = (
    "tests/site/test_chinese.py",
    "tests/site/test_head.py",
    "tests/site/test_home.py",
    "tests/site/test_notebooks.py::test_an_equation",
    "tests/site/test_search.py::test_the_index_holds",
    "tests/site/test_site.py",
    "tests/site/test_terms.py",
)


def scope(nodeid: str) -> str:
    """What tests have in common that stay in one process: their file, often, or themselves."""
    if nodeid.startswith(READERS):
        return "the readers of all pages"
    file = nodeid.partition("::")[0]
    return nodeid if file in SPREAD else file


class FilesTogether(LoadScopeScheduling):
    """Hands out files as a whole, and the tests of a few one by one."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(nodeid)


def in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Files that need the built site, and begin with one of them, come after all others.

    One process builds the site while the others run what does not need it, and nobody waits.
    """
    with_site = {item.path for item in items if "site" in getattr(item, "fixturenames", ())}
    of_site = [item for item in items if item.path in with_site]
    others = [item for item in items if item.path not in with_site]
    first = [item for item in of_site if "site" in item.fixturenames][:1]
    return first + others + [item for item in of_site if item not in first]
