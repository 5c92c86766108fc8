"""Markdown extension: marks Chinese with `lang="zh"`, so that it is read aloud as Chinese.

A quotation within a `/// notes` box, a block quote or a fence, is marked as a whole where it holds
Chinese; everywhere else each run of Chinese characters gets a `<span>` of its own (WCAG 3.1.2). It
works on a page's finished HTML, because the HTML of fences is in no tree.
"""

import re

from markdown import Extension, Markdown
from markdown.postprocessors import Postprocessor

HAN = r"\u2e80-\u2fdf\u3005-\u3007\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
# A run may hold Chinese punctuation, and begins and ends with it or with a character.
RUN = re.compile(rf"[\u3001-\u3020\uff01-\uff60]*[{HAN}][{HAN}\u3000-\u303f\uff01-\uff60]*")
TAG = re.compile(
    r"""<!--.*?-->|<(?P<end>/?)(?P<name>[a-zA-Z][\w:-]*)(?P<attributes>(?:"[^"]*"|'[^']*'|[^'">])*)>""",
    re.DOTALL,
)
VOID = {"area", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr"}
NO_ELEMENT_WITHIN = {"option", "script", "style", "textarea", "title", "desc"}
NOTES = re.compile(r"""\bclass=["'](?:[^"']*\s)?notes[\s"']""")
LANGUAGE = re.compile(r"\blang=")


class ChinesePostprocessor(Postprocessor):
    """Writes `lang="zh"` into the HTML of a page."""

    def run(self, text: str) -> str:
        return marked(text) if RUN.search(text) else text


class ChineseExtension(Extension):
    """Registers the postprocessor after all others, which put the HTML of fences in its place."""

    def extendMarkdown(self, md: Markdown) -> None:  # noqa: N802 (the name is Python-Markdown's)
        md.postprocessors.register(ChinesePostprocessor(md), "chinese", -10)


def makeExtension(**options: str) -> ChineseExtension:  # noqa: N802 (the name is Python-Markdown's)
    return ChineseExtension(**options)


def marked(html: str) -> str:
    """HTML with its Chinese marked; what has a language already, and all tags, stay as they are."""
    parts: list[str] = []
    open_elements: list[tuple[str, bool]] = []  # the name, and if its text is to be marked
    notes = 0  # how many elements were open when a box of the notes began; 0 outside of one
    position = 0
    for tag in TAG.finditer(html):
        parts.append(with_runs(html[position : tag.start()], open_elements))
        position = tag.end()
        parts.append(tag[0])
        name = (tag["name"] or "").lower()
        if not name or name in VOID or tag["attributes"].endswith("/"):
            continue
        if tag["end"]:
            # Browsers close what was left open within; so is it done here.
            while open_elements and open_elements.pop()[0] != name:
                pass
            if len(open_elements) < notes:
                notes = 0
            continue
        mark = open_elements[-1][1] if open_elements else True
        if name in NO_ELEMENT_WITHIN or LANGUAGE.search(tag["attributes"]):
            mark = False
        if mark and name in ("blockquote", "pre") and notes and RUN.search(within(html, tag)):
            parts[-1] = f'<{tag["name"]} lang="zh"{tag["attributes"]}>'
            mark = False
        open_elements.append((name, mark))
        if NOTES.search(tag["attributes"]) and not notes:
            notes = len(open_elements)
    parts.append(with_runs(html[position:], open_elements))
    return "".join(parts)


def with_runs(text: str, open_elements: list[tuple[str, bool]]) -> str:
    """A text with each run of Chinese in an element, if the elements around it allow that."""
    if open_elements and not open_elements[-1][1]:
        return text
    name = "tspan" if any(element == "svg" for element, _ in open_elements) else "span"
    return RUN.sub(lambda run: f'<{name} lang="zh">{run[0]}</{name}>', text)


def within(html: str, tag: re.Match[str]) -> str:
    """What an element holds, up to the first end of its kind."""
    end = html.find(f"</{tag['name']}>", tag.end())
    return html[tag.end() : end if end >= 0 else len(html)]
