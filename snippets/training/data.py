"""Sentences and their vocabulary, from files to token ids: `docs/training/data.md`.

A corpus is a list of pairs (source sentence, target sentence). Both languages have one vocabulary.
"""

import gzip
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers


# --8<-- [start:DataError]
class DataError(ValueError):
    """Something wrong with a corpus or a vocabulary; the message says what, in one sentence."""


# --8<-- [end:DataError]


# --8<-- [start:read_lines]
def read_lines(path: Path) -> list[str]:
    """The sentences of a text file, one a line, plain or compressed with gzip.

    Args:
        path: A UTF-8 file. Only a newline ends a line: characters such as U+2028 stand within one.

    Returns:
        The lines without their newlines and without white space around them.

    Raises:
        DataError: If the file does not exist, is damaged, is not UTF-8 or holds no line.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
        text = content.decode("utf-8")
    except FileNotFoundError:
        raise DataError(f"there is no file {path}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: this line is not UTF-8 text") from None
    except (OSError, EOFError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    lines = [line.strip() for line in text.removesuffix("\n").split("\n")]
    if lines == [""]:
        raise DataError(f"{path} holds no sentence")
    return lines


def read_pairs(src_path: Path, tgt_path: Path, max_words: int = 1000) -> list[tuple[str, str]]:
    """The sentence pairs of two parallel files: line i of one translates line i of the other.

    Args:
        src_path: The source sentences, one a line.
        tgt_path: The target sentences.
        max_words: A line of more words is refused: it is not a sentence but a file without
            newlines, and attention's memory grows with the square of it.

    Returns:
        (source, target) pairs. A pair of which a side is empty is left out.

    Raises:
        DataError: If a file cannot be read, the files differ in length, a line is too long, or no
            pair is left.
    """
    sides = [read_lines(src_path), read_lines(tgt_path)]
    if len(sides[0]) != len(sides[1]):
        raise DataError(
            f"{src_path} has {len(sides[0])} lines but {tgt_path} has {len(sides[1])}: "
            "line i of one has to translate line i of the other"
        )
    for path, lines in zip((src_path, tgt_path), sides, strict=True):
        for number, line in enumerate(lines, 1):
            if len(words := line.split()) > max_words:
                raise DataError(
                    f"{path}:{number}: a line of {len(words)} words is longer than {max_words}"
                )
    pairs = [(src, tgt) for src, tgt in zip(*sides, strict=True) if src and tgt]
    if not pairs:
        raise DataError(f"{src_path} and {tgt_path} hold no pair of sentences")
    return pairs


# --8<-- [end:read_lines]


# --8<-- [start:special]
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]
"""Padding, an unknown character, the start and the end of a sentence: the ids 0 to 3."""
PAD, UNK, START, END = range(len(SPECIAL))
# --8<-- [end:special]


# --8<-- [start:words]
def words_of(sentence: str) -> list[str]:
    """The words of a sentence, its full stop and the end token: tokens that a reader can read."""
    return [*sentence.replace(".", " .").split(), SPECIAL[END]]


def word_vocabulary(pairs: Sequence[tuple[list[str], ...]]) -> list[str]:
    """The special tokens, and then every word of the pairs, in the order of their letters."""
    return [*SPECIAL, *sorted({word for pair in pairs for side in pair for word in side[:-1]})]


def word_ids(
    pairs: Sequence[tuple[list[str], ...]], vocabulary: Sequence[str]
) -> list[tuple[list[int], ...]]:
    """Pairs of words as pairs of their places in a vocabulary, which holds every word of them."""
    number = {word: index for index, word in enumerate(vocabulary)}
    return [tuple([number[word] for word in side] for side in pair) for pair in pairs]


# --8<-- [end:words]


# --8<-- [start:train_tokenizer]
def train_tokenizer(pairs: Iterable[tuple[str, str]], vocab_size: int) -> Tokenizer:
    """Learn one vocabulary of subwords for both languages, by byte-pair encoding.

    A space becomes the character ▁ in front of the word behind it, and punctuation is cut off
    from words, so that the tokens of a sentence spell it out to the letter, spaces included.

    Args:
        pairs: The training split and nothing else: a vocabulary that has seen the test split knows
            something about it.
        vocab_size: Number of tokens at most, the special ones included.

    Returns:
        A tokenizer, `encode(sentence).ids` and `decode(ids)`.

    Raises:
        DataError: If `vocab_size` does not hold the special tokens and every character.

    Source: Sennrich, Haddow and Birch (2016); section 5.1 of the paper.
    """
    sentences = [sentence for pair in pairs for sentence in pair]
    n_characters = len({character for sentence in sentences for character in sentence})
    if vocab_size < len(SPECIAL) + n_characters + 1:
        raise DataError(
            f"vocab_size = {vocab_size} does not hold {len(SPECIAL)} special tokens and "
            f"{n_characters + 1} characters"
        )
    tokenizer = Tokenizer(models.BPE(unk_token=SPECIAL[UNK]))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(), pre_tokenizers.Punctuation()]
    )
    tokenizer.decoder = decoders.Metaspace()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size, special_tokens=SPECIAL, show_progress=False
    )
    tokenizer.train_from_iterator(sentences, trainer)
    return tokenizer


# --8<-- [end:train_tokenizer]


# --8<-- [start:read_tokenizer]
def read_tokenizer(path: Path) -> tuple[Tokenizer, str]:
    """A vocabulary that was written to a file, and the file's SHA-256 in hexadecimal digits.

    Raises:
        DataError: If the file cannot be read or holds no vocabulary.
    """
    try:
        whole = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"there is no vocabulary {path}") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    try:
        tokenizer = Tokenizer.from_str(whole.decode("utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise DataError(f"{path} is damaged or no vocabulary: {error}") from None
    return tokenizer, hashlib.sha256(whole).hexdigest()


# --8<-- [end:read_tokenizer]


# --8<-- [start:encode_pairs]
def encode_pairs(
    tokenizer: Tokenizer, pairs: Iterable[tuple[str, str]]
) -> list[tuple[list[int], list[int]]]:
    """Turn sentences into token ids, each with the end token behind it.

    Args:
        tokenizer: What `train_tokenizer` returned.
        pairs: (source, target) sentences.

    Returns:
        (source ids, target ids). The start token is no part of a sentence: `make_batch` puts it
        before the decoder's input.
    """
    pairs = list(pairs)
    sides = [tokenizer.encode_batch([pair[side] for pair in pairs]) for side in (0, 1)]
    return [([*src.ids, END], [*tgt.ids, END]) for src, tgt in zip(*sides, strict=True)]


# --8<-- [end:encode_pairs]
