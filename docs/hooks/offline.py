"""MkDocs hook: packs the built site as a zip that works from disk.

A page that is opened from disk may fetch nothing, and no server looks for a folder's index.html. So
the links in the zip name their files, and one script holds the search's program and index together
(docs/assets/javascripts/search.js loads it there). Nor may such a page load a module: one script
holds those of the figures that react. `mkdocs serve` packs nothing.
"""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from posixpath import join, normpath
from typing import Literal
from urllib.parse import unquote, urlsplit
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError

NAME = "executable-transformer"
ARCHIVE = f"{NAME}.zip"
# What serves only a site on line, or the theme's own search.
LEFT_OUT = (
    ARCHIVE,
    "404.html",
    "sitemap.xml*",
    "**/*.map",
    "**/lunr/*",
    "**/workers/*",
    "pagefind/*",
    "assets/models/*/translator.bin",
)
ATTRIBUTE = re.compile(r'(?<=\s)(href|src)="([^"]*)"')
PRELOAD = re.compile(r'<link rel="preload"[^>]*>')  # refused from disk, and needless there
EXPORT = re.compile(r"export\s*\{([\w,\s]*)\};?\s*$")
FROM_DISK = """\
// Pagefind and its index in one script, because a page on disk may neither import nor fetch.
window.pagefindFromDisk = (() => {{
  "use strict";
  const files = {files};
  const fetch = async (address) => {{
    const name = address.split("pagefind/").pop().split("?")[0];
    if (!(name in files)) throw new Error(`the index has no ${{name}}`);
    return new Response(Uint8Array.from(atob(files[name]), (byte) => byte.charCodeAt(0)));
  }};
  {program}
}})();
"""

# The script that every figure brings, and what stands in its place on disk.
FIGURES = "assets/javascripts/near.js"
FIGURES_ON_DISK = "assets/javascripts/figures-on-disk.js"
MODULE_TAG = re.compile(rf'<script type="module" src="([^"]*){re.escape(FIGURES)}">')
# What modules say to each other; a script says it by a list of what each module exports.
STATEMENTS = [
    (re.compile(r'\bexport\s*\{\s*(\w+)\s*\}\s*from\s*"([^"]+)"'), r'exports.\1 = load("\2").\1'),
    (
        re.compile(r'\bimport\s*\{((?:(?! as )[^}])*)\}\s*from\s*"([^"]+)"'),
        r'const {\1} = load("\2")',
    ),
    (
        re.compile(r"\bexport\s+default\s+(?=(?:async\s+)?function\s+(\w+))"),
        r"exports.default = \1; ",
    ),
    (re.compile(r"\bexport\s+(?=(?:async\s+)?function\s+(\w+))"), r"exports.\1 = \1; "),
    (re.compile(r"\bexport\s+const\s+(\w+)\s*="), r"const \1 = exports.\1 ="),
    (re.compile(r"\bimport(?=\()"), "later"),
]
STATEMENT = re.compile(r"\b(?:import|export)\s*[{*\"]|\bexport\s+\w|\bimport\.meta\b")
FROM_MODULES = """\
// The figures that react in one script, because a page on disk may load no module.
(() => {{
  if (window.figuresOnDisk) return; // a page with two figures brings this twice
  window.figuresOnDisk = true;
  const made = {{}};
  const modules = {{
{modules}
  }};
  const load = (path) => {{
    const name = path.replace(/^(\\.+\\/)+/, "");
    if (!(name in modules)) throw new Error(`${{name}} cannot be run from disk`);
    if (!(name in made)) modules[name]((made[name] = {{}}));
    return made[name];
  }};
  const later = async (path) => load(path);
  load("near.js");
}})();
"""

serving = False


def on_startup(command: Literal["build", "gh-deploy", "serve"], dirty: bool) -> None:
    """Note whether pages are only shown while they are written."""
    global serving
    serving = command == "serve"


def on_post_build(config: MkDocsConfig) -> None:
    """Write the zip into the built site."""
    if serving:
        return
    site = Path(config.site_dir)
    unfinished = site / f"{ARCHIVE}.new"
    with ZipFile(unfinished, "w", ZIP_DEFLATED) as archive:
        for name, data in packed(site, config.site_url):
            entry = ZipInfo(
                f"{NAME}/{name}"
            )  # without the time, so that equal sites give equal zips
            entry.compress_type = ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data)
    unfinished.rename(site / ARCHIVE)


def packed(site: Path, site_url: str) -> Iterator[tuple[str, bytes]]:
    """The files of the zip: their names within the site, and what they hold."""
    left_out = {path for pattern in LEFT_OUT for path in site.glob(pattern)}
    files = {
        path.relative_to(site).as_posix(): path
        for path in sorted(site.rglob("*"))
        if path.is_file() and left_out.isdisjoint((path, *path.parents)) and path.suffix != ".new"
    }
    for name, path in files.items():
        if path.suffix == ".html":
            yield (
                name,
                page_on_disk(path.read_text(encoding="utf-8"), name, files, site_url).encode(),
            )
        else:
            yield name, path.read_bytes()
    yield "pagefind/from-disk.js", search_on_disk(site / "pagefind").encode()
    yield FIGURES_ON_DISK, figures_on_disk((site / FIGURES).parent).encode()


def page_on_disk(page: str, name: str, files: dict[str, Path], site_url: str) -> str:
    """A page whose links name files, or lead to the site on line where the zip has no such file."""

    def on_disk(attribute: re.Match[str]) -> str:
        target = urlsplit(attribute[2])
        if target.scheme or target.netloc or not target.path or target.path.startswith("/"):
            return attribute[0]
        meant = normpath(join(name, "..", unquote(target.path)))
        if meant in files:
            return attribute[0]
        if normpath(join(meant, "index.html")) in files:
            link = target._replace(path=f"{target.path.rstrip('/')}/index.html").geturl()
        else:
            link = site_url.rstrip("/") + "/" + target._replace(path=meant).geturl()
        return f'{attribute[1]}="{link}"'

    page = ATTRIBUTE.sub(on_disk, PRELOAD.sub("", page))
    return MODULE_TAG.sub(rf'<script defer src="\1{FIGURES_ON_DISK}">', page)


def search_on_disk(folder: Path) -> str:
    """Pagefind's program and the files that it would fetch, as one script that needs no module."""
    module = (folder / "pagefind.js").read_text(encoding="utf-8")
    program, exports = EXPORT.subn(r"return {\1};", module)
    if exports != 1:
        raise BuildError("pagefind.js no longer ends with one export: look again at offline.py")
    files = {
        path.relative_to(folder).as_posix(): base64.b64encode(path.read_bytes()).decode()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".js"
    }
    here = json.dumps("/pagefind/pagefind.js")
    program = program.replace("import.meta.url", here)
    return FROM_DISK.format(files=json.dumps(files), program=program)


def figures_on_disk(folder: Path) -> str:
    """The modules of the figures that react, as one script that needs no module.

    A module that says more than `STATEMENTS` knows, or names a file by `import.meta`, is left out:
    its figure stays on disk what it is without scripts.
    """
    modules = []
    for path in [*sorted(folder.glob("*.js")), *sorted(folder.glob("figures/*.js"))]:
        text = path.read_text(encoding="utf-8")
        if path.name.endswith(".min.js") or not re.search(r"\bexport\b", text):
            continue
        for statement, instead in STATEMENTS:
            text = statement.sub(instead, text)
        if STATEMENT.search(text):
            continue
        name = json.dumps(path.relative_to(folder).as_posix())
        modules.append(f"{name}: (exports) => {{{text}\n}},")
    return FROM_MODULES.format(modules="\n".join(modules))
