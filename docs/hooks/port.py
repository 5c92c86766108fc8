"""MkDocs hook: says that a port cannot be had before a site is built for it, not afterwards."""

import errno
import socket
from collections.abc import Callable

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import Abort
from mkdocs.livereload import LiveReloadServer
from mkdocs.plugins import event_priority

starting = False  # between the start of a command and its first build


def on_startup(**keywords: object) -> None:
    """Remember that the next build is the first one: later ones find the port taken by us."""
    global starting
    starting = True


@event_priority(100)  # before anything that takes time
def on_config(config: MkDocsConfig) -> None:
    """End `mkdocs serve` at once where its address is not free."""
    global starting
    # MkDocs calls `serve --clean` "build" in on_startup; the command line knows better.
    command = click.get_current_context(silent=True)
    if starting and command is not None and command.info_name == "serve":
        check_free(*config.dev_addr)
    starting = False


def on_serve(server: LiveReloadServer, config: MkDocsConfig, builder: Callable) -> None:
    """Look again after the first build, which gave another program time to take the port."""
    check_free(*config.dev_addr)


def check_free(host: str, port: int) -> None:
    """End with one sentence where nobody can listen at this address.

    Raises:
        Abort: the port is in use, may not be used, or the host is not this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.create_server((host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise Abort(
                f"Port {port} of {host} is in use: stop the program that listens there, or "
                f"choose another port, as in `make serve PORT={port + 1}` or "
                f"`mkdocs serve --dev-addr {host}:{port + 1}`."
            ) from None
        raise Abort(f"Nothing can be served at {host}:{port}: {error.strerror}.") from None
