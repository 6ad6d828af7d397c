"""What a fit is going to do: its clips' classes, its folds, and the candidates that compete."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from aspl.adapter_info import AdapterInfo
from aspl.errors import TrainingDataInvalid
from aspl.fitting.config import TrainingConfig
from aspl.fitting.evaluation import stratified_folds
from aspl.fitting.feasibility import check_shots
from aspl.fitting.heard_clip import HeardClip
from aspl.fitting.live_clip import LiveClip, waveform_of
from aspl.fitting.recipe import Recipe, recipe_for
from aspl.methods import Method, method_named
from aspl.prompts.kinds import parse_kind
from aspl.sound.clip import MIN_DURATION_S, SAMPLE_RATE_HZ

# n clips


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything about a fit that is known before the first clip is heard.

    Attributes:
        labels: the classes, in the order of their first appearance.
        truth: `[n]`, the index of each clip's label.
        folds: the clips that each trial of the validation leaves out; none where nothing can be held out.
        logit_scale: of cosines, in training and in the adapter.
        before: an earlier version, as whose thresholds are set those of what is fitted; None for the default.
    """

    config: TrainingConfig
    recipe: Recipe
    labels: tuple[str, ...]
    truth: np.ndarray
    folds: tuple[np.ndarray, ...]
    logit_scale: float
    before: AdapterInfo | None = None

    @property
    def method(self) -> Method:
        return method_named(self.config.chosen_method)

    @property
    def template(self) -> str | None:
        return self.config.template or self.method.default_template

    @property
    def stages(self) -> tuple[str, ...]:
        """The stages of the audio prompt that was asked for."""
        return parse_kind(self.config.chosen_audio_prompt)

    @property
    def num_clips(self) -> int:
        return len(self.truth)

    @cached_property
    def shots(self) -> dict[str, int]:
        counts = np.bincount(self.truth, minlength=len(self.labels))
        return {label: int(count) for label, count in zip(self.labels, counts, strict=True)}

    @cached_property
    def candidates(self) -> tuple[str, ...]:
        """The names of those that compete, the simplest first: a later one must do better to be kept."""
        if not self.recipe.chooses:
            return ("joint",) if self.stages else ("text",)
        if not self.stages or not self.folds:
            return ("text",)
        return ("text", "recentred", "joint") if "spectral" in self.stages else ("text", "joint")

    @cached_property
    def held_out_clips(self) -> np.ndarray:
        """The clips of all folds, one fold after the other."""
        return np.concatenate(self.folds) if self.folds else np.array([], int)

    def held_out(self, fold: int | None) -> np.ndarray:
        """Return the clips that a trial leaves out, none for the one on all clips."""
        return np.array([], int) if fold is None else self.folds[fold]

    def members(self, fold: int | None) -> np.ndarray:
        """Return the clips that a trial trains on."""
        return np.setdiff1d(np.arange(self.num_clips), self.held_out(fold))


def make_plan(
    labels: Sequence[str], config: TrainingConfig, *, logit_scale: float, digests: Sequence[int] | None = None
) -> Plan:
    """Return the plan for clips of these labels.

    Args:
        logit_scale: the model's own, for recipes that have none.
        digests: of the clips, equal for equal ones, which are held out together; None where all differ.
    """
    classes = tuple(dict.fromkeys(labels))
    index = {label: number for number, label in enumerate(classes)}
    truth = np.array([index[label] for label in labels], dtype=int)
    recipe = recipe_for(config)
    folds = stratified_folds(truth, max_folds=recipe.max_folds, seed=config.seed, digests=digests)
    return Plan(config, recipe, classes, truth, tuple(folds), recipe.logit_scale or logit_scale)


def check_clips(
    clips: Sequence[np.ndarray | LiveClip | HeardClip], labels: Sequence[str], *, min_labels: int = 2
) -> None:
    """Raise TrainingDataInvalid for clips and labels that cannot be trained on, naming the first."""
    if len(clips) != len(labels):
        raise TrainingDataInvalid(f"{len(clips)} clips and {len(labels)} labels")
    shots = Counter(labels)
    if len(shots) < min_labels:
        raise TrainingDataInvalid(f"{len(shots)} labels; a classifier needs {min_labels} or more, with a clip each")
    check_shots(shots)
    for index, clip in enumerate(clips):
        if isinstance(clip, HeardClip):
            continue
        waveform = waveform_of(clip)
        if waveform.ndim != 1 or len(waveform) < MIN_DURATION_S * SAMPLE_RATE_HZ or not np.isfinite(waveform).all():
            raise TrainingDataInvalid(f"clip {index} is not a finite 1-D waveform of 10 ms or more")


def require_audio(plan: Plan, clips: Sequence[np.ndarray | LiveClip | HeardClip]) -> None:
    """Raise TrainingDataInvalid where features alone are given of a clip."""
    if heard := sum(isinstance(clip, HeardClip) for clip in clips):
        raise TrainingDataInvalid(f"{plan.method.name} is trained on audio; of {heard} clips there are features alone")
