"""What axe finds on a page: WCAG 2.1 AA, names of dialogs, levels of headings, sizes of targets."""

from axe_playwright_python.base import AXE_SCRIPT
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.site.visit import lay_out, settle

LEVEL_AA = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
BEYOND = {rule: {"enabled": True} for rule in ("aria-dialog-name", "heading-order", "target-size")}
CONTRAST = "color-contrast"
OF_THE_LAYOUT = ["scrollable-region-focusable", "target-size"]
# Pages are made of thousands of pieces that look alike, and so is the site. The contrast of those
# that do is judged alike: those of one colour and ground, and large or not, as WCAG counts size and
# weight. Of each look that is not known yet one piece is marked, that with most letters, since axe
# judges neither signs nor a single character. Returns the looks that are marked.
MARK_NEW_LOOKS = """known => {
  const seen = new Set(known), best = new Map(), grounds = new Map();
  // The colour behind a node, and how much of it shines through.
  const groundOf = node => {
    if (!node) return "";
    if (!grounds.has(node)) {
      const { backgroundColor, backgroundImage, opacity } = getComputedStyle(node);
      const clear = /, 0\\)$/.test(backgroundColor) && backgroundImage + opacity === "none1";
      const opaque = /^rgb\\(/.test(backgroundColor) && opacity === "1";
      const shown = [backgroundColor, backgroundImage, opacity].join();
      grounds.set(node, opaque ? shown : (clear ? "" : shown) + groundOf(node.parentElement));
    }
    return grounds.get(node);
  };
  const large = (size, weight) => parseFloat(size) >= (weight >= 700 ? 18.66 : 24);
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const letters = texts.currentNode.data.replace(/[^\\p{L}\\p{N}]/gu, "").length;
    const node = texts.currentNode.parentElement;
    if (letters < 2 || !node.checkVisibility()) continue;
    const { color, fontSize, fontWeight } = getComputedStyle(node);
    const look = [color, groundOf(node), large(fontSize, fontWeight)].join();
    if (!seen.has(look) && !(best.get(look)?.letters >= letters)) best.set(look, { node, letters });
  }
  for (const { node } of best.values()) node.dataset.look = "";
  return [...best.keys()];
}"""


# A link that is scrolled half out of the table of contents is no small target, but axe takes it for
# one; the table stays where it has followed the reader to.
UNSCROLLED = "document.querySelectorAll('.md-sidebar *').forEach(box => box.scrollTop = 0)"


def violations(page: Page, rules: dict[str, object], within: str | None = None) -> list[str]:
    """What breaks these rules, with all that is collapsed opened and all laid out."""
    lay_out(page)
    page.evaluate(UNSCROLLED)
    # What passes is not listed, which takes half the time.
    options = {"resultTypes": ["violations"], **rules}
    axe = Axe("0" if page.evaluate("'axe' in window") else AXE_SCRIPT)
    found = axe.run(page, context=within, options=options).response["violations"]
    return [f"{v['id']}: {node['html'][:160]}" for v in found for node in v["nodes"]]


def of_rules(*rules: str) -> dict[str, object]:
    return {"runOnly": {"type": "rule", "values": list(rules)}}


def all_but_contrast(page: Page) -> list[str]:
    rules = {**BEYOND, CONTRAST: {"enabled": False}}
    return violations(page, {"runOnly": LEVEL_AA, "rules": rules})


def everything(page: Page) -> list[str]:
    """What axe finds on a page once it stands still, whatever has just been done with it."""
    settle(page)
    return violations(page, {"runOnly": LEVEL_AA, "rules": BEYOND})


def of_the_layout(page: Page) -> list[str]:
    """What depends on the width of the window: the rest of what axe knows does not."""
    return violations(page, of_rules(*OF_THE_LAYOUT))


def contrast(page: Page, judged: set[str]) -> list[str]:
    """What is too pale among the looks that are not judged yet; adds those that are not."""
    lay_out(page)
    looks = page.evaluate(MARK_NEW_LOOKS, list(judged))
    if not looks:
        return []
    found = violations(page, of_rules(CONTRAST), within="[data-look]")
    page.evaluate(
        "document.querySelectorAll('[data-look]').forEach(node => delete node.dataset.look)"
    )
    if not found:
        judged.update(looks)
    return found
