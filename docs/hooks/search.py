"""MkDocs hook: makes the search index, with Pagefind, from the pages as a reader sees them.

What Pagefind is given is a page's article without its code, closed boxes and displayed formulas; a
formula in a line stands there as LaTeX. Words for the page that it does not use itself, which are
the `keywords` of its front matter and the terms that the glossary explains by it, are indexed as
metadata: they are found, and no excerpt shows them.
"""

import asyncio
import gzip
import json
import re
import shutil
from collections import defaultdict
from pathlib import Path
from urllib.parse import urldefrag, urljoin

from lxml import etree, html
from lxml.html import builder as E
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.structure.pages import Page
from pagefind.index import PagefindIndex

GLOSSARY = "reference/glossary.md"
HAS_CLASS = "contains(concat(' ', normalize-space(@class), ' '), ' {} ')"
LEFT_OUT = (
    "descendant::*[self::pre or self::details or self::script or self::style or self::svg"
    " or self::button or {}]"
    f"[not(self::pre[ancestor::*[{HAS_CLASS.format('notes')}]])]"
).format(
    " or ".join(
        HAS_CLASS.format(name)
        for name in ("headerlink", "md-content__button", "md-source-file", "arithmatex")
    )
)
CLIENT = ("pagefind.js", "pagefind-entry.json", "*.pf_meta", "wasm.*", "fragment", "index")
# Chinese is written without spaces. In a page of another language every character is a word of its
# own, and the dialog (docs/assets/javascripts/search.js) takes the spaces out of what it shows.
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
MARKS = "\u3001-\u303f\uff01-\uff65"
BETWEEN_WORDS = re.compile(rf"(?<=[{HAN}{MARKS}])(?=[{HAN}\w])|(?<=[^\W{HAN}])(?=[{HAN}])")
CONTROL_WORD_AND_LETTER = re.compile(r"(\\[A-Za-z]+)\s+(?=[A-Za-z])")

articles: dict[str, html.HtmlElement] = {}
keywords: defaultdict[str, list[str]] = defaultdict(list)


def on_pre_build(config: MkDocsConfig) -> None:
    """Forget the pages of the build before, which `mkdocs serve` may have made."""
    articles.clear()
    keywords.clear()


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> None:
    """Keep what a page says, by its address within the site."""
    source = f"docs/{page.file.src_uri}"
    found = html.document_fromstring(output).find(".//article")
    if found is None:
        raise BuildError(f"{source}: the built page has no article to be indexed")
    words = page.meta.get("keywords", [])
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise BuildError(f"{source}:1: keywords is a list of texts, as in [flash attention, GPU]")
    url = "" if page.url == "./" else page.url
    keywords[url].extend(words)
    articles[url] = found
    if page.file.src_uri == GLOSSARY:
        add_terms(found, url)


def on_post_build(config: MkDocsConfig) -> None:
    """Write the index and the program that reads it into `pagefind/` of the built site."""
    language = config.theme["language"]
    pages = {url: document(found, keywords[url], language) for url, found in articles.items()}
    asyncio.run(write_index(pages, Path(config.site_dir, "pagefind")))


def add_terms(glossary: html.HtmlElement, url: str) -> None:
    """Take every row's terms, English and Chinese, as keywords of the page that the row links."""
    for row in glossary.iter("tr"):
        if links := row.xpath("td//a[@href]"):
            target, _ = urldefrag(urljoin(f"/{url}", links[-1].get("href")))
            terms = [" ".join(cell.text_content().split()) for cell in row.findall("td")[:2]]
            keywords[target.removeprefix("/")].extend(terms)


def document(article: html.HtmlElement, words: list[str], language: str) -> str:
    """The HTML that Pagefind indexes for a page."""
    for formula in article.xpath(f".//span[{HAS_CLASS.format('arithmatex')}][math/@data-latex]"):
        math = formula.find("math")
        formula.text = in_line(math.get("data-latex")) + (math.tail or "")
        formula.remove(math)
        formula.attrib.pop("class")
    for node in article.xpath(LEFT_OUT):
        node.drop_tree()
    if not language.startswith("zh") and re.search(f"[{HAN}{MARKS}]", article.text_content()):
        for node in article.iter(etree.Element):
            node.text = node.text and BETWEEN_WORDS.sub(" ", node.text)
            node.tail = node.tail and BETWEEN_WORDS.sub(" ", node.tail)
    named = {"data-pagefind-meta": "keywords[data-words]", "data-words": "; ".join(words)}
    body = E.BODY({"data-pagefind-body": ""}, *([E.P(named)] if words else []), article)
    return html.tostring(E.HTML({"lang": language}, body), encoding="unicode")


def in_line(latex: str) -> str:
    """LaTeX as one word of a text: without spaces, and in dollars unless it reads as it stands."""
    word = re.sub(r"\s+", "", CONTROL_WORD_AND_LETTER.sub(r"\1{}", latex))
    return f"${word}$" if re.search(r"[\\{}]", word) else word


def complete(index: Path) -> bool:
    """Whether all files of an index can be read.

    On a busy machine Pagefind ends before the last of them are on the disk, which are empty then.
    """
    try:
        json.loads((index / "pagefind-entry.json").read_text(encoding="utf-8"))
        packed = [*index.glob("*.pf_meta"), *index.glob("wasm.*"), *index.glob("*/*")]
        return all(gzip.decompress(path.read_bytes()) for path in packed) and bool(packed)
    except (OSError, EOFError, ValueError):
        return False


async def write_index(pages: dict[str, str], folder: Path) -> None:
    """Index the pages and write what a search loads, all of it at once and nothing else.

    Raises:
        BuildError: If Pagefind leaves files that cannot be read, three times.
    """
    made = folder.with_name(f"{folder.name}.new")
    for _ in range(3):
        shutil.rmtree(made, ignore_errors=True)
        async with PagefindIndex(config={"output_path": str(made)}) as index:
            for url, content in pages.items():
                await index.add_html_file(content=content, url=f"/{url}")
        if complete(made):
            break
    else:
        raise BuildError("Pagefind has written an index that cannot be read, three times")
    for path in set(made.iterdir()).difference(*(made.glob(pattern) for pattern in CLIENT)):
        path.unlink()
    shutil.rmtree(folder, ignore_errors=True)
    made.rename(folder)
