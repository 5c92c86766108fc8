"""MkDocs hook: writes each trained model into the built site, as the translator's page loads it.

The repository keeps the weights in half precision, for PyTorch (`docs/assets/models/`); a browser
gets `translator.bin` beside them, which `snippets.training.export` makes of them. What was made is
kept in `.cache/models/`, by what it was made of. The zip that works from disk goes without
(`offline.py`), because a page on disk may fetch nothing.
"""

import hashlib
import shutil
import sys
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import BuildError

NAME = "translator.bin"


def on_post_build(config: MkDocsConfig) -> None:
    """Write the file of every model."""
    root = Path(config.config_file_path).resolve().parent
    for weights in sorted(Path(config.docs_dir).glob("assets/models/*/model.safetensors")):
        folder = weights.parent.relative_to(config.docs_dir)
        target = Path(config.site_dir, folder, NAME)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".new")
        shutil.copyfile(exported(weights, root), unfinished)
        unfinished.replace(target)


def exported(weights: Path, root: Path) -> Path:
    """The exported file of a model, made if it is not kept."""
    sources = [weights, weights.with_name("tokenizer.json"), root / "snippets/training/export.py"]
    try:
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    except FileNotFoundError as error:
        raise BuildError(f"there is no {error.filename}, and a model needs it") from None
    kept = root / ".cache" / "models" / f"{digest}.bin"
    if not kept.is_file():
        if str(root) not in sys.path:  # MkDocs lets a hook import what stands beside it, no more
            sys.path.append(str(root))
        from snippets.training.checkpoint import CheckpointError  # PyTorch takes a second to load
        from snippets.training.export import export

        try:
            export(weights, kept)
        except CheckpointError as error:
            raise BuildError(str(error)) from None
    return kept
