"""MkDocs hook: writes every page with Python blocks, and every lab, as a notebook, too."""

import re
from pathlib import Path
from urllib.parse import urldefrag, urljoin

import nbformat
from markdown import Markdown
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from docs.notebook import Context, of_lab, of_page

SNIPPETS = "pymdownx.snippets"


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Make the notebook while the page is Markdown."""
    if page.file.src_uri.endswith(".md") and "\n```python\n" in markdown:
        page.meta["notebook"] = of_page(markdown, context_of(page, config, files))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Make a lab's notebook once the lab has been executed."""
    if "executed" in page.meta:
        page.meta["notebook"] = of_lab(page.meta["executed"], context_of(page, config, files))


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> None:
    """Write the notebook beside the page."""
    if "notebook" in page.meta:
        target = Path(config.site_dir, page.file.dest_uri).with_name(f"{page.file.name}.ipynb")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(nbformat.writes(page.meta["notebook"]) + "\n", encoding="utf-8")


def context_of(page: Page, config: MkDocsConfig, files: Files) -> Context:
    """What a notebook of a page, or of a lab, has to know of this site."""

    def absolute(target: str) -> str:
        path, fragment = urldefrag(target)
        source = urljoin(page.file.src_uri, path) if path else page.file.src_uri
        file = files.get_file_from_path(source)
        if file is None:  # an address elsewhere
            return target
        url = urljoin(config.site_url or "", file.url)
        return f"{url}#{fragment}" if fragment else url

    def expand(text: str) -> str:
        md = Markdown(
            extensions=[SNIPPETS], extension_configs={SNIPPETS: config.mdx_configs[SNIPPETS]}
        )
        return "\n".join(md.preprocessors["snippet"].run(text.split("\n")))

    boxes = {}
    for name in ("admonition", "details"):
        for box in config.mdx_configs[f"pymdownx.blocks.{name}"]["types"]:
            if isinstance(box, dict):
                boxes[box["name"]] = box["title"]
    title = re.sub(r"\s*\{ #[^}]*\}", "", page.title)  # which MkDocs has from the Markdown so far
    return Context(title, page.canonical_url, config.extra["words"], boxes, absolute, expand)
