"""What a fit that was cut off needs to go on: one safetensors file, replaced whole at every epoch."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aspl.fitting.live_clip import LiveClip, shift_of, waveform_of
from aspl.fitting.plan import Plan
from aspl.fitting.records import LearnerState, Trial, TrialResult
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts

RELEASE = "0.3"  # raised whenever the same clips and settings may come to other numbers, or are kept in another form

Record = TrialResult | LearnerState
log = logging.getLogger(__name__)


def fit_key(
    clap: FrozenClap,
    clips: Sequence[np.ndarray | LiveClip],
    labels: Sequence[str],
    plan: Plan,
    level_db: float | None = None,
) -> str:
    """Return the digest of everything that a fit's result depends on."""
    model, lengths = [clap.fingerprint, str(clap.dtype)], [len(waveform_of(clip)) for clip in clips]
    settings = json.dumps([RELEASE, model, asdict(plan.config), asdict(plan.recipe), list(labels), lengths, level_db])
    digest = sha256(settings.encode())
    for clip in clips:
        digest.update(np.ascontiguousarray(waveform_of(clip), np.float32).tobytes())
        if (shift := shift_of(clip)) is not None:
            digest.update(np.ascontiguousarray(shift, np.float32).tobytes())
    return digest.hexdigest()


class TrainingCheckpoint:
    """The results of a fit's trials and the state of the one under way; a file of another fit counts as none."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def load(self) -> dict[Trial, Record]:
        """Return what was saved last; empty where there is no usable file."""
        try:
            with safe_open(self.path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("key") != self.key:
                    return {}
                return dict(_read(entry, file.get_tensor) for entry in json.loads(metadata["trials"]))
        except Exception:  # none yet, cut short or foreign: the fit starts anew, which is always right
            return {}

    def save(self, records: Mapping[Trial, Record]) -> None:
        """Replace the file in one step, so that a process killed here leaves the last epoch's.

        Where that fails, for want of disk space as a rule, the fit goes on without: it can still end well.
        """
        tensors: dict[str, Tensor] = {}
        trials = []
        for trial, record in records.items():
            facts, parts = _parts(record)
            names = {}
            for path, tensor in parts.items():
                names[str(len(tensors))] = path
                tensors[str(len(tensors))] = tensor.contiguous()
            trials.append({**asdict(trial), **facts, "tensors": names})
        temporary = self.path.with_suffix(".partial")
        try:
            save_file(tensors, temporary, metadata={"key": self.key, "trials": json.dumps(trials)})
            os.replace(temporary, self.path)
        except (OSError, SafetensorError) as error:
            log.warning("the training's checkpoint cannot be saved: %s", error)


def _parts(record: Record) -> tuple[dict[str, Any], dict[tuple[str | int, ...], Tensor]]:
    """Return what JSON keeps of a record, and its tensors by the fields that they are in."""
    parts: dict[tuple[str | int, ...], Tensor] = {}
    if isinstance(record, TrialResult):
        parts |= {("parameters", name): value for name, value in record.parameters.items()}
        for stage, affine in record.prompts.stages().items():
            parts |= {("prompts", stage, "gamma"): affine.gamma, ("prompts", stage, "beta"): affine.beta}
        if record.held_out is not None:
            parts["held_out",] = record.held_out
        return {"is_done": True}, parts
    parts |= {("text", name): value for name, value in record.text.items()}
    parts |= {("audio", name): value for name, value in record.audio.items()}
    for index, entries in record.optimizer.items():
        parts |= {("optimizer", index, name): value for name, value in entries.items()}
    return {"is_done": False, "next_epoch": record.next_epoch}, parts


def _read(entry: Mapping[str, Any], tensor_named: Any) -> tuple[Trial, Record]:
    """Return a trial and its record from what `save` wrote of them."""
    trial = Trial(entry["candidate"], entry["fold"])
    fields: dict[str, Any] = {}
    for name, path in entry["tensors"].items():
        *parents, last = path
        place = fields
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = tensor_named(name)
    if entry["is_done"]:
        prompts = AudioPrompts(**{stage: Affine(**parts) for stage, parts in fields.get("prompts", {}).items()})
        return trial, TrialResult(fields.get("parameters", {}), prompts, fields.get("held_out"))
    parts = (fields.get(part, {}) for part in ("text", "audio", "optimizer"))
    return trial, LearnerState(entry["next_epoch"], *parts)
