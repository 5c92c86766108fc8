"""Fixtures: the built site, a server for it, and a browser that looks at it."""

import functools
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from filelock import FileLock
from playwright.sync_api import Browser, Page, sync_playwright

from tests import ROOT
from tests.runner.pages import site_config
from tests.site.built import build, path_of
from tests.site.visit import DESK, FLAGS, PHONE, Visit, find_chromium, leave


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site, built once for all processes that test it."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, log = shared / "site", shared / "build.log"
    with FileLock(shared / "build.lock"):
        if not log.is_file():
            result = build(folder)
            if result.returncode != 0:
                pytest.fail(f"the site does not build:\n{result.stdout}", pytrace=False)
            log.write_text(result.stdout, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def build_log(site: Path) -> str:
    """What the build of the site printed."""
    return (site.parent / "build.log").read_text(encoding="utf-8")


# The folder of its host at which the site will stand: "/", or that of a project's pages.
MOUNT = urlsplit(site_config(ROOT).site_url).path


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files, and the site's own page where there is none."""

    def translate_path(self, path: str) -> str:
        inside = path.startswith(MOUNT)
        return super().translate_path(f"/{path.removeprefix(MOUNT)}" if inside else "/nowhere")

    def log_message(self, *arguments: object) -> None:
        pass

    def send_error(self, code: int, *arguments: object, **keywords: object) -> None:
        body = Path(self.directory, "404.html").read_bytes()
        self.send_response(code)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def address(site: Path) -> Iterator[str]:
    """The address at which the built site is served, with a slash at its end."""
    handler = functools.partial(QuietHandler, directory=str(site))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{MOUNT}"
        server.shutdown()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium; without one the tests are skipped, but under CI they fail."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def window(browser: Browser, address: str) -> Iterator[Page]:
    """A window of a reader who may use the clipboard, for one page after another."""
    context = browser.new_context(color_scheme="light", viewport=PHONE, reduced_motion="reduce")
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=address)
    yield context.new_page()
    context.close()


@pytest.fixture
def reader(window: Page) -> Iterator[Page]:
    """The window on a desk, left as it was after the test."""
    window.set_viewport_size(DESK)
    yield window
    leave(window)


@pytest.fixture
def visit(window: Page, address: str) -> Iterator[Callable[[str], Visit]]:
    """Opens a page in the window, one at a time."""
    visits: list[Visit] = []

    def open_page(path: str) -> Visit:
        visits.append(Visit(window, f"{address}{path}"))
        return visits[-1]

    yield open_page
    for one in visits:
        one.end()


@pytest.fixture
def path(site: Path) -> Callable[[str], str]:
    """Gives the address of a page or lab, seen from the home page."""
    return functools.partial(path_of, site=site)
