"""`mkdocs serve`: what it says where it cannot start."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import ROOT

HOOKS = [str(ROOT / "docs/hooks" / name) for name in ("port.py", "build_error.py")]
CONFIG = f"""\
site_name: A site of one page
theme: {{name: null, custom_dir: theme}}
plugins: []
hooks: {json.dumps(HOOKS)}
markdown_extensions:
  - pymdownx.snippets: {{check_paths: true, base_path: {json.dumps(str(ROOT))}}}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A project of one page, with this site's hooks."""
    (tmp_path / "mkdocs.yml").write_text(CONFIG, encoding="utf-8")
    for name in ("docs", "theme"):
        (tmp_path / name).mkdir()
    (tmp_path / "theme/main.html").write_text("{{ page.content }}", encoding="utf-8")
    (tmp_path / "docs/index.md").write_text("---\ndescription: One.\n---\n# One\n", "utf-8")
    return tmp_path


@pytest.fixture
def taken() -> Iterator[int]:
    """A port at which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def serve(site: Path, address: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs `mkdocs serve` until it ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "serve", "--dev-addr", address, *options],
        cwd=site,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("options", [[], ["--clean"], ["--dirty"]], ids=["plain", "clean", "dirty"])
def test_a_port_in_use_is_said_in_one_sentence_before_anything_is_built(
    site: Path, taken: int, options: list[str]
) -> None:
    run = serve(site, f"127.0.0.1:{taken}", *options)
    assert run.returncode == 1
    said = [line for line in run.stdout.splitlines() if line and "Building doc" not in line]
    assert said == [
        f"Port {taken} of 127.0.0.1 is in use: stop the program that listens there, or choose "
        f"another port, as in `make serve PORT={taken + 1}` or "
        f"`mkdocs serve --dev-addr 127.0.0.1:{taken + 1}`."
    ]


def test_an_address_of_another_machine_is_refused_in_one_sentence(site: Path) -> None:
    run = serve(site, "192.0.2.1:8000")  # an address that documentation may use and nobody has
    assert run.returncode == 1
    assert "Nothing can be served at 192.0.2.1:8000: " in run.stdout
    assert "Traceback" not in run.stdout
    assert "Cleaning site" not in run.stdout


def test_a_broken_page_ends_the_start_with_one_sentence(site: Path) -> None:
    (site / "docs/index.md").write_text('# One\n\n--8<-- "snippets/nowhere.py"\n', "utf-8")
    run = serve(site, "127.0.0.1:0")
    assert run.returncode == 1
    assert "Traceback" not in run.stdout
    last = run.stdout.rstrip().splitlines()[-1]
    assert last.startswith("The build stopped: ")
    assert "snippets/nowhere.py" in last
