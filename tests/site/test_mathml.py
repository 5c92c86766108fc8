"""The formula extension: every formula becomes MathML or fails with its file, line and reason.

Of the pages in `tests/fixtures/mathml`, `formulas.md` is right and the others are wrong in the one
way that their names say.
"""

from html.entities import html5
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from markdown import Markdown
from math_core import LatexToMathML

from docs.extensions.mathml import MathError, math_element
from tests import ROOT
from tests.runner.pages import site_config
from tests.runner.small_site import build_site, make_site

PAGES = ROOT / "tests" / "fixtures" / "mathml"

NOT_FOUND = "This TeX is not taken for a formula."
# A page that does not build: its name, the line that is named, and how the reason begins.
FAILING = [
    ("block-within-a-line", 7, "A $$ formula stands in a paragraph of its own."),
    ("block-within-a-paragraph", 8, NOT_FOUND),
    ("empty-line-in-a-block", 7, NOT_FOUND),
    ("formula-for-a-picture", 7, NOT_FOUND),
    ("label-used-twice", 9, 'The label "eq:twice" is used twice.'),
    ("short-formula", 9, "Expected argument but reached end of input."),
    ("spaces-inside-the-dollars", 9, NOT_FOUND),
    ("unclosed-group-in-a-quotation", 9, 'Expected closing token "}", but reached end of input.'),
    ("unknown-command", 11, 'Unknown command "\\nonsense".'),
    ("unknown-command-in-a-block", 16, 'Unknown command "\\nonsense".'),
    ("unknown-command-in-a-table", 9, 'Unknown command "\\nonsense".'),
    ("unknown-label", 13, 'No formula of this page has the label "eq:unknown".'),
]


INLINE = [
    *("d_k", "a_b", "c_d", "x<y>z", "e_f * g_h", "i"),
    *(r"\sqrt{d_k}", "k", r"\lvert l \rvert", r"\|m\|", "n", "p", "r", "s", "v", "w", "u"),
]
BLOCKS = [
    "\\begin{equation}\n\\begin{pmatrix} 1 & 2 \\end{pmatrix} \\label{eq:first}\n\\end{equation}",
    "\\begin{align}\np &= q \\label{eq:second} \\\\\n"
    "r &\\le s \\text{ where 1 < 2 \\& 3}\n\\end{align}",
    "t",
    "\\begin{equation}\nv \\label{eq:later}\n\\end{equation}",
    *("o", "q", "t"),
]
NOT_FORMULAS = "a price of $5 or $6, an escaped $x_1$."


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> BeautifulSoup:
    """The page of formulas, as MkDocs builds it."""
    root = tmp_path_factory.mktemp("site")
    make_site(root, PAGES / "formulas.md")
    return BeautifulSoup(build_site(root)["formulas"], "lxml")


def latex(page: BeautifulSoup, selector: str) -> list[str]:
    """The LaTeX of the formulas within what a selector finds."""
    return [math["data-latex"] for math in page.select(f"{selector} math")]


def convert(text: str) -> str:
    """Markdown as the site's own configuration renders it."""
    config = site_config(ROOT)
    extensions = {"extensions": config.markdown_extensions, "extension_configs": config.mdx_configs}
    return Markdown(**extensions).convert(text)


def test_every_formula_becomes_math_in_a_line_or_a_block_as_written(page: BeautifulSoup) -> None:
    assert latex(page, "span.arithmatex") == INLINE
    assert latex(page, "div.arithmatex") == BLOCKS
    for element in page.select(".arithmatex:not(:has(> a))"):
        assert [child.name for child in element.find_all(recursive=False)] == ["math"]
        assert element.math.get("display") == ("block" if element.name == "div" else None)


def test_formulas_are_found_wherever_text_may_stand(page: BeautifulSoup) -> None:
    places = {
        "h1": ["d_k"],
        "h2": [r"\sqrt{d_k}"],
        "a": ["i"],
        "em": ["e_f * g_h"],
        "th": ["k"],
        "td": [r"\lvert l \rvert", r"\|m\|"],
        "li > p": ["n", "u"],
        "li > div": ["o"],
        "blockquote": ["p", "q"],
        "summary": ["r"],
        "details > p": ["s"],
        "details > div": ["t"],
        "dt": ["v"],
        "dd": ["w"],
        ".footnote": ["u"],
    }
    assert {place: latex(page, place) for place in places} == places


def test_no_tex_is_left_for_a_reader_to_see(page: BeautifulSoup) -> None:
    text = "".join(
        string for string in page.find_all(string=True) if string.find_parent("code") is None
    )
    assert NOT_FORMULAS in text
    assert not set("$\\{}_^") & set(text.replace(NOT_FORMULAS, "").replace("The root of d_k", ""))


