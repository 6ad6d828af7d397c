import pytest
import torch

from pretrain.encoder import fold_frames, pool_chunks
from pretrain.model import set_batch_norm, small_clap


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    torch.manual_seed(0)
    clap = small_clap(300)
    for name, parameter in clap.named_parameters():
        if "relative_position" in name:
            torch.nn.init.normal_(parameter)
    return clap.eval()


def test_the_whole_image_equals_transformers(model: torch.nn.Module) -> None:
    log_mel = 20 * torch.randn(2, 1001, 64) - 50
    with torch.no_grad():
        set_batch_norm(model, log_mel)
        expected = model.audio_model(input_features=log_mel[:, None]).pooler_output
        pooled = pool_chunks(model.audio_model.audio_encoder, fold_frames(log_mel))
    torch.testing.assert_close(pooled, expected, atol=1e-5, rtol=1e-4)


def test_two_chunks_stand_for_their_repetition(model: torch.nn.Module) -> None:
    half = 20 * torch.nn.functional.interpolate(torch.randn(4, 64, 16), 512, mode="linear").transpose(1, 2) - 50
    with torch.no_grad():
        set_batch_norm(model, half)
        encoder = model.audio_model.audio_encoder
        whole, part = pool_chunks(encoder, torch.cat([half, half], 1)), pool_chunks(encoder, half)
    assert torch.nn.functional.cosine_similarity(whole, part).min() > 0.95


def test_every_audio_parameter_but_batch_norm_statistics_learns(model: torch.nn.Module) -> None:
    pool_chunks(model.audio_model.audio_encoder, torch.randn(2, 256, 64)).square().sum().backward()
    still = [name for name, p in model.audio_model.named_parameters() if p.grad is None or not p.grad.any()]
    assert still == []
