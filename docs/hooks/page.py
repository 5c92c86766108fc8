"""MkDocs hook: holds every page to what a reader and a search engine need, and reports errors."""

import logging
import shutil
from collections.abc import Callable
from tempfile import TemporaryDirectory

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort, BuildError
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

log = logging.getLogger("mkdocs.hooks.page")


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Warn, and so fail a strict build, at a page without a description."""
    if not page.meta.get("description"):
        log.warning("docs/%s:1: the page has no description in its front matter", page.file.src_uri)


def on_serve(server: LiveReloadServer, config: MkDocsConfig, builder: Callable) -> None:
    """Go on serving the last good pages while a page is broken; MkDocs would let readers wait."""
    rebuild = server.builder

    def rebuild_or_say_why() -> None:
        with TemporaryDirectory() as last_good:
            shutil.copytree(server.root, last_good, dirs_exist_ok=True)
            try:
                rebuild()
            except Abort as error:
                shutil.copytree(last_good, server.root, dirs_exist_ok=True)
                log.error("%s\nStill serving the last good pages.", error)

    server.builder = rebuild_or_say_why


def on_build_error(error: Exception, **keywords: object) -> None:
    """End the build with one sentence and not with a traceback."""
    if not isinstance(error, BuildError | SystemExit | KeyboardInterrupt):
        raise Abort(f"The build stopped: {error}") from None
