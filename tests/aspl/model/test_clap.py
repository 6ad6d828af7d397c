import pytest
import torch
from transformers import ClapModel

from aspl import FrozenClap
from aspl.errors import DeviceUnavailable, LabelsInvalid
from aspl.model.swin import attend

TEXTS = ["a dog", "rain on a roof of tin, with wind around the house", "海の音"]


@pytest.fixture(scope="module")
def reference(small_clap_directory):
    return ClapModel.from_pretrained(small_clap_directory).eval()


@torch.no_grad()
def test_audio_embeddings_equal_those_of_transformers(clap, reference, log_mel):
    expected = reference.get_audio_features(log_mel).pooler_output
    assert torch.allclose(clap.encode_audio(log_mel), expected, atol=1e-5)
    assert not torch.allclose(expected[0], expected[1], atol=1e-3)  # or this test could not fail


@torch.no_grad()
def test_text_embeddings_equal_those_of_transformers(clap, reference):
    tokens = clap.tokenizer(TEXTS, padding=True, return_tensors="pt")
    assert torch.allclose(clap.encode_text(TEXTS), reference.get_text_features(**tokens).pooler_output, atol=1e-5)


@torch.no_grad()
def test_a_clip_sounds_the_same_alone_and_in_any_batch(clap, log_mel):
    together = clap.encode_audio(log_mel)
    alone = torch.cat([clap.encode_audio(row.unsqueeze(0)) for row in log_mel])
    assert torch.allclose(together, alone, atol=1e-5)
    assert torch.allclose(clap.encode_text(TEXTS)[:1], clap.encode_text(TEXTS[:1]), atol=1e-5)


def test_the_model_stays_frozen_and_in_evaluation_mode(clap):
    clap.train()
    assert not any(module.training for module in clap.modules())
    assert not any(parameter.requires_grad for parameter in clap.parameters())


def test_fingerprint_follows_the_weights(small_clap_directory, tmp_path, clap):
    assert FrozenClap.load(small_clap_directory).fingerprint == clap.fingerprint
    other = ClapModel.from_pretrained(small_clap_directory)
    with torch.no_grad():
        other.audio_projection.linear2.bias[0] += 1e-3
    other.save_pretrained(tmp_path)
    clap.tokenizer.save_pretrained(tmp_path)
    assert FrozenClap.load(tmp_path).fingerprint != clap.fingerprint


@torch.no_grad()
def test_bfloat16_is_close_and_keeps_the_log_mel_in_float32(small_clap_directory, clap, log_mel):
    half = FrozenClap.load(small_clap_directory, dtype=torch.bfloat16)
    assert half.log_mel(torch.zeros(1, 480_000)).dtype == torch.float32
    cosines = (half.encode_audio(log_mel) * clap.encode_audio(log_mel)).sum(-1)
    assert cosines.min() > 0.999


@pytest.mark.parametrize("windows_of_bias", [1, 6])
def test_attention_by_products_is_torchs_own_and_lets_gradients_through(windows_of_bias):
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(6, 2, 16, 8, generator=generator).requires_grad_() for _ in range(3))
    bias = torch.randn(windows_of_bias, 2, 16, 16, generator=generator)
    half = attend(*(x.bfloat16() for x in (query, key, value)), bias.bfloat16())
    whole = attend(query, key, value, bias.expand(6, -1, -1, -1))
    torch.testing.assert_close(half.float(), whole, atol=0.05, rtol=0.02)
    gradients = [torch.autograd.grad(result.float().square().sum(), (query, key, value)) for result in (half, whole)]
    torch.testing.assert_close(*gradients, atol=0.2, rtol=0.05)


def test_a_text_that_does_not_fit_is_refused_by_name(clap):
    with pytest.raises(LabelsInvalid, match="bark bark"):
        clap.encode_text(["fine", "bark " * 100])


@pytest.mark.parametrize(
    "settings", [{"device": "cuda:99"}, {"device": "meta"}, {"dtype": torch.float16}, {"dtype": torch.float64}]
)
def test_devices_and_types_that_are_not_here_are_refused(small_clap_directory, settings):
    with pytest.raises(DeviceUnavailable):
        FrozenClap.load(small_clap_directory, **settings)
