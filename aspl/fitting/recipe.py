"""How a fit is run, in numbers, and what each preset makes of a config; knows nothing of torch."""

import math
from dataclasses import dataclass, replace
from typing import Literal

from aspl.fitting.config import TrainingConfig
from aspl.methods import method_named
from aspl.prompts.kinds import parse_kind


@dataclass(frozen=True)
class Recipe:
    """How a fit is run, in numbers.

    Attributes:
        text_epochs: passes of the text prompt over cached embeddings, before the audio prompt joins.
        joint_epochs: passes of both over the clips themselves.
        spectral_units: what the spectral stage is trained in: dB as in the paper, or batch-norm units.
        logit_scale: the scale of cosines; None takes the checkpoint's own.
        clip_norm: the largest gradient norm of each prompt, apart from the others.
        weight_decay: pull of the audio prompts to the identity, a step and learning rate, at 16 shots.
        max_folds: of the validation.
        chooses: whether an audio prompt must show on held-out clips that it does no harm.
    """

    optimizer: Literal["sgd", "adam"]
    text_epochs: int
    joint_epochs: int
    text_rate: float
    audio_rate: float
    batch_size: int
    spectral_units: Literal["db", "batch_norm"]
    logit_scale: float | None
    clip_norm: float
    weight_decay: float
    is_annealed: bool
    max_folds: int
    chooses: bool


PAPER = Recipe(
    optimizer="sgd",
    text_epochs=0,
    joint_epochs=100,
    text_rate=0.01,
    audio_rate=0.01,
    batch_size=16,
    spectral_units="db",
    logit_scale=100.0,
    clip_norm=1.0,
    weight_decay=0.0,
    is_annealed=False,
    max_folds=3,
    chooses=False,
)
# PALM's own, arXiv 2409.19806 as its released code runs it; an audio prompt that is asked for takes the same rate.
PALM_PAPER = replace(PAPER, joint_epochs=50, text_rate=0.05, audio_rate=0.05, clip_norm=math.inf)
FAST = Recipe(
    optimizer="adam",
    text_epochs=100,
    joint_epochs=3,
    text_rate=0.01,
    audio_rate=0.02,
    batch_size=16,
    spectral_units="batch_norm",
    logit_scale=None,
    clip_norm=1.0,
    weight_decay=0.5,
    is_annealed=True,
    max_folds=3,
    chooses=True,
)


PAPERS = {"paper": PAPER, "palm_paper": PALM_PAPER}


def recipe_for(config: TrainingConfig) -> Recipe:
    """Return the preset's recipe with the config's own values in it."""
    method = method_named(config.chosen_method)
    recipe = PAPERS.get(config.preset) or replace(FAST, text_epochs=method.fast_epochs)
    if config.learning_rate is not None:
        recipe = replace(recipe, text_rate=config.learning_rate)
        if config.preset in PAPERS:
            recipe = replace(recipe, audio_rate=config.learning_rate)
    if config.batch_size is not None:
        recipe = replace(recipe, batch_size=config.batch_size)
    if parse_kind(config.chosen_audio_prompt):
        return replace(recipe, joint_epochs=config.epochs or recipe.joint_epochs)
    text_epochs = config.epochs or recipe.text_epochs or recipe.joint_epochs
    return replace(recipe, text_epochs=text_epochs if method.is_trained else 0, joint_epochs=0)
