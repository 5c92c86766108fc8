"""What the build leaves out of style sheets, scripts and code, and what has to stay."""

from pathlib import Path

import pytest
from markdown import Markdown
from mkdocs.exceptions import BuildError

from docs.extensions.lines import lines_seen
from docs.hooks.lighter import SCHEME, pruned, scripts, without_scheme, without_unread
from docs.svg import proportioned
from tests.site.built import built, parsed


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


def test_a_rule_about_all_elements_within_another_goes() -> None:
    css = "[data-md-color-switching] *{a:b}table:not([class]) td>:first-child{c:d}a,b{e:f}"
    assert pruned(css, {"a"}) == "a,b{e:f}"


def test_a_property_that_nothing_reads_goes_with_its_rule() -> None:
    css = ':root{--a:1;--b:url("x;y");c:d}.e{--b:2}@media print{.f{--b:3}.g{--a:4}}'
    assert without_unread(css, {"--a"}) == ":root{--a:1;c:d}@media print{.g{--a:4}}"


def test_the_themes_script_does_not_tell_the_scheme() -> None:
    assert SCHEME not in without_scheme(f"x({SCHEME});y")
    for other in ("x()", SCHEME * 2):
        with pytest.raises(BuildError, match="has not one"):
            without_scheme(other)


def test_the_published_sheets_have_no_rule_of_an_unused_class(site: Path) -> None:
    sheet = next(site.glob("assets/stylesheets/main*.css")).read_text(encoding="utf-8")
    assert ".md-typeset" in sheet
    assert ".key-left-windows" not in sheet  # of a feature that this site does not have
    assert "--md-tasklist-icon" not in sheet  # as well
    assert "--md-details-icon" in sheet  # which the site's own sheet reads
    figures = sorted(site.glob("assets/stylesheets/figures/*.css"))
    assert figures
    assert not [path.name for path in figures if path.read_text(encoding="utf-8")[:2] == "/*"]
    script = next(site.glob("assets/javascripts/bundle.*.js")).read_text(encoding="utf-8")
    assert SCHEME not in script


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


def test_a_drawing_says_its_proportions_if_it_has_some() -> None:
    drawn = '<svg role="img" viewBox="0 0 40.5 30"><svg viewBox="0 0 1 2"/></svg>'
    said = drawn.replace('40.5 30"', '40.5 30" style="aspect-ratio:40.5/30"')
    assert proportioned(drawn) == said
    assert proportioned("<svg/>") == "<svg/>"


def test_the_lines_of_a_block_are_those_that_are_seen_while_it_is_folded(site: Path) -> None:
    fold = (
        '<button class="fold"></button><span class="folded">c\n<span class="k">d</span>\ne</span>'
    )
    assert lines_seen(f'a\n<span class="k">b</span>\n{fold}\nf\n') == 4
    for block in parsed(built(site, "model/attention.md")).select(".highlight > pre"):
        text = block.code.get_text().strip("\n")
        folded = sum(fold.get_text().count("\n") for fold in block.select(".folded"))
        lines = text.count("\n") - folded + 1
        assert block.get("style") == (f"--lines:{lines}" if lines > 3 else None)
