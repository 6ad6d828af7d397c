"""The bank of clips that stand for "anything else", and what a base model hears of them.

A bank is a folder with an index of its clips. What is heard of it follows from the base model and the bank alone, so it
is computed once: `BackgroundFeatures` are shipped beside a model, or kept in a directory of the caller's under the
model's fingerprint and the bank's digest. Files say what they are of, and are heard anew where they are not what is
wanted or not whole.
"""

import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, Self

import numpy as np

from aspl.background_features import BackgroundFeatures, Wanted
from aspl.errors import AsplError
from aspl.sound.clip import decode, windows
from aspl.sound.level import at_level

if TYPE_CHECKING:
    import torch

    from aspl.prompts.audio import AudioPrompts

# m clips of the bank, B clips of a batch, D joint width, S numbers of all stages

INDEX_FILE, FEATURES_FILE = "index.json", "background.safetensors"
BATCH_CLIPS = 4
MOST_IN_MEMORY = 8  # of models, bands and levels

Progress = Callable[[int, int], None]  # clips heard, clips in all

logger = logging.getLogger(__name__)


# The bank that comes with earshot, and beside it what the bundled model hears of it.
MODELS = Path(__file__).parents[1] / "models"
BANK = MODELS / "background"


class BackgroundInvalid(AsplError):
    """A folder that is no bank of background clips, or one whose clips are not those of its index."""

    code = "background_invalid"


class Hears(Protocol):
    """What of a `FrozenClap` is needed to hear a bank."""

    fingerprint: str

    @property
    def dtype(self) -> "torch.dtype": ...

    def log_mel(self, waveforms: "torch.Tensor") -> "torch.Tensor": ...

    def hear(
        self, log_mel: "torch.Tensor", prompts: "AudioPrompts | None" = None, *, stages: bool = False
    ) -> Any:  # has joint [B, D] and stages [B, S]
        ...


@dataclass(frozen=True)
class BackgroundClip:
    """One clip of a bank: its file under the bank's folder, its family, and the SHA-256 (hex) of the file."""

    file: str
    family: str
    sha256: str


