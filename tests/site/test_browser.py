"""The site as a browser shows it: accessible, quiet, light, and cut nowhere without a sign."""

import gzip
from pathlib import Path

import pytest

from docs.program import program_text
from tests import ROOT
from tests.runner.pages import blocks_of
from tests.site.accessibility import all_but_contrast, contrast, everything, of_the_layout
from tests.site.built import DOCS, LABS, PROGRAMS, SOURCES, path_of
from tests.site.copying import pressed_at_once, shown_buttons, whole_program
from tests.site.narrow import cut, too_wide_for_a_phone
from tests.site.visit import DESK, PHONE, TABLET, lay_out, settle

# What sticks out on a phone: too wide, and in no box that scrolls or cuts.
TOO_WIDE = """() => [...document.querySelectorAll("body *")].filter(node => {
  if (node.getBoundingClientRect().right <= innerWidth + 1) return false;
  for (let box = node.parentElement; box !== document.body; box = box.parentElement)
    if (getComputedStyle(box).overflowX !== "visible") return false;
  return true;
}).slice(0, 5).map(node => `${Math.round(node.getBoundingClientRect().right)}: ${
  node.outerHTML.slice(0, 120)}`)"""
PAGE_LIMIT = 150_000  # bytes, compressed, with all that the page loads
COMPRESSED_ALREADY = {".woff2", ".png", ".gz"}


def weight(requested: list[str], address: str, site: Path) -> int:
    """Bytes over the wire from a host that compresses."""
    total = 0
    for url in dict.fromkeys(requested):
        file = site / url.removeprefix(address).split("?")[0]
        data = (file / "index.html" if file.is_dir() else file).read_bytes()
        total += len(data if file.suffix in COMPRESSED_ALREADY else gzip.compress(data, 6))
    return total


# Letters of code and formulas are thousands of pieces, and all but their contrast is their box's.
WITHOUT_LEAVES = """for (const node of document.querySelectorAll(
  "article :is(pre code, math) :not(:has(*)):not([id])")) node.remove()"""


@pytest.fixture(scope="session")
def judged() -> set[str]:
    """The looks whose contrast has been judged, on one page or another."""
    return set()


@pytest.mark.parametrize("source", SOURCES)
def test_a_page_is_accessible_quiet_light_and_narrow(source, visit, site, address, judged) -> None:
    """One visit for all of it: light on a phone, a tablet and a desk, then dark there, and back.

    On the phone all copy buttons are pressed, first as the page looks when it is opened.
    """
    opened = visit(path_of(source, site))
    page = opened.page
    outside = [url for url in opened.requested if not url.startswith((address, "data:"))]
    assert not outside, f"docs/{source} asks other hosts: {outside}"
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= PHONE["width"], (
        f"docs/{source} is {width} px wide on a phone: {page.evaluate(TOO_WIDE)}"
    )

    blocks = blocks_of(DOCS / source, ROOT) if source in PROGRAMS else []
    if blocks:
        program = program_text([block.code for block in blocks])
        assert pressed_at_once(page) == program, f"docs/{source}: copied as it looks"
        assert whole_program(page) == program, f"docs/{source}: copied by one press"

    total = weight(opened.requested, address, site)
    limit: float = PAGE_LIMIT
    if source in LABS:
        plots = "[...document.querySelectorAll('.plot svg')].map(svg => svg.outerHTML).join('')"
        limit = 1.5 * PAGE_LIMIT + len(gzip.compress(page.evaluate(plots).encode()))
    assert total < limit, f"docs/{source} weighs {total} bytes, more than {limit:.0f}"

    lay_out(page)
    if blocks:  # an open box shows its blocks' own buttons, and hides the one that stood for them
        assert shown_buttons(page) == len(blocks), f"docs/{source}"
    without = page.evaluate(
        "[...document.querySelectorAll('.language-python code')].filter(code =>"
        "code.parentElement.querySelectorAll('[data-copies=block]').length !== 1).length"
    )
    assert not without, f"docs/{source}: {without} blocks do not have one copy button"
    assert not (found := too_wide_for_a_phone(page)), f"docs/{source}, phone: {found}"
    for viewport in (PHONE, TABLET, DESK):
        if viewport != PHONE:
            opened.change(viewport=viewport)
        found = cut(page)
        assert not found, f"docs/{source}, {viewport['width']} px:\n" + "\n".join(found)
    assert not (found := contrast(page, judged)), f"docs/{source}, light:\n" + "\n".join(found)
    opened.change(color_scheme="dark")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert not (found := contrast(page, judged)), f"docs/{source}, dark:\n" + "\n".join(found)
    page.evaluate(WITHOUT_LEAVES)
    assert not (found := all_but_contrast(page)), f"docs/{source}:\n" + "\n".join(found)
    opened.change(viewport=PHONE)
    assert not (found := of_the_layout(page)), f"docs/{source}, phone:\n" + "\n".join(found)
    assert not opened.complaints, f"docs/{source}: {opened.complaints}"


