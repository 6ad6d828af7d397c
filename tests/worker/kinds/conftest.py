"""Tasks on a small CLAP in this process, as the runner makes them."""

from dataclasses import dataclass, field, replace

import pytest

from aspl import Adapter, fit
from aspl.sound.clip import decode
from tests.worker.sounds import tone
from worker.clap_trainer import ClapTrainer
from worker.kinds.kind import Task

LOW_HZ, HIGH_HZ, OTHER_HZ = 200, 1700, 5000


def sound(label: str, number: int) -> bytes:
    """A clip of a label: every number is another."""
    pitch = {"low": LOW_HZ, "high": HIGH_HZ, "other": OTHER_HZ}[label]
    return tone(pitch + 15 * number, duration_s=0.5, seed=number)


@dataclass
class Told:
    """What a task said, and when it is to stop."""

    progress: list = field(default_factory=list)
    stops_after: int | None = None

    def should_cancel(self) -> bool:
        return self.stops_after is not None and len(self.progress) >= self.stops_after


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def trainer(clap, library):
    return ClapTrainer(clap, max_clip_s=60.0, library=library)


@pytest.fixture
def taught(clap, library, store):
    """Teaches `labels` on tones and publishes that; with `threshold` in place of those that the small model gets."""

    def taught(name="tones", labels=("low", "high"), *, shots=3, threshold=0.0):
        pairs = [(label, sound(label, number)) for label in labels for number in range(shots)]
        waveforms = [decode(data).waveform for _, data in pairs]
        adapter = fit(clap, waveforms, [label for label, _ in pairs], library=library)
        known = replace(adapter.known, thresholds=(threshold,) * len(labels))
        data = replace(adapter, known=known).to_bytes()
        return store.publish("t", name, data, Adapter.read_header(data))

    return taught


@pytest.fixture
def task(trainer, store, uploads, settings, told):
    """Makes the task of a job on an upload."""

    def task(upload_id, *, kind="evaluate", job_id="0" * 32, holder="a", **request):
        job = {
            "id": job_id, "kind": kind, "tenant": "t", "name": "tones", "upload_id": upload_id, "training": {},
            "request": request, "created_at": "2026-01-01T00:00:00Z", "holder": holder, "findings": {},
        }  # fmt: skip
        return Task(
            job=job,
            trainer=trainer,
            store=store,
            uploads=uploads,
            settings=settings,
            on_progress=told.progress.append,
            should_cancel=told.should_cancel,
            publish=None,
        )

    return task
