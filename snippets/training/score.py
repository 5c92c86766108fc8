"""Scores a trained model, with the signature that a comparison needs: `docs/training/bleu.md`.

    python -m snippets.training.score --checkpoint runs/de-en --split test_2016_flickr --average 10

The corpus and the direction are those with which the model was trained. Text as it was written is
counted by sacreBLEU's own tokenizer, with and without case, and once more after it was lowercased,
normalised and tokenised as the corpus's own `lc.norm.tok` files are, which is what many published
scores are; text that was prepared so before is counted as it stands.
"""

import argparse
import json
import platform
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import sacrebleu
import tokenizers
import torch
from sacrebleu.metrics import BLEU
from sacremoses import MosesPunctNormalizer, MosesTokenizer

from snippets.training.checkpoint import CheckpointError
from snippets.training.data import DataError
from snippets.training.train import read_corpus
from snippets.training.translate import load_translator, translate


# --8<-- [start:lowercased_and_tokenized]
def lowercased_and_tokenized(lines: list[str], language: str) -> list[str]:
    """Lines as the files `lc.norm.tok` of Multi30k hold them, by the tools of Moses.

    Args:
        lines: Text as it was written.
        language: Such as "de"; it decides quotation marks and abbreviations.
    """
    normalizer, tokenizer = MosesPunctNormalizer(language), MosesTokenizer(language)
    return [
        tokenizer.tokenize(normalizer.normalize(line.lower()), return_str=True) for line in lines
    ]


# --8<-- [end:lowercased_and_tokenized]


# --8<-- [start:bleu_scores]
def bleu_scores(
    hypotheses: list[str], references: list[str], language: str, tokenized: bool = False
) -> dict[str, dict[str, Any]]:
    """BLEU in the ways in which others report it, each with sacreBLEU's signature.

    Args:
        hypotheses: The translations.
        references: One for each of them.
        language: Of both, such as "de".
        tokenized: Whether the text is lowercased and tokenised already.

    Returns:
        By the name of the way: "score" and "signature".
    """
    texts = {"cased": (hypotheses, references), "lowercased": (hypotheses, references)}
    if tokenized:
        texts = {"tokenized": (hypotheses, references)}
    else:
        prepared = (lowercased_and_tokenized(text, language) for text in (hypotheses, references))
        texts["tokenized"] = tuple(prepared)
    ways = {
        "cased": BLEU(),
        "lowercased": BLEU(lowercase=True),
        "tokenized": BLEU(tokenize="none", force=True),
    }
    scores = {}
    for name, (found, wanted) in texts.items():
        score = ways[name].corpus_score(found, [wanted]).score
        scores[name] = {"score": score, "signature": str(ways[name].get_signature())}
    return scores


# --8<-- [end:bleu_scores]


def versions() -> dict[str, str]:
    """Of what decides a score."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "sacrebleu": sacrebleu.__version__,
        "tokenizers": tokenizers.__version__,
    }


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="python -m snippets.training.score", description="Translate a split and count BLEU."
    )
    command.add_argument("--checkpoint", type=Path, required=True, help="a run, or its weights")
    command.add_argument("--split", required=True, help="such as val, test or test_2016_flickr")
    command.add_argument("--beam", type=int, default=5, help="width; 1 is greedy (default: 5)")
    command.add_argument("--alpha", type=float, default=0.6, help="length penalty (default: 0.6)")
    command.add_argument("--average", type=int, default=1, help="sets of weights (default: 1)")
    command.add_argument("--out", type=Path, help="append the result to this file as a JSON line")
    command.add_argument("--translations", type=Path, help="write the translations to this file")
    return command


def main(arguments: list[str] | None = None) -> None:
    """Run the command; what goes wrong is said in one sentence."""
    command = parser()
    given = command.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        model, tokenizer, config = load_translator(given.checkpoint, given.average)
        pairs = read_corpus(config, given.split)
    except (CheckpointError, DataError) as error:
        sys.exit(f"{command.prog}: {error}")
    begun = time.perf_counter()
    found = translate(model, tokenizer, [src for src, _ in pairs], given.beam, given.alpha)
    seconds = time.perf_counter() - begun
    result = {
        "command": f"{command.prog} --split {given.split} --beam {given.beam} "
        f"--alpha {given.alpha} --average {given.average}",
        "split": given.split,
        "beam": given.beam,
        "alpha": given.alpha,
        "average": given.average,
        "sentences": len(pairs),
        "scores": bleu_scores(
            found,
            [tgt for _, tgt in pairs],
            config.tgt,
            tokenized=config.corpus == "multi30k-tokenized",
        ),
        "seconds": round(seconds, 1),
        "config": asdict(config),
        "versions": versions(),
    }
    if given.translations:
        given.translations.write_text("".join(f"{line}\n" for line in found), encoding="utf-8")
    if given.out:
        with given.out.open("a", encoding="utf-8") as file:
            file.write(json.dumps(result) + "\n")
    for name, score in result["scores"].items():
        print(f"{name}: {score['score']:.2f}  {score['signature']}")


if __name__ == "__main__":
    main()
