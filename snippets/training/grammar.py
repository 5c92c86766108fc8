"""A small German-English corpus that a grammar generates: `docs/training/data.md`.

It was written for this project, needs no download, and holds what makes the two languages differ:
genders and cases, the verb in second place, and the participle at a German sentence's end.
"""

import random
from dataclasses import dataclass

from snippets.training.data import DataError

# --8<-- [start:lexicon]
# German noun, gender, plural; English noun, plural
CREATURES = [
    ("Hund", "m", "Hunde", "dog", "dogs"),
    ("Vogel", "m", "Vögel", "bird", "birds"),
    ("Mann", "m", "Männer", "man", "men"),
    ("Junge", "m", "Jungen", "boy", "boys"),
    ("Katze", "f", "Katzen", "cat", "cats"),
    ("Frau", "f", "Frauen", "woman", "women"),
    ("Lehrerin", "f", "Lehrerinnen", "teacher", "teachers"),
    ("Kind", "n", "Kinder", "child", "children"),
    ("Mädchen", "n", "Mädchen", "girl", "girls"),
    ("Pferd", "n", "Pferde", "horse", "horses"),
]
THINGS = [
    ("Ball", "m", "Bälle", "ball", "balls"),
    ("Apfel", "m", "Äpfel", "apple", "apples"),
    ("Hut", "m", "Hüte", "hat", "hats"),
    ("Blume", "f", "Blumen", "flower", "flowers"),
    ("Zeitung", "f", "Zeitungen", "newspaper", "newspapers"),
    ("Tasche", "f", "Taschen", "bag", "bags"),
    ("Buch", "n", "Bücher", "book", "books"),
    ("Brot", "n", "Brote", "loaf", "loaves"),
    ("Bild", "n", "Bilder", "picture", "pictures"),
]
ADJECTIVES = [
    ("klein", "small"),
    ("groß", "big"),
    ("alt", "old"),
    ("neu", "new"),
    ("rot", "red"),
    ("schwarz", "black"),
    ("schön", "beautiful"),
]
# German: he, they, participle; English: he, they, participle
VERBS = [
    ("sieht", "sehen", "gesehen", "sees", "see", "seen"),
    ("findet", "finden", "gefunden", "finds", "find", "found"),
    ("trägt", "tragen", "getragen", "carries", "carry", "carried"),
    ("sucht", "suchen", "gesucht", "seeks", "seek", "sought"),
    ("malt", "malen", "gemalt", "paints", "paint", "painted"),
    ("holt", "holen", "geholt", "fetches", "fetch", "fetched"),
    ("kauft", "kaufen", "gekauft", "buys", "buy", "bought"),
    ("zeigt", "zeigen", "gezeigt", "shows", "show", "shown"),
]
PLACES = [
    ("im Park", "in the park"),
    ("am Strand", "on the beach"),
    ("auf der Straße", "on the street"),
    ("vor dem Haus", "in front of the house"),
    ("in der Küche", "in the kitchen"),
    ("unter dem Baum", "under the tree"),
]
TIMES = [
    ("heute", "today"),
    ("am Morgen", "in the morning"),
    ("jeden Tag", "every day"),
    ("im Winter", "in winter"),
    ("im Sommer", "in summer"),
]
ARTICLES = {  # by case and gender: definite, its adjective's ending, indefinite, its ending
    ("nominative", "m"): ("der", "e", "ein", "er"),
    ("nominative", "f"): ("die", "e", "eine", "e"),
    ("nominative", "n"): ("das", "e", "ein", "es"),
    ("accusative", "m"): ("den", "en", "einen", "en"),
    ("accusative", "f"): ("die", "e", "eine", "e"),
    ("accusative", "n"): ("das", "e", "ein", "es"),
}
# --8<-- [end:lexicon]


