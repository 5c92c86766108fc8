"""Chinese on the pages says that it is Chinese, so that a screen reader reads it as such."""

# ruff: noqa: RUF001 (Chinese punctuation is what is tested)

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup, Comment
from markdown import Markdown

from docs.extensions.chinese import marked
from tests.site.built import html_files, parsed

CHINESE = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
WITHOUT_TEXT = {"script", "style"}


def unmarked(soup: BeautifulSoup) -> list[str]:
    """The texts and the words for pictures that hold Chinese within no element of that language."""
    found = []
    for node in soup.find_all(string=CHINESE):
        languages = [parent["lang"] for parent in node.parents if parent.get("lang")]
        if isinstance(node, Comment) or node.parent.name in WITHOUT_TEXT:
            continue
        if not languages or not languages[0].startswith("zh"):
            found.append(node.strip())
    for node in soup.find_all(True):
        for name in ("alt", "aria-label", "placeholder", "title"):
            if CHINESE.search(node.get(name, "")) and not node.get("lang", "").startswith("zh"):
                found.append(f"{name}={node[name]}")
    return found


def test_no_chinese_on_any_page_is_without_its_language(site: Path) -> None:
    quotations = 0
    for path in html_files(site):
        assert unmarked(parsed(path)) == [], path.relative_to(site)
        quotations += len(parsed(path).select('[lang="zh"]'))
    assert quotations > 200  # the notes, the glossary, and the boxes of the pages


def test_a_quotation_of_the_notes_is_marked_as_a_whole(site: Path) -> None:
    """Chinese with English words in it is one sentence, and is read by one voice."""
    quotations = 0
    for path in html_files(site):
        soup = parsed(path)
        for quotation in soup.select(".notes blockquote, .notes pre"):
            if CHINESE.search(quotation.get_text()):
                quotations += 1
                assert quotation.get("lang") == "zh", path.relative_to(site)
                assert not quotation.select("[lang]")
    assert quotations > 50


@pytest.mark.parametrize(
    ("html", "right"),
    [
        ("<p>the 线性层, linear</p>", '<p>the <span lang="zh">线性层</span>, linear</p>'),
        ("<p>（中文）。</p>", '<p><span lang="zh">（中文）。</span></p>'),
        ("<p>embedding？</p>", "<p>embedding？</p>"),
        ('<p lang="zh">中</p><p>文</p>', '<p lang="zh">中</p><p><span lang="zh">文</span></p>'),
        ('<p title="中">x<br>文</p>', '<p title="中">x<br><span lang="zh">文</span></p>'),
        (
            '<div class="admonition notes"><blockquote><p>a 中</p></blockquote><p>文</p></div>',
            '<div class="admonition notes"><blockquote lang="zh"><p>a 中</p></blockquote>'
            '<p><span lang="zh">文</span></p></div>',
        ),
        (
            '<div class="notes"><pre><code>a 中\n</code></pre></div><pre><code>中</code></pre>',
            '<div class="notes"><pre lang="zh"><code>a 中\n</code></pre></div>'
            '<pre><code><span lang="zh">中</span></code></pre>',
        ),
        ("<blockquote><p>a</p></blockquote>", "<blockquote><p>a</p></blockquote>"),
        ("<svg><text>中</text></svg>", '<svg><text><tspan lang="zh">中</tspan></text></svg>'),
        ("<!-- 中 --><script>'中'</script>", "<!-- 中 --><script>'中'</script>"),
        ("<p>a < b 中 &lt; &amp;</p>", '<p>a < b <span lang="zh">中</span> &lt; &amp;</p>'),
    ],
)
def test_marks(html: str, right: str) -> None:
    assert marked(html) == right
    assert marked(right) == right


def test_a_fence_of_the_notes_is_marked_by_the_sites_own_markdown() -> None:
    md = Markdown(
        extensions=[
            "pymdownx.blocks.admonition",
            "pymdownx.highlight",
            "pymdownx.superfences",
            "docs.extensions.chinese",
        ],
        extension_configs={"pymdownx.blocks.admonition": {"types": ["notes"]}},
    )
    html = md.convert("/// notes | Line 1\n``` { .text .no-copy }\n1. j解码器masked:\n```\n///\n")
    soup = BeautifulSoup(html, "lxml")
    assert unmarked(soup) == []
    assert soup.pre.get("lang") == "zh"
