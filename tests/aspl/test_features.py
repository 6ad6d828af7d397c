import pytest
import torch

from aspl import AudioPrompts, FrozenClap
from aspl.prompts.audio import Affine


@torch.inference_mode()
def test_the_statistics_are_those_of_each_stage_before_its_merging(clap, log_mel):
    tokens = []
    hooks = [
        stage.merging.register_forward_pre_hook(lambda _, inputs: tokens.append(inputs[0])) for stage in clap.swin[:-1]
    ]
    hooks.append(clap.norm.register_forward_hook(lambda *call: tokens.append(call[2])))
    features = clap.hear(log_mel, stages=True)
    for hook in hooks:
        hook.remove()
    expected = [part for x in tokens for part in (x.mean(1), x.std(1, correction=0))]
    assert torch.allclose(features.stages, torch.cat(expected, 1), atol=1e-4)
    assert features.stages.shape == (4, clap.statistics_width) == (4, 2 * (16 + 32 + 64 + 128))
    assert torch.equal(features.joint, clap.encode_audio(log_mel))
    assert clap.hear(log_mel).stages is None


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
