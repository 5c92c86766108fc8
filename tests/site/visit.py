"""A page opened in a browser and left alone until it stands still."""

import os
import shutil

import pytest
from playwright.sync_api import Page

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PHONE = {"width": 390, "height": 844}
TABLET = {"width": 820, "height": 1180}
DESK = {"width": 1280, "height": 900}
# Blocks far from the view are not laid out, and scroll and fade only when they are. Returns whether
# there was something to open or to lay out.
LAY_OUT = """() => {
  const closed = [...document.querySelectorAll("details:not([open])")];
  closed.forEach(details => details.open = true);
  if (document.querySelector("style[data-laid-out]")) return closed.length > 0;
  const style = document.head.appendChild(document.createElement("style"));
  style.dataset.laidOut = "";
  style.textContent = "article * { content-visibility: visible !important }";
  return true;
}"""
OPEN_ALL = "document.querySelectorAll('details').forEach(details => details.open = true)"
# Reading the layout is what makes a browser ask for a font, so fonts are waited for after it; and
# what arrives may move the page, so it is looked at again until two frames in a row are alike.
STILL = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const look = () => {
    const { scrollWidth, scrollHeight } = document.documentElement;
    const boxes = [...document.querySelectorAll("article *")].map(node => node.clientWidth);
    const drawn = document.getElementsByTagName("*").length;
    return JSON.stringify([innerWidth, scrollWidth, scrollHeight, drawn, boxes]);
  };
  let alike = 0, before = look();
  while (alike < 2) {
    await document.fonts.ready;
    await Promise.all([...document.images].filter(image => image.loading !== "lazy")
      .map(image => image.decode().catch(() => null)));
    await frame();
    await frame();
    const now = look();
    alike = now === before && document.fonts.status === "loaded" ? alike + 1 : 0;
    before = now;
  }
}"""


def find_chromium() -> str:
    """The path of Chromium; without one the test is skipped, but under CI it fails."""
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        message = "no Chromium found: install it (Debian: apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(message, pytrace=False)
        pytest.skip(message)
    return found


def settle(page: Page) -> None:
    """Wait until nothing is on its way to a page, its fonts are there, and its layout is final."""
    page.wait_for_load_state("networkidle")
    page.evaluate(STILL)


def show(page: Page, url: str) -> None:
    """Lead a page to an address and wait until it stands still."""
    page.goto(url)
    settle(page)


def lay_out(page: Page) -> None:
    """Open all that is collapsed and lay out all that is out of sight, and wait if there is any."""
    if page.evaluate(LAY_OUT):
        settle(page)


def leave(page: Page) -> None:
    """Leave a window as it was found: no storage of the site, no route, medium and size of old."""
    if page.url.startswith("http"):
        page.evaluate("localStorage.clear(); sessionStorage.clear()")
    page.unroute_all()
    page.context.set_offline(False)
    page.goto("about:blank")
    page.emulate_media(media="null", color_scheme="light", forced_colors="none", contrast="null")
    page.set_viewport_size(PHONE)


class Visit:
    """A page opened in a window, with what it asked for and complained of.

    The window is one for many visits: a new one costs the browser more than most pages do.
    """

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.requested: list[str] = []
        self.complaints: list[str] = []
        self.listeners = {
            "request": lambda request: self.requested.append(request.url),
            "pageerror": lambda error: self.complaints.append(str(error)),
            "console": lambda message: (
                self.complaints.append(message.text)
                if message.type in ("error", "warning")
                else None
            ),
        }
        for event, listener in self.listeners.items():
            page.on(event, listener)
        show(page, url)

    def end(self) -> None:
        """Stop listening, and leave the window for the next visit."""
        for event, listener in self.listeners.items():
            self.page.remove_listener(event, listener)
        leave(self.page)

    def change(self, *, viewport: dict[str, int] | None = None, **media: str) -> None:
        """Turn the page to another window or medium, and wait until it has followed."""
        if media:
            self.page.emulate_media(**media)
        if viewport:
            self.page.set_viewport_size(viewport)
            self.page.wait_for_function("width => innerWidth === width", arg=viewport["width"])
        settle(self.page)
