"""MkDocs hook: offers a page's program at its head, and says when it last ran.

Every page with Python blocks gets its program as a file beside it. What the head shows is put in
`page.meta.head`; how it is worded stands in `extra.words` of mkdocs.yml, and how it is laid out in
`docs/overrides/partials/head.html`.
"""

import logging
import re
from pathlib import Path

from lxml import html as lxml_html
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page

from docs.program import SLOW, digest, program_text, read_record, requirements, shown_blocks

log = logging.getLogger("mkdocs.hooks.program")

LINES = re.compile(r"(\d+)(?:-(\d+))?")
WORDS_A_MINUTE = 200
LINES_A_MINUTE = 20  # of code
WORD = re.compile(r"\w+")
CLOSED = ".//details | .//math | .//*[contains(concat(' ', @class, ' '), ' folded ')]"


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> None:
    """Put what the page's head shows in `page.meta.head`."""
    head = {"notes": notes_of(page, files)}
    blocks = shown_blocks(html)
    if blocks and page.file.src_uri.endswith(".md"):
        run = read_record().get(page.file.src_uri)
        essential, line, _ = html.partition('<p class="essentials"')
        head |= {
            "file": page.file.name,
            "minutes": minutes(html),
            "essential_minutes": minutes(essential) if line else None,
            "run": run,
            "changed": run is not None and run.program != digest(blocks),
            "slow": run is not None and run.seconds > SLOW,
        }
        page.meta["program"] = blocks
    if "executed" in page.meta:  # a lab
        versions = page.meta["executed"].metadata["versions"]
        head |= {"file": page.file.name, "minutes": minutes(html), "versions": versions}
    page.meta["head"] = head


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> None:
    """Write the page's program beside the page."""
    blocks = page.meta.get("program")
    if blocks:
        text = program_text(blocks)
        needs = ", ".join(requirements(text))
        lines = [f"{page.title}: {page.canonical_url}"]
        lines.append(f"Needs Python 3.11 or newer and {needs}." if needs else "Needs Python alone.")
        target = (
            Path(config.site_dir, page.file.dest_uri).parent / f"{page.meta['head']['file']}.py"
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(f"# {line}\n" for line in lines) + "\n" + text, encoding="utf-8")


def notes_of(page: Page, files: Files) -> list[dict[str, str]]:
    """The lines of the notes that a page's front matter names, each with its address."""
    notes = files.get_file_from_path("notes.md")
    found = []
    for part in filter(None, re.split(r",\s*", str(page.meta.get("notes", "")))):
        lines = LINES.fullmatch(part)
        if lines is None or notes is None:
            log.warning('docs/%s:1: notes: "%s" is no line and no range', page.file.src_uri, part)
            continue
        first, last = lines.groups()
        url = f"{notes.url_relative_to(page.file)}#line-{first}"
        found.append({"lines": f"{first}\N{EN DASH}{last}" if last else first, "url": url})
    return found


def minutes(html: str) -> int:
    """How long a page takes to read, one minute at least; what is closed at first is left out."""
    page = lxml_html.fragment_fromstring(html, create_parent=True)
    for closed in page.xpath(CLOSED):
        closed.drop_tree()
    code = [pre.text_content() for pre in page.iter("pre")]
    words = len(WORD.findall(" ".join(page.xpath(".//text()[not(ancestor::pre)]"))))
    lines = sum(block.strip().count("\n") + 1 for block in code)
    return max(1, round(words / WORDS_A_MINUTE + lines / LINES_A_MINUTE))
