"""Multi30k: a local copy is checked, a download resumes, and what fails is one sentence."""

import gzip
import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from snippets.training import multi30k as module
from snippets.training.data import DataError
from snippets.training.multi30k import download, multi30k

TEXTS = {"train.de": b"Ein Hund.\nZwei Hunde.\n" * 500, "train.lc.norm.tok.de": b"ein hund .\n" * 9}
REMOTE = {
    "/raw/train.de.gz": gzip.compress(TEXTS["train.de"], mtime=0, compresslevel=0),
    "/tok/train.lc.norm.tok.de": TEXTS["train.lc.norm.tok.de"],
}


class Repository(http.server.BaseHTTPRequestHandler):
    """Serves `REMOTE`, whole or from a byte on, as the real host does."""

    asked: list[str | None]

    def do_GET(self) -> None:
        content = REMOTE.get(self.path)
        self.asked.append(self.headers["Range"])
        if content is None:
            self.send_error(404)
            return
        start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        self.wfile.write(content[start:])

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str | None]]:
    """What a repository on this machine is asked for; the corpus is `TEXTS`."""
    Repository.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Repository) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(module, "SOURCE", f"http://127.0.0.1:{server.server_port}")
        sums = {name: hashlib.sha256(text).hexdigest() for name, text in TEXTS.items()}
        monkeypatch.setattr(module, "CHECKSUMS", sums)
        yield Repository.asked
        server.shutdown()


@pytest.mark.parametrize("name", TEXTS)
def test_a_file_is_downloaded_once(asked: list, tmp_path: Path, name: str) -> None:
    path = download(name, tmp_path)
    assert module.content(path) == TEXTS[name]
    assert download(name, tmp_path) == path
    assert asked == ["bytes=0-"]
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_download_goes_on_where_it_stopped(asked: list, tmp_path: Path) -> None:
    (tmp_path / "part-train.de.gz").write_bytes(REMOTE["/raw/train.de.gz"][:700])
    assert module.content(download("train.de", tmp_path)) == TEXTS["train.de"]
    assert asked == ["bytes=700-"]


def test_a_download_that_only_lacked_its_name_is_taken(asked: list, tmp_path: Path) -> None:
    (tmp_path / "part-train.de.gz").write_bytes(REMOTE["/raw/train.de.gz"])
    assert module.content(download("train.de", tmp_path)) == TEXTS["train.de"]


def test_a_damaged_download_is_deleted_and_said(asked: list, tmp_path: Path) -> None:
    (tmp_path / "part-train.de.gz").write_bytes(b"x" * 700)
    with pytest.raises(DataError, match="came damaged and was deleted; try again"):
        download("train.de", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert module.content(download("train.de", tmp_path)) == TEXTS["train.de"]


def test_a_damaged_copy_is_fetched_again(asked: list, tmp_path: Path) -> None:
    (tmp_path / "train.de.gz").write_bytes(b"cut")
    assert module.content(download("train.de", tmp_path)) == TEXTS["train.de"]


def test_without_a_network_one_sentence_says_what_to_do(
    asked: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SOURCE", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"cannot be downloaded .* MULTI30K_DIR"):
        download("train.de", tmp_path)


def test_a_file_that_the_repository_lacks_is_said(
    asked: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.CHECKSUMS, "val.de", "0")
    with pytest.raises(DataError, match=r"raw/val\.de\.gz answered 404"):
        download("val.de", tmp_path)


def test_a_local_copy_is_checked(
    asked: list, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MULTI30K_DIR", str(tmp_path))
    monkeypatch.setitem(module.CHECKSUMS, "train.en", module.CHECKSUMS["train.de"])
    for language in ("de", "en"):
        (tmp_path / f"train.{language}.gz").write_bytes(REMOTE["/raw/train.de.gz"])
    assert len(multi30k("train", "de", "en")) == 1000
    assert asked == []
    (tmp_path / "train.en.gz").write_bytes(gzip.compress(b"Ein Hund.\n"))
    with pytest.raises(DataError, match=r"train\.en\.gz is missing or damaged"):
        multi30k("train", "de", "en")


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(DataError, match=r"no file dev\.de; its splits are train, val"):
        multi30k("dev", "de", "en")
