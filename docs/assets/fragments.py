"""Writes into the fragments of figures what their modules show at the defaults: `make generated`.

Readers without scripts see a fragment as it is. Its numbers, and how they are drawn, come from its
module in `javascripts/figures/` alone, which is run here in a browser on the fragment itself.
"""

from pathlib import Path

from playwright.sync_api import Browser, Route

ASSETS = Path(__file__).parent
FRAGMENTS = [ASSETS / "figures" / f"{name}.html" for name in ("attention", "masks", "scale")]
HOST = "http://figures.invalid/"
ADDRESS = f"{HOST}a/page/"  # as deep as the pages are that embed a fragment
# What a reader hears stands in the fragment too, but is put there only after a pause.
START = "for (const node of document.querySelectorAll('[aria-live]')) node.textContent = ''"
READY = "[...document.querySelectorAll('[aria-live]')].every(node => node.textContent)"
# A figure without its script offers nothing to press: these attributes are again as they were.
READ = r"""
source => {
  const [figure] = document.body.children;
  const before = new DOMParser().parseFromString(source, "text/html").body.firstElementChild;
  const [all, olds] = [figure, before].map(root => [root, ...root.querySelectorAll("*")]);
  if (all.length !== olds.length) throw new Error("the module adds or removes elements");
  all.forEach((node, index) => {
    for (const name of new Set([...node.getAttributeNames(), ...olds[index].getAttributeNames()])) {
      if (!/^(role|tabindex|hidden|aria-.*)$/.test(name)) continue;
      const old = olds[index].getAttribute(name);
      if (old === null) node.removeAttribute(name);
      else node.setAttribute(name, old);
    }
    node.style.removeProperty("touch-action");
    if (node.getAttribute("style") === "") node.removeAttribute("style");
  });
  return figure.outerHTML;
}
"""


def written(fragment: Path, browser: Browser) -> str:
    """The text that a fragment should have: as it is, with all that its module shows."""
    text = fragment.read_text(encoding="utf-8")
    name, suffix = fragment.stem, '<script type="module" src="../../assets/javascripts/near.js">'
    if suffix not in text:
        raise ValueError(f"{name}.html does not load near.js")

    def serve(route: Route) -> None:
        path = ASSETS.parent / route.request.url.removeprefix(HOST).partition("?")[0]
        if route.request.url == ADDRESS:
            page = f"<!doctype html><meta charset=utf-8><body>{text}"
            route.fulfill(body=page.replace(suffix, "<script>"), content_type="text/html")
        elif path.is_file():
            route.fulfill(path=path)
        else:
            route.fulfill(status=404)

    context = browser.new_context()
    try:
        page = context.new_page()
        page.route("**/*", serve)
        page.goto(ADDRESS)
        page.evaluate(START)
        start = f"import('/assets/javascripts/figures/{name}.js')"
        page.evaluate(f"{start}.then(module => module.default(document.body.firstElementChild))")
        page.wait_for_function(READY)
        shown = page.evaluate(READ, text)
    finally:
        context.close()
    return shown.replace("<script>", suffix) + "\n"
