"""MkDocs hook: goes on serving the last good pages while a page is broken."""

import logging
import shutil
from collections.abc import Callable
from tempfile import TemporaryDirectory

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.livereload import LiveReloadServer

log = logging.getLogger("mkdocs.hooks.last_good")


def on_serve(server: LiveReloadServer, config: MkDocsConfig, builder: Callable) -> None:
    """Say why a build failed, and keep what stood; MkDocs would let readers wait."""
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
