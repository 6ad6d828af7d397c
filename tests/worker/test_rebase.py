"""Adapters of one small CLAP moved to another, while the first serves."""

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from adapters_store import Taught, channel_id, open_store
from adapters_store.errors import StoreUnavailable
from aspl import Adapter, FrozenClap, classify
from aspl.sound.clip import decode
from jobs.manifest import adapter_manifest
from tests.adapters_store.conftest import s3_endpoint  # noqa: F401
from tests.adapters_store.places import new_bucket, s3_environment
from tests.small_clap import write_small_clap
from tests.worker.kinds.conftest import sound
from worker.clap_trainer import ClapTrainer
from worker.lesson import gather
from worker.rebase import Rebase, run

JOB = {"tenant": "t", "created_at": "2026-01-01T00:00:00Z"}


@pytest.fixture(scope="module")
def new_directory(tmp_path_factory):
    return write_small_clap(tmp_path_factory.mktemp("models") / "other-clap", seed=7)


@pytest.fixture(scope="module")
def new(new_directory, library):
    return ClapTrainer(FrozenClap.load(new_directory), max_clip_s=60.0, library=library)


@pytest.fixture
def old(clap, library):
    return ClapTrainer(clap, max_clip_s=60.0, library=library)


@pytest.fixture
def teach(old, store, uploads):
    """Teaches two labels with the old model, as a worker does."""

    def teach(name="tones", *, tenant="t", keep="audio", labels=("low", "high"), into=store):
        upload = uploads.new_upload()
        for label in labels:
            for number in range(3):
                uploads.add_clip(upload, label, [sound(label, number)], filename=f"{label}-{number}.wav")
        uploads.check_audio(upload)
        training = {"keep": keep}
        job = {**JOB, "name": name, "upload_id": upload, "training": training}
        lesson = gather(uploads, store, job, fingerprint=old.fingerprint)
        options = {"on_progress": lambda _: None, "should_cancel": lambda: False, "findings": {}}
        trained = old.train(lesson, training, checkpoint=uploads.checkpoint(upload, "a"), **options)
        manifest = adapter_manifest(trained.header, job_id="j", description="ours")
        return into.publish(tenant, name, trained.data, manifest, taught=lesson.kept(trained))

    return teach


def test_every_adapter_is_ready_before_the_switch_and_serves_after_it(teach, store, old, new, capsys):
    teach(), teach("bells", labels=("low", "other"), tenant="acme")
    teach("thin", keep="features")
    store.publish("t", "imported", store.read(store.resolve("t", "tones")), {"fingerprint": old.fingerprint})
    assert run(store, new) == 1
    told = capsys.readouterr().out
    assert "t/tones@1: version 2 is ready; of 6 clips that both were tested on" in told
    assert "t/imported@1: cannot be moved: its clips were not kept" in told
    assert "t/thin@1: cannot be moved" in told and "2 of 4 adapters are ready" in told
    for tenant, name in (("t", "tones"), ("acme", "bells")):
        # The old model serves what it served; the new one finds a version of its own under the bare name.
        before, after = (store.for_model(trainer.fingerprint).resolve(tenant, name) for trainer in (old, new))
        assert (before.version, after.version, store.resolve(tenant, name).version) == (1, 2, 1)
        manifest = store.manifest(after)
        assert manifest["description"] == "ours" and manifest["promoted"]["current"] is False
        adapter = Adapter.from_bytes(store.read(after), new.clap)
        assert adapter.labels == Adapter.from_bytes(store.read(before), old.clap).labels
        assert classify(new.clap, [decode(sound("low", 9)).waveform], [adapter])[0].label in adapter.labels
        # Clips are kept once, for both versions; it can be taught further on the new model.
        assert store.clips(after).ids == store.clips(before).ids
        assert set(store.clips(after).packs) == {old.fingerprint, new.fingerprint}