# --8<-- [start:sentence]
@dataclass(frozen=True)
class NounPhrase:
    """A noun with its article and perhaps an adjective, in both languages."""

    noun: tuple[str, str, str, str, str]
    adjective: tuple[str, str] | None
    definite: bool
    plural: bool

    def german(self, case: str) -> str:
        """In "nominative" or "accusative"."""
        one, gender, many, _, _ = self.noun
        definite, weak, indefinite, strong = ARTICLES[case, gender]
        if self.plural:
            article, ending = ("die", "en") if self.definite else ("zwei", "e")
        else:
            article, ending = (definite, weak) if self.definite else (indefinite, strong)
        adjective = [self.adjective[0] + ending] if self.adjective else []
        return " ".join([article, *adjective, many if self.plural else one])

    def english(self) -> str:
        """The same in English, whose articles know neither case nor gender."""
        _, _, _, one, many = self.noun
        words = [*([self.adjective[1]] if self.adjective else []), many if self.plural else one]
        indefinite = "two" if self.plural else "an" if words[0][0] in "aeiou" else "a"
        return " ".join(["the" if self.definite else indefinite, *words])


def noun_phrase(draw: random.Random, nouns: list[tuple[str, str, str, str, str]]) -> NounPhrase:
    """A random one: half of them with an adjective, a third in the plural."""
    adjective = draw.choice(ADJECTIVES) if draw.random() < 0.5 else None
    return NounPhrase(draw.choice(nouns), adjective, draw.random() < 0.5, draw.random() < 1 / 3)


def sentence(draw: random.Random) -> tuple[str, str]:
    """A random sentence, German and English."""
    subject, thing = noun_phrase(draw, CREATURES), noun_phrase(draw, THINGS)
    verb, place, time = draw.choice(VERBS), draw.choice(PLACES), draw.choice(TIMES)
    perfect, time_first = draw.random() < 0.5, draw.random() < 0.5
    he_or_they = 1 if subject.plural else 0
    who, what = subject.german("nominative"), thing.german("accusative")
    if perfect:
        finite, last = ("haben" if subject.plural else "hat"), [verb[2]]
        english_verb = f"{'have' if subject.plural else 'has'} {verb[5]}"
    else:
        finite, last, english_verb = verb[he_or_they], [], verb[3 + he_or_they]
    order = [time[0], finite, who] if time_first else [who, finite, time[0]]  # verb second
    german = [*order, place[0], what, *last]
    english = [subject.english(), english_verb, thing.english(), place[1]]
    english = [time[1], *english] if time_first else [*english, time[1]]
    return written(german), written(english)


def written(parts: list[str]) -> str:
    """A sentence with its capital letter and its full stop."""
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."


# --8<-- [end:sentence]


# --8<-- [start:grammar]
SIZES = {"test": 200, "val": 200, "train": 4000}
"""Number of sentence pairs in each split."""


def grammar(split: str, src: str, tgt: str, seed: int = 0) -> list[tuple[str, str]]:
    """The sentence pairs of a split; no sentence is in two of them.

    Args:
        split: "train" (4,000 pairs), "val" or "test" (200 each).
        src: Language of the source, "de" or "en".
        tgt: Language of the target, the other one.
        seed: Another one gives other sentences.

    Returns:
        (source, target) pairs.

    Raises:
        DataError: If the split does not exist, or the languages are not German and English.
    """
    if split not in SIZES:
        raise DataError(f"the grammar's splits are {', '.join(SIZES)}, not {split}")
    if {src, tgt} != {"de", "en"}:
        raise DataError(f"the grammar's languages are de and en, not {src} and {tgt}")
    draw, pairs = random.Random(seed), {}
    while len(pairs) < sum(SIZES.values()):
        german, english = sentence(draw)
        pairs[german] = english
    both = list(pairs.items())
    start = 0
    for name, size in SIZES.items():
        if name == split:
            break
        start += size
    chosen = both[start : start + size]
    return chosen if src == "de" else [(english, german) for german, english in chosen]


# --8<-- [end:grammar]
