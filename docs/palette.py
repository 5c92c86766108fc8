"""What matplotlib draws, in the colours and the type of the page that shows it.

A drawing has fixed colours where the site has two palettes. Here every colour becomes a variable of
the style sheet, so that one drawing serves both; a colour without such a variable is refused.
"""

import re
from xml.etree import ElementTree

import matplotlib
from matplotlib.colors import to_hex

NAMESPACES = re.compile(r"\{[^}]*\}")
HEX = re.compile(r"#[0-9a-f]{6}\b")
NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
REFERENCE = re.compile(r"(?:url\()?#([\w-]+)\)?")


class PaletteError(Exception):
    """A drawing that cannot follow the palette; the message says why."""


def palette() -> dict[str, str]:
    """The colours that a drawing may have, and what stands for them on the site."""
    colours = {
        "#000000": "currentColor",
        "#ffffff": "var(--paper)",
        "#b0b0b0": "var(--rule)",  # matplotlib's grid
        "#1f77b4": "var(--plot-1)",
        "#ff7f0e": "var(--plot-2)",
        "#2ca02c": "var(--plot-3)",
        "#d62728": "var(--plot-4)",
    }
    for name, level, colour in [
        ("Blues", lambda index: index / 255, lambda index: "--plot-1"),
        (
            "RdBu",
            lambda index: abs(index - 127.5) / 127.5,
            lambda index: "--plot-2" if index < 128 else "--plot-1",
        ),
    ]:
        for index in range(256):
            written = to_hex(matplotlib.colormaps[name](index))
            share = round(100 * level(index))
            mixed = f"color-mix(in srgb, var({colour(index)}) {share}%, transparent)"
            colours.setdefault(written, mixed)
    return colours


def themed(drawing: str, name: str) -> str:
    """What matplotlib saved, as the site shows it: in the page's colours and type, and smaller.

    Args:
        drawing: The SVG, saved with its text as text.
        name: What the ids within the drawing begin with.

    Raises:
        PaletteError: If the drawing holds a colour that no variable of the style sheet stands for,
            an image, or text that is drawn as outlines.
    """
    root = ElementTree.fromstring(drawing)
    colours = palette()
    referred = {found[1] for found in REFERENCE.finditer(drawing)}
    names: dict[str, str] = {}
    for element in root.iter():
        element.tag = NAMESPACES.sub("", element.tag)
        for child in [child for child in element if child.tag.endswith(("metadata", "style"))]:
            element.remove(child)
    for element in root.iter():
        attributes = {NAMESPACES.sub("", key): value for key, value in element.attrib.items()}
        element.attrib.clear()
        if element.tag == "image":
            raise PaletteError(
                f"{name}.svg holds an image: use pcolormesh instead of imshow, "
                "and numbers in the cells instead of a colour bar"
            )
        if attributes.get("id", "").startswith("DejaVu"):
            raise PaletteError(f"{name}.svg holds text as outlines: savefig must not change that")
        if "id" in attributes:
            if attributes["id"] in referred:
                names[attributes["id"]] = f"{name}-{len(names) + 1}"
                attributes["id"] = names[attributes["id"]]
            else:
                del attributes["id"]
        if "style" in attributes:
            attributes["style"] = themed_style(attributes["style"], colours, name)
        element.attrib.update(attributes)
        element.text, element.tail = (
            text if (text or "").strip() else None for text in (element.text, element.tail)
        )
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("href", "clip-path"):
                value = REFERENCE.sub(
                    lambda found: found[0].replace(found[1], names[found[1]]), value
                )
            elif key not in ("id", "style"):
                value = " ".join(NUMBER.sub(rounded, value).split())
            element.attrib[key] = value
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    for parent in root.iter("g"):
        for patch in [path for path in parent if path.tag == "path" and unseen(path)]:
            parent.remove(patch)
    return ElementTree.tostring(root, encoding="unicode").replace(" />", "/>") + "\n"


def themed_style(style: str, colours: dict[str, str], name: str) -> str:
    """A style attribute in the page's colours, without the typeface, which is the page's."""

    def variable(colour: re.Match[str]) -> str:
        if colour[0] not in colours:
            raise PaletteError(
                f"{name}.svg holds the colour {colour[0]}, which does not follow the "
                "palette: use black, white, C0 to C3, Blues or RdBu"
            )
        return colours[colour[0]]

    kept = []
    for declaration in style.split(";"):
        key, _, value = (part.strip() for part in declaration.partition(":"))
        if key == "font":  # style, weight, size and family in one
            key, value = "font-size", re.search(r"[\d.]+px", value)[0]
        if key and key not in ("font-family", "stroke-linejoin"):
            kept.append(f"{key}: {NUMBER.sub(rounded, HEX.sub(variable, value))}")
    return "; ".join(kept)


def rounded(number: re.Match[str]) -> str:
    """A number with two digits after the point at most: a hundredth of a point is not seen."""
    return f"{float(number[0]):.2f}".rstrip("0").rstrip(".")


def unseen(path: ElementTree.Element) -> bool:
    """Whether a path has neither line nor filling, as a background that is left out."""
    style = path.get("style", "")
    return "fill: none" in style and "stroke" not in style
