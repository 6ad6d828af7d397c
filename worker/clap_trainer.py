"""CLAP as the trainer uses it: loaded once; clips in, an adapter file out."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers.utils.logging import disable_progress_bar

from adapters_store import TaughtClip
from aspl import Adapter, FrozenClap, Progress, TrainingConfig, fit
from aspl.adapter_info import AdapterInfo, read_info
from aspl.background import BackgroundLibrary, shipped_library
from aspl.channel import find_channel, report_of
from aspl.channel_drift import CHECK, recalibrate_from
from aspl.channel_shift import Differences
from aspl.errors import AsplError, TrainingCancelled, TrainingDataInvalid
from aspl.fitting.fit import level_for
from aspl.fitting.heard_clip import CHUNK_CLIPS, HeardClip, hear_clips
from aspl.fitting.live_clip import LiveClip
from aspl.fitting.progress import FitProgress
from aspl.fitting.speed_copies import copies_for
from aspl.report import Report
from aspl.sound.clip import decode
from aspl.sound.level import HEARD_AT_DB
from jobs.errors import TrainingFailed, TrainingStopped
from jobs.folders import named
from jobs.settings import Settings
from jobs.uploaded_clip import EvaluationClips
from worker.clap_classification import classify
from worker.clap_evaluation import evaluate
from worker.lesson import Lesson, LessonClip, Trained

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

    @property
    def fingerprint(self) -> str:
        """Of the model that it holds."""
        return self.clap.fingerprint

    @property
    def mel_bins(self) -> int:
        """Of the log-mel that the model hears."""
        return self.clap.mel_bins

    def train(
        self,
        lesson: Lesson,
        training: dict[str, Any],
        *,
        on_progress: Callable[[Progress], None],
        should_cancel: Callable[[], bool],
        checkpoint: Path,
        findings: dict[str, Any],
    ) -> Trained:
        """Fit an adapter, from its checkpoint where there is one.

        It has the lesson's channel, and what came through one is heard behind that; its thresholds are set as they were
        in the version that it goes on from. A fit in closed form hears a few clips at a time, and those alone that it
        has not heard before.

        Args:
            findings: what was found in the upload, in JSON's terms; it becomes part of the adapter's report.

        Raises TrainingFailed, TrainingStopped where `should_cancel` said so, and ClipNotFound.
        """
        with _translated():
            config = replace(TrainingConfig.from_options(training), as_recorded=lesson.is_as_recorded)
            before = None if lesson.before is None else read_info(lesson.before)
            taught, background = lesson.taught, lesson.background
            known, new = {}, {}
            if not config.needs_audio or lesson.keep == "features":
                tick = FitProgress(on_progress, should_cancel).tick
                known, new = self._heard(lesson, level_for(config, before), tick)
            heard = known | new  # a clip that is both taught and background as one that is taught

            def as_given(clips: Sequence[LessonClip]) -> list[np.ndarray | LiveClip | HeardClip]:
                return list(self._waveforms(clips)) if config.needs_audio else [heard[clip.row.id] for clip in clips]

            adapter = fit(
                self.clap,
                as_given(taught),
                [clip.row.label for clip in taught],
                background=as_given(background),
                config=config,
                on_progress=on_progress,
                should_cancel=should_cancel,
                checkpoint=checkpoint,
                library=self.library,
                before=before,
            )
            report = _with_findings(adapter.report, [clip.row for clip in taught], findings)
            data = replace(adapter, report=report, channel=self._channel(lesson)).to_bytes()
            return Trained(
                data,
                Adapter.read_header(data),
                [answer and vars(answer) for answer in adapter.held_out],
                {clip: features.to_bytes() for clip, features in new.items()},
                self.fingerprint,
                _told(adapter, before),
            )

    def evaluate(
        self,
        adapters: Sequence[bytes],
        clips: EvaluationClips,
        taught: Sequence[Collection[str]],
        *,
        on_progress: Callable[[Progress], None],
        should_cancel: Callable[[], bool],
    ) -> dict[str, Any]:
        """What one adapter's file is worth on these clips, and against another's; see worker.clap_evaluation.

        Args:
            taught: of each adapter the ids of what it was taught with, as far as that is known.
        """
        with _translated():
            loaded = [Adapter.from_bytes(data, self.clap) for data in adapters]
            return evaluate(
                self.clap,
                loaded,
                clips,
                taught,
                max_clip_s=self.max_clip_s,
                on_progress=on_progress,
                check=_stopping(should_cancel),
            )

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
        with _translated():
            adapter = Adapter.from_bytes(data, self.clap)
            if heard is not None:
                differences = Differences.from_vector(np.array(heard, float), len(adapter.labels))
                report = report_of(found := recalibrate_from(differences, adapter, self.clap), check=CHECK)
            else:
                with ThreadPoolExecutor(DECODE_THREADS) as threads:
                    waveforms = list(threads.map(self._decoded, clips))
                report = report_of(found := find_channel(self.clap, adapter, waveforms, tick=_stopping(should_cancel)))
            kept = found.adapter.to_bytes()
            return kept, Adapter.read_header(kept), report

    def classify(
        self,
        adapter: bytes | None,
        paths: Sequence[Path],
        request: Mapping[str, Any],
        *,
        should_cancel: Callable[[], bool],
    ) -> Iterator[dict[str, Any]]:
        """A row for each file, by an adapter's file or else by the request's `labels` and `template`."""
        with _translated():
            if adapter is None:
                bank = (self.library or shipped_library()).features(self.clap, level_db=HEARD_AT_DB).joint
                loaded = Adapter.zero_shot(self.clap, request["labels"], template=request["template"], bank=bank)
            else:
                loaded = Adapter.from_bytes(adapter, self.clap)
            yield from classify(
                self.clap,
                loaded,
                paths,
                max_clip_s=self.max_clip_s,
                top_k=request["top_k"],
                thresholds=request["thresholds"],
                check=_stopping(should_cancel),
            )

    def _channel(self, lesson: Lesson) -> torch.Tensor | None:
        if lesson.channel is None:
            return None
        if len(lesson.channel) != self.mel_bins:
            raise TrainingDataInvalid(f"a channel of {len(lesson.channel)} mel bins; the model has {self.mel_bins}")
        return torch.tensor(lesson.channel, device=self.clap.device)

    def _heard(
        self, lesson: Lesson, level_db: float | None, tick: Callable[[], None]
    ) -> tuple[dict[str, HeardClip], dict[str, HeardClip]]:
        """What is heard of the lesson's clips by their ids: what was known before, and what had to be heard now."""
        known, new = {}, {}
        for part, copies in ((lesson.taught, copies_for(len(lesson.taught))), (lesson.background, 0)):
            known = self._known(part, copies) | known
            clips = [clip for clip in part if clip.row.id not in known and clip.row.id not in new]
            found = hear_clips(self.clap, self._waveforms(clips), level_db=level_db, copies=copies, tick=tick)
            new |= zip([clip.row.id for clip in clips], found, strict=True)
        return known, new

    def _waveforms(self, clips: Sequence[LessonClip]) -> Iterator[np.ndarray | LiveClip]:
        """Decode clips, a few at a time."""
        with ThreadPoolExecutor(DECODE_THREADS) as threads:
            for start in range(0, len(clips), CHUNK_CLIPS):
                yield from threads.map(self._waveform, clips[start : start + CHUNK_CLIPS])

    def _known(self, clips: Sequence[LessonClip], copies: int) -> dict[str, HeardClip]:
        """What need not be heard, by id; a clip of which less was heard than `copies` is heard anew if it is there."""
        kept = {clip.row.id: HeardClip.from_bytes(clip.heard) for clip in clips if clip.heard is not None}
        there = {clip.row.id for clip in clips if clip.row.has_audio}
        width = self.clap.statistics_width
        return {
            clip: heard
            for clip, heard in kept.items()
            if clip not in there or (len(heard.stages) == width and len(heard.copies) >= copies)
        }

    def _waveform(self, clip: LessonClip) -> np.ndarray | LiveClip:
        waveform = decode(clip.read(), max_duration_s=self.max_clip_s).waveform
        return waveform if clip.shift is None else LiveClip(waveform, np.array(clip.shift, np.float32))

    def _decoded(self, path: Path) -> np.ndarray:
        return decode(path.read_bytes(), max_duration_s=self.max_clip_s).waveform


def _told(adapter: Adapter, before: AdapterInfo | None) -> str:
    """What is to be said of thresholds that are set as in an earlier version, which may be of another model."""
    if before is None:
        return ""
    if before.known is None or adapter.known is None:
        return "" if before.threshold is None else "its threshold, which was of another kind of score, was dropped"
    _, by_hand = adapter.known.set_as(adapter.labels, before.known, before.labels)
    told = f"the thresholds of {named(by_hand)} are the numbers that were set by hand; see whether they still suit"
    return told if by_hand else ""


def _stopping(should_cancel: Callable[[], bool]) -> Callable[[], None]:
    def check() -> None:
        if should_cancel():
            raise TrainingStopped("stopped before its end")

    return check


def _with_findings(report: Report, clips: Sequence[TaughtClip], findings: Mapping[str, Any]) -> Report:
    """The report with what was found in the upload, and name and id of the file beside the number of each suspect."""
    suspects = tuple(
        replace(suspect, file=clips[suspect.clip].file, id=clips[suspect.clip].id) for suspect in report.suspects
    )
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
