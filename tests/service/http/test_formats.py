"""Every kind of file over HTTP, as the object that the framework hands over: in memory, and once it went to disk."""

import httpx2
import numpy as np
import pytest
from starlette.formparsers import MultiPartParser

from tests.sound_files import KINDS, tone, write

LABELS = {"labels": ["dog", "rain"]}
SPOOL_BYTES = MultiPartParser.spool_max_size


@pytest.fixture(params=["in memory", "on disk"])
def upload_place(request, monkeypatch):
    """Where the server keeps an upload; larger ones than a megabyte go to disk by themselves."""
    if request.param == "on disk":
        monkeypatch.setattr(MultiPartParser, "spool_max_size", 16)


def noise(duration_s: float, channels: int = 2) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (round(duration_s * 48_000), channels)).astype(np.float32)


@pytest.mark.usefixtures("upload_place")
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_classified_and_taught(kind, address):
    data = write(kind, tone(3.0))
    assert len(data) < SPOOL_BYTES
    answer = httpx2.post(f"{address}/classify", files=[("audio", ("clip.bin", data))], data=LABELS)
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["results"]
    assert row["duration_s"] == pytest.approx(3.0, abs=0.06)
    assert (row["silent"], row["truncated"], row["damaged"]) == (False, False, False)
    clips = [("clips", ("a.bin", data)), ("clips", ("b.bin", write(kind, tone(2.0))))]
    answer = httpx2.post(f"{address}/adapt", files=clips, data=LABELS | {"name": "kinds"})
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("kind", ["wav", "flac", "caf alac", "ogg flac", "w64", "m4a alac"])
def test_a_file_over_the_size_that_stays_in_memory(kind, address):
    data = write(kind, noise(8.0))
    assert len(data) > SPOOL_BYTES
    (row,) = httpx2.post(f"{address}/classify", files=[("audio", ("clip", data))], data=LABELS).json()["results"]
    assert row["duration_s"] == pytest.approx(8.0, abs=0.06)
    clips = [("clips", ("a", data)), ("clips", ("b", write(kind, noise(7.0))))]
    assert httpx2.post(f"{address}/adapt", files=clips, data=LABELS | {"name": "kinds"}).status_code == 202


@pytest.mark.parametrize("kind", ["wav", "flac", "caf alac", "ogg flac", "wavpack", "aiff", "m4a alac", "tta"])
def test_a_lossless_file_scores_as_the_plain_wav_does(kind, address):
    samples = noise(2.0, channels=1)
    files = [("audio", (name, write(name, samples))) for name in ("wav", kind)]
    plain, other = httpx2.post(f"{address}/classify", files=files, data=LABELS).json()["results"]
    assert [score["label"] for score in other["scores"]] == [score["label"] for score in plain["scores"]]
    assert other["score"] == pytest.approx(plain["score"], abs=1e-5)


def test_damage_and_cuts_are_flagged_apart(address):
    flac = write("flac", tone(8.0))
    middle = len(flac) // 2
    files = {
        "damaged": flac[:middle] + bytes(600) + flac[middle + 600 :],
        "cut": flac[:middle],
        "unfinished": write("wav", tone(1.0)).replace(b"data\x00w\x01\x00", b"data\x00\x00\x00\x00"),
    }
    answer = httpx2.post(f"{address}/classify", files=[("audio", item) for item in files.items()], data=LABELS)
    flags = {row["file"]: (row["truncated"], row["damaged"]) for row in answer.json()["results"]}
    assert flags == {"damaged": (False, True), "cut": (True, False), "unfinished": (True, False)}


def test_a_drum_hit_of_18_ms_is_classified_and_taught(address):
    hits = [write("wav", tone(duration_s)) for duration_s in (0.018, 0.049)]
    (row, _) = httpx2.post(f"{address}/classify", files=[("audio", hit) for hit in hits], data=LABELS).json()["results"]
    assert row["duration_s"] == pytest.approx(0.018)
    answer = httpx2.post(f"{address}/adapt", files=[("clips", hit) for hit in hits], data=LABELS | {"name": "drums"})
    assert answer.status_code == 202, answer.text
