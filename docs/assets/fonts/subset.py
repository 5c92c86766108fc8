"""Cuts the site's two fonts down to what the pages use: `make fonts`.

Reads the whole fonts from the npm packages `@fontsource/stix-two-math` and
`@fontsource/stix-two-text`, unpacked in the folder that is the one argument.
`tests/site/test_site.py` fails when a formula uses a character that the subset lacks: add it below.
"""

import sys
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

HERE = Path(__file__).parent
ASCII = range(0x20, 0x7F)
PUNCTUATION = "–—‘’“”×…"
GREEK = "ΓΔΘΛΞΠΣΦΨΩαβγδεζηθικλμνξπρστυφχψωϵϑϕ"
ITALIC_LATIN = [*range(0x1D434, 0x1D468), 0x210E]  # Unicode keeps the italic h elsewhere
ITALIC_GREEK = range(0x1D6FC, 0x1D71C)
SYMBOLS = (
    "\u00a0\u2061\u2062\u2063"  # the space, and the operators that are written but not seen
    "¬°±·×÷–—‖′″…←→↔↦⇐⇒⇔⟶⟹⟺∀∂∃∅∇∈∉∏∑−∓∕∗∘√∝∞∣∥∧∨∩∪∫∼≃≅≈≔≜≟≠≡≤≥≪≫⊂⊆⊙⊕⊗⊤⊥⊺⋅⋆⋮⋯⋱⌈⌉⌊⌋⏞⏟⟨⟩ˆ˜¯˙ˉ‾ℓ"
    "ℝℕℤ𝔼ℙ𝟙𝟎𝟏𝒩𝒪𝒟ℒ"
)


def cut(source: Path, target: Path, characters: Iterable[int], features: list[str]) -> None:
    """Write the glyphs for `characters`, and those that stretch from them, as WOFF2."""
    options = subset.Options(flavor="woff2", layout_features=features, hinting=False)
    font = subset.load_font(source, options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)
    subset.save_font(font, str(target), options)
    print(f"{target.name}: {target.stat().st_size} bytes")


def even_out_roots(path: Path) -> None:
    """Give the taller root signs the width of the first.

    Chromium leaves room behind every root for the widest sign that the font has, whichever it
    draws; in this font that is 0.4 em of nothing behind each plain root.
    """
    font = TTFont(path)
    variants = font["MATH"].table.MathVariants
    root = font.getBestCmap()[ord("√")]
    signs = variants.VertGlyphConstruction[variants.VertGlyphCoverage.glyphs.index(root)]
    names = {variant.VariantGlyph for variant in signs.MathGlyphVariantRecord}
    names |= {part.glyph for part in signs.GlyphAssembly.PartRecords}
    width = font["hmtx"][root][0]
    for name in names - {root}:
        glyph = font["glyf"][name]
        glyph.coordinates.scale((width / font["hmtx"][name][0], 1))
        glyph.recalcBounds(font["glyf"])
        font["hmtx"][name] = (width, glyph.xMin)
    font.save(path)


def main(packages: Path) -> None:
    """Cut the formulas' font and the headings' font."""
    formulas = {*ASCII, *ITALIC_LATIN, *ITALIC_GREEK, *map(ord, GREEK + SYMBOLS)}
    math = packages / "stix-two-math/files/stix-two-math-latin-400-normal.woff2"
    cut(math, HERE / "stix-two-math.woff2", formulas, [])
    even_out_roots(HERE / "stix-two-math.woff2")
    text = packages / "stix-two-text/files/stix-two-text-latin-600-normal.woff2"
    headings = {*ASCII, *map(ord, PUNCTUATION)}
    cut(text, HERE / "stix-two-text-600.woff2", headings, ["kern", "liga"])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
