"""What an adapter's report says of the clips that were held out, and the temperature and threshold that follow."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from aspl.fitting.choice import Choice
from aspl.fitting.evaluation import fit_temperature, fit_threshold, softmax, summarise
from aspl.fitting.plan import Plan

# n clips, K classes

NOT_BETTER = "it did not do better than the text prompt alone on held-out clips"
BETTER = "it lowered the loss on held-out clips"
TOO_FEW = "too few clips to show that an audio prompt helps"


@dataclass(frozen=True)
class Validation:
    """What held-out clips say: a report in JSON's terms, and what turns logits into answers."""

    report: dict[str, Any]
    temperature: float
    threshold: float | None


def validate(plan: Plan, logits: np.ndarray, choice: Choice, *, kept: str) -> Validation:
    """Return what the chosen candidate is worth.

    Args:
        logits: `[n, K]` of the chosen candidate; rows of clips that were never held out are not read.
        kept: the kind of the adapter's audio prompts.
    """
    unvalidated = [label for label in plan.labels if plan.shots[label] < 2]
    report: dict[str, Any] = {"num_folds": len(plan.folds), "unvalidated_labels": unvalidated}
    temperature, clips = 1.0, np.sort(plan.held_out_clips)
    if len(clips):
        truth, logits = plan.truth[clips], logits[clips]
        temperature = fit_temperature(truth, logits)
        report |= summarise(truth, logits, plan.labels) | {"temperature": temperature}
        report |= fit_threshold(softmax(logits / temperature))
    else:
        reason = "every label has one clip: nothing could be held out"
        report |= {"accuracy": None, "temperature": None, "threshold": None, "reason": reason}
    report["audio_prompt"] = {
        "requested": plan.config.chosen_audio_prompt,
        "kept": kept,
        "reason": reason_for(plan, choice),
        "held_out_loss": {name: round(loss, 4) for name, loss in choice.losses.items()},
    }
    return Validation(report, temperature, report["threshold"])


def reason_for(plan: Plan, choice: Choice) -> str:
    """Return why the audio prompt was kept or not; empty where that was not for the fit to choose."""
    if not plan.recipe.chooses or not plan.stages:
        return ""
    if not plan.folds:
        return TOO_FEW
    return NOT_BETTER if choice.candidate == plan.candidates[0] else BETTER
