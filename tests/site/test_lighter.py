"""What the build leaves out of style sheets, scripts and code, and what has to stay."""

from pathlib import Path

import pytest
from markdown import Markdown
from mkdocs.exceptions import BuildError

from docs.hooks.lighter import pruned, scripts


def test_a_rule_stays_if_all_its_classes_are_used() -> None:
    css = ".a .b{color:red}.a .c,.b>p{color:green}.c{x:y}p:not(.c){z:1}/* words */#d{e:f}"
    assert pruned(css, {"a", "b"}) == ".a .b{color:red}.b>p{color:green}p:not(.c){z:1}#d{e:f}"


def test_rules_within_media_are_looked_at_and_other_at_rules_are_kept() -> None:
    css = "@media print{.a{b:c}.d{e:f}}@media screen{.d{e:f}}@keyframes d{to{x:y}}"
    assert pruned(css, {"a"}) == "@media print{.a{b:c}}@keyframes d{to{x:y}}"


def test_palettes_that_no_page_has_are_left_out() -> None:
    css = "[data-md-color-scheme=slate]{a:b}[data-md-color-primary=pink]{a:b}[data-md-state]{c:d}"
    assert pruned(css, {"slate"}) == "[data-md-color-scheme=slate]{a:b}[data-md-state]{c:d}"


def test_a_style_sheet_that_cannot_be_read_stops_the_build() -> None:
    with pytest.raises(BuildError, match="cannot be read"):
        pruned(".a{b:c} }", {"a"})


def test_the_published_sheets_have_no_rule_of_an_unused_class(site: Path) -> None:
    sheet = next(site.glob("assets/stylesheets/main*.css")).read_text(encoding="utf-8")
    assert ".md-typeset" in sheet
    assert ".key-left-windows" not in sheet  # of a feature that this site does not have


def test_scripts_lose_their_comments_and_keep_their_words(site: Path) -> None:
    for path in scripts(site):
        if not path.name.endswith(".min.js"):
            assert "\n  //" not in path.read_text(encoding="utf-8"), path.name


def test_code_in_plain_ink_has_no_mark_and_loses_no_letter() -> None:
    md = Markdown(
        extensions=["pymdownx.highlight", "pymdownx.superfences", "docs.extensions.lean"],
        extension_configs={"pymdownx.highlight": {"anchor_linenums": False}},
    )
    html = md.convert("```python\nx = [1, max(y)]  # a < b\n```\n")
    assert 'class="n"' not in html
    assert 'class="p"' not in html
    assert "x" in html
    assert '<span class="mi">1</span>' in html
    assert "a &lt; b" in html
