"""`aspl` equals laion-clap 1.1.7 on shared full-size random weights, by way of a `.pt` file as LAION writes it.

`make parity` runs this in an environment of its own; elsewhere it is skipped. The figures are printed.
"""

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from tokenizers import ByteLevelBPETokenizer
from torch import Tensor, nn
from transformers import ClapModel, RobertaTokenizerFast

from aspl import FrozenClap
from aspl.model.laion_checkpoint import read_laion_checkpoint
from tests.parity import laion
from tests.small_clap import CORPUS, SPECIAL_TOKENS

IS_INSTALLED = importlib.util.find_spec("laion_clap") is not None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not IS_INSTALLED, reason="laion-clap is not installed: run `make parity`"),
    pytest.mark.filterwarnings("ignore:torch.meshgrid"),
]

NUM_SAMPLES = 480_000
LOUD_RANGE_DB = 60
LOUD_ATOL_DB, QUIET_ATOL_DB = 1e-3, 0.1
EMBEDDING_ATOL = 5e-6  # 1e-4 would let a bicubic stretch with the wrong corners pass
TRANSFORMERS_ATOL = 1e-5
LAION_TEXT_TOKENS = 77
TEXTS = ["dog", "This is a sound of rain.", "sea waves and a crying baby, a clock ticking far away", "é 日本語 🐕"]


@dataclass(frozen=True)
class Models:
    """laion-clap's model, transformers' and ours, both of these loaded from the first one's `.pt` file."""

    size: str
    laion_clap: nn.Module
    transformers: ClapModel
    ours: FrozenClap


@pytest.fixture(scope="module", params=["tiny", "base"])
def models(request, tmp_path_factory) -> Iterator[Models]:
    directory = tmp_path_factory.mktemp(request.param)
    laion_clap = laion.build_laion_clap(request.param)
    checkpoint = laion.write_laion_checkpoint(laion_clap, directory / "630k-audioset-best.pt")
    yield Models(
        size=request.param,
        laion_clap=laion_clap,
        transformers=read_laion_checkpoint(checkpoint).eval(),
        ours=FrozenClap.load(checkpoint, tokenizer=write_tokenizer(directory)),
    )
    checkpoint.unlink()


@pytest.fixture(scope="module")
def waveforms() -> Tensor:
    """Ten seconds each, `[B, 480000]`: loud and faint, dense and tonal, broken off, all but silent, and silent.

    Dithered to 16 bits, as recordings are, but for the silence. Over 100 dB under the peak of a tone made in floating
    point, where no recording has anything, laion-clap's log-mel and ours are each off the one computed in float64 by up
    to 0.1 dB of float32's rounding.
    """
    generator = torch.Generator().manual_seed(0)
    t = torch.arange(NUM_SAMPLES) / 48_000
    noise = torch.randn(NUM_SAMPLES, generator=generator)
    click = torch.zeros(NUM_SAMPLES)
    click[240_000] = 1.0
    exact = torch.stack(
        [
            0.3 * noise,
            1e-3 * noise,
            0.5 * torch.sin(2 * torch.pi * 440 * t) + 0.01 * noise,
            0.5 * torch.sin(2 * torch.pi * (100 + 600 * t) * t),
            0.2 * noise * (t % 1 < 0.2),
            click,
        ]
    )
    dither = torch.rand(exact.shape, generator=generator) - torch.rand(exact.shape, generator=generator)
    recorded = (exact * 32_767 + dither).round() / 32_767
    return torch.cat([recorded, torch.zeros(1, NUM_SAMPLES)])


def write_tokenizer(directory: Path) -> Path:
    """Write a byte-level BPE with roberta-base's special tokens; both sides are given the ids that it makes."""
    bpe = ByteLevelBPETokenizer()
    bpe.train_from_iterator(CORPUS, vocab_size=400, min_frequency=1, special_tokens=SPECIAL_TOKENS, show_progress=False)
    bpe.save_model(str(directory))
    RobertaTokenizerFast.from_pretrained(directory, model_max_length=LAION_TEXT_TOKENS).save_pretrained(directory)
    return directory


