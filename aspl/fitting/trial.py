"""A trial is one candidate trained on all clips but those of a fold; the runner makes each trial once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch

from aspl.fitting.checkpoint import TrainingCheckpoint
from aspl.fitting.choice import Choice, choose
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.plan import Plan
from aspl.fitting.progress import FitProgress
from aspl.fitting.records import LearnerState, Trial, TrialResult
from aspl.heads.head import Head
from aspl.prompts.text import TextPrompt

# n clips, K classes


class Candidate(Protocol):
    """One of the classifiers that compete; with or without gradients.

    Attributes:
        margin: by how many standard errors it must beat the simpler ones on held-out clips.
    """

    margin: float

    def cost(self, plan: Plan) -> float:
        """Return what a trial costs, in forward passes of a clip."""

    def num_epochs(self, plan: Plan) -> int:
        """Return the passes over the clips that a trial takes; 0 where it takes none."""

    def run(self, trial: Trial, runner: "TrialRunner") -> TrialResult:
        """Return what the trial comes to, from the state in `runner.state(trial)` on where there is one."""

    def head(self, result: TrialResult, runner: "TrialRunner") -> Head:
        """Return the head that a result amounts to."""


@dataclass(eq=False)
class TrialRunner:
    """Runs trials and remembers what they came to, on the disk too where there is a checkpoint.

    Attributes:
        text: the text prompt that the candidates train, one trial after the other; they set it up before they begin.
        untrained: the text prompt's parameters before any trial.
        records: what is known of each trial, which may be from an earlier process.
    """

    plan: Plan
    clips: ClipFeatures
    text: TextPrompt
    candidates: Mapping[str, Candidate]
    progress: FitProgress
    records: dict[Trial, TrialResult | LearnerState]
    checkpoint: TrainingCheckpoint | None = None

    def __post_init__(self) -> None:
        self.untrained = self.text.values()
        self.classes = torch.from_numpy(self.plan.truth).to(self.clips.clap.device)  # [n]

    def result(self, trial: Trial) -> TrialResult:
        """Return what a trial comes to."""
        known = self.records.get(trial)
        if isinstance(known, TrialResult):
            return known
        result = self.candidates[trial.candidate].run(trial, self)
        self.keep(trial, result)
        return result

    def state(self, trial: Trial) -> LearnerState | None:
        """Return where an earlier process left a trial, if it began it."""
        known = self.records.get(trial)
        return known if isinstance(known, LearnerState) else None

    def keep(self, trial: Trial, record: TrialResult | LearnerState) -> None:
        """Remember how far a trial is."""
        self.records[trial] = record
        if self.checkpoint:
            self.checkpoint.save(self.records)

    def held_out_logits(self, candidate: str) -> np.ndarray:
        """Return `[n, K]` from trials that did not hear the clip, NaN for clips that are never held out."""
        logits = np.full((self.plan.num_clips, len(self.plan.labels)), np.nan, np.float32)
        for fold, held_out in enumerate(self.plan.folds):
            logits[held_out] = self.result(Trial(candidate, fold)).held_out.numpy()
        return logits

    def best_before(self, candidate: str) -> str | None:
        """Return which of the simpler candidates is the best one; None where there are none."""
        simpler = self.plan.candidates[: self.plan.candidates.index(candidate)]
        if not simpler:
            return None
        return self.choose(simpler).candidate

    def choose(self, names: Sequence[str]) -> Choice:
        """Run the trials of these candidates, the simplest first, and choose between them."""
        clips = self.plan.held_out_clips
        held_out = {name: self.held_out_logits(name)[clips] for name in names}
        margins = {name: candidate.margin for name, candidate in self.candidates.items()}
        return choose(self.plan.truth[clips], held_out, margins)
