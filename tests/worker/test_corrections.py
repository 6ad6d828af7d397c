"""Clips from the field, beside a version that was recalibrated: marked, brought back before they teach, exported."""

import asyncio
import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
import torch

from adapters_store import Taught, channel_id
from aspl import Adapter
from aspl.fitting.heard_clip import HeardClip
from aspl.prompts.audio import AudioPrompts
from aspl.sound.clip import decode
from aspl.sound.level import HEARD_AT_DB, at_level
from jobs.base import Correction, plan_base
from jobs.manifest import adapter_manifest
from service.http.clip_export import export_with_clips
from tests.worker.kinds.conftest import sound
from worker.clap_trainer import ClapTrainer
from worker.lesson import gather

JOB = {"tenant": "t", "created_at": "2026-01-01T00:00:00Z", "training": {}}


@pytest.fixture
def trainer(clap, library):
    return ClapTrainer(clap, max_clip_s=60.0, library=library)


@pytest.fixture
def shift(clap):
    """What a channel takes back, 9 dB at either end."""
    return torch.linspace(-9, 9, clap.mel_bins)


class Teaching:
    """Publishes as a worker does."""

    def __init__(self, trainer, store, uploads):
        self.trainer, self.store, self.uploads = trainer, store, uploads

    def publish(self, name, upload, training=None):
        job = {**JOB, "name": name, "upload_id": upload}
        lesson = gather(self.uploads, self.store, job, fingerprint=self.trainer.fingerprint)
        options = {"on_progress": lambda _: None, "should_cancel": lambda: False, "findings": {}}
        checkpoint = self.uploads.checkpoint(upload, "a")
        trained = self.trainer.train(lesson, training or {}, checkpoint=checkpoint, **options)
        manifest = adapter_manifest(trained.header, job_id="j") | {"changes": lesson.changes(trained.told)}
        return self.store.publish("t", name, trained.data, manifest, taught=lesson.kept(trained)), lesson

    def clips(self, pairs):
        upload = self.uploads.new_upload()
        for label, number in pairs:
            self.uploads.add_clip(upload, label, [sound(label, number)], filename=f"{label}-{number}.wav")
        return upload

    def teach(self, name="tones"):
        upload = self.clips([(label, n) for label in ("low", "high") for n in range(3)])
        self.uploads.check_audio(upload)
        return self.publish(name, upload)[0]

    def add(self, ref, pairs, *, name="tones", training=None, **correction):
        upload = self.clips(pairs)
        options = {"fingerprint": self.trainer.fingerprint, "needs_audio": False}
        base = plan_base(self.store, ref, Correction(**correction), **options)
        self.uploads.check_audio(upload, before=base.labels, min_labels=1) if pairs else None
        base.write(self.uploads.directory(upload))
        return self.publish(name, upload, training)

    def recalibrated(self, ref, channel):
        """A version that differs in its channel, as the job of that kind makes it."""
        adapter = replace(Adapter.from_bytes(self.store.read(ref), self.trainer.clap), channel=channel)
        data = adapter.to_bytes()
        taught = Taught.as_before(self.store.clips(ref))
        return self.store.publish("t", ref.name, data, adapter_manifest(Adapter.read_header(data)), taught=taught)


@pytest.fixture
def teaching(trainer, store, uploads):
    return Teaching(trainer, store, uploads)


def rows_of(teaching, ref, number):
    """The row of a new clip of the label "low"."""
    wanted = hashlib.sha256(sound("low", number)).hexdigest()
    return next(row for row in teaching.store.clips(ref).clips if row.id == wanted)


def heard_of(teaching, ref, row):
    listed = teaching.store.clips(ref)
    return HeardClip.from_bytes(teaching.store.kept(ref).features(listed, teaching.trainer.fingerprint)[row.id])


def brought_back(teaching, number, shift):
    """The joint embedding of a clip behind the channel, as inference hears it."""
    clap = teaching.trainer.clap
    samples = np.tile(at_level(decode(sound("low", number)).waveform, HEARD_AT_DB), 20)[:480_000]
    return clap.hear(clap.log_mel(torch.from_numpy(samples[None])), AudioPrompts().behind(shift)).joint[0].numpy()


