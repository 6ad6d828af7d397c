from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aspl import TrainingConfig
from aspl.features import AudioFeatures
from aspl.fitting.learner import Learner, LearnerInputs
from aspl.fitting.recipe import recipe_for
from aspl.methods import METHODS
from aspl.prompts.audio_parameters import AudioParameters, recentred

LABELS = ["a", "b", "c"]


def learner(clap, *, shots: int, preset: str = "fast") -> Learner:
    return Learner(
        METHODS["palm"].untrained(clap, LABELS),
        AudioParameters(clap, "aspl_star", spectral_units="batch_norm"),
        recipe_for(TrainingConfig(method="palm", preset=preset)),
        LearnerInputs(
            SimpleNamespace(micro_batch=4),  # never encodes: no test here makes a step
            torch.arange(3).repeat(shots),
            np.arange(3 * shots),
            clap.logit_scale,
        ),
        num_epochs=1,
        seed=0,
        tick=lambda: None,
    )


def test_every_prompt_has_its_own_group(clap):
    sizes = [sum(value.numel() for value in group["params"]) for group in learner(clap, shots=4).groups]
    assert sizes == [3 * clap.joint_width + 3, 128, 32, 64]


def test_the_fewer_the_shots_the_nearer_to_the_identity(clap):
    groups = {shots: learner(clap, shots=shots).groups[1] for shots in (1, 2, 16, 64)}
    pulls = [groups[shots]["weight_decay"] for shots in (1, 2, 16)]
    rates = [groups[shots]["peak"] for shots in (1, 2, 16)]
    assert pulls == sorted(pulls, reverse=True) and len(set(pulls)) == 3
    assert rates == sorted(rates) and len(set(rates)) == 3
    assert groups[16]["peak"] == groups[64]["peak"]


def test_the_paper_preset_pulls_nothing(clap):
    assert all(group["weight_decay"] == 0 for group in learner(clap, shots=1, preset="paper").groups)


def test_fast_lets_the_rates_fall_along_a_cosine_and_paper_keeps_them(clap):
    for preset, factors in (("fast", (1, 0.5, 0)), ("paper", (1, 1, 1))):
        fit = learner(clap, shots=4, preset=preset)
        for progress, factor in zip((0, 0.5, 1), factors, strict=True):
            fit._anneal(progress)
            for group in fit.optimizer.param_groups:
                assert group["lr"] == pytest.approx(group["peak"] * factor)


def test_a_huge_loss_moves_a_prompt_by_no_more_than_the_clip_allows(clap):
    recipe = recipe_for(TrainingConfig(method="palm", preset="paper", audio_prompt="none"))
    text = METHODS["palm"].untrained(clap, LABELS)
    before = torch.nn.utils.parameters_to_vector(text.parameters()).clone()
    embeddings = torch.nn.functional.normalize(torch.randn(3, clap.joint_width), dim=-1)
    fit = Learner(
        text,
        None,
        recipe,
        LearnerInputs(None, torch.arange(3), np.arange(3), 1e6, AudioFeatures(embeddings)),
        num_epochs=1,
        seed=0,
        tick=lambda: None,
    )
    list(fit.epochs())
    moved = (torch.nn.utils.parameters_to_vector(text.parameters()) - before).norm()
    assert 0.9 * recipe.text_rate * recipe.clip_norm <= moved <= 1.01 * recipe.text_rate * recipe.clip_norm


@pytest.mark.parametrize("units", ["db", "batch_norm"])
def test_spectral_units_are_the_same_family_of_functions(clap, log_mel, units):
    parameters = AudioParameters(clap, "spectral", spectral_units=units)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        parameters.gammas["spectral"].copy_(0.1 * torch.randn(64, generator=generator))
        parameters.betas["spectral"].copy_(0.1 * torch.randn(64, generator=generator))
    plain = parameters.prompts().spectral
    again = AudioParameters(clap, "spectral", spectral_units=units)
    again.start_from(plain)
    assert torch.allclose(again.prompts().spectral(log_mel), plain(log_mel), atol=1e-3)
    if units == "batch_norm":
        mean, std = clap.batch_norm_mean, clap.batch_norm_std
        normal = (1 + parameters.gammas["spectral"]) * (log_mel - mean) / std + parameters.betas["spectral"]
        assert torch.allclose((plain(log_mel) - mean) / std, normal, atol=1e-4)


def test_recentring_is_batch_norm_re_estimated(clap, log_mel):
    expected = torch.nn.functional.batch_norm(
        log_mel.transpose(1, 3), None, None, training=True, eps=clap.batch_norm.eps
    ).transpose(1, 3)
    prompted = recentred(clap, log_mel)(log_mel)
    assert torch.allclose((prompted - clap.batch_norm_mean) / clap.batch_norm_std, expected, atol=1e-3)


def test_recentring_does_not_count_digital_silence(clap, log_mel):
    padded = torch.cat([log_mel, torch.full_like(log_mel, -100.0)], dim=2)
    expected, found = recentred(clap, log_mel), recentred(clap, padded)
    assert torch.allclose(found.gamma, expected.gamma, rtol=1e-4)
    assert torch.allclose(found.beta, expected.beta, rtol=1e-4, atol=1e-2)


def test_recentring_on_nothing_but_silence_is_the_identity(clap, log_mel):
    found = recentred(clap, torch.full_like(log_mel, -100.0))
    assert torch.equal(found.gamma, torch.ones(64)) and torch.equal(found.beta, torch.zeros(64))


def test_the_papers_recipes_are_told_apart_by_their_presets():
    palm, aspl = (recipe_for(TrainingConfig(method="palm", preset=preset)) for preset in ("palm_paper", "paper"))
    assert (palm.text_rate, palm.text_epochs, palm.clip_norm) == (0.05, 50, float("inf"))
    assert (aspl.text_rate, aspl.text_epochs, aspl.clip_norm) == (0.01, 100, 1.0)
    for recipe in (palm, aspl):
        assert (recipe.optimizer, recipe.batch_size, recipe.logit_scale) == ("sgd", 16, 100.0)
        assert not recipe.is_annealed and not recipe.chooses
