"""MkDocs hook: adds the Markdown extensions of `docs/extensions/` to those that are installed.

MkDocs loads an extension by its name, from what Python can import, which holds this folder only
when MkDocs is started as `python -m mkdocs` and from beside it. So mkdocs.yml names them under
`extra`, and they are loaded by where they stand, wherever and however MkDocs is started. For the
same reason a path of an include counts from the folder of mkdocs.yml.
"""

import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]

# What extensions and hooks share is `docs.palette` and the like: here is where to find it.
if "docs" not in sys.modules:
    package = importlib.machinery.ModuleSpec("docs", None, is_package=True)
    package.submodule_search_locations = [str(ROOT / "docs")]
    sys.modules["docs"] = importlib.util.module_from_spec(package)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the extensions that `extra.markdown_extensions` names, with their options."""
    for entry in config.extra.get("markdown_extensions", []):
        name, options = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
        load(name)
        if name not in config.markdown_extensions:
            config.markdown_extensions.append(name)
        if options:
            config.mdx_configs[name] = options
    includes = config.mdx_configs.get("pymdownx.snippets", {})
    if "base_path" in includes:
        folder = Path(config.config_file_path).resolve().parent
        includes["base_path"] = [str(folder / path) for path in includes["base_path"]]
    return config


def load(name: str) -> ModuleType:
    """The module of an extension of this checkout, such as `docs.extensions.mathml`.

    Once it is loaded, Python-Markdown finds it by its name, as it finds an installed one.

    Raises:
        ConfigurationError: If there is no such file.
    """
    path = ROOT / f"{name.replace('.', '/')}.py"
    loaded = sys.modules.get(name)
    if loaded is not None and Path(loaded.__file__).resolve() == path:
        return loaded
    if not path.is_file():
        raise ConfigurationError(
            f"mkdocs.yml names the extension {name}, but {path} does not exist"
        )
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
