"""A site of a few pages for tests: this site's Markdown, without its theme, plugins and hooks."""

import json
import shutil
from pathlib import Path

from mkdocs.commands.build import build
from mkdocs.config import load_config

from tests import ROOT

# The extensions are inherited, so that what holds here holds on the site.
CONFIG = f"""\
INHERIT: {json.dumps(str(ROOT / "mkdocs.yml"))}
theme: {{name: null, custom_dir: theme}}
extra_css: []
extra_javascript: []
plugins: []
hooks: [{json.dumps(str(ROOT / "docs/hooks/extensions.py"))}]
watch: []
nav: null
"""


def make_site(root: Path, *pages: Path) -> None:
    """Write a project with copies of the pages, and of the `snippets` that stand beside them."""
    (root / "mkdocs.yml").write_text(CONFIG, encoding="utf-8")
    for name in ("docs", "snippets", "theme"):
        (root / name).mkdir(exist_ok=True)
    (root / "theme" / "main.html").write_text("{{ page.toc }}{{ page.content }}", encoding="utf-8")
    for page in pages:
        shutil.copy(page, root / "docs")
        if (page.parent / "snippets").is_dir():
            shutil.copytree(page.parent / "snippets", root / "snippets", dirs_exist_ok=True)


def build_site(root: Path) -> dict[str, str]:
    """Build the site as MkDocs does, strictly: the HTML of every page by the page's stem."""
    config = load_config(str(root / "mkdocs.yml"))
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    return {
        page.stem: (root / "site" / page.stem / "index.html").read_text(encoding="utf-8")
        for page in (root / "docs").glob("*.md")
    }
