import pytest
import torch

from aspl import AudioPrompts
from aspl.errors import AudioPromptInvalid
from aspl.prompts.audio import STAGES, Affine, parse_kind

KINDS = ["aspl", "aspl_star", "spectral", "token", "structural", "spectral+structural"]


def moved(clap, kind: str, seed: int) -> AudioPrompts:
    """Return prompts of `kind` at a random place, far enough from the identity to be heard."""
    generator = torch.Generator().manual_seed(seed)
    scale = {"spectral": 5.0, "token": 0.2, "structural": 0.2}
    stages = AudioPrompts.identity(clap, kind).stages()
    return AudioPrompts(
        **{
            stage: Affine(
                affine.gamma + 0.1 * torch.randn(affine.gamma.shape, generator=generator),
                affine.beta + scale[stage] * torch.randn(affine.beta.shape, generator=generator),
            )
            for stage, affine in stages.items()
        }
    )


@pytest.mark.parametrize("kind", KINDS)
def test_identity_changes_nothing_alone_and_in_a_mixed_batch(clap, log_mel, kind):
    plain = clap.encode_audio(log_mel)
    identity = AudioPrompts.identity(clap, kind)
    assert torch.allclose(clap.encode_audio(log_mel, identity), plain, atol=1e-6)
    mixed = AudioPrompts.stack([identity, None, moved(clap, kind, 1), identity])
    heard = clap.encode_audio(log_mel, mixed)
    assert torch.allclose(heard[[0, 1, 3]], plain[[0, 1, 3]], atol=1e-6)
    assert not torch.allclose(heard[2], plain[2], atol=1e-4)


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("part", ["gamma", "beta"])
def test_every_number_has_a_gradient_and_moves_the_output(clap, log_mel, stage, part):
    plain = clap.encode_audio(log_mel)
    affine = getattr(AudioPrompts.identity(clap, stage), stage)
    number = getattr(affine, part).requires_grad_()
    target = torch.randn(plain.shape, generator=torch.Generator().manual_seed(0))
    (clap.encode_audio(log_mel, AudioPrompts(**{stage: affine})) * target).sum().backward()
    assert (number.grad != 0).all()
    with torch.no_grad():
        number += torch.randn(
            number.shape, generator=torch.Generator().manual_seed(5)
        )  # layer norm drops a common shift
        assert not torch.allclose(clap.encode_audio(log_mel, AudioPrompts(**{stage: affine})), plain, atol=1e-5)


def test_numbers_of_each_stage_follow_the_width_of_the_model(clap):
    counts = {stage: AudioPrompts.identity(clap, stage).num_parameters for stage in STAGES}
    assert counts == {"spectral": 2 * 64, "token": 2 * 16, "structural": 2 * 32}  # the small model is 16 wide, not 96
    assert AudioPrompts.identity(clap, "aspl").num_parameters == counts["spectral"] + counts["token"]
    assert AudioPrompts.identity(clap, "aspl_star").num_parameters == sum(counts.values())


def test_mixed_batch_equals_each_row_alone(clap, log_mel):
    rows = [moved(clap, "aspl_star", 1), None, moved(clap, "spectral", 2), moved(clap, "token+structural", 3)]
    mixed = clap.encode_audio(log_mel, AudioPrompts.stack(rows))
    alone = torch.cat([clap.encode_audio(log_mel[i : i + 1], row) for i, row in enumerate(rows)])
    assert torch.allclose(mixed, alone, atol=1e-5)


def test_spectral_prompt_acts_on_decibels_before_batch_norm(clap, log_mel):
    louder = AudioPrompts(spectral=Affine(torch.ones(64), torch.full((64,), 6.0)))
    assert torch.allclose(clap.encode_audio(log_mel, louder), clap.encode_audio(log_mel + 6.0), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_kind_survives(clap, kind):
    assert AudioPrompts.identity(clap, kind).kind == kind


def test_stages_in_any_order_are_the_known_kind(clap):
    assert AudioPrompts.identity(clap, "token+spectral").kind == "aspl"


@pytest.mark.parametrize("kind", ["", "spectral+", "spectral+spectral", "aspl+token", "loud"])
def test_unknown_kinds_are_refused(kind):
    with pytest.raises(AudioPromptInvalid, match="no audio prompt"):
        parse_kind(kind)
