"""Multi30k, German-English captions, from their public repository: `docs/training/data.md`.

The corpus belongs to its authors and is no part of this project: it is downloaded once, checked by
its SHA-256, and kept in the user's cache. `MULTI30K_DIR` names a folder that holds it already.
"""

import gzip
import hashlib
import os
import urllib.error
import urllib.request
from pathlib import Path

from snippets.training.data import DataError, read_pairs

# --8<-- [start:sources]
SOURCE = "https://raw.githubusercontent.com/multi30k/dataset/master/data/task1"
SPLITS = ("train", "val", "test_2016_flickr", "test_2017_flickr")
CHECKSUMS = {
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
    "test_2017_flickr.de": "c3078bc3b36808bf9d20eb2347ed6137016179ef59ec0d2b9b8ecc3fb2880081",
    "test_2017_flickr.en": "ce1450ddc5ab0834502579d77a170849952e15a2938b34cc503bdc25ebb4fb98",
    "train.lc.norm.tok.de": "cb5a23529b65ec2061f1dc446192a9c37382b63cc75f81a0be59d34894b3a505",
    "train.lc.norm.tok.en": "08925f8e0572bcd5a006702fc5fe20e2d77c6917d4eebd576fc20de6693c2119",
    "val.lc.norm.tok.de": "97232bd273eceb7207f689527386a97e4be2616b18ada47576bdaf96c8ae1f00",
    "val.lc.norm.tok.en": "46573ce391ae227f1c72f873392436a20ef18e0a6d518098cfbd70b77c8572ec",
    "test_2016_flickr.lc.norm.tok.de": (
        "c6a33d39d48f9f510de147651316cd9d918e09ad0219df734a2f16b6baccacc4"
    ),
    "test_2016_flickr.lc.norm.tok.en": (
        "5b7f32627cf99eced828311b955dae9800bb52bc8b91cf8b6526829e605b29d2"
    ),
    "test_2017_flickr.lc.norm.tok.de": (
        "02067e4a9402786a4fcb8c1b6f4307e4a5073ced64800abead5273b54f5f31f6"
    ),
    "test_2017_flickr.lc.norm.tok.en": (
        "c9d1dfd7a26add989382e534af235af9f0f658b2a30e7eb0efdaf142496ee54f"
    ),
}
"""SHA-256 of the uncompressed text of every file, as its public repository has it."""
# --8<-- [end:sources]


# --8<-- [start:content]
def content(path: Path) -> bytes:
    """The bytes of a file, uncompressed if its name ends in .gz.

    Raises:
        OSError: If the file does not exist or is damaged.
        EOFError: If a compressed file ends too early.
    """
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def is_whole(path: Path, name: str) -> bool:
    """Whether a file exists and its text has the SHA-256 that the corpus's file `name` has."""
    try:
        return hashlib.sha256(content(path)).hexdigest() == CHECKSUMS[name]
    except (OSError, EOFError):
        return False


# --8<-- [end:content]


# --8<-- [start:download]
def download(name: str, folder: Path) -> Path:
    """Fetch one file of the corpus into a folder, unless it is there.

    A download that was interrupted goes on where it stopped. The file appears under its name only
    when it is whole.

    Args:
        name: A key of `CHECKSUMS`, such as "train.de".
        folder: Where the file is kept.

    Returns:
        The path of the file.

    Raises:
        DataError: If the network or the file is not what it should be.
    """
    remote = f"tok/{name}" if ".tok." in name else f"raw/{name}.gz"
    path = folder / Path(remote).name
    if is_whole(path, name):
        return path
    folder.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"part-{path.name}")
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(f"{SOURCE}/{remote}", headers={"Range": f"bytes={have}-"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            mode = "ab" if have and answer.status == 206 else "wb"  # 206: only what was missing
            with part.open(mode) as file:
                while chunk := answer.read(1 << 16):
                    file.write(chunk)
    except urllib.error.HTTPError as error:
        if error.code != 416:  # 416: nothing is missing
            raise DataError(f"{SOURCE}/{remote} answered {error.code} {error.reason}") from None
    except OSError as error:
        raise DataError(
            f"{name} of Multi30k cannot be downloaded ({error}); go online and try again, or name "
            "a folder that holds it in MULTI30K_DIR"
        ) from None
    checked = part.rename(part.with_name(f"whole-{path.name}"))
    if not is_whole(checked, name):
        checked.unlink()
        raise DataError(f"{SOURCE}/{remote} came damaged and was deleted; try again")
    return checked.replace(path)


# --8<-- [end:download]


# --8<-- [start:multi30k]
def multi30k(split: str, src: str, tgt: str, tokenized: bool = False) -> list[tuple[str, str]]:
    """The sentence pairs of a split of Multi30k.

    Args:
        split: "train" (29,000 pairs), "val" (1,014), "test_2016_flickr" or "test_2017_flickr"
            (1,000 each).
        src: Language of the source, "de" or "en".
        tgt: Language of the target.
        tokenized: Read the lowercased, normalised, tokenised text, in which published scores of
            small models are counted, and not the text as it was written.

    Returns:
        (source, target) pairs.

    Raises:
        DataError: If a file does not exist in the corpus, is damaged, or cannot be downloaded.

    Source: Elliott, Frank, Sima'an and Specia (2016).
    """
    given = os.environ.get("MULTI30K_DIR")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "multi30k")
    paths = []
    for language in (src, tgt):
        name = f"{split}{'.lc.norm.tok' if tokenized else ''}.{language}"
        if name not in CHECKSUMS:
            raise DataError(f"Multi30k has no file {name}; its splits are {', '.join(SPLITS)}")
        path = Path(given, f"{name}.gz") if given else download(name, cache)
        if not is_whole(path, name):
            raise DataError(f"{path} is missing or damaged: its SHA-256 is not that of Multi30k")
        paths.append(path)
    return read_pairs(*paths)


# --8<-- [end:multi30k]