@pytest.mark.parametrize("place", ["directory", "s3"])
def test_thresholds_that_were_set_and_the_channel_come_along(teach, store, old, new, place, request):
    if place == "s3":
        for name, value in s3_environment(request.getfixturevalue("s3_endpoint")).items():
            request.getfixturevalue("monkeypatch").setenv(name, value)
        store = open_store(new_bucket())
    ref = teach(into=store)
    adapter = Adapter.from_bytes(store.read(ref), old.clap)
    channel, sensitivities = torch.linspace(-6, 6, old.clap.mel_bins), adapter.known.sensitivities
    known = replace(adapter.known, thresholds=(0.123, sensitivities["low"][1]))
    data = replace(adapter, known=known, channel=channel).to_bytes()
    listed = store.clips(ref)
    marks = {channel_id(tuple(channel.tolist())): tuple(channel.tolist()), "other": (1.0, 2.0)}
    rows = tuple(replace(row, channel=mark) for row, mark in zip(listed.clips, [*marks, *[None] * 4], strict=True))
    taught = Taught("audio", rows, base=listed, channels=marks)
    store.publish("t", "tones", data, adapter_manifest(Adapter.read_header(data)), taught=taught)

    moved = Rebase(store, new).move("t", "tones")
    assert "the thresholds of 'low' are the numbers that were set by hand" in moved.sentence
    assert "clips that came through a channel and are taught as they came: 1" in moved.sentence
    after = Adapter.from_bytes(store.read(moved.ref), new.clap)
    assert after.known.thresholds == (0.123, after.known.sensitivities["low"][1])
    assert torch.equal(after.channel, channel)
    assert [row.channel for row in store.clips(moved.ref).clips] == [next(iter(marks)), *[None] * 5]
    assert store.manifest(moved.ref)["promoted"]["reason"].endswith("see whether they still suit")
    assert store.for_model(new.fingerprint).resolve("t", "tones") == moved.ref


def test_a_channel_of_other_mel_bins_is_dropped(teach, store, old, new, monkeypatch):
    ref = teach()
    adapter = Adapter.from_bytes(store.read(ref), old.clap)
    data = replace(adapter, channel=torch.zeros(old.clap.mel_bins)).to_bytes()
    taught = Taught.as_before(store.clips(ref))
    store.publish("t", "tones", data, adapter_manifest(Adapter.read_header(data)), taught=taught)
    monkeypatch.setattr(ClapTrainer, "mel_bins", 128)
    moved = Rebase(store, new).move("t", "tones")
    assert "its channel is of 64 mel bins, the model of 128: recalibrate it again" in moved.sentence
    assert Adapter.from_bytes(store.read(moved.ref), new.clap).channel is None


def test_it_goes_on_where_it_was_cut_off_and_does_nothing_twice(teach, store, new, monkeypatch):
    teach(), teach("bells")
    first = Rebase(store, new)
    assert first.adapters() == [("t", "bells"), ("t", "tones")]
    assert first.move("t", "bells").ref.version == 2

    def dies(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(type(store), "make_ready", dies)  # right after the publication
        first.move("t", "tones")
    assert store.for_model(new.fingerprint).resolve("t", "tones").version == 1
    again = [Rebase(store, new).move(*each) for each in first.adapters()]
    assert [each.reason for each in again] == ["version 2 was ready before"] * 2
    assert [store.versions("t", name) for name in ("bells", "tones")] == [[1, 2], [1, 2]]
    assert store.for_model(new.fingerprint).resolve("t", "tones").version == 2
    # What is taught since is moved anew.
    teach()
    assert Rebase(store, new).move("t", "tones").ref.version == 4
    assert (store.resolve("t", "tones").version, store.for_model(new.fingerprint).resolve("t", "tones").version) == (
        3,
        4,
    )


def test_clips_that_are_gone_are_left_out_and_a_label_without_any_is_named(teach, store, new):
    ref = teach()
    rows = store.clips(ref).clips
    store.erase_clips("t", "tones", [next(row.id for row in rows if row.label == "low")])
    moved = Rebase(store, new).move("t", "tones")
    assert moved.num_missing == 1 and "1 of its clips are not kept" in moved.sentence
    teach("bells")
    store.erase_clips("t", "bells", [row.id for row in rows if row.label == "high"])
    assert "no clip of 'high' is kept" in Rebase(store, new).move("t", "bells").sentence


def test_a_store_that_fails_is_that_adapters_fault_alone(teach, store, new, monkeypatch):
    teach()

    def fail(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(type(store), "clips", fail)
    assert "away (store_unavailable)" in Rebase(store, new).move("t", "tones").sentence
    assert "deleted meanwhile" in Rebase(store, new).move("t", "none").sentence


def test_the_command(teach, settings, new_directory, new):
    teach()
    command = [sys.executable, "-m", "worker", "rebase", "--model", str(new_directory)]
    environment = {"EARSHOT_DATA_DIR": str(settings.data_dir), "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "1 of 1 adapters are ready" in done.stdout
    store = open_store(settings.store_url_or_local)
    assert store.for_model(new.fingerprint).resolve("t", "tones").version == 2
    missing = subprocess.run([*command[:-1], "/nowhere"], capture_output=True, text=True, env=environment)
    assert missing.returncode == 1 and missing.stderr.startswith("earshot: ")
