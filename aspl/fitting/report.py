"""What an adapter's report says of the clips that were held out, and the temperature and threshold that follow."""

from dataclasses import dataclass, replace

import numpy as np

from aspl.fitting.choice import Choice
from aspl.fitting.evaluation import fit_temperature, fit_threshold, softmax
from aspl.fitting.gates import BARE, KeptPrompts
from aspl.fitting.plan import Plan
from aspl.fitting.suspects import AgainstBackground, ClipFaults, find_suspects, list_suspects
from aspl.heads.ridge_head import HeadFit
from aspl.heads.unknown import raw_known
from aspl.known import KnownRule
from aspl.measure import Scores, measure
from aspl.report import AudioPromptReport, CandidateReport, Report

# n clips, K classes

NOT_BETTER = "it did not do better than the text prompt alone on held-out clips"
BETTER = "it lowered the loss on held-out clips"
NO_BETTER_THAN_BARE = "under none did it do better on held-out clips than without"
TOO_FEW = "too few clips to show that an audio prompt helps"
NOT_ASKED = "no other was asked for"
LIKELIEST = "its held-out answers are the likeliest, with few clips those near the weight that so few want"
LESS_LIKELY = "its held-out answers are less likely"

SOURCES = (
    "Clips of one recording session, device or place may be on both sides of a split: on others expect less. Copies of "
    "a clip, byte by byte, never are."
)
CHOSEN_ON_THE_SAME = "What is kept was chosen on the clips that it is measured on."
THRESHOLDS_ON_THE_SAME = "Thresholds and the scale of the known score were set on the clips that they are measured on."
BANK = "The background here is made by procedures: sounds that are close to what was taught pass more often."


@dataclass(frozen=True)
class Validation:
    """What held-out clips say: a report, and what turns logits into answers."""

    report: Report
    temperature: float
    threshold: float | None


def validate(plan: Plan, logits: np.ndarray, choice: Choice, faults: ClipFaults, *, kept: str) -> Validation:
    """Return what the chosen candidate is worth.

    Args:
        logits: `[n, K]` of the chosen candidate; rows of clips that were never held out are not read.
        faults: of the clips.
        kept: the kind of the adapter's audio prompts.
    """
    clips = np.sort(plan.held_out_clips)
    truth, held_out = plan.truth[clips], logits[clips]
    report = measure(plan.labels, truth, Scores(held_out), shots=plan.shots, num_folds=len(plan.folds))
    temperature = 1.0
    if len(clips):
        temperature = fit_temperature(truth, held_out)
        report = replace(report, temperature=temperature, **fit_threshold(softmax(held_out / temperature)))
    is_held_out = np.isin(np.arange(plan.num_clips), clips)
    found = find_suspects(np.nan_to_num(logits), plan.truth, is_held_out, 1 / temperature)
    report = replace(
        report,
        unvalidated_labels=_unvalidated(plan, clips),
        candidates=_candidates(plan, choice),
        suspects=tuple(list_suspects(found, faults, plan.truth, plan.labels)),
        optimism=(SOURCES, *([CHOSEN_ON_THE_SAME] if len(choice.losses) > 1 else [])) if len(clips) else (),
        audio_prompt=AudioPromptReport(
            requested=plan.config.chosen_audio_prompt,
            kept=kept,
            reason=reason_for(plan, choice),
            held_out_loss={name: round(loss, 4) for name, loss in choice.losses.items()},
        ),
    )
    return Validation(report, temperature, report.threshold)


def reason_for(plan: Plan, choice: Choice) -> str:
    """Return why the audio prompt was kept or not; empty where that was not for the fit to choose."""
    if not plan.recipe.chooses or not plan.stages:
        return ""
    if not plan.folds:
        return TOO_FEW
    return NOT_BETTER if choice.candidate == plan.candidates[0] else BETTER


def _candidates(plan: Plan, choice: Choice) -> tuple[CandidateReport, ...]:
    def reason(name: str) -> str:
        if len(plan.candidates) == 1:
            return NOT_ASKED
        return reason_for(plan, choice) if name == choice.candidate else LESS_LIKELY

    return tuple(
        CandidateReport(
            name=name,
            loss=_rounded(choice.losses.get(name)),
            accuracy=_rounded(choice.accuracies.get(name)),
            kept=name == choice.candidate,
            reason=reason(name),
        )
        for name in plan.candidates
    )


