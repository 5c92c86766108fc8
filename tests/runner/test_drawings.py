"""Drawings of a run: they follow the palette, and are held to what the page's program draws."""

import re
from pathlib import Path

import pytest

from docs.extensions.drawing import light
from docs.palette import PaletteError
from tests import ROOT
from tests.runner import accept as accept_module
from tests.runner.drawings import FOLDER, first_difference, shown
from tests.runner.pages import PageError, read_blocks
from tests.runner.program import Program
from tests.runner.small_site import make_site

PAGES = sorted((ROOT / "docs").rglob("*.md"))
DRAWING = """\
```python
import matplotlib.pyplot as plt

figure, axes = plt.subplots()
axes.{draw}
figure.savefig("{name}.svg")
```

{shown}
"""
LINE = "plot([0, 1, 2], [0, 1, 4], label='squares')"
SHOWN = "/// drawing | page-curve\nA parabola.\n///"


def write(root: Path, draw: str = LINE, name: str = "page-curve", shown: str = SHOWN) -> Path:
    """A project with one page that draws."""
    if not (root / "mkdocs.yml").is_file():
        make_site(root)
    page = root / "docs" / "page.md"
    page.write_text(DRAWING.format(draw=draw, name=name, shown=shown), encoding="utf-8")
    return page


def run(page: Path, root: Path) -> None:
    program = Program(root, read_blocks(page, root))
    try:
        program.run(0)
    finally:
        program.close()


def drawn(page: Path, root: Path) -> str:
    """The drawing of a page once it has been accepted."""
    accept_module.accept(page, root)
    return (root / FOLDER / "page-curve.svg").read_text(encoding="utf-8")


def test_the_drawing_that_was_accepted_passes_and_another_does_not(tmp_path: Path) -> None:
    page = write(tmp_path)
    drawn(page, tmp_path)
    run(page, tmp_path)
    write(tmp_path, LINE.replace("1, 4]", "1.1, 4]"))
    with pytest.raises(PageError, match=r"^docs/page\.md:1: the drawing page-curve\.svg is not"):
        run(page, tmp_path)


def test_what_rounding_changes_passes() -> None:
    committed = '<svg><path d="M 10 20.5 L 30 40"/><text x="1">0.5</text></svg>'
    assert first_difference(committed, committed.replace("20.5", "20.9")) is None
    assert first_difference(committed, committed.replace("20.5", "22")) is not None
    assert first_difference(committed, committed.replace(">0.5<", ">0.6<")) is not None
    assert first_difference(committed, committed.replace(" L 30 40", "")) is not None


def test_a_drawing_that_is_not_committed_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"python -m tests\.runner\.accept docs/page\.md"):
        run(write(tmp_path), tmp_path)


def test_a_drawing_that_the_page_does_not_show_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PageError, match="the page does not show page-curve"):
        run(write(tmp_path, shown=""), tmp_path)


def test_a_drawing_that_no_block_draws_is_refused(tmp_path: Path) -> None:
    page = write(tmp_path)
    drawn(page, tmp_path)
    write(tmp_path, shown=f"{SHOWN}\n\n/// drawing | page-other\nNothing.\n///")
    with pytest.raises(PageError, match=r"^docs/page\.md:13: no block of this page saves page-oth"):
        run(page, tmp_path)


def test_a_drawing_has_the_name_of_its_page(tmp_path: Path) -> None:
    with pytest.raises(PageError, match=r"other-curve\.svg has to begin with page-"):
        run(write(tmp_path, name="other-curve"), tmp_path)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        ("plot([0, 1], color='purple')", "holds the colour #800080"),
        ("imshow([[0, 1], [1, 0]])", "holds an image: use pcolormesh"),
        ("plot([0, 1]); plt.rcParams['svg.fonttype'] = 'path'", "holds text as outlines"),
    ],
)
def test_what_cannot_follow_the_palette_is_refused(draw: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PaletteError, match=message):
        accept_module.accept(write(tmp_path, draw), tmp_path)


@pytest.mark.parametrize(
    ("draw", "colours"),
    [
        (LINE, {"currentColor", "var(--plot-1)"}),
        (
            "pcolormesh([[0.0, 1.0]], cmap='Blues', vmin=0, vmax=1)",
            {
                "currentColor",
                "color-mix(in srgb, var(--plot-1) 0%, transparent)",
                "color-mix(in srgb, var(--plot-1) 100%, transparent)",
            },
        ),
        (
            "pcolormesh([[-1.0, 1.0]], cmap='RdBu', vmin=-1, vmax=1)",
            {
                "currentColor",
                "color-mix(in srgb, var(--plot-2) 100%, transparent)",
                "color-mix(in srgb, var(--plot-1) 100%, transparent)",
            },
        ),
    ],
)
def test_colours_become_those_of_the_palette(draw: str, colours: set, tmp_path: Path) -> None:
    svg = drawn(write(tmp_path, draw), tmp_path)
    assert set(re.findall(r"(?:fill|stroke): (?!none)([^;\"]+)", svg)) == colours
    assert "#" not in re.sub(r"#page-curve-\d+", "", svg)


def test_ids_are_the_drawings_own_and_all_are_used(tmp_path: Path) -> None:
    svg = drawn(write(tmp_path), tmp_path)
    ids = re.findall(r'id="([^"]+)"', svg)
    assert ids
    assert all(re.fullmatch(r"page-curve-\d+", name) for name in ids)
    assert set(re.findall(r"#([\w-]+)", svg)) == set(ids)


def test_the_same_drawing_gives_the_same_file(tmp_path: Path) -> None:
    page = write(tmp_path)
    assert drawn(page, tmp_path) == drawn(page, tmp_path)


def cells(svg: str) -> set[tuple[str, str]]:
    """The rectangles that a drawing fills with a colour that is seen: corners, and colour."""
    found = set()
    for path, style in re.findall(r'<path d="([^"]*)" clip-path="[^"]*" style="([^"]*)"/>', svg):
        for part in re.findall(r"M[^M]*", path):
            numbers = re.findall(r"-?\d[\d.]*", part)
            if "color-mix" in style and " 0%, " not in style:
                found.add((" ".join(sorted(set(numbers))), style))
    return found


def test_a_page_shows_all_of_a_drawing_in_fewer_bytes() -> None:
    fewer = 0
    for path in sorted((ROOT / FOLDER).glob("*.svg")):
        drawn = path.read_text(encoding="utf-8")
        shown = light(drawn)
        assert cells(shown) == cells(drawn), path.name
        texts = (re.findall(r"<text[^>]*>([^<]*)", svg) for svg in (drawn, shown))
        assert next(texts) == next(texts), path.name
        uses = (svg.count("<use") for svg in (drawn, shown))
        assert next(uses) == next(uses), path.name
        assert not first_difference(shown, light(shown)), path.name
        fewer += len(drawn) > 2 * len(shown)
    assert fewer > 5


def test_every_committed_drawing_is_shown_by_one_page() -> None:
    names = sorted(name for page in PAGES for name in shown(page))
    assert names == sorted(path.stem for path in (ROOT / FOLDER).glob("*.svg"))
