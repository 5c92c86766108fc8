"""The reference pages have no problems, and whoever damages one is told where.

Every damage is done to a page as it is, and `tests.linters.reference` has to notice it.
"""

import inspect
import re

import pytest

from snippets.transformer import Transformer
from tests.linters.reference import (
    CODE,
    DOCS,
    all_pages,
    bibliography_problems,
    glossary_problems,
    notation_problems,
    read,
    rows,
)

# the pages


def test_every_symbol_names_a_page_that_uses_it() -> None:
    wrong = list(notation_problems(read("notation.md")))
    assert not wrong, "\n".join(wrong)


def test_the_base_model_is_the_one_of_the_code() -> None:
    """The sizes of the table are the defaults of the model, and fit together."""
    table = {}
    for row in rows(read("notation.md"), "notation.md", "symbol"):
        if "base model" in row.cells:
            (name,) = CODE.findall(row.cells["in code"])
            table[name] = (row.cells["base model"], row.where)
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(Transformer).parameters.items()
    }
    for name in ("d_model", "d_ff", "n_heads", "n_layers", "dropout"):
        value, where = table[name]
        assert float(value) == defaults[name], f"{where}: {name} is {defaults[name]} in the code"
    heads, (d_model, where) = int(table["n_heads"][0]), table["d_model"]
    for name in ("d_k", "d_v"):
        assert int(table[name][0]) * heads == int(d_model), f"{where}: {name} is not d_model / h"


def test_every_term_has_both_languages_and_a_page() -> None:
    wrong = list(glossary_problems(read("glossary.md"), (DOCS / "notes.md").read_text("utf-8")))
    assert not wrong, "\n".join(wrong)


def test_the_glossary_has_terms_and_words_of_the_notes() -> None:
    markdown = read("glossary.md")
    assert len(rows(markdown, "glossary.md", "English")) >= 40
    assert len(rows(markdown, "glossary.md", "in the notes")) >= 10


def test_every_cited_work_has_an_entry_that_names_the_page() -> None:
    wrong = list(bibliography_problems(read("bibliography.md"), all_pages()))
    assert not wrong, "\n".join(wrong)


# the checks


def replaced(markdown: str, old: str, new: str) -> str:
    assert old in markdown, f"the page no longer has {old!r}: choose another damage"
    return markdown.replace(old, new, 1)


NOTATION_DAMAGES = {
    "a page that is not there": (
        "(../model/masks.md)",
        "(../model/mask.md)",
        "the page docs/model/mask.md does not exist",
    ),
    "a heading that is not there": (
        "#three-uses",
        "#four-uses",
        "no heading with the id four-uses",
    ),
    "a page deleted": ("a set | keys", "a set | keys | |\n| $A_j$ | | a set | keys", "has no link"),
    "another symbol": ("$A_i$", "$A_{ij}$", "$A_{ij}$ is in no formula of masks"),
    "another name in code": ("`n_query`", "`len_q`", "`len_q` is not on the page attention"),
    "a row without a symbol": ("| $A_i$ |", "| |", "neither a symbol nor a name"),
    "a row twice": ("| $q$, $k$ |", "| $Q$, $k$ |", "Q has a row already"),
}


@pytest.mark.parametrize(("old", "new", "message"), NOTATION_DAMAGES.values(), ids=NOTATION_DAMAGES)
def test_a_damaged_notation_is_noticed(old: str, new: str, message: str) -> None:
    found = list(notation_problems(replaced(read("notation.md"), old, new)))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/reference/notation\.md:\d+: ", problem) for problem in found)


def test_a_renamed_column_is_noticed() -> None:
    found = list(notation_problems(read("notation.md").replace("| symbol |", "| sign |")))
    assert found == ["docs/reference/notation.md: there is no table with a column headed symbol"]


GLOSSARY_DAMAGES = {
    "no Chinese": ("| attention | 注意力 |", "| attention | |", "attention has no Chinese term"),
    "no English": ("| attention | 注意力 |", "| | 注意力 |", "the English term is missing"),
    "columns exchanged": ("| query | 查询 |", "| 查询 | query |", "is not English"),
    "out of order": ("| attention | 注意力 |", "| query key | 注意力 |", "in the alphabet"),
    "a term twice": ("| 多头注意力 |", "| 注意力 |", "注意力 has a row already"),
    "a page without the term": (
        "what a position looks for | [Scaled dot-product attention](../model/attention.md)",
        "what a position looks for | [Cross-entropy and label smoothing]"
        "(../derivations/cross-entropy.md)",
        "does not have the term query",
    ),
    "a word that is not in that line": ("| 线形层 |", "| 线状层 |", "is not in the quote line-9"),
    "a remark deleted": ("| one word in English |", "| |", "the column remark is empty"),
}


@pytest.mark.parametrize(("old", "new", "message"), GLOSSARY_DAMAGES.values(), ids=GLOSSARY_DAMAGES)
def test_a_damaged_glossary_is_noticed(old: str, new: str, message: str) -> None:
    damaged = replaced(read("glossary.md"), old, new)
    found = list(glossary_problems(damaged, (DOCS / "notes.md").read_text("utf-8")))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/reference/glossary\.md:\d+: ", problem) for problem in found)


BIBLIOGRAPHY_DAMAGES = {
    "a digit of an arXiv number": (
        "arxiv.org/abs/1704.00805",
        "arxiv.org/abs/1704.00806",
        "1704.00805 is not in docs/reference/bibliography.md",
    ),
    "a digit of a DOI": (
        "PhysRevB.24.2613",
        "PhysRevB.24.2614",
        "10.1103/PhysRevB.24.2613 is not in docs/reference/bibliography.md",
    ),
    "another year": ("(2015). [*Adam", "(2005). [*Adam", "is of 2014, the entry of 2005"),
    "no year": ("(2015). [*Adam", "[*Adam", "not of the form"),
    "out of order": ("- Bahdanau, D.", "- Zahdanau, D.", "in the alphabet"),
    "an entry twice": ("*Xception: ", "*Xception: ", "has an entry already"),
    "another number as venue": ("arXiv:1607.06450", "arXiv:1607.06451", "the link leads to"),
    "a page that does not cite": (
        "(../derivations/softmax.md)",
        "(../model/masks.md)",
        "docs/model/masks.md does not cite",
    ),
    "a page left out": (
        "Cited in [The notes](../notes.md), [Path length]",
        "Cited in [Path length]",
        "docs/notes.md cites Longformer",
    ),
}


@pytest.mark.parametrize(
    ("old", "new", "message"), BIBLIOGRAPHY_DAMAGES.values(), ids=BIBLIOGRAPHY_DAMAGES
)
def test_a_damaged_bibliography_is_noticed(old: str, new: str, message: str) -> None:
    damaged = replaced(read("bibliography.md"), old, new)
    if old == new:
        line = next(line for line in damaged.splitlines() if old in line)
        damaged = replaced(damaged, line, f"{line}\n{line}")
    found = list(bibliography_problems(damaged, all_pages()))
    assert any(message in problem for problem in found), "\n".join(found)
    assert all(re.match(r"docs/[\w/-]+\.(md|py):\d+: ", problem) for problem in found)


def test_a_new_citation_without_an_entry_is_noticed() -> None:
    pages = all_pages() | {"model/new.md": "text\n[A work](https://arxiv.org/pdf/2401.01234v2)\n"}
    found = list(bibliography_problems(read("bibliography.md"), pages))
    assert "docs/model/new.md:2: 2401.01234 is not in docs/reference/bibliography.md" in found
