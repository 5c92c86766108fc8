"""The hooks that act when a build fails: what is served meanwhile, and what is said."""

import logging
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.exceptions import Abort

from docs.hooks import build_error, last_good


def test_the_last_good_pages_are_served_while_a_page_is_broken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "index.html").write_text("good")

    def broken() -> None:
        shutil.rmtree(tmp_path)
        tmp_path.mkdir()
        raise Abort("docs/index.md:3: no formula")

    server = SimpleNamespace(root=str(tmp_path), builder=broken)
    last_good.on_serve(server, config=None, builder=broken)
    with caplog.at_level(logging.ERROR):
        server.builder()
    assert (tmp_path / "index.html").read_text() == "good"
    assert "docs/index.md:3: no formula" in caplog.text


def test_an_error_ends_the_build_with_its_own_words() -> None:
    with pytest.raises(Abort, match=r"docs/index\.md:3: no formula"):
        build_error.on_build_error(ValueError("docs/index.md:3: no formula"))
