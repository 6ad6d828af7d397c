from pathlib import Path

import pytest
import torch

from pretrain.alignment import Heard, accuracy, align, prototype_accuracy
from pretrain.families import FAMILIES
from pretrain.model import small_clap
from pretrain.vocabulary import train_tokenizer

NUM_CLIPS = 8 * len(FAMILIES)


@pytest.fixture(scope="module")
def heard() -> Heard:
    """Pooled features in which every family is a direction of its own under some noise."""
    generator = torch.Generator().manual_seed(0)
    family = torch.arange(NUM_CLIPS) % len(FAMILIES)
    directions = torch.randn(len(FAMILIES), 256, generator=generator)
    pooled = directions[family] + 0.3 * torch.randn(NUM_CLIPS, 256, generator=generator)
    return Heard(pooled, family, [["low", "distant"]] * NUM_CLIPS)


@pytest.mark.slow
def test_alignment_teaches_the_text_side_and_leaves_the_encoder_still(heard: Heard, tmp_path: Path) -> None:
    tokenizer = train_tokenizer(tmp_path)
    torch.manual_seed(0)
    model = small_clap(len(tokenizer))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert accuracy(model, tokenizer, heard) < 0.1
    align(model, tokenizer, heard, steps=60)
    assert accuracy(model, tokenizer, heard) > 0.5
    changed = {name.split(".")[0] for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"text_model", "text_projection", "audio_projection", "logit_scale_a", "logit_scale_t"}
    with torch.no_grad():
        embedded = torch.nn.functional.normalize(model.audio_projection(heard.pooled), dim=-1)
    assert prototype_accuracy(embedded, heard.family, embedded, heard.family) > 0.9


def test_nearest_means_tell_families_apart_only_where_they_differ(heard: Heard) -> None:
    assert prototype_accuracy(heard.pooled, heard.family, heard.pooled, heard.family) > 0.99
    shuffled = heard.family[torch.randperm(NUM_CLIPS, generator=torch.Generator().manual_seed(1))]
    assert prototype_accuracy(heard.pooled, shuffled, heard.pooled, heard.family) < 0.3