def guarded_report(report: Report, plan: Plan, held_out: np.ndarray, fit: HeadFit, rule: KnownRule) -> Report:
    """Return the report of a head of words with how the one beside it hears the background.

    Args:
        held_out: logits `[n, K]` of the head of words; of clips that were not held out they are not read.
        fit: of the head beside it, and `rule`: its own.
    """
    rows = np.flatnonzero((fit.folds >= 0) & np.isin(np.arange(plan.num_clips), plan.held_out_clips))
    against = measure(
        plan.labels,
        plan.truth[rows],
        Scores(held_out[rows].reshape(-1, len(plan.labels)), rule.on_scale(raw_known(fit.held_apart)[rows])),
        background=Scores(fit.bank[:, :-1], rule.on_scale(raw_known(fit.bank))),
        thresholds=rule.thresholds,
        shots=plan.shots,
        num_folds=len(plan.folds),
    )
    rows_of = {}
    for label, row in report.per_label.items():
        other = against.per_label[label]
        rows_of[label] = replace(row, threshold=other.threshold, misses_per_hundred=other.misses_per_hundred)
    return replace(
        report,
        per_label=rows_of,
        background=against.background,
        threshold_curve=against.threshold_curve,
        optimism=(*report.optimism, *([THRESHOLDS_ON_THE_SAME] if len(rows) else []), BANK),
        threshold=None,
        set_for_rejection_rate=None,
        rejection_rate=None,
    )


def prompted_report(report: Report, plan: Plan, kept: KeptPrompts) -> Report:
    """Return the report of a closed-form head with what became of the audio prompts."""
    choice = kept.choice
    reason = BETTER if kept.prompts.stages() else NO_BETTER_THAN_BARE
    rows = tuple(
        CandidateReport(
            name=name if name == BARE else f"{BARE} under {name}",
            loss=_rounded(choice.losses[name]),
            accuracy=_rounded(choice.accuracies[name]),
            kept=name == choice.candidate,
            reason=reason if name == choice.candidate else LESS_LIKELY,
        )
        for name in choice.losses
    )
    told = AudioPromptReport(
        requested=plan.config.chosen_audio_prompt,
        kept=kept.prompts.kind,
        reason=reason,
        held_out_loss={name: round(loss, 4) for name, loss in choice.losses.items()},
        gates=kept.gates,
    )
    return replace(report, audio_prompt=told, candidates=(*rows, *report.candidates))


def closed_form_report(fit: HeadFit, rule: KnownRule, plan: Plan, *, faults: ClipFaults, num_own: int) -> Report:
    """Return what a closed-form fit's held-out scores are worth; `num_own` background clips are the tenant's."""
    found = find_suspects(
        fit.held_out[:, :-1], plan.truth, fit.folds >= 0, fit.sharpness, AgainstBackground.of(fit.held_out, fit.bank)
    )
    rows = np.flatnonzero(fit.folds >= 0)
    known, bank = rule.on_scale(raw_known(fit.held_apart)[rows]), rule.on_scale(raw_known(fit.bank))
    report = measure(
        plan.labels,
        plan.truth[rows],
        Scores(fit.held_out[rows, :-1], known),
        background=Scores(fit.bank[:, :-1], bank),
        thresholds=rule.thresholds,
        shots=plan.shots,
        num_folds=int(fit.folds.max()) + 1,
    )
    chosen = (CHOSEN_ON_THE_SAME,) if len(fit.text_trials) > 1 else ()
    return replace(
        report,
        unvalidated_labels=_unvalidated(plan, rows),
        text_weight=round(fit.head.text_weight, 4),
        num_background=num_own,
        candidates=_text_weights(fit),
        suspects=tuple(list_suspects(found, faults, plan.truth, plan.labels)),
        optimism=(SOURCES, *chosen, THRESHOLDS_ON_THE_SAME, BANK) if len(rows) else (BANK,),
    )


def _text_weights(fit: HeadFit) -> tuple[CandidateReport, ...]:
    """The weights of the words that competed, under a name each."""

    def row(weight: float, loss: float, accuracy: float) -> CandidateReport:
        name = f"ridge with words x {weight:g}" if weight else "ridge"
        is_kept = weight == fit.head.text_weight
        reason = LIKELIEST if is_kept else LESS_LIKELY
        if len(fit.text_trials) == 1:
            reason = NOT_ASKED
        return CandidateReport(name, _rounded(loss), _rounded(accuracy), is_kept, reason)

    return tuple(row(weight, *trial) for weight, trial in fit.text_trials.items())


def _unvalidated(plan: Plan, held_out: np.ndarray) -> tuple[str, ...]:
    """The labels of which nothing is among the clips that are held out."""
    validated = set(plan.truth[held_out].tolist())
    return tuple(label for index, label in enumerate(plan.labels) if index not in validated)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
