"""MkDocs hook: holds every page to a description, which search engines show."""

import logging

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.description")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Warn, and so fail a strict build, at a page without a description."""
    if not page.meta.get("description"):
        log.warning("docs/%s:1: the page has no description in its front matter", page.file.src_uri)
