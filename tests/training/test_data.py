"""Files become sentences, sentences become tokens, and what is wrong is said in one sentence."""

import gzip
from pathlib import Path

import pytest

from snippets.training.data import (
    END,
    SPECIAL,
    UNK,
    DataError,
    encode_pairs,
    read_lines,
    read_pairs,
    train_tokenizer,
    word_ids,
    word_vocabulary,
    words_of,
)
from snippets.training.grammar import grammar


def write(folder: Path, **files: str | bytes) -> list[Path]:
    paths = []
    for name, content in files.items():
        path = folder / name.replace("_", ".")
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        paths.append(path)
    return paths


def test_plain_and_compressed_files_hold_the_same_lines(tmp_path: Path) -> None:
    text = "Ein Hund.\n Zwei\u2028Hunde. \n\nEnde"
    plain, packed = write(tmp_path, a_de=text, a_de_gz=gzip.compress(text.encode()))
    assert read_lines(plain) == read_lines(packed) == ["Ein Hund.", "Zwei\u2028Hunde.", "", "Ende"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no sentence"),
        (b"good\nbad \xff\n", ":2: this line is not UTF-8 text"),
        (None, "there is no file"),
    ],
)
def test_a_file_that_holds_no_text_is_refused(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    path = tmp_path / "a.de"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_lines(path)


def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path: Path) -> None:
    (path,) = write(tmp_path, a_gz=gzip.compress(b"Ein Hund.\n" * 99)[:-9])
    with pytest.raises(DataError, match="cannot be read"):
        read_lines(path)


def test_pairs_keep_their_order_and_leave_out_empty_sides(tmp_path: Path) -> None:
    paths = write(tmp_path, a_de="eins\n\ndrei\nvier\n", a_en="one\ntwo\n \nfour\n")
    assert read_pairs(*paths) == [("eins", "one"), ("vier", "four")]


@pytest.mark.parametrize(
    ("src", "tgt", "message"),
    [
        ("a\nb\n", "a\n", "has 2 lines but .*a.en has 1"),
        ("\n\n", "a\nb\n", "hold no pair"),
        ("a\n" + "b " * 10_000 + "\n", "a\nb\n", "a.de:2: a line of 10000 words is longer than"),
    ],
)
def test_files_that_are_not_parallel_are_refused(
    tmp_path: Path, src: str, tgt: str, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        read_pairs(*write(tmp_path, a_de=src, a_en=tgt))


def test_a_vocabulary_spells_every_sentence_to_the_letter() -> None:
    pairs = grammar("train", "de", "en")
    tokenizer = train_tokenizer(pairs, 300)
    assert [tokenizer.id_to_token(id) for id in range(4)] == SPECIAL
    assert tokenizer.get_vocab_size() == 300
    for sentence in [*pairs[0], *pairs[1], "Das  ist , so(!) geschrieben ."]:
        ids = tokenizer.encode(sentence).ids
        if UNK not in ids:
            assert tokenizer.decode(ids) == sentence


def test_a_vocabulary_is_the_same_again() -> None:
    pairs = grammar("val", "de", "en")
    assert train_tokenizer(pairs, 200).to_str() == train_tokenizer(pairs, 200).to_str()


def test_an_unknown_character_is_one_unknown_token() -> None:
    tokenizer = train_tokenizer([("ab", "ba")], 20)
    assert tokenizer.encode("a猫b").ids.count(UNK) == 1


def test_a_vocabulary_too_small_for_the_characters_is_refused() -> None:
    with pytest.raises(DataError, match="vocab_size = 6 does not hold 4 special tokens and 3"):
        train_tokenizer([("ab", "ba")], 6)


def test_a_sentence_ends_in_the_end_token() -> None:
    pairs = [("ab", "ba"), ("b", "a")]
    tokenizer = train_tokenizer(pairs, 20)
    encoded = encode_pairs(tokenizer, pairs)
    assert [len(encoded), len(encoded[0])] == [2, 2]
    for (src, tgt), (src_ids, tgt_ids) in zip(pairs, encoded, strict=True):
        assert src_ids[-1] == tgt_ids[-1] == END
        assert (tokenizer.decode(src_ids[:-1]), tokenizer.decode(tgt_ids[:-1])) == (src, tgt)


def test_words_are_tokens_where_a_reader_has_to_read_them() -> None:
    pairs = [(words_of("Das Kind malt."), words_of("The child paints."))]
    assert pairs[0][0] == ["Das", "Kind", "malt", ".", SPECIAL[END]]
    vocabulary = word_vocabulary(pairs)
    assert vocabulary == [*SPECIAL, ".", "Das", "Kind", "The", "child", "malt", "paints"]
    ((src, tgt),) = word_ids(pairs, vocabulary)
    assert [vocabulary[token] for token in src] == pairs[0][0]
    assert tgt[-1] == END
    with pytest.raises(KeyError):
        word_ids([(["Hund"], ["dog"])], vocabulary)
