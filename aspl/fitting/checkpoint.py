"""What a fit that was cut off needs to go on: one safetensors file, replaced whole at every epoch."""

import json
import logging
import os
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from aspl.fitting.config import TrainingConfig
from aspl.model.clap import FrozenClap

# A run is one learner's work, such as `joint/2`: the candidate and the fold that it leaves out.
Runs = dict[str, dict[str, Tensor]]

log = logging.getLogger(__name__)


def fit_key(clap: FrozenClap, waveforms: Sequence[np.ndarray], labels: Sequence[str], config: TrainingConfig) -> str:
    """Return the digest of everything that a fit's result depends on."""
    lengths = [len(waveform) for waveform in waveforms]
    settings = json.dumps([clap.fingerprint, str(clap.dtype), list(labels), lengths, asdict(config)])
    digest = sha256(settings.encode())
    for waveform in waveforms:
        digest.update(np.ascontiguousarray(waveform, np.float32).tobytes())
    return digest.hexdigest()


class TrainingCheckpoint:
    """The finished runs of a fit and the state of the run under way; a file of another fit counts as none."""

    def __init__(self, path: Path, key: str) -> None:
        self.path, self.key = path, key

    def load(self) -> Runs:
        """Return what was saved last, by run; empty where there is no usable file."""
        runs: Runs = {}
        try:
            with safe_open(self.path, framework="pt") as file:
                if (file.metadata() or {}).get("key") != self.key:
                    return {}
                for name in file.keys():  # noqa: SIM118 - not a mapping
                    run, entry = name.split("|", 1)
                    runs.setdefault(run, {})[entry] = file.get_tensor(name)
        except Exception:  # none yet, cut short or foreign: the fit starts anew, which is always right
            return {}
        return runs

    def save(self, runs: Runs) -> None:
        """Replace the file in one step, so that a process killed here leaves the last epoch's.

        Where that fails, for want of disk space as a rule, the fit goes on without: it can still end well.
        """
        tensors = {
            f"{run}|{name}": value.contiguous() for run, entries in runs.items() for name, value in entries.items()
        }
        temporary = self.path.with_suffix(".partial")
        try:
            save_file(tensors, temporary, metadata={"key": self.key})
            os.replace(temporary, self.path)
        except (OSError, SafetensorError) as error:
            log.warning("the training's checkpoint cannot be saved: %s", error)