def check(models: Models, what: str, difference: Tensor, allowed: float) -> None:
    largest = difference.abs().max().item()
    print(f"HTSAT-{models.size:5}{what:58}{largest:.1e}  (allowed {allowed:g})")
    assert largest <= allowed


def check_spread(embeddings: Tensor) -> None:
    """Embeddings that are all alike would agree whatever the inputs."""
    distances = torch.pdist(embeddings)
    assert distances.median() > 0.1 and distances.min() > 1e-3


def test_laion_clap_takes_its_own_checkpoint_back(models, tmp_path):
    path = laion.write_laion_checkpoint(models.laion_clap, tmp_path / "again.pt")
    state = laion.import_clap_module().factory.load_state_dict(str(path))
    assert not any(models.laion_clap.load_state_dict(state))


def test_log_mel(models, waveforms):
    theirs = laion.log_mel(models.laion_clap, waveforms)
    difference = models.ours.log_mel(waveforms) - theirs
    is_loud = theirs > theirs.amax(dim=(1, 2, 3), keepdim=True) - LOUD_RANGE_DB
    check(models, f"log-mel within {LOUD_RANGE_DB} dB of the maximum, dB", difference[is_loud], LOUD_ATOL_DB)
    check(models, "log-mel elsewhere, dB", difference[~is_loud], QUIET_ATOL_DB)


def test_audio_embeddings(models, waveforms):
    theirs = laion.embed_audio(models.laion_clap, waveforms)
    check_spread(theirs)
    ours = models.ours.encode_audio(models.ours.log_mel(waveforms))
    check(models, "audio embeddings", ours - theirs, EMBEDDING_ATOL)


def test_text_embeddings(models):
    batch = models.ours.tokenizer(TEXTS, padding="max_length", max_length=LAION_TEXT_TOKENS, return_tensors="pt")
    theirs = laion.embed_text(models.laion_clap, batch["input_ids"], batch["attention_mask"])
    check_spread(theirs)
    check(models, "text embeddings", models.ours.encode_text(TEXTS) - theirs, EMBEDDING_ATOL)


def test_text_embeddings_over_the_whole_vocabulary_and_length(models):
    generator = torch.Generator().manual_seed(0)
    lengths = torch.tensor([3, 10, 40, LAION_TEXT_TOKENS])
    token_ids = torch.randint(5, 50_265, (len(lengths), LAION_TEXT_TOKENS), generator=generator)
    mask = (torch.arange(LAION_TEXT_TOKENS) < lengths[:, None]).long()
    token_ids = torch.where(mask.bool(), token_ids, 1)  # roberta-base's padding
    theirs = laion.embed_text(models.laion_clap, token_ids, mask)
    check_spread(theirs)
    ours = models.ours.encode_token_embeddings(models.ours.embed_tokens(token_ids), mask)
    check(models, "text embeddings, random tokens of roberta-base", ours - theirs, EMBEDDING_ATOL)


def test_logit_scales(models):
    scale_a, scale_t = models.laion_clap.get_logit_scale()
    assert models.ours.logit_scale == pytest.approx(scale_a.item(), rel=1e-6)
    assert models.transformers.logit_scale_t.exp().item() == pytest.approx(scale_t.item(), rel=1e-6)


def test_transformers_own_forward_pass(models, waveforms):
    log_mel = models.ours.log_mel(waveforms)
    is_longer = torch.zeros(len(log_mel), 1, dtype=torch.bool)
    with torch.no_grad():
        theirs = models.transformers.get_audio_features(log_mel, is_longer=is_longer).pooler_output
    difference = models.ours.encode_audio(log_mel) - theirs
    check(models, "audio embeddings against transformers' own forward pass", difference, TRANSFORMERS_ATOL)
