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
from aspl.adapter_info import AdapterInfo
from aspl.background import BackgroundLibrary, shipped_library
from aspl.fitting.candidates import CANDIDATES, score_cost
from aspl.fitting.checkpoint import TrainingCheckpoint, fit_key
from aspl.fitting.clip_features import ClipFeatures
from aspl.fitting.closed_form import Given, fit_closed_form, num_clips_of
from aspl.fitting.config import TrainingConfig
from aspl.fitting.guard import Guard, fit_guard
from aspl.fitting.heard_clip import HeardClip, digest_of, hear_clips, heard_clips
from aspl.fitting.live_clip import LiveClip
from aspl.fitting.order import ClipOrder
from aspl.fitting.plan import Plan, check_clips, make_plan, require_audio
from aspl.fitting.precision import kept_head
from aspl.fitting.progress import FitProgress
from aspl.fitting.prompted import choose_prompts, gate_text
from aspl.fitting.records import LearnerState, Trial, TrialResult
from aspl.fitting.report import Validation, guarded_report, prompted_report, validate
from aspl.fitting.speed_copies import copies_for
from aspl.fitting.suspects import ClipFaults
from aspl.fitting.trial import TrialRunner
from aspl.heads.guarded import GuardedHead
from aspl.heads.head import Head
from aspl.held_out import held_out_answers
from aspl.methods import method_named
from aspl.model.clap import FrozenClap
from aspl.progress import Progress
from aspl.prompts.audio import AudioPrompts


def fit(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray | LiveClip | HeardClip],
    labels: Sequence[str],
    *,
    background: Sequence[np.ndarray | LiveClip | HeardClip] = (),
    config: TrainingConfig | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
    should_cancel: Callable[[], bool] = lambda: False,
    checkpoint: Path | None = None,
    library: BackgroundLibrary | None = None,
    before: AdapterInfo | None = None,
) -> Adapter:
    """Train an adapter.

    Args:
        waveforms: n clips, 1-D float32 at 48 kHz, of any length from 10 ms, as a `LiveClip` where they came through a
            channel; or, where nothing is learnt by gradients, what `hear_clips` made of them.
        labels: n labels; the adapter's order is that of their first appearance, and nothing else depends on the order.
        background: clips of what is to be heard as unknown; they count beside the bank's.
        on_progress: called after every epoch.
        should_cancel: asked before every micro-batch.
        checkpoint: a file that is replaced at every epoch; a fit of the same clips and settings that finds it goes on
            from there, to the same result. It is left to the caller to remove.
        library: what base models hear of the background; the shipped bank's by default.
        before: what an earlier version says of itself: thresholds that were set there are set here, see
            `KnownRule.set_as`, and clips are heard at the level that they were heard at there.

    Raises:
        TrainingDataInvalid, LabelsInvalid: clips or labels that no classifier can be fitted to.
        TrainingCancelled: `should_cancel` said so.
        TrainingDiverged, OutOfMemory: what they say.
    """
    config = config or TrainingConfig()
    check_clips(waveforms, labels, min_labels=method_named(config.chosen_method).min_labels)
    order = ClipOrder.of(waveforms, labels)
    waveforms, labels = [waveforms[clip] for clip in order.clips], [labels[clip] for clip in order.clips]
    background = sorted(background, key=digest_of)
    plan = replace(make_plan(labels, config, logit_scale=clap.logit_scale, digests=order.digests), before=before)
    plan.method.check_labels(plan.labels)
    progress = FitProgress(on_progress, should_cancel)
    learning = _learning_plan(plan, labels, order, clap)
    library, level_db = library or shipped_library(), level_for(config, before)
    if learning is None:
        progress.report("listen", 0, 1)
        options = {"level_db": level_db, "tick": progress.tick}
        heard = list(hear_clips(clap, waveforms, copies=copies_for(len(waveforms)), **options))
        given = Given(clap, heard, list(hear_clips(clap, background, **options)), library, level_db)
        progress.report("listen", 1, 1)
        return order.as_given(fit_closed_form(given, AudioPrompts(), plan, progress))
    require_audio(plan, (*waveforms, *background))
    clips = _listen(clap, waveforms, level_db, learning, progress)
    own = list(hear_clips(clap, background, level_db=level_db, tick=progress.tick))
    copies = copies_for(len(waveforms)) if plan.method.is_closed_form else 0
    heard = list(heard_clips(clips, waveforms, copies=copies, tick=progress.tick))
    given = Given(clap, heard, own, library, level_db, waveforms=background, log_mels=clips)
    saved = checkpoint and TrainingCheckpoint(checkpoint, fit_key(clap, waveforms, labels, learning, level_db))
    runner = _runner(given, learning, progress, saved, closed_form=plan.method.is_closed_form)
    fitted = _fit_prompted if plan.method.is_closed_form else _fit_words
    return order.as_given(fitted(given, plan, runner))


def level_for(config: TrainingConfig, before: AdapterInfo | None = None) -> float | None:
    """Return the level that a fit brings clips to, None for as they were recorded.

    One that goes on from an earlier version hears as that does, whatever is asked for: of its clips there may be no
    more than what it heard, and its channel is from there.
    """
    return config.level_db if before is None else before.level_db


