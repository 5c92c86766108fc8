"""Nothing is cut without a sign: what is wider than its place scrolls, and fades where more is."""

import pytest

from tests.site.built import SOURCES, path_of
from tests.site.visit import DESK, OPEN_ALL, PHONE, settle

TABLET = {"width": 820, "height": 1180}
SMALLEST = 10.9  # px, of a letter in a figure: 11 of a scale that is rounded

# What an article holds more of than it shows, and no sign on the side where more is, as it stands,
# in the middle, and at its end. The heads of cards are hidden as a whole, not cut.
WITHOUT_A_SIGN = """async () => {
  const frame = () => new Promise(requestAnimationFrame);
  const name = node => `${node.localName}.${node.className?.baseVal ?? node.className}: ${
    (node.querySelector("math")?.dataset.latex ?? node.textContent).trim().slice(0, 60)}`;
  const fades = node => {
    const found = getComputedStyle(node).maskImage.match(/^linear-gradient.* ([\\d.]+)px,.*/);
    const end = getComputedStyle(node).maskImage.match(/calc\\(100% - ([\\d.]+)px\\)/);
    return [Number(found?.[1]) > 16, Number(end?.[1]) > 16];
  };
  const faults = [];
  for (const node of document.querySelectorAll("article *")) {
    const hidden = node.scrollWidth - node.clientWidth;
    if (!node.checkVisibility() || !node.clientWidth || hidden <= 1) continue;
    const { overflowX, clipPath } = getComputedStyle(node);
    if (overflowX === "visible" || clipPath !== "none") continue;
    if (overflowX !== "auto" && overflowX !== "scroll") {
      faults.push(`cut, ${overflowX}: ${name(node)}`);
      continue;
    }
    for (const left of [0, hidden / 2, hidden]) {
      node.scrollLeft = left;
      await frame(); await frame();
      const [start, end] = fades(node);
      const at = node.scrollLeft;
      if (start !== at > 1 || end !== at < hidden - 1)
        faults.push(`at ${Math.round(left)} of ${hidden}: ${name(node)}`);
    }
    node.scrollLeft = 0;
  }
  return faults;
}"""
# Letters of figures that leave their drawing, or are too small to be read.
LETTERS = """smallest => {
  const faults = [];
  for (const svg of document.querySelectorAll("article figure > svg, article figure > * > svg")) {
    const frame = svg.getBoundingClientRect();
    for (const text of svg.querySelectorAll("text")) {
      const box = text.getBoundingClientRect();
      if (!box.width) continue;
      const what = `${svg.querySelector("title")?.textContent ?? ""}: ${text.textContent}`;
      const panels = [...svg.querySelectorAll(".panel > svg")].map(one => one.viewBox.baseVal);
      if (panels.length) {  // shown by the one of its panels in which it lies as a whole
        const { x, y, width, height } = text.getBBox();
        if (!text.hasAttribute("transform") && !panels.some(one => x >= one.x - 1 && y >= one.y - 2
            && x + width <= one.x + one.width + 1 && y + height <= one.y + one.height + 2))
          faults.push(`in no panel of ${what}`);
      } else if (box.left < frame.left - 1 || box.right > frame.right + 1
          || box.top < frame.top - 2 || box.bottom > frame.bottom + 2)
        faults.push(`outside of ${what}`);
      const { a, b } = text.getScreenCTM();
      const size = parseFloat(getComputedStyle(text).fontSize) * Math.hypot(a, b);
      if (size < smallest) faults.push(`${size.toFixed(1)} px in ${what}`);
    }
  }
  return faults;
}"""


@pytest.mark.parametrize("source", SOURCES)
def test_nothing_is_cut_without_a_sign(source, visit, site) -> None:
    opened = visit(path_of(source, site))
    page = opened.page
    page.evaluate(OPEN_ALL)
    settle(page)
    for viewport in (PHONE, TABLET, DESK):
        opened.change(viewport=viewport)
        where = f"docs/{source}, {viewport['width']} px"
        assert not (found := page.evaluate(WITHOUT_A_SIGN)), f"{where}:\n" + "\n".join(found)
        found = page.evaluate(LETTERS, SMALLEST)
        assert not found, f"{where}:\n" + "\n".join(found)


def test_a_phone_cuts_no_figure_and_no_formula(visit, site) -> None:
    """They are drawn and broken for it; what still scrolls there is code and a few tables."""
    wide = (
        "[...document.querySelectorAll('article :is(figure, div.arithmatex)')]"
        ".filter(node => node.scrollWidth > node.clientWidth + 1)"
        ".map(node => node.querySelector('math')?.dataset.latex ?? node.textContent.slice(0, 99))"
    )
    for source in SOURCES:
        page = visit(path_of(source, site)).page
        page.evaluate(OPEN_ALL)
        settle(page)
        assert not (found := page.evaluate(wide)), f"docs/{source}: {found}"
        page.context.close()