@pytest.mark.parametrize("sign", ["mask-image: none", "overflow-x: hidden"])
def test_what_is_cut_without_its_sign_is_noticed(sign, visit) -> None:
    opened = visit("model/attention/")
    assert not cut(opened.page)
    opened.page.add_style_tag(content=f"article pre > code {{ {sign} !important }}")
    assert cut(opened.page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("piece", [".builds[open] .highlight .k", "math mi"])
def test_a_pale_piece_is_noticed_where_each_look_is_judged_once(piece, scheme, visit) -> None:
    opened = visit("model/attention/")
    pale = "#777" if scheme == "dark" else "#aaa"
    rule = f"@media (prefers-color-scheme: {scheme}) {{ {piece} {{ color: {pale} !important }} }}"
    judged: set[str] = set()
    opened.change(color_scheme=scheme)
    assert not contrast(opened.page, judged)
    assert 15 < len(judged) < 300
    opened.page.add_style_tag(content=rule)
    before = len(judged)
    assert contrast(opened.page, judged)
    assert len(judged) == before, "what is pale was taken for judged"


def test_the_palette_can_be_chosen_and_is_kept(visit) -> None:
    page = visit("").page
    background = "getComputedStyle(document.body).backgroundColor"
    seen = {page.evaluate(background)}
    for _ in range(2):
        label = page.locator("label[for^=__palette]:visible")
        offered = label.get_attribute("for")
        label.click()
        page.wait_for_selector(f"label[for={offered}]", state="hidden")
        settle(page)
        seen.add(page.evaluate(background))
    assert len(seen) == 2
    chosen = page.evaluate(background)
    page.reload()
    settle(page)
    assert page.evaluate(background) == chosen


# The height of a block that is not laid out, as the style sheet says it, and as it is.
HEIGHTS = """() => [...document.querySelectorAll("pre[style]")]
  .filter(block => block.checkVisibility() && !block.closest(".notes"))
  .map(block => {
    const { containIntrinsicHeight, contentVisibility } = getComputedStyle(block);
    const said = contentVisibility === "auto" ? parseFloat(containIntrinsicHeight.slice(5)) : NaN;
    const code = block.querySelector("code");
    const edge = 2 * parseFloat(getComputedStyle(code).borderTopWidth);
    const bar = code.offsetHeight - code.clientHeight - edge;
    return [said, block.offsetHeight - bar];
  })"""


# Brings the last block that is wider than a phone into view.
TO_THE_LAST_WIDE_BLOCK = """() => {
  const wide = [...document.querySelectorAll("pre[style] > code")]
    .filter(code => code.checkVisibility() && code.scrollWidth > code.clientWidth + 1).at(-1);
  window.wide = wide;
  wide.scrollIntoView();
}"""


def test_what_is_not_laid_out_has_its_place(visit) -> None:
    """A link to a section far down leads there, because the heights of all blocks are known."""
    opened = visit("model/attention/#exercises")
    for viewport in (PHONE, DESK):
        opened.change(viewport=viewport)
        heights = opened.page.evaluate(HEIGHTS)
        assert len(heights) >= 10
        assert all(abs(said - true) < 2 for said, true in heights), heights
        opened.page.evaluate("document.querySelector('#exercises').scrollIntoView()")
        settle(opened.page)
        top = opened.page.evaluate(
            "document.querySelector('#exercises').getBoundingClientRect().top"
        )
        assert 0 <= top < viewport["height"] / 4
    opened.change(viewport=PHONE)
    opened.page.evaluate(TO_THE_LAST_WIDE_BLOCK)
    settle(opened.page)
    assert opened.page.evaluate("wide.dataset.more") == "end"
    drawings = "[...document.querySelectorAll('.plot svg')].map(svg => [svg.clientHeight,"
    drawings += " svg.clientWidth * svg.viewBox.baseVal.height / svg.viewBox.baseVal.width])"
    assert all(abs(height - true) < 2 for height, true in opened.page.evaluate(drawings))


def test_the_head_of_a_table_promises_no_sorting(visit) -> None:
    opened = visit("training/regularization/")
    opened.change(viewport=DESK)
    heads = opened.page.evaluate(
        "[...document.querySelectorAll('article th')].map(head => [getComputedStyle(head).cursor,"
        "getComputedStyle(head, '::after').content])"
    )
    assert len(heads) > 20
    assert {tuple(head) for head in heads} == {("auto", "none")}


def test_a_lost_reader_gets_the_sites_own_page(visit) -> None:
    opened = visit("no/such/page/")
    assert "masked" in opened.page.inner_text("h1")
    assert not everything(opened.page)


def test_a_long_formula_scrolls_within_itself(visit) -> None:
    """Formulas break on a phone; one that cannot is made here, a single long name."""
    opened = visit("derivations/softmax/")
    page = opened.page
    page.evaluate(
        "document.querySelector('div.arithmatex math').innerHTML = `<mi>${'w'.repeat(90)}</mi>`"
    )
    opened.change(viewport={**PHONE, "width": 380})
    visible = "[...document.querySelectorAll('div.arithmatex')].filter(d => d.checkVisibility())"
    formulas = page.evaluate(f"{visible}.map(d => [d.scrollWidth > d.clientWidth, d.clientWidth])")
    assert [scrolls for scrolls, _ in formulas] == [True] + [False] * (len(formulas) - 1)
    assert all(width <= PHONE["width"] for _, width in formulas)
    # By keyboard too, once the script has seen how wide they are.
    page.wait_for_function(
        f"{visible}.every(d => (d.scrollWidth > d.clientWidth) === (d.tabIndex === 0))"
    )
