"""MkDocs hook: leaves out of style sheets and scripts what no page of this site needs.

Material's style sheet knows every component of the theme, and a page loads all of it before it is
painted. A selector is kept if each of its classes stands in a page, or in a script, which may set
it. The site's own scripts lose their comments and white space.
"""

import re
from collections.abc import Iterable
from pathlib import Path

import rjsmin
import tinycss2
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError

CLASSES = re.compile(r'\sclass="([^"]*)"')
CLASS = re.compile(r"\.(-?[A-Za-z_][\w-]*)")
# Of the palettes that the theme offers, the pages name those that they have.
COLOURS = re.compile(r'\sdata-md-color-[a-z]+="([^"]*)"')
COLOUR = re.compile(r'\[data-md-color-[a-z]+="?([\w-]+)"?\]')
WORD = re.compile(r"[A-Za-z_-][\w-]*")
NESTED = {"media", "supports", "layer"}


def on_post_build(config: MkDocsConfig) -> None:
    """Write style sheets and scripts anew, without what is not needed."""
    site = Path(config.site_dir)
    used = words_of_pages(site) | words_of_scripts(site)
    sheets = sorted(site.glob("assets/stylesheets/*.css"))
    if not sheets:
        raise BuildError(
            "there are no assets/stylesheets/*.css: look again where Material has them"
        )
    for sheet in sheets:
        sheet.write_text(pruned(sheet.read_text(encoding="utf-8"), used), encoding="utf-8")
    for script in scripts(site):
        if not script.name.endswith(".min.js"):
            smaller = rjsmin.jsmin(script.read_text(encoding="utf-8"))
            script.write_text(smaller, encoding="utf-8")


def words_of_pages(site: Path) -> set[str]:
    """The classes of all pages, and the palettes."""
    pages = (path.read_text(encoding="utf-8") for path in site.rglob("*.html"))
    found = (words for page in pages for words in CLASSES.findall(page) + COLOURS.findall(page))
    return {word for words in found for word in words.split()}


def words_of_scripts(site: Path) -> set[str]:
    """All that may be the name of a class in a script."""
    texts = (path.read_text(encoding="utf-8") for path in scripts(site))
    return {word for text in texts for word in WORD.findall(text)}


def scripts(site: Path) -> list[Path]:
    """The scripts that pages load themselves, those of the figures that react among them."""
    return [
        path
        for folder in ("", "figures/", "translator/")
        for path in site.glob(f"assets/javascripts/{folder}*.js")
    ]


def pruned(css: str, used: set[str]) -> str:
    """A style sheet without the selectors of which a class is not used, and empty rules."""
    rules = tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True)
    return "".join(kept(rules, used))


def kept(rules: Iterable[tinycss2.ast.Node], used: set[str]) -> Iterable[str]:
    """What is left of each rule."""
    for rule in rules:
        if rule.type == "qualified-rule":
            selectors = [text for text in alternatives(rule.prelude) if fits(text, used)]
            if selectors:
                yield f"{','.join(selectors)}{{{tinycss2.serialize(rule.content)}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in NESTED and rule.content:
            inner = tinycss2.parse_rule_list(rule.content, True, True)
            body = "".join(kept(inner, used))
            if body:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{body}}}"
        elif rule.type == "error":
            raise BuildError(f"the theme's style sheet cannot be read: {rule.message}")
        else:
            yield rule.serialize()


def alternatives(prelude: list[tinycss2.ast.Node]) -> list[str]:
    """The selectors of a rule, parted at the commas that stand in no brackets."""
    parts: list[list[tinycss2.ast.Node]] = [[]]
    for token in prelude:
        if token == ",":
            parts.append([])
        else:
            parts[-1].append(token)
    return [tinycss2.serialize(part).strip() for part in parts]


def fits(selector: str, used: set[str]) -> bool:
    """Whether a selector may apply; what stands within `:not(…)` and its like is not looked at."""
    while True:
        outside = re.sub(r":(?:not|is|where|has)\([^()]*\)", "", selector)
        if outside == selector:
            return {*CLASS.findall(outside), *COLOUR.findall(outside)} <= used
        selector = outside
