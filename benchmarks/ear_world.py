"""What the ear's benchmark hears: sets of recordings, and the background."""

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from rich.progress import track

from aspl import FrozenClap, decode
from aspl.background import shipped_library
from aspl.fitting.closed_form import Heard, kept_bank
from aspl.fitting.heard_clip import hear_clips
from aspl.fitting.speed_copies import MOST_COPIES
from aspl.heads.ridge_head import Bank
from aspl.reach import band_of
from aspl.sound.clip import SAMPLE_RATE_HZ
from aspl.sound.level import HEARD_AT_DB
from aspl.templates import SENTENCE, fill_template
from benchmarks.ear_draws import RecordingSet

GROUPS = ("fold", "source")


@dataclass(frozen=True, eq=False)
class World:
    """What every draw needs: the sets, the bank, and the labels' texts `{label: [D]}`."""

    sets: Mapping[str, RecordingSet]
    bank: Bank
    texts: Mapping[str, np.ndarray]


def load_set(
    clap: FrozenClap | None,
    folder: Path,
    *,
    copies: int = 0,
    rate_hz: float = SAMPLE_RATE_HZ,
    level_db: float | None = HEARD_AT_DB,
) -> RecordingSet:
    """Read and hear a set at a sample rate and a level, and so many copies of each clip; without a model it is read
    alone."""
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    place = folder / "audio" if (folder / "audio").is_dir() else folder
    waveforms = [
        at_rate(decode((place / row["file"]).read_bytes()).waveform, rate_hz) for row in track(rows, folder.name)
    ]
    clips = [] if clap is None else list(hear_clips(clap, waveforms, level_db=level_db, copies=copies))
    heard = Heard(*2 * [np.zeros((len(rows), 1))]) if clap is None else Heard.of_clips(clips, clap)
    group = next((name for name in GROUPS if name in rows[0]), None)
    groups = None if group is None else np.array([row[group] for row in rows])
    labels, copied = np.array([row["label"] for row in rows]), [clip.copies for clip in clips]
    return RecordingSet(labels, groups, heard.joint, heard.stages, waveforms, copied, [clip.curve for clip in clips])


def at_rate(waveform: np.ndarray, rate_hz: float) -> np.ndarray:
    """Return a waveform as a recording at this sample rate would be decoded, as long as it was."""
    if rate_hz >= SAMPLE_RATE_HZ:
        return waveform
    there = soxr.resample(waveform, SAMPLE_RATE_HZ, rate_hz)
    return np.resize(soxr.resample(there, rate_hz, SAMPLE_RATE_HZ), len(waveform)).astype(np.float32)


def load_world(
    clap: FrozenClap,
    data: Path,
    names: Iterable[str],
    *,
    copies: int = MOST_COPIES,
    rate_hz: float = SAMPLE_RATE_HZ,
    hears_band: bool = True,
    level_db: float | None = HEARD_AT_DB,
) -> World:
    """Read and hear all sets with so many copies, the bank, and the labels in their sentence.

    Args:
        hears_band: whether the bank is heard in the band that the sets end at too.
        level_db: to which clips and bank are brought; None for as they were recorded.
    """
    options = {"copies": copies, "rate_hz": rate_hz, "level_db": level_db}
    sets = {name: load_set(clap, data / name, **options) for name in names}
    curves = [curve for recordings in sets.values() for curve in recordings.curves if hears_band]
    bank = kept_bank(clap, shipped_library(), clap.layout, band_of(curves, clap.mel_centres_hz), level_db)
    labels = sorted({str(label) for recordings in sets.values() for label in recordings.labels})
    texts = clap.encode_text(fill_template(SENTENCE, labels)).double().numpy()
    return World(sets, bank, dict(zip(labels, texts, strict=True)))
