"""The candidates of a fit:

text        the text prompt alone, trained on cached embeddings
recentred   the same, behind a spectral stage set in closed form from the clips (see `recentred`)
joint       text and audio prompt trained together through the frozen encoder, from the better of those two
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aspl.features import AudioFeatures
from aspl.fitting.learner import Learner, LearnerInputs
from aspl.fitting.plan import Plan
from aspl.fitting.records import Trial, TrialResult
from aspl.fitting.trial import Candidate, TrialRunner
from aspl.heads.head import Head
from aspl.prompts.audio import AudioPrompts
from aspl.prompts.audio_parameters import AudioParameters, recentred

# n clips, h held-out clips, K classes, D joint width

JOINT_EPOCH_COST = 2.5  # in forward passes of its clips


@dataclass(frozen=True)
class Start:
    """What a trial trains from.

    Attributes:
        features: of all clips under `prompts`; None where they change in training or are not to be kept.
        audio: the audio prompt that is trained; where it is None, `prompts` stay as they are.
    """

    prompts: AudioPrompts
    features: AudioFeatures | None = None
    audio: AudioParameters | None = None


class PromptCandidate:
    """A candidate whose text prompt is trained by gradients."""

    margin = 0.0

    def num_epochs(self, plan: Plan) -> int:
        """Return the passes of the text prompt."""
        return plan.recipe.text_epochs

    def cost(self, plan: Plan) -> float:
        """Return the cost of those passes."""
        return plan.num_clips * self.num_epochs(plan) * plan.method.epoch_cost

    def start(self, trial: Trial, runner: TrialRunner) -> Start:
        """Set the text prompt to where it starts from, and return the rest."""
        raise NotImplementedError

    def run(self, trial: Trial, runner: TrialRunner) -> TrialResult:
        """Train, and score the clips of the fold."""
        start = self.start(trial, runner)
        self._learn(trial, start, runner)
        prompts = start.prompts if start.audio is None else start.audio.prompts().detach()
        held_out = None
        if trial.fold is not None:
            held_out = self.score(runner, runner.plan.held_out(trial.fold), prompts, start.features)
        return TrialResult(runner.text.values(), prompts.to("cpu"), held_out)

    def head(self, result: TrialResult, runner: TrialRunner) -> Head:
        """Return the head of the method that is trained."""
        runner.text.set_values(result.parameters)
        runner.text.requires_grad_(False)
        return runner.plan.method.head_type.of(runner.text)

    def _learn(self, trial: Trial, start: Start, runner: TrialRunner) -> None:
        plan, num_epochs = runner.plan, self.num_epochs(runner.plan)
        if not num_epochs or (start.audio is None and not plan.method.is_trained):
            return
        members = plan.members(trial.fold)
        inputs = LearnerInputs(runner.clips, runner.classes, members, plan.logit_scale, start.features, start.prompts)
        learner = Learner(
            runner.text,
            start.audio,
            plan.recipe,
            inputs,
            num_epochs=num_epochs,
            seed=plan.config.seed,
            tick=runner.progress.tick,
        )
        if (state := runner.state(trial)) is not None:
            learner.restore(state)
        epoch_cost = self.cost_of_epoch(plan) * len(members)
        phase = f"{'train' if trial.fold is None else 'validate'}_{trial.candidate}"
        for epoch in learner.epochs():
            runner.progress.spend(epoch_cost)
            if runner.checkpoint:
                runner.keep(trial, learner.state())
            runner.progress.report(phase, epoch.number, num_epochs, epoch.loss, epoch.accuracy)

    def cost_of_epoch(self, plan: Plan) -> float:
        """Return what a pass over one clip costs."""
        return plan.method.epoch_cost

    @torch.no_grad()
    def score(
        self, runner: TrialRunner, clips: np.ndarray, prompts: AudioPrompts, features: AudioFeatures | None
    ) -> Tensor:
        """Return logits `[h, K]` of the clips, on the CPU."""
        if features is None:
            heard = runner.clips.hear(clips, prompts, tick=runner.progress.tick)
            runner.progress.spend(len(clips) * score_cost(runner.plan))
        else:
            heard = features[torch.from_numpy(clips)]
        parts = []
        for part in heard.joint.split(runner.plan.recipe.batch_size):  # CoCoOp runs the text encoder for each
            runner.progress.tick()
            parts.append(runner.text.cosines(part).cpu() * runner.plan.logit_scale)
        return torch.cat(parts)


class TextCandidate(PromptCandidate):
    """The text prompt alone."""

    def start(self, trial: Trial, runner: TrialRunner) -> Start:
        """Start from the untrained text prompt, on the clips as they are."""
        runner.text.set_values(runner.untrained)
        return Start(AudioPrompts(), runner.clips.bare)


class RecentredCandidate(PromptCandidate):
    """The text prompt behind a spectral stage that is computed from the clips."""

    def cost(self, plan: Plan) -> float:
        """Return the cost of the training, and of hearing every clip anew."""
        return super().cost(plan) + plan.num_clips

    def start(self, trial: Trial, runner: TrialRunner) -> Start:
        """Start from the untrained text prompt, on clips that are heard through the recentred spectral stage."""
        runner.text.set_values(runner.untrained)
        clips = runner.clips
        windows = [row for clip in runner.plan.members(trial.fold) for row in clips.windows_of(clip)]
        prompts = AudioPrompts(spectral=recentred(clips.clap, clips.log_mels[windows]))
        if not runner.plan.config.cache_embeddings:
            return Start(prompts)
        features = clips.hear(range(runner.plan.num_clips), prompts, tick=runner.progress.tick)
        runner.progress.spend(runner.plan.num_clips)
        return Start(prompts, features)


class JointCandidate(PromptCandidate):
    """Text and audio prompt together; its many numbers can fit chance, so it must clear one standard error."""

    margin = 1.0

    def num_epochs(self, plan: Plan) -> int:
        """Return the passes of both prompts."""
        return plan.recipe.joint_epochs

    def cost(self, plan: Plan) -> float:
        """Return the cost of those passes through the encoder and back, and of the text prompt's."""
        return plan.num_clips * self.num_epochs(plan) * self.cost_of_epoch(plan)

    def cost_of_epoch(self, plan: Plan) -> float:
        """Return what a pass over one clip costs."""
        return JOINT_EPOCH_COST + plan.method.epoch_cost

    def start(self, trial: Trial, runner: TrialRunner) -> Start:
        """Start from what the better of the simpler candidates came to on the same clips, else from the identity."""
        plan, clap = runner.plan, runner.clips.clap
        audio = AudioParameters(clap, plan.config.chosen_audio_prompt, spectral_units=plan.recipe.spectral_units)
        simpler = runner.best_before(trial.candidate)
        if simpler is None:
            runner.text.set_values(runner.untrained)
        else:
            start = runner.result(Trial(simpler, trial.fold))
            runner.text.set_values(start.parameters)
            if (spectral := start.prompts.to(clap.device).spectral) is not None:
                audio.start_from(spectral)
        return Start(AudioPrompts(), audio=audio)


def score_cost(plan: Plan) -> float:
    """Return what it costs to hear a clip and to score it: of the method's pass over it a third goes forward."""
    return 1 + plan.method.epoch_cost / 3


CANDIDATES: dict[str, Candidate] = {
    "text": TextCandidate(),
    "recentred": RecentredCandidate(),
    "joint": JointCandidate(),
}
