"""Files scored under one adapter or several: decoded a few ahead, heard in batches, scored as the API scores them."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aspl import Adapter, FrozenClap
from aspl.errors import AsplError
from aspl.features import AudioFeatures
from aspl.inference import Scored, hear_windows, reads_stages, score
from aspl.sound.clip import SILENCE_AMPLITUDE, decode, windows
from aspl.sound.level import gain, level_of

# R windows of the clips of a batch

DECODE_THREADS = 2
AHEAD = 4  # clips that are decoded before they are needed
BATCH_WINDOWS = 32


@dataclass(frozen=True, eq=False)
class ClipSound:
    """A decoded clip, cut into its windows `[W, 480000]`, as loud as it was recorded."""

    duration_s: float
    level_db: float | None
    is_silent: bool
    is_truncated: bool
    is_damaged: bool
    spans_s: list[tuple[float, float]]
    silent_windows: list[bool]
    windows: np.ndarray


@dataclass(frozen=True)
class ClipScores:
    """What one adapter makes of a clip, and of each of its windows."""

    clip: Scored
    windows: list[Scored]


@dataclass(frozen=True, eq=False)
class ScoredClip:
    """A clip under each of the adapters; its windows' samples are gone."""

    sound: ClipSound
    scores: list[ClipScores]


class ClipScorer:
    """Scores clips under adapters of one model.

    Args:
        clap: the model.
        adapters: one at least; a clip is heard once for all of them that have no audio prompt and hear at one level.
        max_clip_s: the longest clip that is decoded, in seconds.
    """

    def __init__(self, clap: FrozenClap, adapters: Sequence[Adapter], *, max_clip_s: float):
        self._clap = clap
        self._adapters = adapters
        self._max_clip_s = max_clip_s

    def scored(self, paths: Iterable[Path], *, check: Callable[[], None]) -> Iterator[ScoredClip | AsplError]:
        """Yield each clip's scores in order, or why it could not be decoded.

        Args:
            check: called before each batch; what it raises ends the scoring.
        """
        waiting: list[ClipSound | AsplError] = []
        num_windows = 0
        for sound in self._decoded(paths):
            waiting.append(sound)
            num_windows += 0 if isinstance(sound, AsplError) else len(sound.windows)
            if num_windows >= BATCH_WINDOWS or len(waiting) >= BATCH_WINDOWS:
                check()
                yield from self._batch(waiting)
                waiting, num_windows = [], 0
        check()
        yield from self._batch(waiting)

    def _decoded(self, paths: Iterable[Path]) -> Iterator[ClipSound | AsplError]:
        with ThreadPoolExecutor(DECODE_THREADS) as threads:
            ahead: deque[Future[ClipSound | AsplError]] = deque()
            try:
                for path in paths:
                    ahead.append(threads.submit(self._decode, path))
                    if len(ahead) > AHEAD:
                        yield ahead.popleft().result()
                while ahead:
                    yield ahead.popleft().result()
            finally:
                for future in ahead:
                    future.cancel()

    def _decode(self, path: Path) -> ClipSound | AsplError:
        try:
            with path.open("rb") as file:
                clip = decode(file, max_duration_s=self._max_clip_s)
        except AsplError as error:
            return error.with_traceback(None)
        cut, spans_s = windows(clip.waveform)
        return ClipSound(
            clip.duration_s,
            level_of(clip.waveform),
            clip.is_silent,
            clip.is_truncated,
            clip.is_damaged,
            spans_s,
            [bool(np.abs(window).max() < SILENCE_AMPLITUDE) for window in cut],
            cut,
        )

    @torch.inference_mode()
    def _batch(self, sounds: Sequence[ClipSound | AsplError]) -> Iterator[ScoredClip | AsplError]:
        clips = [sound for sound in sounds if not isinstance(sound, AsplError)]
        counts = [len(clip.windows) for clip in clips]
        by_adapter = []
        if clips:
            heard: dict[float | None, AudioFeatures] = {}  # under no audio prompt, by the level
            for adapter in self._adapters:
                if adapter.heard_under is not None:
                    features = self._hear(clips, [adapter])
                elif adapter.level_db in heard:
                    features = heard[adapter.level_db]
                else:
                    features = heard[adapter.level_db] = self._hear(clips, self._alike(adapter))
                by_adapter.append(iter(self._score(adapter, features, counts)))
        for sound in sounds:
            if isinstance(sound, AsplError):
                yield sound
            else:
                yield ScoredClip(replace(sound, windows=np.empty((0, 0))), [next(scores) for scores in by_adapter])

    def _alike(self, adapter: Adapter) -> list[Adapter]:
        """Those that hear as this one does, which has no audio prompt."""
        return [each for each in self._adapters if each.heard_under is None and each.level_db == adapter.level_db]

    def _hear(self, clips: Sequence[ClipSound], adapters: Sequence[Adapter]) -> AudioFeatures:
        """The features of the clips' windows under adapters of the same audio prompts and level."""
        first, stages = adapters[0], any(map(reads_stages, adapters))
        rows = np.concatenate([clip.windows * gain(clip.level_db, first.level_db) for clip in clips])  # [R, 480000]
        return hear_windows(self._clap, rows, [first.heard_under] * len(rows), stages=stages)

    def _score(self, adapter: Adapter, features: AudioFeatures, counts: Sequence[int]) -> Iterator[ClipScores]:
        for clip in features.split(counts):
            # One clip of one window is the window: as it is in the API, where its windows are not asked for.
            parts = AudioFeatures.cat([clip.pool(), clip])
            first, *rest = score(parts, [adapter] * len(parts))
            yield ClipScores(first, rest)
