"""Writes into `explorer.html` what its script shows at the defaults: `make generated`.

Readers without scripts see the fragment as it is. Its numbers, and how they are written, come from
`javascripts/figures/explorer.js` alone, which is run here in a browser on the fragment itself.
"""

import re
from pathlib import Path

from playwright.sync_api import Browser, Route

HERE = Path(__file__).parent
FRAGMENT = HERE / "explorer.html"
ADDRESS = "http://explorer.localhost/"
START = f"""
<!doctype html><html lang="en"><div>{{fragment}}</div><script type="module">
import start from "{ADDRESS}javascripts/figures/explorer.js";
start(document.querySelector(".explorer"));
document.body.dataset.started = "";
</script></html>"""
# Full precision is for the tests; the bars say what the numbers beside them say.
READ = """
() => {
  const explorer = document.querySelector(".explorer");
  for (const cell of explorer.querySelectorAll("td")) delete cell.dataset.value;
  for (const bar of explorer.querySelectorAll("td svg")) bar.replaceChildren();
  return {
    table: explorer.querySelector("tbody").innerHTML,
    shows: explorer.querySelector(".shows").innerHTML,
    says: explorer.querySelector(".says").innerHTML,
    values: [...explorer.querySelectorAll("[data-of]")].map(
      (node) => [node.dataset.of, node.innerHTML]
    ),
  };
}
"""


def written(browser: Browser) -> str:
    """The text that `explorer.html` should have: as it is, with all texts for the defaults."""
    fragment = FRAGMENT.read_text(encoding="utf-8")
    bare = re.sub(r"<(script|link)\b[^>]*>(</script>)?", "", fragment)

    def serve(route: Route) -> None:
        path = route.request.url.removeprefix(ADDRESS)
        if path:
            route.fulfill(path=HERE / path)
        else:
            route.fulfill(body=START.format(fragment=bare), content_type="text/html; charset=utf-8")

    context = browser.new_context()
    try:
        page = context.new_page()
        page.route(f"{ADDRESS}**", serve)
        page.goto(ADDRESS)
        page.wait_for_selector("body[data-started]", state="attached")
        shown = page.evaluate(READ)
    finally:
        context.close()
    replaced = {r"(?<=<tbody>).*(?=</tbody>)": shown["table"]}
    replaced[r'(?<=<p class="shows">)[^<]*'] = shown["shows"]
    replaced[r'(?<=<p class="says" aria-hidden="true">)[^<]*'] = shown["says"]
    replaced[r'(?<=<p class="spoken" aria-live="polite">)[^<]*'] = (
        f"{shown['shows']} {shown['says']}"
    )
    for name, text in shown["values"]:
        replaced[rf'(?<=<span data-of="{name}">)[^<]*'] = text
    for place, text in replaced.items():
        fragment, found = re.subn(place, text.replace("\\", r"\\"), fragment, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"explorer.html has {found} places for {place}, not 1")
    return fragment
