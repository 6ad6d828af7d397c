"""Captions: a name, words that describe it, and the sentences that hold both."""

from collections.abc import Sequence

from pretrain.families import FAMILIES
from pretrain.family import Family
from pretrain.signals import Rng

TEMPLATES = (
    "This is a sound of {}.",
    "This is a sound of {}.",
    "This is a sound of {}.",
    "This is a sound of {}",
    "The sound of {}.",
    "the sound of {}",
    "A recording of {}.",
    "I can hear {}.",
    "There is {}.",
    "{}",
    "{}",
    "{}.",
)


def caption(rng: Rng, family: Family, words: Sequence[str]) -> str:
    """Return one caption of a sound: one of the family's names, often with some of its words, in a sentence."""
    name = family.names[min(int(rng.exponential(1.3)), len(family.names) - 1)]
    told = [word for word in words if rng.uniform() < 0.35] if rng.uniform() < 0.6 else []
    before = [word for word in told if not word.startswith("with ")]
    after = [word for word in told if word.startswith("with ")]
    phrase = " ".join([describe(name, before), *after])
    template = TEMPLATES[rng.integers(len(TEMPLATES))]
    text = template.format(phrase)
    return text[:1].upper() + text[1:] if rng.uniform() < 0.15 else text


def describe(name: str, words: Sequence[str]) -> str:
    """Put adjectives in front of a noun phrase, after its article."""
    if not words:
        return name
    listed = ", ".join(words[:2])
    for article in ("a ", "an "):
        if name.startswith(article):
            return f"{'an' if listed[0] in 'aeiou' else 'a'} {listed} {name[len(article) :]}"
    return f"{listed} {name}"


def corpus(rng: Rng, count: int) -> list[str]:
    """Return `count` captions with all the names in them, for the tokenizer."""
    words = ("high", "low", "fast", "slow", "distant", "noisy", "muffled", "echoing", "harsh", "steady", "continuous")
    texts = [text for family in FAMILIES for text in family.names]
    while len(texts) < count:
        family = FAMILIES[rng.integers(len(FAMILIES))]
        texts.append(caption(rng, family, [str(word) for word in rng.choice(words, 2)]))
    return texts
