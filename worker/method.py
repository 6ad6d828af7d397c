"""The method as the trainer uses it: CLAP loaded once, clips in, an adapter file out."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from transformers.utils.logging import disable_progress_bar

from aspl import Adapter, FrozenClap, TrainingConfig, fit
from aspl.errors import AsplError, TrainingCancelled
from aspl.sound.clip import decode
from jobs.errors import TrainingFailed, TrainingStopped
from jobs.settings import Settings

DECODE_THREADS = 4


class Progress(Protocol):
    """How far a training is; aspl's own type looks like this."""

    phase: str
    epoch: int
    epochs: int
    loss: float | None
    accuracy: float | None
    eta_s: float | None


class ClapMethod:
    """Trains adapters on one frozen CLAP."""

    def __init__(self, clap: FrozenClap, *, max_clip_s: float):
        self.clap = clap
        self.max_clip_s = max_clip_s

    @classmethod
    def load(cls, settings: Settings) -> "ClapMethod":
        """Load the model that the settings name, in float32: training in less loses what it is to learn."""
        disable_progress_bar()  # a bar among the logs is no log
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        with _translated():
            clap = FrozenClap.load(
                settings.model, device, revision=settings.model_revision, tokenizer=settings.tokenizer
            )
        return cls(clap, max_clip_s=settings.max_clip_s)

    def train(
        self,
        clips: Sequence[tuple[Path, str]],
        training: dict[str, Any],
        *,
        on_progress: Callable[[Progress], None],
        should_cancel: Callable[[], bool],
        checkpoint: Path,
        findings: dict[str, Any],
    ) -> tuple[bytes, dict[str, Any]]:
        """Fit an adapter, from its checkpoint where there is one, and return its file and the file's header.

        Args:
            findings: what was found in the upload, in JSON's terms; it becomes part of the adapter's report.

        Raises TrainingFailed, and TrainingStopped where `should_cancel` said so.
        """
        with _translated():
            names = [field.name for field in fields(TrainingConfig)]
            config = TrainingConfig(**{name: training[name] for name in names if training.get(name) is not None})
            with ThreadPoolExecutor(DECODE_THREADS) as threads:
                waveforms = list(threads.map(self._waveform, [path for path, _ in clips]))
            adapter = fit(
                self.clap,
                waveforms,
                [label for _, label in clips],
                config=config,
                on_progress=on_progress,
                should_cancel=should_cancel,
                checkpoint=checkpoint,
            )
            data = replace(adapter, report={**adapter.report, **findings}).to_bytes()
            return data, Adapter.read_header(data)

    def _waveform(self, path: Path):
        return decode(path.read_bytes(), max_duration_s=self.max_clip_s).waveform


@contextmanager
def _translated() -> Iterator[None]:
    """Turn aspl's errors into the worker's, so that the trainer's protocol needs no torch to be tested."""
    try:
        yield
    except TrainingCancelled as error:
        raise TrainingStopped(str(error)) from error
    except AsplError as error:
        raise TrainingFailed(error.code, str(error)) from error
