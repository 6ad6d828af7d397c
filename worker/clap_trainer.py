"""CLAP as the trainer uses it: loaded once; clips in, an adapter file out."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from transformers.utils.logging import disable_progress_bar

from aspl import Adapter, FrozenClap, Progress, TrainingConfig, fit
from aspl.background import BackgroundLibrary, shipped_library
from aspl.errors import AsplError, TrainingCancelled
from aspl.report import Report, Suspect
from aspl.sound.clip import decode
from jobs.errors import TrainingFailed, TrainingStopped
from jobs.settings import Settings
from jobs.uploaded_clip import TrainingClips

DECODE_THREADS = 4


class ClapTrainer:
    """Trains adapters on one frozen CLAP."""

    def __init__(self, clap: FrozenClap, *, max_clip_s: float, library: BackgroundLibrary | None = None):
        self.clap = clap
        self.library = library
        self.max_clip_s = max_clip_s

    @classmethod
    def load(cls, settings: Settings) -> "ClapTrainer":
        """Load the model that the settings name, in float32: training in less loses what it is to learn."""
        disable_progress_bar()  # a bar among the logs is no log
        device = settings.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        with _translated():
            clap = FrozenClap.load(
                settings.model, device, revision=settings.model_revision, tokenizer=settings.tokenizer
            )
        library = shipped_library(settings.data_dir / "background")
        return cls(clap, max_clip_s=settings.max_clip_s, library=library)

    def train(
        self,
        clips: TrainingClips,
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
            config = TrainingConfig.from_options(training)
            with ThreadPoolExecutor(DECODE_THREADS) as threads:
                waveforms = list(threads.map(self._waveform, [path for path, _ in clips.clips]))
                background = list(threads.map(self._waveform, clips.background))
            adapter = fit(
                self.clap,
                waveforms,
                [label for _, label in clips.clips],
                background=background,
                config=config,
                on_progress=on_progress,
                should_cancel=should_cancel,
                checkpoint=checkpoint,
                library=self.library,
            )
            report = _with_findings(adapter.report, clips, findings)
            data = replace(adapter, report=report).to_bytes()
            return data, Adapter.read_header(data)

    def _waveform(self, path: Path):
        return decode(path.read_bytes(), max_duration_s=self.max_clip_s).waveform


def _with_findings(report: Report, clips: TrainingClips, findings: Mapping[str, Any]) -> Report:
    """The report with what was found in the upload, and the file's name and digest with each suspect clip."""

    def named(suspect: Suspect) -> Suspect:
        path, _ = clips.clips[suspect.clip]
        return replace(suspect, file=clips.files[suspect.clip], id=sha256(path.read_bytes()).hexdigest())

    suspects = tuple(map(named, report.suspects))
    return Report.from_json({**replace(report, suspects=suspects).to_json(), **findings})


@contextmanager
def _translated() -> Iterator[None]:
    """Turn aspl's errors into the worker's, so that the trainer's protocol needs no torch to be tested."""
    try:
        yield
    except TrainingCancelled as error:
        raise TrainingStopped(str(error)) from error
    except AsplError as error:
        raise TrainingFailed(error.code, str(error)) from error
