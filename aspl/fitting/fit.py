"""Few-shot training: clips and labels in, an adapter with an honest report out.

A fit compares candidates on held-out clips and keeps the simplest that no other beats: see `aspl.fitting.candidates`.
Preset `paper` trains `joint` alone, from the identity. Each fold of the validation trains anew; what is kept is then
trained on all clips.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aspl.adapter import Adapter
from aspl.background import BackgroundLibrary, shipped_library
from aspl.fitting.candidates import CANDIDATES
from aspl.fitting.checkpoint import TrainingCheckpoint, fit_key
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.closed_form import fit_closed_form
from aspl.fitting.config import TrainingConfig
from aspl.fitting.plan import Plan, check_clips, make_plan
from aspl.fitting.progress import FitProgress
from aspl.fitting.records import LearnerState, Trial, TrialResult
from aspl.fitting.report import Validation, validate
from aspl.fitting.trial import TrialRunner
from aspl.heads.head import Head
from aspl.model.clap import FrozenClap
from aspl.progress import Progress


def fit(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray],
    labels: Sequence[str],
    *,
    background: Sequence[np.ndarray] = (),
    config: TrainingConfig | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_cancel: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    library: BackgroundLibrary | None = None,
) -> Adapter:
    """Train an adapter.

    Args:
        waveforms: n clips, 1-D float32 at 48 kHz, of any length from 10 ms.
        labels: n labels; the adapter's order is that of their first appearance.
        background: clips of what is to be heard as unknown; they count beside the bank's.
        on_progress: called after every epoch.
        should_cancel: asked before every micro-batch.
        checkpoint: a file that is replaced at every epoch; a fit of the same clips and settings that finds it goes on
            from there, to the same result. It is left to the caller to remove.
        library: what base models hear of the background; the shipped bank's by default.

    Raises:
        TrainingDataInvalid, LabelsInvalid: clips or labels that no classifier can be fitted to.
        TrainingCancelled: `should_cancel` said so.
        TrainingDiverged, OutOfMemory: what they say.
    """
    plan = make_plan(labels, config or TrainingConfig(), logit_scale=clap.logit_scale)
    check_clips(waveforms, labels, min_labels=plan.method.min_labels)
    if plan.method.is_closed_form:
        library = library or shipped_library()
        plan.method.check_labels(plan.labels)
        progress = FitProgress(on_progress, should_cancel)
        return fit_closed_form(clap, waveforms, plan, progress, background=background, library=library)
    text = plan.method.untrained(clap, plan.labels, template=plan.config.template, seed=plan.config.seed)
    saved = checkpoint and TrainingCheckpoint(checkpoint, fit_key(clap, waveforms, labels, plan))
    records = saved.load() if saved else {}
    progress = FitProgress(on_progress, should_cancel)
    progress.expect(_planned_cost(plan) - sum(_known_cost(plan, trial, record) for trial, record in records.items()))
    clips = _listen(clap, waveforms, plan, progress)
    runner = TrialRunner(plan, clips, text, CANDIDATES, progress, records, saved)
    choice = runner.choose(plan.candidates)
    last = Trial(choice.candidate, None)
    known = _known_cost(plan, last, records[last]) if last in records else 0.0
    progress.expect(CANDIDATES[choice.candidate].cost(plan) - known)
    result = runner.result(last)
    head = CANDIDATES[choice.candidate].head(result, runner)
    held_out = runner.held_out_logits(choice.candidate)
    validation = validate(plan, held_out, choice, kept=result.prompts.kind)
    return replace(_adapter(clap, plan, result, head, validation), taught_curves=clips.taught_curves(plan.truth))


def _listen(clap: FrozenClap, waveforms: Sequence[np.ndarray], plan: Plan, progress: FitProgress) -> ClipFeatures:
    progress.report("listen", 0, 1)
    clips = ClipFeatures(clap, waveforms, tick=progress.tick)
    if plan.config.cache_embeddings:
        if plan.stages == ("structural",):
            clips.keep_tokens(tick=progress.tick)
        clips.keep_bare(tick=progress.tick)
    progress.spend(plan.num_clips)
    progress.report("listen", 1, 1)
    return clips


def _planned_cost(plan: Plan) -> float:
    """Return the cost of the whole fit before it is known what will be kept."""
    costs = [CANDIDATES[name].cost(plan) for name in plan.candidates]
    return plan.num_clips + sum(costs) * len(plan.folds) + costs[-1]


def _known_cost(plan: Plan, trial: Trial, record: TrialResult | LearnerState) -> float:
    """Return the cost of what an earlier process has done of a trial."""
    candidate = CANDIDATES[trial.candidate]
    if isinstance(record, TrialResult):
        return candidate.cost(plan)
    return candidate.cost(plan) * record.next_epoch / max(1, candidate.num_epochs(plan))


def _adapter(clap: FrozenClap, plan: Plan, result: TrialResult, head: Head, validation: Validation) -> Adapter:
    return Adapter(
        head=head,
        prompts=result.prompts.to(clap.device) if result.prompts.stages() else None,
        method=plan.method.name,
        audio_prompt=result.prompts.kind,
        labels=plan.labels,
        template=plan.template,
        base_model=clap.name,
        fingerprint=clap.fingerprint,
        logit_scale=plan.logit_scale,
        temperature=validation.temperature,
        threshold=validation.threshold,
        shots=plan.shots,
        seed=plan.config.seed,
        preset=plan.config.preset,
        num_parameters=sum(value.numel() for value in result.parameters.values()) + result.prompts.num_parameters,
        report=validation.report,
    )
