"""Copying from a page by its buttons, as a reader does it."""

from playwright.sync_api import JSHandle, Page

VISIBLE = """
[...document.querySelectorAll(".md-content :is(.md-code__button[data-md-type=copy], .copy-box)")]
  .filter((button) => button.checkVisibility() && !button.closest(".language-text"))
"""
# The order in which a reader meets them.
TOP_TO_BOTTOM = f"""
var topOf = (button) => button.getBoundingClientRect().y;
window.buttons = {VISIBLE}.sort((a, b) => topOf(a) - topOf(b));
window.buttons.length
"""
# Empties the clipboard and brings a button into view; says where a pointer hits it, and what else
# lies there in its place.
AIM = """async (button) => {
  await navigator.clipboard.writeText("");
  button.scrollIntoView({ block: "center", behavior: "instant" });
  const { x, y, width, height } = button.getBoundingClientRect();
  const place = [x + width / 2, y + height / 2];
  const hit = document.elementFromPoint(...place);
  return [...place, button.contains(hit) ? null : hit?.outerHTML.slice(0, 120) ?? "nothing"];
}"""
# What a browser puts on the clipboard is there a moment later.
COPIED = """async () => {
  for (const end = performance.now() + 20000; performance.now() < end; ) {
    const text = await navigator.clipboard.readText();
    if (text) return text;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return null;
}"""
# The same for all of these buttons, each pressed by a call where a pointer would press it. In
# the end the page is at its top again.
PRESSED = f"""async (buttons) => {{
  const aim = {AIM}, copied = {COPIED}, texts = [];
  for (const button of buttons) {{
    const [, , covered] = await aim(button);
    if (covered) throw new Error(`a button is covered by ${{covered}}`);
    button.click();
    const text = await copied();
    if (text === null) throw new Error(`nothing is copied by ${{button.outerHTML}}`);
    texts.push(text);
  }}
  scrollTo({{ top: 0, behavior: "instant" }});
  return texts;
}}"""


def copied_by(page: Page, button: JSHandle) -> str:
    """What a button puts on the clipboard when a pointer presses it."""
    x, y, covered_by = button.evaluate(AIM)
    assert covered_by is None, f"a button is covered by {covered_by}"
    page.mouse.click(x, y)
    copied = page.evaluate(COPIED)
    assert copied is not None, f"nothing is copied by {button.evaluate('node => node.outerHTML')}"
    return copied


def shown_buttons(page: Page) -> int:
    """How many copy buttons of blocks and boxes are visible; they are `buttons` there, in order."""
    return page.evaluate(TOP_TO_BOTTOM)


def pressed(page: Page) -> str:
    """What the visible copy buttons give, pressed one after another and put together."""
    buttons = [page.evaluate_handle(f"buttons[{index}]") for index in range(shown_buttons(page))]
    return "\n\n".join(copied_by(page, button) for button in buttons) + "\n"


def pressed_at_once(page: Page) -> str:
    """What `pressed` gives, without a way to the browser and back for every button."""
    shown_buttons(page)
    texts = page.evaluate_handle("buttons").evaluate(PRESSED)
    return "\n\n".join(texts) + "\n"


def whole_program(page: Page) -> str:
    """What the button for the whole program gives, at the head of a page; "" without one."""
    texts = page.evaluate_handle("[...document.querySelectorAll('.program button')].slice(0, 1)")
    return "".join(f"{text}\n" for text in texts.evaluate(PRESSED))
