"""Nothing is cut without a sign: what is wider than its place scrolls, and fades where more is."""

from playwright.sync_api import Page

from tests.site.visit import lay_out

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
  const regions = [];
  for (const node of document.querySelectorAll("article *")) {
    const hidden = node.scrollWidth - node.clientWidth;
    if (!node.checkVisibility() || !node.clientWidth || hidden <= 1) continue;
    const { overflowX, clipPath } = getComputedStyle(node);
    if (overflowX === "visible" || clipPath !== "none") continue;
    if (overflowX === "auto" || overflowX === "scroll") regions.push({ node, hidden });
    else faults.push(`cut, ${overflowX}: ${name(node)}`);
  }
  const unsigned = () => regions.flatMap(({ node, hidden }) => {
    const [start, end] = fades(node);
    const at = node.scrollLeft;
    return start !== at > 1 || end !== at < hidden - 1
      ? [`at ${Math.round(at)} of ${hidden}: ${name(node)}`] : [];
  });
  for (const part of [0, 0.5, 1, 0]) {
    for (const { node, hidden } of regions) node.scrollLeft = part * hidden;
    // The sign follows the scrolling, on a busy machine a moment later.
    const until = performance.now() + 5000;
    do { await frame(); await frame(); } while (unsigned().length && performance.now() < until);
    faults.push(...unsigned());
    if (faults.length) break;
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
# They are drawn and broken for a phone; what still scrolls there is code and a few tables.
WIDE = """[...document.querySelectorAll("article :is(figure, div.arithmatex)")]
  .filter(node => node.scrollWidth > node.clientWidth + 1)
  .map(node => node.querySelector("math")?.dataset.latex ?? node.textContent.slice(0, 99))"""


def cut(page: Page) -> list[str]:
    """What a page, all opened, cuts without a sign, and letters of figures that cannot be read."""
    lay_out(page)
    return page.evaluate(WITHOUT_A_SIGN) + page.evaluate(LETTERS, SMALLEST)


def too_wide_for_a_phone(page: Page) -> list[str]:
    """Figures and formulas that scroll."""
    return page.evaluate(WIDE)
