"""MkDocs hook: leaves out of style sheets and scripts what no page of this site needs.

Material's style sheet knows every component of the theme, and a page loads all of it before it is
painted. A selector is kept if each of its classes stands in a page, or in a script, which may set
it; a custom property, if a page, a script or a rule that is kept names it. The site's own scripts
lose their comments and white space. What makes the browser work out the styles of a whole page anew
while it is opened goes too.
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
PROPERTY = re.compile(r"--[\w-]+")
READ = re.compile(r"var\(\s*(--[\w-]+)")
NESTED = {"media", "supports", "layer"}
# Rules about all elements that stand within another. With the first, Material's script changes the
# styles of a whole page whenever it opens, for the sake of transitions of an eighth of a second;
# with the others, which are about blocks in a cell and after a table, it does so when it changes
# the class of the root.
ABOUT_ALL = re.compile(r"\[data-md-color-switching\]|table:not\(\[class\]\)(?: t[dh]>:|\+\*)")
# Material's script tells the browser the palette's scheme by an element of the head that styles the
# whole page anew, twice. The site's style sheet says the same of the root.
SCHEME = '{name:"color-scheme"}'
NO_SCHEME = '{name:"color-scheme-is-in-site.css"}'


def on_post_build(config: MkDocsConfig) -> None:
    """Write style sheets and scripts anew, without what is not needed."""
    site = Path(config.site_dir)
    used = words_of_pages(site) | words_of_scripts(site)
    sheets = sorted(site.glob("assets/stylesheets/**/*.css"))
    if not sheets:
        raise BuildError(
            "there are no assets/stylesheets/*.css: look again where Material has them"
        )
    smaller = {sheet: pruned(sheet.read_text(encoding="utf-8"), used) for sheet in sheets}
    named = set(PROPERTY.findall("".join(texts_of_pages(site)))) | used
    named |= set(READ.findall("".join(smaller.values())))
    for sheet, css in smaller.items():
        sheet.write_text(without_unread(css, named), encoding="utf-8")
    for bundle in site.glob("assets/javascripts/bundle.*.js"):
        bundle.write_text(without_scheme(bundle.read_text(encoding="utf-8")), encoding="utf-8")
    for script in scripts(site):
        if not script.name.endswith(".min.js"):
            code = rjsmin.jsmin(script.read_text(encoding="utf-8"))
            script.write_text(code, encoding="utf-8")


def words_of_pages(site: Path) -> set[str]:
    """The classes of all pages, and the palettes."""
    pages = texts_of_pages(site)
    found = (words for page in pages for words in CLASSES.findall(page) + COLOURS.findall(page))
    return {word for words in found for word in words.split()}


def texts_of_pages(site: Path) -> Iterable[str]:
    return (path.read_text(encoding="utf-8") for path in site.rglob("*.html"))


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
    if ABOUT_ALL.search(selector):
        return False
    while True:
        outside = re.sub(r":(?:not|is|where|has)\([^()]*\)", "", selector)
        if outside == selector:
            return {*CLASS.findall(outside), *COLOUR.findall(outside)} <= used
        selector = outside


def without_scheme(bundle: str) -> str:
    """Material's script without the element that tells the scheme, which has another name then.

    Raises:
        BuildError: If it makes no such element, or more than one.
    """
    if bundle.count(SCHEME) != 1:
        raise BuildError(f"Material's script has not one {SCHEME}: look again what it does with it")
    return bundle.replace(SCHEME, NO_SCHEME)


def without_unread(css: str, named: set[str]) -> str:
    """A style sheet without custom properties that are not named, and rules that only set them."""
    return "".join(naming(tinycss2.parse_stylesheet(css, skip_whitespace=True), named))


def naming(rules: Iterable[tinycss2.ast.Node], named: set[str]) -> Iterable[str]:
    """What is left of each rule."""
    for rule in rules:
        if rule.type == "qualified-rule":
            body = "".join(declarations(rule.content, named))
            if body:
                yield f"{tinycss2.serialize(rule.prelude)}{{{body}}}"
        elif rule.type == "at-rule" and rule.lower_at_keyword in NESTED and rule.content:
            body = "".join(naming(tinycss2.parse_rule_list(rule.content, True, True), named))
            if body:
                yield f"@{rule.at_keyword}{tinycss2.serialize(rule.prelude)}{{{body}}}"
        else:
            yield rule.serialize()


def declarations(content: list[tinycss2.ast.Node], named: set[str]) -> Iterable[str]:
    """The declarations of a rule, each with its semicolon, as they are written."""
    written: list[str] = []
    start: list[tinycss2.ast.Node] = []
    for token in [*content, None]:
        if token is not None and token != ";":
            start.append(token)
            continue
        text = tinycss2.serialize(start).strip()
        if text and not (text.startswith("--") and text.partition(":")[0].strip() not in named):
            written.append(text)
        start = []
    yield ";".join(written)
