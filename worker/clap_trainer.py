"""CLAP as the trainer uses it: loaded once; clips in, an adapter file out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils.logging import disable_progress_bar

from aspl import Adapter, FrozenClap, Progress, TrainingConfig, fit
from aspl.background import BackgroundLibrary, shipped_library
from aspl.channel import find_channel, report_of
from aspl.channel_drift import CHECK, recalibrate_from
from aspl.channel_shift import Differences
from aspl.errors import AsplError, TrainingCancelled
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
            report = _with_files(adapter.report, clips.files)
            data = replace(adapter, report={**report, **findings}).to_bytes()
            return data, Adapter.read_header(data)

    def recalibrate(
        self,
        data: bytes,
        clips: Sequence[Path],
        *,
        heard: Sequence[float] | None,
        should_cancel: Callable[[], bool],
    ) -> tuple[bytes, dict[str, Any], dict[str, Any]]:
        """Put the channel of an adapter's file right; return the file, its header, and a report of what came of it.

        Args:
            clips: unlabelled ones, 5 or more.
            heard: in place of clips, `Differences.vector` of what the adapter has heard.

        Raises TrainingFailed, and TrainingStopped where `should_cancel` said so.
        """

        def tick() -> None:
            if should_cancel():
                raise TrainingCancelled("cancelled")

        with _translated():
            adapter = Adapter.from_bytes(data, self.clap)
            if heard is not None:
                differences = Differences.from_vector(np.array(heard, float), len(adapter.labels))
                report = report_of(found := recalibrate_from(differences, adapter, self.clap), check=CHECK)
            else:
                with ThreadPoolExecutor(DECODE_THREADS) as threads:
                    waveforms = list(threads.map(self._waveform, clips))
                report = report_of(found := find_channel(self.clap, adapter, waveforms, tick=tick))
            kept = replace(found.adapter, report={**found.adapter.report, "channel": report}).to_bytes()
            return kept, Adapter.read_header(kept), report

    def _waveform(self, path: Path):
        return decode(path.read_bytes(), max_duration_s=self.max_clip_s).waveform


def _with_files(report: Mapping[str, Any], files: Sequence[str]) -> dict[str, Any]:
    """The report with the file's name beside the number of each suspect clip."""
    if "suspects" not in report:
        return dict(report)
    return {**report, "suspects": [{**row, "file": files[row["clip"]]} for row in report["suspects"]]}


@contextmanager
def _translated() -> Iterator[None]:
    """Turn aspl's errors into the worker's, so that the trainer's protocol needs no torch to be tested."""
    try:
        yield
    except TrainingCancelled as error:
        raise TrainingStopped(str(error)) from error
    except AsplError as error:
        raise TrainingFailed(error.code, str(error)) from error
