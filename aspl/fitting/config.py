"""What a fit is asked to do, and the recipe that each preset makes of it."""

from dataclasses import dataclass, replace
from typing import Literal

from aspl.errors import TrainingConfigInvalid
from aspl.prompts.audio import parse_kind
from aspl.prompts.text import METHODS, fill_template

PRESETS = ("fast", "paper")


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a fit. None takes the preset's value.

    Attributes:
        method: `palm`, `coop`, `cocoop` or `zero_shot` (which trains no text prompt).
        audio_prompt: `aspl_star`, `aspl`, `none`, or stages joined by `+`.
        preset: `fast`, or `paper` for the recipe of arXiv 2606.15751 with its code's faults mended.
        epochs: passes over the clips, 1 to 1000: those of the joint phase where there is an audio prompt.
        learning_rate: of the text prompt, and in `paper` of the audio prompt too.
        batch_size: clips in a step, 1 to 1024.
        template: for zero-shot and PALM, the text around a class name.
        cache_embeddings: keep the embeddings of clips under no audio prompt; the result is the same without, later.

    Raises:
        TrainingConfigInvalid, AudioPromptInvalid: a value outside of its range.
    """

    method: str = "palm"
    audio_prompt: str = "aspl_star"
    preset: str = "fast"
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int | None = None
    seed: int = 0
    template: str | None = None
    cache_embeddings: bool = True

    def __post_init__(self) -> None:
        checks = {
            f"method must be one of {', '.join(METHODS)}": self.method in METHODS,
            f"preset must be one of {', '.join(PRESETS)}": self.preset in PRESETS,
            "epochs must be 1 to 1000": self.epochs is None or 1 <= self.epochs <= 1000,
            "learning_rate must be above 0 and at most 10": self.learning_rate is None or 0 < self.learning_rate <= 10,
            "batch_size must be 1 to 1024": self.batch_size is None or 1 <= self.batch_size <= 1024,
            "seed must be 0 to 2**31 - 1": 0 <= self.seed < 2**31,
        }
        if wrong := [sentence for sentence, holds in checks.items() if not holds]:
            raise TrainingConfigInvalid(wrong[0])
        parse_kind(self.audio_prompt)
        if self.template is not None:
            fill_template(self.template, [])


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
# CoOp and CoCoOp run the text encoder at every step; their context has few numbers and settles in a few passes.
FAST_TEXT_EPOCHS = {"zero_shot": 0, "palm": 100, "coop": 20, "cocoop": 10}


def recipe_for(config: TrainingConfig) -> Recipe:
    """Return the preset's recipe with the config's own values in it."""
    recipe = PAPER if config.preset == "paper" else replace(FAST, text_epochs=FAST_TEXT_EPOCHS[config.method])
    if config.learning_rate is not None:
        recipe = replace(recipe, text_rate=config.learning_rate)
        if config.preset == "paper":
            recipe = replace(recipe, audio_rate=config.learning_rate)
    if config.batch_size is not None:
        recipe = replace(recipe, batch_size=config.batch_size)
    if parse_kind(config.audio_prompt):
        return replace(recipe, joint_epochs=config.epochs or recipe.joint_epochs)
    text_epochs = config.epochs or recipe.text_epochs or recipe.joint_epochs
    return replace(recipe, text_epochs=0 if config.method == "zero_shot" else text_epochs, joint_epochs=0)
