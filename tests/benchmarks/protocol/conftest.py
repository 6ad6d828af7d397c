"""Small sets in the releases' own layout."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000
PITCHES_HZ = {"air_conditioner": 110.0, "dog bark": 700.0, "siren, far": 2400.0}


def sound(label: str, number: int, *, seconds: float = 0.5, channels: int = 1) -> bytes:
    """Return a WAV file of a label's pitch and a little noise; each number is another."""
    generator = np.random.default_rng([number, len(label)])
    time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    tones = [np.sin(2 * np.pi * PITCHES_HZ[label] * (1 + channel) * time_s) for channel in range(channels)]
    samples = 0.3 * np.stack(tones, 1) + 0.02 * generator.standard_normal((len(time_s), channels))
    file = io.BytesIO()
    soundfile.write(file, samples, RATE_HZ, format="WAV", subtype="PCM_16")
    return file.getvalue()


def write_list(path: Path, rows: Sequence[tuple[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "classname"])
        writer.writerows(rows)


Rows = list[tuple[str, str]]


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "Audio-Datasets"


@pytest.fixture
def write_set(root) -> Callable[..., Path]:
    """Write the lists of a set and every clip that they name, each another sound of its label."""

    def write(name: str, lists: Mapping[str, Rows], *, contents: Mapping[str, bytes] | None = None, **of_sound) -> Path:
        folder = root / name
        for list_name, rows in lists.items():
            write_list(folder / list_name, rows)
            for path, label in rows:
                place = folder / path
                place.parent.mkdir(parents=True, exist_ok=True)
                if not place.exists():
                    content = (contents or {}).get(path)
                    place.write_bytes(content or sound(label, crc32(path.encode()), **of_sound))
        return folder

    return write


def rows_of(prefix: str, count: int, labels: Sequence[str] = tuple(PITCHES_HZ)) -> Rows:
    """Return `count` rows of each label, in turn."""
    return [
        (f"audios/{prefix}-{number}-{label.replace(' ', '_')}.wav", label)
        for number in range(count)
        for label in labels
    ]
