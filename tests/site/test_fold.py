"""The folds within code: what is folded, and that the text of the code stays what it is."""

import html
import re

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown

from docs.extensions.fold import folds
from tests.runner.pages import site_config
from tests.runner.small_site import ROOT

CODE = '''\
def mean(values: list[float], width: int) -> float:
    """Ein Maß für die Mitte √, the first sentence.

    Args:
        values: Any number of them.

    Raises:
        ValueError: If there are none.
    """
    total = sum(values)
    if not values:
        raise ValueError("mean expects values < & >, but got none")
    if width < 0:
        raise ValueError(f"width {width} is negative")
    return total / len(values)
'''


def shown(code: str) -> BeautifulSoup:
    config = site_config(ROOT)
    md = Markdown(extensions=config.markdown_extensions, extension_configs=config.mdx_configs)
    return BeautifulSoup(md.convert(f"```python\n{code}```"), "lxml")


def folded(code: str) -> list[str]:
    return [code[fold.start : fold.end] for fold in folds(code, "more", "checks")]


def test_the_rest_of_the_docstring_and_the_checks_are_folded() -> None:
    docstring, checks = folded(CODE)
    assert docstring.startswith("\n    Args:") or docstring.lstrip().startswith("Args:")
    assert docstring.rstrip().endswith("If there are none.")
    assert checks.startswith("if not values:")
    assert checks.endswith('is negative")')
    soup = shown(CODE)
    assert [node["data-fold"] for node in soup.select(".fold")] == [
        "Args, Raises",
        "checks of the arguments",
    ]
    for hidden in soup.select(".folded"):
        hidden.decompose()
    left = soup.select_one("code").get_text()
    for kept in ("def mean(", "the first sentence.", "total = sum(values)", "return total"):
        assert kept in left
    assert "Args" not in left
    assert "raise" not in left


def test_the_text_of_the_code_is_unchanged() -> None:
    soup = shown(CODE)
    assert soup.select_one("code").get_text().rstrip() == CODE.rstrip()
    assert all(not button.get_text() for button in soup.select(".fold"))


def test_the_tags_are_closed_and_reopened() -> None:
    """Every tag is closed by its own kind, so that a fold ends where its span does."""
    opened = []
    for closing, name in re.findall(r"<(/?)([a-z]+)[^>]*>", str(shown(CODE).select_one("code"))):
        if closing:
            assert opened.pop() == name
        else:
            opened.append(name)
    assert not opened


@pytest.mark.parametrize(
    "code",
    [
        'def short() -> int:\n    """One sentence, and no more."""\n    return 1\n',
        "def bare(n: int) -> int:\n    if n < 0:\n        raise ValueError(n)\n    return n\n",
        'def check(n: int) -> None:\n    """No."""\n    if n < 0:\n        raise ValueError(n)\n',
        "%pip install torch\n",
        'text = """first\n\nsecond"""\n',
    ],
    ids=["a short docstring", "no docstring", "nothing but checks", "a magic", "a string"],
)
def test_what_a_reader_should_see_is_not_folded(code: str) -> None:
    assert folded(code) == []


def test_the_checks_of_a_methods_arguments_are_folded_where_its_class_is_documented() -> None:
    code = (
        'class Layer:\n    """One layer."""\n\n    def __init__(self, n: int) -> None:\n'
        "        super().__init__()\n        if n < 1:\n            raise ValueError(n)\n"
        "        self.n = n\n"
    )
    assert folded(code) == ["if n < 1:\n            raise ValueError(n)"]
    assert html.unescape("&lt;") in folded(code)[0]
