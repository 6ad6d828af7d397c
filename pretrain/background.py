"""The bank of clips that stand for "anything else": some of every family, coded, with an index of what they are."""

import io
import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import av
import numpy as np

from pretrain.families import FAMILIES
from pretrain.scene import record
from pretrain.signals import Wave

CLIPS_PER_FAMILY = 3
SEED = 1000  # training clips are drawn from other generators, [0, shard]
SAMPLE_RATE_HZ, BIT_RATE = 48_000, 24_000
FRAME_MS = 60
INDEX = "index.json"


def write_background(directory: Path, *, clips_per_family: int = CLIPS_PER_FAMILY, seed: int = SEED) -> int:
    """Draw the bank anew into `directory`, a folder of Ogg Opus files for each family; return its size in bytes."""
    entries, size_bytes = [], 0
    for family in FAMILIES:
        shutil.rmtree(directory / family.key, ignore_errors=True)
    for family, number, waveform in draw_background(clips_per_family=clips_per_family, seed=seed):
        data = encode_opus(waveform)
        file = f"{family}/{number}.ogg"
        (directory / family).mkdir(parents=True, exist_ok=True)
        (directory / file).write_bytes(data)
        entries.append({"file": file, "family": family, "sha256": sha256(data).hexdigest()})
        size_bytes += len(data)
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (directory / INDEX).write_text(f'{{"clips": [\n{lines}\n]}}\n')
    return size_bytes


def draw_background(*, clips_per_family: int = CLIPS_PER_FAMILY, seed: int = SEED) -> Iterator[tuple[str, int, Wave]]:
    """Yield family, number from 1 and waveform of each clip; each has a generator of its own."""
    by_key = {family.key: family for family in FAMILIES}
    for place, family in enumerate(FAMILIES):
        for number in range(clips_per_family):
            waveform, _ = record(np.random.default_rng([seed, place, number]), family, by_key)
            yield family.key, number + 1, waveform


def encode_opus(waveform: Wave) -> bytes:
    """Return a waveform at 48 kHz as Ogg Opus; the same samples give the same bytes on one machine."""
    file = io.BytesIO()
    coding = {"frame_duration": str(FRAME_MS), "application": "audio", "vbr": "on"}
    with av.open(file, "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=SAMPLE_RATE_HZ, layout="mono", options=coding)
        stream.bit_rate = BIT_RATE
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        samples = np.round(waveform * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE_HZ
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()