def test_clips_beside_a_recalibrated_version_are_marked_and_brought_back(teaching, shift):
    first = teaching.recalibrated(teaching.teach(), shift)
    ref, _ = teaching.add(first, [("low", 7), ("low", 8)])
    listed, name = teaching.store.clips(ref), channel_id(tuple(shift.tolist()))
    assert {row.channel for row in listed.clips[:6]} == {None} and {row.channel for row in listed.clips[6:]} == {name}
    assert listed.channels == {name: tuple(shift.tolist())}
    assert teaching.store.manifest(ref)["changes"]["through_channel"] == 2
    # What is kept of them is heard behind the channel, and what the version hears live still is.
    kept = heard_of(teaching, ref, rows_of(teaching, ref, 7))
    assert kept.joint == pytest.approx(brought_back(teaching, 7, shift), abs=1e-4)
    assert torch.equal(Adapter.from_bytes(teaching.store.read(ref), teaching.trainer.clap).channel, shift)


def test_thresholds_that_were_set_are_kept(teaching):
    clap, store = teaching.trainer.clap, teaching.store
    first = teaching.teach()
    adapter = Adapter.from_bytes(store.read(first), clap)
    low = adapter.known.sensitivities["low"]
    places = {label: place for place, label in enumerate(adapter.labels)}
    thresholds = tuple(0.123 if label == "low" else low[place] for label, place in places.items())
    data = replace(adapter, known=replace(adapter.known, thresholds=thresholds)).to_bytes()
    taught = Taught.as_before(store.clips(first))
    second = store.publish("t", "tones", data, adapter_manifest(Adapter.read_header(data)), taught=taught)
    third, _ = teaching.add(second, [("low", 7)])
    known = Adapter.from_bytes(store.read(third), clap).known
    assert known.thresholds[places["low"]] == 0.123
    assert known.thresholds[places["high"]] == known.sensitivities["low"][places["high"]]
    assert "the thresholds of 'low' are the numbers" in store.manifest(third)["changes"]["thresholds"]
    report = store.manifest(third)["report"]
    assert {name: row["threshold"] for name, row in report["per_label"].items()} == pytest.approx(
        {name: known.thresholds[place] for name, place in places.items()}, abs=1e-3
    )
    plain, _ = teaching.add(first, [("low", 7)])
    known = Adapter.from_bytes(store.read(plain), clap).known
    assert known.thresholds == known.sensitivities["balanced"]
    assert store.manifest(plain)["changes"]["thresholds"] == ""


def test_clips_that_did_not_come_through_it_say_so(teaching, shift):
    first = teaching.recalibrated(teaching.teach(), shift)
    ref, lesson = teaching.add(first, [("low", 7)], channel="none")
    assert rows_of(teaching, ref, 7).channel is None and teaching.store.clips(ref).channels == {}
    assert lesson.changes()["through_channel"] == 0
    assert torch.equal(Adapter.from_bytes(teaching.store.read(ref), teaching.trainer.clap).channel, shift)
    plain, _ = teaching.add(teaching.teach("others"), [("low", 7)], name="others")
    for row in (rows_of(teaching, ref, 7), rows_of(teaching, plain, 7)):
        assert heard_of(teaching, ref, row).joint == pytest.approx(brought_back(teaching, 7, 0 * shift), abs=1e-4)


def test_later_fits_hear_them_so_whatever_became_of_the_version_that_told_it(teaching, shift):
    first = teaching.recalibrated(teaching.teach(), shift)
    second, _ = teaching.add(first, [("low", 7)])
    teaching.store.delete("t", "tones", first.version)
    # Another channel is found; new clips come through that one, the old ones keep theirs.
    third = teaching.recalibrated(second, shift / 3)
    row = rows_of(teaching, third, 7)
    fourth, lesson = teaching.add(third, [("low", 8)], remove=[row.id])
    assert lesson.changes()["num_removed"] == 1
    fifth, lesson = teaching.add(third, [("low", 7), ("low", 8)], remove=[row.id])
    names = [channel_id(tuple(each.tolist())) for each in (shift, shift / 3)]
    # One that is taken out and sent again is the same clip.
    assert [rows_of(teaching, fifth, number).channel for number in (7, 8)] == names
    assert teaching.store.clips(fifth).channels.keys() == set(names)
    assert len(teaching.store.clips(fourth).channels) == 1
    # A method that is trained on audio hears the audio behind the channel.
    sixth, lesson = teaching.add(fifth, [], training={"method": "palm", "epochs": 1})
    (live,) = teaching.trainer._waveforms([clip for clip in lesson.clips if clip.row.id == row.id])
    assert live.shift == pytest.approx(shift.numpy()) and rows_of(teaching, sixth, 7).channel == names[0]


