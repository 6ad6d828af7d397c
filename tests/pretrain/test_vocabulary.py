from pathlib import Path

import pytest
from transformers import AutoTokenizer

from pretrain.families import FAMILIES
from pretrain.vocabulary import COMMON, MAX_TOKENS, VOCABULARY_SIZE, train_tokenizer


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(path)
    return path


def test_it_loads_as_any_tokenizer_and_gives_texts_back(directory: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert len(tokenizer) <= VOCABULARY_SIZE and tokenizer.model_max_length == MAX_TOKENS
    for text in ("This is a sound of a dog bark.", "Gewöhnliche Schüsse", "雨の音"):
        assert tokenizer.decode(tokenizer(text)["input_ids"], skip_special_tokens=True) == text


def test_names_and_common_words_take_few_tokens(directory: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(directory)
    words = [name for family in FAMILIES for name in family.names] + COMMON.split()
    pieces = [len(tokenizer.tokenize(f" {word}")) / len(word.split()) for word in words]
    assert max(pieces) <= 7
    assert sum(pieces) / len(pieces) < 2


def test_the_same_seed_gives_the_same_tokenizer(directory: Path, tmp_path: Path) -> None:
    train_tokenizer(tmp_path)
    assert (tmp_path / "merges.txt").read_bytes() == (directory / "merges.txt").read_bytes()
