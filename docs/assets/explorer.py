"""Writes into `explorer.html` what its script shows at the defaults: `make generated`.

Readers without scripts see the fragment as it is. Its numbers, and how they are written, come from
`javascripts/explorer.js` alone, which is run here in a browser on the fragment itself.
"""

import re
from pathlib import Path

from playwright.sync_api import Browser

HERE = Path(__file__).parent
FRAGMENT = HERE / "explorer.html"
SCRIPT = HERE / "javascripts" / "explorer.js"
# Full precision, for the tests and the plot, is not for readers.
READ = """
() => {
  const explorer = document.querySelector(".explorer");
  for (const cell of explorer.querySelectorAll("td")) delete cell.dataset.value;
  return {
    table: explorer.querySelector("tbody").innerHTML,
    summary: explorer.querySelector(".summary").innerHTML,
    values: [...explorer.querySelectorAll("[data-of]")].map(
      (node) => [node.dataset.of, node.innerHTML]
    ),
  };
}
"""


def written(browser: Browser) -> str:
    """The text that `explorer.html` should have: as it is, with all texts for the defaults."""
    fragment = FRAGMENT.read_text(encoding="utf-8")
    context = browser.new_context()
    try:
        page = context.new_page()
        page.set_content(re.sub(r"<script.*?</script>", "", fragment))
        page.evaluate("document.querySelector('.summary').textContent = ''")
        page.add_script_tag(content=SCRIPT.read_text(encoding="utf-8"))
        page.wait_for_function("document.querySelector('.summary').textContent !== ''")
        shown = page.evaluate(READ)
    finally:
        context.close()
    replaced = {r"(?<=<tbody>).*(?=</tbody>)": shown["table"]}
    replaced[r'(?<=<p class="summary" aria-live="polite">)[^<]*'] = shown["summary"]
    for name, text in shown["values"]:
        replaced[rf'(?<=<span data-of="{name}">)[^<]*'] = text
    for place, text in replaced.items():
        fragment, found = re.subn(place, text.replace("\\", r"\\"), fragment, flags=re.DOTALL)
        if found != 1:
            raise ValueError(f"explorer.html has {found} places for {place}, not 1")
    return fragment
