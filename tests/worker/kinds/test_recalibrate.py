"""Jobs of kind `recalibrate`, on a small CLAP, a real store and real uploads."""

from types import SimpleNamespace

import numpy as np
import pytest

from aspl import Adapter, TrainingConfig, fit
from aspl.channel_shift import Differences
from jobs.errors import TrainingFailed, TrainingStopped
from jobs.live_clips import beside, check_live_clips, stage_live_clips
from tests.worker.sounds import tone
from worker.clap_trainer import ClapTrainer
from worker.kinds.recalibrate import recalibrate, with_channel


@pytest.fixture
def adapter(clap):
    time_s, generator = np.arange(48_000) / 48_000, np.random.default_rng(0)
    clips = [
        np.sin(2 * np.pi * hz * generator.uniform(0.9, 1.1) * time_s).astype(np.float32)
        for hz in (200, 2000)
        for _ in range(4)
    ]
    return fit(clap, clips, ["low"] * 4 + ["high"] * 4, config=TrainingConfig(method="ridge"))


@pytest.fixture
def task(clap, adapter, store, uploads):
    data = adapter.to_bytes()
    store.publish("t", "sounds", data, {**Adapter.read_header(data), "description": "two tones"})

    def make(upload_id="", should_cancel=lambda: False, **request):
        published = []

        def publish(data, manifest, *, wish, taught=None):
            published.append((Adapter.from_bytes(data, clap), manifest, wish))
            return {"version": 2, "promoted": {"current": True, "reason": "so"}}

        job = {"id": "j", "tenant": "t", "name": "sounds", "upload_id": upload_id}
        job["request"] = {"reference": "sounds@1", "promote": "auto"} | request
        trainer = ClapTrainer(clap, max_clip_s=10)
        return SimpleNamespace(
            job=job, trainer=trainer, store=store, uploads=uploads, should_cancel=should_cancel, publish=publish,
            published=published,
        )  # fmt: skip

    return make


def heard(adapter, num_clips=400.0, shift_db=9.0):
    shift = np.linspace(-shift_db, shift_db, 64)
    by_label = num_clips * np.array([0.5, 0.5])
    sums = Differences(num_clips, num_clips, num_clips, by_label, num_clips * shift, num_clips * (shift**2 + 1))
    return sums.vector().tolist()


def test_what_was_heard_makes_a_version_that_differs_in_its_channel(task, adapter):
    doing = task(heard=heard(adapter))
    done = recalibrate(doing)
    [(made, manifest, wish)] = doing.published
    assert done["version"] == 2 and done["report"]["check"] == "evidence" and done["report"]["margin_before"] is None
    assert made.channel[0] > 3 and made.channel[-1] < -3 and manifest["recalibration"] == done["report"]
    assert np.array_equal(made.head.matrix, adapter.head.matrix) and made.known == adapter.known
    assert (manifest["description"], manifest["job"], wish) == ("two tones", "j", "auto")


def test_what_does_not_suffice_fails_with_what_is_wanting(task, adapter):
    with pytest.raises(TrainingFailed, match="20 are needed"):
        recalibrate(task(heard=heard(adapter, num_clips=3.0)))


def live_upload(uploads):
    upload_id = uploads.new_upload()
    stage_live_clips(uploads, upload_id, [(f"{n}.wav", [tone(60 + n, seed=n)]) for n in range(5)])
    check_live_clips(uploads, upload_id)
    return upload_id


def test_clips_that_change_nothing_make_no_version(task, uploads):
    upload_id = live_upload(uploads)
    doing = task(upload_id)
    done = recalibrate(doing)
    assert set(done["report"]) >= {"applied", "reason", "margin_before", "margin_after", "shift_db"}
    if not done["report"]["applied"]:
        assert not doing.published and "version" not in done and done["report"]["reason"] in done["promoted"]["reason"]


def test_a_cancel_is_heeded(task, uploads):
    upload_id = live_upload(uploads)
    with pytest.raises(TrainingStopped):
        recalibrate(task(upload_id, should_cancel=lambda: True))


def test_live_clips_beside_a_teaching_are_heard_after_it(task, adapter, uploads, clap):
    upload_id = uploads.new_upload()
    within = beside(uploads, upload_id)
    live_id = live_upload(within)
    data, _, report = with_channel(task(upload_id, unlabelled=live_id), adapter.to_bytes(), {})
    assert report["num_clips"] == 5 and report["applied"] == (Adapter.from_bytes(data, clap).channel is not None)
    assert with_channel(task(upload_id), b"file", {"a": 1}) == (b"file", {"a": 1}, None)
    uploads.remove(upload_id)
    assert not within.root.exists()