async def body_of(answer):
    return b"".join([chunk async for chunk in answer.body_iterator])


def test_an_export_tells_of_channels_and_its_import_keeps_them(teaching, shift):
    ref, _ = teaching.add(teaching.recalibrated(teaching.teach(), shift), [("low", 7)])
    data = asyncio.run(body_of(export_with_clips(teaching.store, ref)))
    upload = teaching.uploads.new_upload()
    teaching.uploads.add_archive(upload, io.BytesIO(data))
    teaching.uploads.check_audio(upload)
    again, _ = teaching.publish("copy", upload)
    assert {row.id: row.channel for row in teaching.store.clips(again).clips} == {
        row.id: row.channel for row in teaching.store.clips(ref).clips
    }
    clap = teaching.trainer.clap
    before, after = (Adapter.from_bytes(teaching.store.read(each), clap) for each in (ref, again))
    assert torch.equal(after.channel, shift) and torch.allclose(before.head.matrix, after.head.matrix, atol=1e-4)


@pytest.mark.parametrize("has_channel", [True, False])
def test_channels_that_were_told_from_clips_as_they_were_recorded_are_taught_so(teaching, shift, has_channel):
    """A device's own level is part of them: brought to one level and behind them, clips would be off by it twice."""
    clap, store = teaching.trainer.clap, teaching.store
    first = teaching.teach()
    adapter = replace(
        Adapter.from_bytes(store.read(first), clap), level_db=None, channel=shift if has_channel else None
    )
    manifest, taught = adapter_manifest(Adapter.read_header(adapter.to_bytes())), Taught.as_before(store.clips(first))
    ref = store.publish("t", "tones", adapter.to_bytes(), manifest, taught=taught)
    upload = teaching.uploads.new_upload()
    teaching.uploads.add_archive(upload, io.BytesIO(asyncio.run(body_of(export_with_clips(store, ref)))))
    teaching.uploads.check_audio(upload)
    again, _ = teaching.publish("copy", upload)
    level_db = Adapter.from_bytes(store.read(again), clap).level_db
    assert level_db == (None if has_channel else HEARD_AT_DB)


def test_a_clip_that_was_erased_is_taught_again_where_it_comes_again(teaching):
    first = teaching.teach()
    store, erased = teaching.store, hashlib.sha256(sound("low", 0)).hexdigest()
    store.erase_clips("t", "tones", [erased])
    ref, lesson = teaching.add(first, [("low", 0)])
    assert lesson.base.left_out and len(store.clips(ref).clips) == 6
    presence = store.kept(ref).presence()
    assert erased in presence.audio and erased not in presence.erased
    heard_of(teaching, ref, rows_of(teaching, ref, 0))
    # The first version can be published again, as for other thresholds, whatever came of it meanwhile.
    data, taught = store.read(first), Taught.as_before(store.clips(first))
    store.publish("t", "tones", data, adapter_manifest(Adapter.read_header(data)), taught=taught)


def test_a_relabelled_clip_that_was_there_under_two_labels_is_there_once(teaching):
    first = teaching.teach()
    upload = teaching.uploads.new_upload()
    teaching.uploads.add_clip(upload, "high", [sound("low", 0)], filename="again.wav")
    base = plan_base(teaching.store, first, Correction(), fingerprint=teaching.trainer.fingerprint, needs_audio=False)
    teaching.uploads.check_audio(upload, before=base.labels, min_labels=1)
    base.write(teaching.uploads.directory(upload))
    doubtful, _ = teaching.publish("tones", upload)
    clip = hashlib.sha256(sound("low", 0)).hexdigest()
    assert [row.label for row in teaching.store.clips(doubtful).clips if row.id == clip] == ["low", "high"]
    ref, _ = teaching.add(doubtful, [], relabel={clip: "low"})
    assert [row.label for row in teaching.store.clips(ref).clips if row.id == clip] == ["low"]