def test_dollars_and_brackets_in_code_are_left_alone(page: BeautifulSoup) -> None:
    assert [code.get_text() for code in page.select("code")] == [
        "$a_b$",
        r"\(c\)",
        r"$a_b$ $$c$$ \(d\) \[e\]" + "\n",
    ]


def test_characters_that_html_reserves_survive(page: BeautifulSoup) -> None:
    inequality = page.find("math", {"data-latex": "x<y>z"})
    assert [part.get_text() for part in inequality.find_all(True)] == ["x", "<", "y", ">", "z"]
    matrix, words = page.select("div.arithmatex")[:2]
    assert [cell.get_text() for cell in matrix.select("mtable mtable mtd")] == ["1", "2"]
    assert "where\xa01\xa0<\xa02\xa0&3" in words.get_text()


def test_equations_are_numbered_and_references_lead_to_them(page: BeautifulSoup) -> None:
    numbers = {cell["id"]: cell.get_text() for cell in page.select("mtd[id]")}
    assert numbers == {"eq:first": "(1)", "eq:second": "(2)", "eq:later": "(4)"}
    links = {link["href"]: link.get_text() for link in page.select("span.arithmatex > a")}
    assert links == {"#eq:later": "(4)", "#eq:first": "(1)"}


def test_the_stop_after_a_formula_belongs_to_it(page: BeautifulSoup) -> None:
    inequality = page.find("math", {"data-latex": "x<y>z"})
    assert inequality.next_sibling == "."
    assert inequality.parent.next_sibling.startswith(" Emphasis")


def test_the_table_of_contents_holds_text(page: BeautifulSoup) -> None:
    contents = page.get_text().split("Formulas of dk", 1)[1]
    assert contents.startswith(" - #formulas\n    The root of d_k - #root\n")


def test_every_named_character_of_html_is_known() -> None:
    for name, characters in html5.items():
        if name.endswith(";"):
            math = math_element(f"<math><mo>&{name}</mo></math>", "")
            assert math[0].text == characters, name
    assert math_element("<math><mo>&#39;&#x3c;</mo></math>", "")[0].text == "'<"


def test_a_character_that_math_core_names_is_shown() -> None:
    mathml = LatexToMathML().convert_with_local_state(r"\sin x", displaystyle=False)
    assert "&ApplyFunction;" in mathml
    assert "\N{FUNCTION APPLICATION}" in convert(r"$\sin x$")


@pytest.mark.parametrize(("name", "line", "reason"), FAILING, ids=[row[0] for row in FAILING])
def test_a_wrong_formula_stops_the_build_with_its_file_line_and_reason(
    tmp_path: Path, name: str, line: int, reason: str
) -> None:
    make_site(tmp_path, PAGES / f"{name}.md")
    with pytest.raises(MathError) as caught:
        build_site(tmp_path)
    assert str(caught.value).startswith(f"docs/{name}.md:{line}: {reason}")


def test_every_fixture_page_is_tested() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {"formulas", *(row[0] for row in FAILING)}


def test_without_mkdocs_an_error_names_the_line() -> None:
    with pytest.raises(MathError, match=r'^line:3: Unknown command "\\nonsense"'):
        convert("# Title\n\nThe formula $\\nonsense$.")


def groups(latex: str) -> list[str]:
    """The texts of the groups of a displayed formula that a narrow screen may break into lines."""
    page = BeautifulSoup(convert(f"$$\n{latex}\n$$"), "lxml")
    return ["".join(part.get_text().split()) for part in page.select("mrow.part")]


def test_a_displayed_formula_may_be_broken_before_a_relation_and_an_operator() -> None:
    assert groups("a + (b = c) = d + e + f + g + h") == ["a+(b=c)", "=d+e+f+g+h"]
    assert groups(r"abcdefgh + ijklmnop = -q") == ["abcdefgh", "+ijklmnop", "=\N{MINUS SIGN}q"]
    assert groups(r"abcdef = d, \qquad efghij = h") == ["abcdef", "=d,", "efghij", "=h"]


def test_a_distance_between_rows_is_not_taken_for_text() -> None:
    rows = convert("$$\n\\begin{aligned} a &= b \\\\[0.6em] c &= d \\end{aligned}\n$$")
    assert "0.6" not in BeautifulSoup(rows, "lxml").get_text()


def test_a_wide_table_has_the_heads_of_its_columns_in_every_cell() -> None:
    row = "| `scaled_dot_product_attention` | a long text about it | $n^2 d_k$ |"
    wide = BeautifulSoup(convert(f"| name | words | $O(n^2)$ |\n|---|---|---|\n{row}\n"), "lxml")
    assert wide.table.has_attr("data-cards")
    assert [td["data-label"] for td in wide.select("td")] == ["name", "words", "O(n²)"]
    assert wide.table["role"] == "table"
    narrow = BeautifulSoup(convert("| a | b |\n|---|---|\n| 1 | 2 |\n"), "lxml")
    assert not narrow.table.has_attr("data-cards")
