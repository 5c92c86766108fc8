"""Files that others may read at any time."""

import tempfile
from pathlib import Path


def write(path: Path, text: str) -> None:
    """Write a file in one step, so that no reader meets half of it."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).replace(path)
