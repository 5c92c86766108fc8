"""What axe finds on a page: WCAG 2.1 AA, names of dialogs, levels of headings, sizes of targets."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.site.visit import OPEN_ALL, settle

LEVEL_AA = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
BEYOND = {rule: {"enabled": True} for rule in ("aria-dialog-name", "heading-order", "target-size")}
CONTRAST = "color-contrast"


def violations(page: Page, rules: dict[str, object]) -> list[str]:
    """What breaks these rules, with all that is collapsed opened."""
    page.evaluate(OPEN_ALL)
    settle(page)
    # What passes is not listed, which takes half the time.
    options = {"resultTypes": ["violations"], **rules}
    found = Axe().run(page, options=options).response["violations"]
    return [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]]


def all_but_contrast(page: Page) -> list[str]:
    rules = {**BEYOND, CONTRAST: {"enabled": False}}
    return violations(page, {"runOnly": LEVEL_AA, "rules": rules})


def everything(page: Page) -> list[str]:
    return violations(page, {"runOnly": LEVEL_AA, "rules": BEYOND})


def contrast(page: Page) -> list[str]:
    return violations(page, {"runOnly": {"type": "rule", "values": [CONTRAST]}})
