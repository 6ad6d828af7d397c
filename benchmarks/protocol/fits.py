"""One fit of the protocol: no clip is held out, and the last epoch answers for the test clips."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from aspl import AudioFeatures, Progress
from aspl.background import BackgroundLibrary
from aspl.fitting.candidates import CANDIDATES
from aspl.fitting.checkpoint import RELEASE, TrainingCheckpoint
from aspl.fitting.closed_form import WORDS, Heard, kept_bank, known_rule
from aspl.fitting.heard_clip import hear_copies
from aspl.fitting.plan import make_plan
from aspl.fitting.precision import kept_head
from aspl.fitting.progress import FitProgress
from aspl.fitting.records import Trial
from aspl.fitting.speed_copies import copies_for
from aspl.fitting.trial import TrialRunner
from aspl.heads.linear import LinearHead
from aspl.heads.ridge_head import Teaching, fit_ridge_head
from aspl.measure import confusion_matrix, macro_f1
from aspl.methods import METHODS
from aspl.reach import band_of
from aspl.templates import fill_template
from benchmarks.protocol.draws import DrawnClips
from benchmarks.protocol.runs import ADABN, Run

# n clips, K labels

Tell = Callable[[float], None]  # the share that is done


@dataclass(frozen=True)
class Fitting:
    """What fits need beside their clips: the bank of the closed form, and where those under way are kept."""

    library: BackgroundLibrary
    folder: Path


def scores_of(run: Run, drawn: DrawnClips, fitting: Fitting, *, tell: Tell = lambda share: None) -> np.ndarray:
    """Fit a run, and return its scores `[n, K]` of the test clips, in the order of the sorted labels."""
    if METHODS[run.method].is_closed_form:
        return _closed_form_scores(run, drawn, fitting)
    return _trained_scores(run, drawn, fitting, tell)


def measures(scores: np.ndarray, drawn: DrawnClips) -> dict[str, object]:
    """Return a row's figures: on all test clips, and on those that are not the same sound as a taught one."""
    figures: dict[str, object] = {}
    own = ~drawn.is_shared
    for name, rows in (("", np.full(len(own), True)), ("unshared_", own)):
        matrix = confusion_matrix(drawn.truth[rows], scores[rows].argmax(1), len(drawn.labels))
        accuracy, f1 = (np.trace(matrix) / matrix.sum(), macro_f1(matrix)) if rows.any() else (None, None)
        figures |= {f"{name}accuracy": _share(accuracy), f"{name}macro_f1": _share(f1)}
    figures["num_clips"], figures["unshared_num_clips"] = len(own), int(own.sum())
    hits = scores.argmax(1) == drawn.truth
    return figures | {"hits": "".join("01"[int(hit)] for hit in hits), "num_taught": len(drawn.taught)}


def _share(value: float | None) -> float | None:
    return None if value is None else round(float(value), 4)


def _closed_form_scores(run: Run, drawn: DrawnClips, fitting: Fitting) -> np.ndarray:
    clap, library = drawn.listener.clap, fitting.library
    plan = make_plan(drawn.taught_labels, run.config, logit_scale=clap.logit_scale)
    clips = drawn.clips(is_adapted=False)
    bank = kept_bank(clap, library, clap.layout, band_of(clips.curves(), clap.mel_centres_hz), None)
    taught = Heard.of(drawn.taught_features)
    orders, lengths = ([getattr(clip, part) for clip in drawn.taught_clips] for part in ("order", "num_samples"))
    num_copies = copies_for(len(orders))
    copied = hear_copies(clips, orders, lengths, num_copies)
    teaching = Teaching(
        scaled=bank.scale.scaled(taught.stages, taught.joint),
        classes=plan.truth,
        order=np.array(orders),
        own=bank.scale.scaled(taught.stages[:0], taught.joint[:0]),
        joint=taught.joint,
        texts=clap.encode_text(fill_template(plan.template, plan.labels)).double().cpu().numpy(),
        copies=[bank.scale.scaled(copy.stages, copy.joint) for copy in Heard.of_copies(copied, clap.joint_width)],
    )
    fit = fit_ridge_head(teaching, bank, text_weights=WORDS[plan.method.name])
    head = LinearHead.fitted(fit.head.matrix, fit.head.bias, clap)
    # What answers is what would be kept, in half precision for the most part.
    head = kept_head(head, len(plan.labels), taught.features(clap.device), known_rule(fit, plan, num_own=0))
    return _scores(head, drawn.tested_features).numpy()


def _trained_scores(run: Run, drawn: DrawnClips, fitting: Fitting, tell: Tell) -> np.ndarray:
    is_adapted = run.audio_prompt == ADABN
    clips = drawn.clips(is_adapted=is_adapted)
    config = run.config
    plan = make_plan(drawn.taught_labels, config, logit_scale=clips.clap.logit_scale)

    def on_progress(progress: Progress) -> None:
        tell(progress.epoch / progress.epochs)

    text = plan.method.untrained(clips.clap, plan.labels, template=config.template, seed=config.seed)
    key = _fit_key(run, drawn)
    checkpoint = TrainingCheckpoint(fitting.folder / f"{key[:16]}.safetensors", key)
    progress = FitProgress(on_progress, lambda: False)
    runner = TrialRunner(plan, clips, text, CANDIDATES, progress, checkpoint.load(), checkpoint)
    (name,) = plan.candidates
    result = runner.result(Trial(name, None))  # the one on all shots; those of the validation are never asked for
    head = CANDIDATES[name].head(result, runner)
    checkpoint.path.unlink(missing_ok=True)
    if is_adapted:
        features = drawn.tested_adapted
    elif result.prompts.stages():
        features = drawn.heard_under(clips.clap, result.prompts.to(clips.clap.device))
    else:
        features = drawn.tested_features
    return torch.cat([_scores(head, part) for part in _parts(features, plan.recipe.batch_size)]).numpy()


@torch.inference_mode()
def _scores(head, features: AudioFeatures) -> torch.Tensor:
    return head.scores(features)[0].float().cpu()


def _parts(features: AudioFeatures, size: int):
    """Yield a few rows at a time: CoCoOp runs the text encoder for each row and label."""
    for start in range(0, len(features), size):
        yield features[start : start + size]


def _fit_key(run: Run, drawn: DrawnClips) -> str:
    orders = [clip.order for clip in drawn.taught_clips]
    return sha256(repr([RELEASE, run, orders]).encode()).hexdigest()
