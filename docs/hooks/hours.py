"""MkDocs hook: says on the home page how long the pages of the path take.

`<span data-hours="model pytorch">` holds the hours of the pages in these folders, and with
`data-essentials` the hours until their essentials end: sums of the minutes that their heads show.
The words are those of `extra.words` in mkdocs.yml. What the page writes within the span stands
where this hook does not run.
"""

import re

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError
from mkdocs.structure.nav import Navigation
from mkdocs.structure.pages import Page

PLACE = re.compile(r'(<span data-hours="([^"]*)"( data-essentials(?:="[^"]*")?)?>)[^<]*(?=</span>)')


def on_page_context(
    context: dict[str, object], page: Page, config: MkDocsConfig, nav: Navigation
) -> None:
    """Fill in the hours, when all pages are rendered and their minutes are known."""
    if page.is_homepage:
        words = config.extra["words"]

        def filled(place: re.Match[str]) -> str:
            total = minutes_of(place[2].split(), nav.pages, essentials=bool(place[3]))
            return place[1] + in_words(total, words)

        page.content = PLACE.sub(filled, page.content)


def minutes_of(folders: list[str], pages: list[Page], *, essentials: bool) -> int:
    """The minutes of all pages in some folders.

    Raises:
        BuildError: If a folder has no page whose minutes are known.
    """
    total = 0
    for folder in folders:
        heads = [page.meta["head"] for page in pages if page.file.src_uri.startswith(f"{folder}/")]
        heads = [head for head in heads if head.get("minutes")]
        if not heads:
            raise BuildError(f'docs/index.md: data-hours names "{folder}", which has no pages')
        for head in heads:
            total += (essentials and head["essential_minutes"]) or head["minutes"]
    return total


def in_words(minutes: int, words: dict[str, str]) -> str:
    """A time to the nearest half of an hour."""
    halves = max(1, round(minutes / 30))
    if halves <= 2:
        return words["half_an_hour"] if halves == 1 else words["an_hour"]
    return words["hours"].format(
        f"{halves // 2}\N{VULGAR FRACTION ONE HALF}" if halves % 2 else halves // 2
    )
