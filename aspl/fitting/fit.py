"""Few-shot training: clips and labels in, an adapter with an honest report out.

A fit compares up to three candidates on held-out clips and keeps the simplest that no other beats:

    text        the text prompt alone, trained on cached embeddings
    recentred   the same, behind a spectral stage set in closed form from the clips (see `recentred`)
    joint       text and audio prompt trained together through the frozen encoder, from the better of those two

Preset `paper` trains `joint` alone, from the identity. Each fold of the validation trains anew; what is kept is then
trained on all clips.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from aspl.adapter import Adapter, StaticHead
from aspl.errors import TrainingCancelled, TrainingDataInvalid
from aspl.fitting.checkpoint import TrainingCheckpoint, fit_key
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.config import TrainingConfig, recipe_for
from aspl.fitting.evaluation import (
    fit_temperature,
    fit_threshold,
    log_softmax,
    softmax,
    stratified_folds,
    summarise,
)
from aspl.fitting.learner import Learner
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts, parse_kind
from aspl.prompts.audio_parameters import AudioParameters, recentred
from aspl.prompts.text import CoCoOp, default_template, make_text_prompt
from aspl.sound.clip import MIN_DURATION_S, SAMPLE_RATE_HZ

# n clips, K classes, D joint width

MAX_SHOTS = 1000
CANDIDATES = ("text", "recentred", "joint")
PHASES = ("listen", *(f"{part}_{candidate}" for part in ("validate", "train") for candidate in CANDIDATES))
ALL = "all"  # in place of the number of the fold that a run leaves out
# What an epoch costs, in forward passes of its clips; for the remaining time alone.
JOINT_EPOCH_COST, TEXT_EPOCH_COST = 2.5, {"palm": 0.02, "coop": 2.0, "cocoop": 10.0, "zero_shot": 0.0}


@dataclass(frozen=True)
class Progress:
    """How far a fit is: `phase` is one of PHASES, loss and accuracy are those of the epoch's clips.

    Epochs count within a phase, and anew in every fold of a validation. Those that the config asks for are the
    `joint` ones; without an audio prompt, the `text` ones.
    """

    phase: str
    epoch: int
    epochs: int
    loss: float | None = None
    accuracy: float | None = None
    eta_s: float | None = None


def fit(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    config: TrainingConfig | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_cancel: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
) -> Adapter:
    """Train an adapter.

    Args:
        waveforms: n clips, 1-D float32 at 48 kHz, of any length from 10 ms.
        labels: n labels; the adapter's order is that of their first appearance.
        on_progress: called after every epoch.
        should_cancel: asked before every micro-batch.
        checkpoint: a file that is replaced at every epoch; a fit of the same clips and settings that finds it goes on
            from there, to the same result. It is left to the caller to remove.

    Raises:
        TrainingDataInvalid, LabelsInvalid: clips or labels that no classifier can be fitted to.
        TrainingCancelled: `should_cancel` said so.
        TrainingDiverged, OutOfMemory: what they say.
    """
    config = config or TrainingConfig()
    check_clips(waveforms, labels)
    work = _Fit(clap, waveforms, labels, config, on_progress, should_cancel, checkpoint)
    return work.run()


def check_clips(waveforms: Sequence[np.ndarray], labels: Sequence[str]) -> None:
    """Raise TrainingDataInvalid for clips and labels that cannot be trained on, naming the first."""
    if len(waveforms) != len(labels):
        raise TrainingDataInvalid(f"{len(waveforms)} clips and {len(labels)} labels")
    shots = Counter(labels)
    if len(shots) < 2:
        raise TrainingDataInvalid(f"{len(shots)} labels; a classifier needs 2 or more, with a clip each")
    if most := [label for label, count in shots.items() if count > MAX_SHOTS]:
        raise TrainingDataInvalid(f"{most[0]!r} has {shots[most[0]]} clips; {MAX_SHOTS} a label is the most")
    for index, waveform in enumerate(waveforms):
        if waveform.ndim != 1 or len(waveform) < MIN_DURATION_S * SAMPLE_RATE_HZ or not np.isfinite(waveform).all():
            raise TrainingDataInvalid(f"clip {index} is not a finite 1-D waveform of 10 ms or more")


class _Fit:
    def __init__(
        self,
        clap: FrozenClap,
        waveforms: Sequence[np.ndarray],
        labels: Sequence[str],
        config: TrainingConfig,
        on_progress: Callable[[Progress], None],
        should_cancel: Callable[[], bool],
        checkpoint: Path | None,
    ) -> None:
        self.clap, self.config, self.recipe = clap, config, recipe_for(config)
        self.labels = list(dict.fromkeys(labels))
        self.shots = Counter(labels)
        self.truth = np.array([self.labels.index(label) for label in labels])
        self.on_progress, self.should_cancel = on_progress, should_cancel
        self.stages = parse_kind(config.audio_prompt)
        self.logit_scale = self.recipe.logit_scale or clap.logit_scale
        self.text = make_text_prompt(config.method, clap, self.labels, template=config.template, seed=config.seed)
        self._fresh_text = {name: value.detach().clone() for name, value in self.text.named_parameters()}
        self.folds = stratified_folds(self.truth, max_folds=self.recipe.max_folds, seed=config.seed)
        self.waveforms = waveforms
        self.checkpoint = checkpoint and TrainingCheckpoint(checkpoint, fit_key(clap, waveforms, labels, config))
        self.runs = self.checkpoint.load() if self.checkpoint else {}
        known = sum(self._share_done(run) * self._cost_of(run.split("/")[0]) for run in self.runs)
        self._started, self._cost_done, self._cost_total = time.monotonic(), 0.0, self._planned_cost() - known

    def run(self) -> Adapter:
        self._report("listen", 0, 1)
        self.features = ClipFeatures(self.clap, self.waveforms, tick=self._tick)
        self.classes = torch.from_numpy(self.truth).to(self.clap.device)
        everything = range(len(self.truth))
        if self.stages == ("structural",) and self.config.cache_embeddings:
            self.features.keep_tokens(tick=self._tick)
        self.base: Tensor | None = None
        if self.config.cache_embeddings:
            self.base = self.features.embed(everything, AudioPrompts(), tick=self._tick)
        self._spend(len(self.truth))
        self._report("listen", 1, 1)
        held_out = self._validate()
        chosen, reason = self._choose(held_out)
        self._cost_total = self._cost_done + self._cost_of(chosen) * (1 - self._share_done(f"{chosen}/{ALL}"))
        final = self._run(chosen, ALL)
        return self._adapter(final, held_out, chosen, reason)

    # Candidates and folds

    def _validate(self) -> dict[str, np.ndarray]:
        """Return held-out logits `[n, K]` of each candidate, NaN for clips that are never held out."""
        if not self.recipe.chooses:
            self.start = None
            return self._held_out("joint" if self.stages else "text")
        held_out = self._held_out("text")
        if not self.folds or not self.stages:
            return held_out
        if "spectral" in self.stages:
            held_out |= self._held_out("recentred")
        self.start, _ = self._choose(held_out)
        return held_out | self._held_out("joint")

    def _held_out(self, candidate: str) -> dict[str, np.ndarray]:
        logits = np.full((len(self.truth), len(self.labels)), np.nan, np.float32)
        for index, held in enumerate(self.folds):
            logits[held] = self._run(candidate, str(index))["held_out"].numpy()
        return {candidate: logits}

    def _choose(self, held_out: dict[str, np.ndarray]) -> tuple[str, str]:
        """Return the candidate to keep and why: a later one must lower the loss of held-out clips.

        `joint` must do so by over one standard error, for its many numbers can fit chance; `recentred` trains no more
        than `text` does.
        """
        first, *others = held_out
        if not self.recipe.chooses or not self.folds:
            is_unproven = self.recipe.chooses and self.stages
            return first, "too few clips to show that an audio prompt helps" if is_unproven else ""
        rows = np.concatenate(self.folds)
        best, best_losses = first, self._losses(held_out[first][rows], rows)
        reason = "it did not do better than the text prompt alone on held-out clips"
        for name in others:
            losses = self._losses(held_out[name][rows], rows)
            gain = best_losses - losses
            margin = 0.0 if name == "recentred" else gain.std() / np.sqrt(len(rows))
            if gain.mean() > margin:
                best, best_losses, reason = name, losses, "it lowered the loss on held-out clips"
        return best, reason if self.stages else ""

    def _losses(self, logits: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return each held-out clip's cross-entropy under the candidate's own temperature."""
        temperature = fit_temperature(self.truth[rows], logits)
        return -log_softmax(logits / temperature)[np.arange(len(rows)), self.truth[rows]]

    # One run: a candidate without a fold

    def _run(self, candidate: str, fold: str) -> dict[str, Tensor]:
        """Return what a run learnt: `text.*`, `audio.<stage>.gamma|beta`, and the `held_out` logits of its fold."""
        key = f"{candidate}/{fold}"
        if (known := self.runs.get(key)) and "is_done" in known:
            return known
        held = np.array([], int) if fold == ALL else self.folds[int(fold)]
        members = np.setdiff1d(np.arange(len(self.truth)), held)
        self._reset_text(self._fresh_text)
        audio, prompts, embeddings = None, AudioPrompts(), self.base
        num_epochs = self.recipe.text_epochs
        if candidate == "recentred":
            windows = [row for clip in members for row in self.features.windows_of(clip)]
            prompts = AudioPrompts(spectral=recentred(self.clap, self.features.log_mels[windows]))
            embeddings = self._embed_under(prompts, len(self.truth))
        elif candidate == "joint":
            audio = AudioParameters(self.clap, self.config.audio_prompt, spectral_units=self.recipe.spectral_units)
            embeddings, num_epochs = None, self.recipe.joint_epochs
            if self.start is not None:
                start = self._run(self.start, fold)
                self._reset_text({name[5:]: value for name, value in start.items() if name.startswith("text.")})
                if (spectral := _prompts(start).spectral) is not None:
                    audio.start_from(Affine(spectral.gamma.to(self.clap.device), spectral.beta.to(self.clap.device)))
        if num_epochs and (audio is not None or self._fresh_text):
            self._learn(key, audio, members, embeddings, num_epochs, prompts)
        if audio is not None:
            with torch.no_grad():
                prompts = audio.prompts()
        result = {f"text.{name}": value.detach().cpu().clone() for name, value in self.text.named_parameters()}
        for stage, affine in prompts.stages().items():
            result |= {f"audio.{stage}.gamma": affine.gamma.cpu(), f"audio.{stage}.beta": affine.beta.cpu()}
        if len(held):
            if embeddings is None:
                heard = self.features.embed(held, prompts, tick=self._tick)
                self._spend(len(held))
            else:
                heard = embeddings[torch.from_numpy(held)]
            result["held_out"] = self._logits(heard)
        self.runs[key] = result | {"is_done": torch.tensor(1)}
        self._save()
        return self.runs[key]

    def _learn(
        self,
        key: str,
        audio: AudioParameters | None,
        members: np.ndarray,
        embeddings: Tensor | None,
        num_epochs: int,
        prompts: AudioPrompts,
    ) -> None:
        learner = Learner(
            self.text,
            audio,
            self.recipe,
            self.features,
            classes=self.classes,
            clips=members,
            embeddings=embeddings,
            prompts=prompts,
            logit_scale=self.logit_scale,
            num_epochs=num_epochs,
            seed=self.config.seed,
            tick=self._tick,
        )
        if key in self.runs:
            learner.restore(self.runs[key])
        cost = JOINT_EPOCH_COST if audio is not None else TEXT_EPOCH_COST[self.config.method]
        candidate, fold = key.split("/")
        phase = f"train_{candidate}" if fold == ALL else f"validate_{candidate}"
        for epoch in learner.epochs():
            self._spend(cost * len(members))
            if self.checkpoint:
                self.runs[key] = learner.state()
                self._save()
            self._report(phase, epoch.number, num_epochs, epoch.loss, epoch.accuracy)

    @torch.no_grad()
    def _logits(self, embeddings: Tensor) -> Tensor:
        parts = []
        for part in embeddings.split(self.recipe.batch_size):  # CoCoOp runs the text encoder for every clip and label
            self._tick()
            parts.append(self.text.cosines(part).cpu() * self.logit_scale)
        return torch.cat(parts)

    def _embed_under(self, prompts: AudioPrompts, num_clips: int) -> Tensor | None:
        if not self.config.cache_embeddings:
            return None
        embeddings = self.features.embed(range(num_clips), prompts, tick=self._tick)
        self._spend(num_clips)
        return embeddings

    @torch.no_grad()
    def _reset_text(self, values: dict[str, Tensor]) -> None:
        for name, parameter in self.text.named_parameters():
            parameter.copy_(values[name])

    def _save(self) -> None:
        if self.checkpoint:
            self.checkpoint.save(self.runs)

    # The result

    def _adapter(self, final: dict[str, Tensor], held_out: dict[str, np.ndarray], chosen: str, reason: str) -> Adapter:
        self._reset_text({name[5:]: value for name, value in final.items() if name.startswith("text.")})
        prompts = _prompts(final).to(self.clap.device)
        self.text.requires_grad_(False)
        head = self.text if isinstance(self.text, CoCoOp) else StaticHead(self.text.class_features())
        report, temperature = self._validation(held_out[chosen])
        report["audio_prompt"] = {
            "requested": self.config.audio_prompt,
            "kept": prompts.kind,
            "reason": reason,
            "held_out_loss": self._mean_losses(held_out),
        }
        num_text = sum(value.numel() for value in self._fresh_text.values())
        return Adapter(
            head=head,
            prompts=prompts if prompts.stages() else None,
            method=self.config.method,
            audio_prompt=prompts.kind,
            labels=tuple(self.labels),
            template=self.config.template or default_template(self.config.method),
            base_model=self.clap.name,
            fingerprint=self.clap.fingerprint,
            logit_scale=self.logit_scale,
            temperature=temperature,
            threshold=report["threshold"],
            shots=dict(self.shots),
            seed=self.config.seed,
            preset=self.config.preset,
            num_parameters=num_text + prompts.num_parameters,
            report=report,
        )

    def _validation(self, logits: np.ndarray) -> tuple[dict[str, Any], float]:
        unvalidated = [label for label in self.labels if self.shots[label] < 2]
        report: dict[str, Any] = {"num_folds": len(self.folds), "unvalidated_labels": unvalidated}
        if not self.folds:
            reason = "every label has one clip: nothing could be held out"
            return report | {"accuracy": None, "temperature": None, "threshold": None, "reason": reason}, 1.0
        rows = np.sort(np.concatenate(self.folds))
        truth, logits = self.truth[rows], logits[rows]
        temperature = fit_temperature(truth, logits)
        report |= summarise(truth, logits, self.labels) | {"temperature": temperature}
        return report | fit_threshold(softmax(logits / temperature)), temperature

    def _mean_losses(self, held_out: dict[str, np.ndarray]) -> dict[str, float]:
        if not self.folds:
            return {}
        rows = np.concatenate(self.folds)
        return {name: round(float(self._losses(logits[rows], rows).mean()), 4) for name, logits in held_out.items()}

    # Progress

    def _tick(self) -> None:
        if self.should_cancel():
            raise TrainingCancelled("the training was cancelled")

    def _planned_cost(self) -> float:
        """Return the cost of the whole fit, in forward passes of a clip, before it is known what will be kept."""
        candidates = ["text"] if self.recipe.chooses or not self.stages else []
        candidates += ["recentred"] if self.recipe.chooses and "spectral" in self.stages else []
        candidates += ["joint"] if self.stages else []
        validation = sum(map(self._cost_of, candidates)) * len(self.folds)
        return len(self.truth) + validation + self._cost_of(candidates[-1])

    def _cost_of(self, candidate: str) -> float:
        text = TEXT_EPOCH_COST[self.config.method] * self.recipe.text_epochs
        joint = JOINT_EPOCH_COST * self.recipe.joint_epochs
        return len(self.truth) * {"text": text, "recentred": 1 + text, "joint": joint}[candidate]

    def _share_done(self, run: str) -> float:
        """Return how much of a run lies in the checkpoint, from 0 to 1."""
        known = self.runs.get(run, {})
        num_epochs = self.recipe.joint_epochs if run.startswith("joint") else self.recipe.text_epochs
        return 1.0 if "is_done" in known else float(known.get("next_epoch", 0)) / max(1, num_epochs)

    def _spend(self, cost: float) -> None:
        self._cost_done += cost

    def _report(
        self, phase: str, epoch: int, epochs: int, loss: float | None = None, accuracy: float | None = None
    ) -> None:
        eta_s = None
        if self._cost_done:
            left = max(0.0, self._cost_total - self._cost_done)
            eta_s = round((time.monotonic() - self._started) * left / self._cost_done, 1)
        self.on_progress(Progress(phase, epoch, epochs, loss, accuracy, eta_s))


def _prompts(run: dict[str, Tensor]) -> AudioPrompts:
    stages = {name.split(".")[1] for name in run if name.startswith("audio.") and name.count(".") == 2}
    return AudioPrompts(**{s: Affine(run[f"audio.{s}.gamma"], run[f"audio.{s}.beta"]) for s in sorted(stages)})
