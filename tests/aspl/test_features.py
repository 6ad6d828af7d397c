import pytest
import torch

from aspl import AudioPrompts, FrozenClap
from aspl.model.swin import num_bands, runs_by_band, window_order
from aspl.prompts.audio import Affine
from aspl.stage_layout import StageLayout


@torch.inference_mode()
def heard_tokens(clap, log_mel):
    """Return the features of log-mels, and the tokens `[B, T, C]` that leave the blocks of each stage."""
    tokens = []
    hooks = [
        stage.merging.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0])) for stage in clap.swin[:-1]
    ]
    hooks.append(clap.norm.register_forward_hook(lambda *call: tokens.append(call[2])))
    features = clap.hear(log_mel, stages=True)
    for hook in hooks:
        hook.remove()
    return features, tokens


@torch.inference_mode()
def test_the_statistics_are_those_of_each_stage_before_its_merging(clap, log_mel):
    features, tokens = heard_tokens(clap, log_mel)
    expected = torch.cat([part for x in tokens for part in (x.mean(1), x.std(1, correction=0))], 1)
    assert torch.allclose(features.stages[:, : expected.shape[1]], expected, atol=1e-4)
    peaks = 4 * 16 + 4 * 32
    assert features.stages.shape == (4, clap.statistics_width) == (4, 2 * (16 + 32 + 64 + 128) + peaks)
    assert clap.layout == StageLayout((16, 32, 64, 128), (4 * 16, 4 * 32))
    assert torch.equal(features.joint, clap.encode_audio(log_mel))
    assert clap.hear(log_mel).stages is None


@torch.inference_mode()
def test_the_peaks_are_those_of_each_band_of_frequency_in_the_first_two_stages(clap, log_mel):
    features, tokens = heard_tokens(clap, log_mel)
    expected = []
    for x in tokens[:2]:  # every stage of the small model ends in a block of shifted windows
        side = int(x.shape[1] ** 0.5)
        rows = window_order(side, side, 8, 4) // side  # those of a fold are its places in frequency, lowest first
        band = rows % (side // 4) * 4 // (side // 4)
        expected += [x[:, band == number].amax(1) for number in range(4)]
    assert torch.equal(features.stages[:, clap.layout.without_peaks().width :], torch.cat(expected, 1))


@pytest.mark.parametrize(
    ("side", "window", "shift"), [(64, 8, 0), (64, 8, 4), (32, 8, 4), (16, 8, 4), (16, 4, 2), (8, 8, 0)]
)
def test_runs_of_one_band_hold_every_token_once(side, window, shift):
    order, bands = window_order(side, side, window, shift), num_bands(side, 4)
    assert bands == min(4, side // 4)
    run, by_band = runs_by_band(order, (side, side), 4, bands)
    places = by_band[:, None] * run + torch.arange(run)
    band = order[places].view(bands, -1) // side % (side // 4) * bands // (side // 4)
    assert band.eq(torch.arange(bands)[:, None]).all() and torch.equal(
        places.flatten().sort().values, torch.arange(side**2)
    )


@torch.inference_mode()
def test_a_sound_of_one_band_peaks_there(clap, log_mel):
    quiet = torch.full_like(log_mel[:1], -60.0)
    channels = clap.layout.widths[0]
    start = clap.layout.without_peaks().width
    still = clap.hear(quiet, stages=True).stages[0, start : start + 4 * channels].view(4, channels)
    for band in range(4):
        loud = quiet.clone()
        loud[..., 400:420, 16 * band + 6 : 16 * band + 10] = 0.0
        peaks = clap.hear(loud, stages=True).stages[0, start : start + 4 * channels].view(4, channels)
        assert (peaks - still).abs().mean(1).argmax() == band


@torch.inference_mode()
def test_a_mixed_batch_has_the_statistics_of_each_row_alone(clap, log_mel):
    moved = {stage: Affine(torch.full((n,), 1.2), torch.full((n,), 0.1)) for stage, n in clap.stage_widths.items()}
    prompts = [None, AudioPrompts(**moved), AudioPrompts(token=moved["token"]), None]
    mixed = clap.hear(log_mel, AudioPrompts.stack(prompts), stages=True).stages
    for row, prompt in enumerate(prompts):
        alone = clap.hear(log_mel[row : row + 1], prompt, stages=True).stages[0]
        assert torch.allclose(mixed[row], alone, atol=1e-4)
    assert not torch.allclose(mixed[1], clap.hear(log_mel, stages=True).stages[1], atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@torch.inference_mode()
def test_the_statistics_are_float32_whatever_the_model_is(small_clap_directory, log_mel, dtype):
    assert FrozenClap.load(small_clap_directory, dtype=dtype).hear(log_mel, stages=True).stages.dtype == torch.float32