@dataclass(frozen=True)
class Background:
    """A bank of clips, none longer than the encoder's window; they are read and decoded when they are asked for.

    Attributes:
        directory: of the bank.
        clips: in a fixed order.
    """

    directory: Path
    clips: tuple[BackgroundClip, ...]

    @classmethod
    def load(cls, directory: str | Path) -> Self:
        """Read the index of a bank.

        Raises:
            BackgroundInvalid: no index, or one that lists no clips.
        """
        index = Path(directory) / INDEX_FILE
        try:
            entries = json.loads(index.read_text(encoding="utf-8"))["clips"]
            clips = tuple(BackgroundClip(entry["file"], entry["family"], entry["sha256"]) for entry in entries)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BackgroundInvalid(f"{index} is no index of background clips: {error}") from error
        if not clips:
            raise BackgroundInvalid(f"{index} lists no clips")
        return cls(Path(directory), clips)

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def families(self) -> np.ndarray:
        """`[m]`, the name of each clip's family."""
        return np.array([clip.family for clip in self.clips])

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of what the clips are, whatever they are called."""
        return sha256("\n".join(f"{clip.family} {clip.sha256}" for clip in self.clips).encode()).hexdigest()

    def waveforms(self) -> Iterator[np.ndarray]:
        """Yield each clip's waveform `[N]` at 48 kHz, one decoded at a time.

        Raises:
            BackgroundInvalid: a clip that is missing, or not the one of the index.
        """
        for clip in self.clips:
            try:
                data = (self.directory / clip.file).read_bytes()
            except OSError as error:
                raise BackgroundInvalid(f"the background's clip {clip.file} cannot be read: {error}") from error
            if sha256(data).hexdigest() != clip.sha256:
                raise BackgroundInvalid(f"the background's clip {clip.file} is not the one of {INDEX_FILE}")
            yield decode(data).waveform


class BackgroundLibrary:
    """What base models hear of one bank, each heard once and then kept: in memory, and on disk.

    Any number of threads and processes may share a directory.

    Args:
        background: the bank.
        shipped: files that may hold what a model hears of it, as it is or at a level, all of it or in a band, such as
            `models/tiny-clap/background.safetensors`.
        directory: where to keep the others; it is made where it is missing. None keeps them in memory alone.
    """

    def __init__(self, background: Background, *, shipped: Sequence[Path] = (), directory: Path | None = None) -> None:
        self.background = background
        self._shipped, self._directory = tuple(shipped), directory
        self._digest = background.digest
        self._in_memory: OrderedDict[tuple[str, str, int | None, float | None], BackgroundFeatures] = OrderedDict()
        self._lock = Lock()

    def features(
        self,
        clap: Hears,
        *,
        band: int | None = None,
        level_db: float | None = None,
        progress: Progress | None = None,
    ) -> BackgroundFeatures:
        """Return what a model hears of the bank, from memory, from a file, or else by hearing it.

        Args:
            band: the mel bin from which on nothing is heard, see `aspl.reach`; None for all.
            level_db: to which its clips are brought, see `aspl.sound.level`; None for as they are.
            progress: told how many clips of how many are heard, where they have to be; what it raises passes through.

        Raises:
            BackgroundInvalid: see `Background.waveforms`.
        """
        key = clap.fingerprint, _name_of(clap.dtype), band, level_db
        with self._lock:
            if key in self._in_memory:
                self._in_memory.move_to_end(key)
                return self._in_memory[key]
        features = self._from_files(clap, band, level_db) or self._hear_and_keep(clap, band, level_db, progress)
        with self._lock:
            self._in_memory[key] = features
            while len(self._in_memory) > MOST_IN_MEMORY:
                self._in_memory.popitem(last=False)
        return features

    def is_at_hand(self, clap: Hears, *, level_db: float | None = None) -> bool:
        """Say whether `features` of all of its clips, at a level or as they are, would take no hearing."""
        with self._lock:
            if (clap.fingerprint, _name_of(clap.dtype), None, level_db) in self._in_memory:
                return True
        return self._from_files(clap, None, level_db) is not None

    def _from_files(self, clap: Hears, band: int | None, level_db: float | None) -> BackgroundFeatures | None:
        paths = [*self._shipped, *([] if self._directory is None else [self._path(clap, band, level_db)])]
        wanted = clap.fingerprint, self._digest, band, level_db
        return next((features for path in paths if (features := self._read(path, wanted))), None)

    def _read(self, path: Path, wanted: Wanted) -> BackgroundFeatures | None:
        features = BackgroundFeatures.read(path, wanted=wanted)
        if features is None:
            return None
        if features.joint.ndim != 2 or features.stages.ndim != 2 or len(features.joint) != len(self.background):
            return None
        return features if len(features.stages) == len(features.joint) else None

    def _hear_and_keep(
        self, clap: Hears, band: int | None, level_db: float | None, progress: Progress | None
    ) -> BackgroundFeatures:
        features = hear_background(clap, self.background, band=band, level_db=level_db, progress=progress)
        if self._directory is not None:
            try:
                self._directory.mkdir(parents=True, exist_ok=True)
                features.save(self._path(clap, band, level_db))
            except OSError as error:  # a full disk costs the next process a hearing, not this one its job
                logger.warning("what the model hears of the background could not be kept: %s", error)
        return features

    def _path(self, clap: Hears, band: int | None, level_db: float | None) -> Path:
        """Return the model's file; one that runs in another type of number hears a little otherwise.

        The number is the format's: processes of two releases share a directory while one follows the other.
        """
        name = f"{clap.fingerprint[:32]}-{self._digest[:16]}-{_name_of(clap.dtype)}-2"
        part = ("" if band is None else f"-below-{band}") + ("" if level_db is None else f"-at{level_db:g}")
        assert self._directory is not None
        return self._directory / f"{name}{part}.safetensors"


@cache
def shipped_library(directory: Path | None = None) -> BackgroundLibrary:
    """Return the library of the bank that comes with earshot, one a process and `directory`, where others are kept."""
    shipped = [*MODELS.glob(f"*/{FEATURES_FILE}"), *MODELS.glob("*-levelled/*.safetensors")]
    return BackgroundLibrary(Background.load(BANK), shipped=shipped, directory=directory)


def hear_background(
    clap: Hears,
    background: Background,
    prompts: "AudioPrompts | None" = None,
    *,
    band: int | None = None,
    level_db: float | None = None,
    progress: Progress | None = None,
    batch_clips: int = BATCH_CLIPS,
) -> BackgroundFeatures:
    """Return what a model hears of a bank, rounded as a file of it would be.

    Args:
        prompts: audio prompts of one adapter, under which all clips are heard; what comes of them is that adapter's
            alone, so it is not to be kept as the model's.
        band: the mel bin from which on nothing is heard; None for all.
        level_db: to which clips are brought; None for as they are.
        progress: told after each batch how many clips of how many are heard.
        batch_clips: the most clips in one pass.
    """
    import torch

    from aspl.sound.log_mel import FrontEnd

    joint, stages, heard = [], [], 0
    with torch.inference_mode():
        waveforms = (at_level(waveform, level_db) for waveform in background.waveforms())
        for batch in _batches(waveforms, batch_clips):
            log_mel = clap.log_mel(torch.from_numpy(batch))
            if band is not None:
                log_mel[..., band:] = FrontEnd().floor_db
            features = clap.hear(log_mel, prompts, stages=True)
            joint.append(features.joint.float().cpu().numpy())
            stages.append(features.stages.float().cpu().numpy())
            heard += len(batch)
            if progress is not None:
                progress(heard, len(background))
    rounded = (np.concatenate(part).astype(np.float16).astype(np.float32) for part in (stages, joint))
    return BackgroundFeatures(*rounded, clap.fingerprint, background.digest, _name_of(clap.dtype), band, level_db)


def _batches(waveforms: Iterator[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield windows `[B, 480000]`, one a clip."""
    batch = []
    for waveform in waveforms:
        batch.append(windows(waveform)[0][0])
        if len(batch) == size:
            yield np.stack(batch)
            batch = []
    if batch:
        yield np.stack(batch)


def _name_of(dtype: "torch.dtype") -> str:
    return str(dtype).removeprefix("torch.")
