import numpy as np

from pretrain.captions import caption, corpus, describe
from pretrain.families import FAMILIES


def test_adjectives_go_between_article_and_noun() -> None:
    assert describe("a dog bark", ["small"]) == "a small dog bark"
    assert describe("a dog bark", ["echoing", "harsh"]) == "an echoing, harsh dog bark"
    assert describe("rain", ["heavy"]) == "heavy rain"
    assert describe("rain", []) == "rain"


def test_a_caption_names_its_family() -> None:
    rng = np.random.default_rng(0)
    for family in FAMILIES:
        text = caption(rng, family, ("low", "with wind")).lower()
        assert any(name.split()[-1].lower() in text for name in family.names)


def test_the_corpus_holds_every_name() -> None:
    texts = corpus(np.random.default_rng(0), 1000)
    assert len(texts) == 1000
    assert {name for family in FAMILIES for name in family.names} <= set(texts)