def _runner(
    given: Given, plan: Plan, progress: FitProgress, saved: TrainingCheckpoint | None, *, closed_form: bool
) -> TrialRunner:
    """Return what runs the trials of a plan, with those that an earlier process has run."""
    text = plan.method.untrained(given.clap, plan.labels, template=plan.config.template, seed=plan.config.seed)
    records = saved.load() if saved else {}
    spent = sum(_known_cost(plan, trial, record) for trial, record in records.items())
    progress.expect(_planned_cost(plan) + _cost_of_keeping(given, plan, closed_form=closed_form) - spent)
    return TrialRunner(plan, given.log_mels, text, CANDIDATES, progress, records, saved)


def _learning_plan(plan: Plan, labels: Sequence[str], order: ClipOrder, clap: FrozenClap) -> Plan | None:
    """Return the plan of what is learnt by gradients: of a closed-form head the audio prompts alone, by PALM's fit.

    None where nothing is: no prompt is asked for, or too few clips could show that one helps.
    """
    if not plan.method.is_closed_form:
        return plan
    if not plan.stages or not plan.folds or len(plan.labels) < 2:
        return None
    config = replace(plan.config, method="palm", preset="fast", template=None)
    return make_plan(labels, config, logit_scale=clap.logit_scale, digests=order.digests)


def _fit_prompted(given: Given, plan: Plan, runner: TrialRunner) -> Adapter:
    """Fit a closed-form head under the audio prompts that do it good."""
    kept = choose_prompts(given, plan, runner)
    adapter = fit_closed_form(given, kept.prompts, plan, runner.progress)
    return replace(adapter, report=prompted_report(adapter.report, plan, kept))


def _fit_words(given: Given, plan: Plan, runner: TrialRunner) -> Adapter:
    """Fit what is learnt by gradients, or words alone, and the linear head that knows what was never taught."""
    clap, progress = given.clap, runner.progress
    choice = runner.choose(plan.candidates)
    last = Trial(choice.candidate, None)
    known = _known_cost(plan, last, runner.records[last]) if last in runner.records else 0.0
    keeping = _cost_of_keeping(given, plan, closed_form=False) if choice.candidate != "text" else 0.0
    progress.expect(CANDIDATES[choice.candidate].cost(plan) - known + keeping)
    result, gated = gate_text(runner, choice.candidate, runner.result(last))
    head = CANDIDATES[choice.candidate].head(result, runner)
    held_out = runner.held_out_logits(choice.candidate)
    if gated is not None:
        held_out[plan.held_out_clips] = gated.logits
    guard = fit_guard(given, result.prompts.to(clap.device), plan, progress)
    faults = ClipFaults.of(given.clips, plan.truth)
    validation = validate(plan, held_out, choice, faults, kept=result.prompts.kind)
    report = guarded_report(validation.report, plan, held_out, guard.fit, guard.rule)
    if gated is not None:
        report = replace(report, audio_prompt=replace(report.audio_prompt, gates=gated.gates))
    validation = replace(validation, report=replace(report, num_background=len(given.background)))
    head = kept_head(head, len(plan.labels), guard.features)
    adapter = _adapter(clap, plan, result, head, validation, guard)
    return replace(
        adapter,
        level_db=given.level_db,
        taught_curves=given.taught_curves(plan.truth),
        held_out=held_out_answers(plan.labels, held_out / validation.temperature),
    )


def _listen(
    clap: FrozenClap,
    waveforms: Sequence[np.ndarray | LiveClip],
    level_db: float | None,
    plan: Plan,
    progress: FitProgress,
) -> ClipFeatures:
    progress.report("listen", 0, 1)
    clips = ClipFeatures(clap, waveforms, level_db=level_db, tick=progress.tick)
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


def _cost_of_keeping(given: Given, plan: Plan, *, closed_form: bool) -> float:
    """Return what it costs to keep an audio prompt: to find its gates, and to hear clips and bank under it.

    Args:
        closed_form: whether a closed-form head hears under it, which is fitted anew for every fold and gate.
    """
    if not plan.stages:
        return 0.0
    anew = num_clips_of(given)
    if not plan.folds:
        return anew
    num_tried = 2 * len(plan.stages)  # two gates beside that which it has
    if closed_form:
        return anew + len(plan.folds) * plan.num_clips * (num_tried + len(plan.candidates))
    return anew + (num_tried * len(plan.held_out_clips) * score_cost(plan) if plan.recipe.chooses else 0)


def _known_cost(plan: Plan, trial: Trial, record: TrialResult | LearnerState) -> float:
    """Return the cost of what an earlier process has done of a trial."""
    candidate = CANDIDATES[trial.candidate]
    if isinstance(record, TrialResult):
        return candidate.cost(plan)
    return candidate.cost(plan) * record.next_epoch / max(1, candidate.num_epochs(plan))


def _adapter(
    clap: FrozenClap, plan: Plan, result: TrialResult, head: Head, validation: Validation, guard: Guard
) -> Adapter:
    return Adapter(
        head=GuardedHead(head, guard.head),
        prompts=result.prompts.to(clap.device) if result.prompts.stages() else None,
        method=plan.method.name,
        audio_prompt=result.prompts.kind,
        labels=plan.labels,
        template=plan.template,
        base_model=clap.name,
        fingerprint=clap.fingerprint,
        logit_scale=plan.logit_scale,
        temperature=validation.temperature,
        threshold=None,
        known=guard.rule,
        shots=plan.shots,
        seed=plan.config.seed,
        preset=plan.config.preset,
        num_parameters=sum(value.numel() for value in result.parameters.values()) + result.prompts.num_parameters,
        report=validation.report,
    )
