"""The worker with the real training on a small CLAP of random weights."""

import os
import signal
import time
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from rq import Worker
from safetensors.torch import load

from adapters_store import TaughtClip
from aspl import Adapter, FrozenClap, decode
from aspl.background import shipped_library
from aspl.fitting.heard_clip import HeardClip, hear_clips
from aspl.report import Report, Suspect
from aspl.sound.level import HEARD_AT_DB
from tests.small_clap import write_small_clap
from tests.worker.processes import trainer_of, wait_for_end, wait_for_epoch, wait_until
from tests.worker.sounds import tone
from worker.clap_trainer import ClapTrainer, _with_findings
from worker.lesson import Lesson, LessonClip

TRAINING = {"preset": "paper", "audio_prompt": "spectral", "epochs": 8, "batch_size": 4, "seed": 3}


@pytest.fixture(scope="module")
def small_clap(tmp_path_factory):
    return write_small_clap(tmp_path_factory.mktemp("clap"))


@pytest.fixture
def real_workers(workers, small_clap):
    def start(number=1):
        return workers(number, timeout_s=90, module="worker", MODEL=small_clap, HEARTBEAT_TTL_S=5)

    return start


@pytest.fixture
def submit_tones(queue, uploads):
    def submit(name, **training):
        upload = uploads.new_upload()
        for number in range(4):
            label = ("low", "high")[number % 2]
            uploads.add_clip(upload, label, [tone(200 + 1500 * (number % 2) + 20 * number, seed=number)])
            uploads.add_clip(upload, label, [tone(200)[:50]], filename="broken.wav")
        return queue.submit("t", name, upload, training, findings=uploads.check_audio(upload))

    return submit


def worker_of(redis, record):
    """The process id of the worker that runs the job."""
    running = {worker.get_current_job_id(): worker.pid for worker in Worker.all(redis, serializer="json")}
    return running[record.id]


@pytest.mark.slow
def test_a_killed_training_resumes_to_an_equal_adapter(real_workers, submit_tones, queue, redis, store):
    real_workers(2)
    whole = submit_tones("whole", **TRAINING)
    assert wait_for_end(queue, whole, 60).state == "succeeded"
    cut = submit_tones("cut", **TRAINING)
    reached = wait_for_epoch(queue, cut, 2, 60).progress
    killed_at = time.monotonic()
    os.kill(worker_of(redis, cut), signal.SIGKILL)
    resumed = wait_until(lambda: queue.records.find(cut.id).attempts == 2, 60)
    assert resumed and time.monotonic() - killed_at < 30
    end = wait_for_end(queue, cut, 60)
    assert end.state == "succeeded"
    assert reached["phase"] != "publishing"
    adapters = [load(store.read(store.resolve("t", name))) for name in ("whole", "cut")]
    assert adapters[0].keys() == adapters[1].keys()
    assert all(adapters[0][name].equal(adapters[1][name]) for name in adapters[0])


@pytest.mark.slow
def test_a_warm_trainer_takes_the_next_training(real_workers, submit_tones, queue, store):
    worker = real_workers()
    trainer = trainer_of(worker)
    assert wait_for_end(queue, submit_tones("first", audio_prompt="none", epochs=2), 60).state == "succeeded"
    second = submit_tones("second", audio_prompt="none", epochs=1000)
    wait_for_epoch(queue, second, 1)
    assert trainer_of(worker) == trainer
    queue.cancel("t", second.id)
    assert wait_for_end(queue, second).state == "cancelled"
    unfit = submit_tones("third", method="none such")
    assert wait_for_end(queue, unfit).error["code"] == "training_config_invalid"
    manifest = store.manifest(store.resolve("t", "first"))
    assert manifest["labels"] == ["low", "high"] and manifest["shots"] == {"low": 2, "high": 2}
    left_out = manifest["report"]["left_out"]
    assert [(row["file"], row["label"]) for row in left_out] == [("broken.wav", "low"), ("broken.wav", "high")] * 2
    assert Adapter.read_header(store.read(store.resolve("t", "first")))["report"] == manifest["report"]
    assert manifest["report"]["accuracy"] is not None and manifest["fingerprint"]


def test_the_background_goes_into_the_training_and_one_label_is_enough(small_clap, tmp_path):
    paths = [tmp_path / f"{number}.clip" for number in range(3)]
    for number, path in enumerate(paths):
        path.write_bytes(tone(200 + 700 * number, seed=number))
    trainer = ClapTrainer(FrozenClap.load(small_clap), max_clip_s=60.0, library=shipped_library(tmp_path / "kept"))
    rows = [TaughtClip(f"{n:064x}", "low" if n < 2 else None, n == 2, f"{n}.wav", has_audio=True) for n in range(3)]
    lesson = Lesson(tuple(LessonClip(row, path.read_bytes) for row, path in zip(rows, paths, strict=True)))
    told = []
    trained = trainer.train(
        lesson,
        {},
        on_progress=told.append,
        should_cancel=lambda: False,
        checkpoint=tmp_path / "checkpoint",
        findings={"num_left_out": 0},
    )
    data, header = trained.data, trained.header
    assert trained.heard.keys() == {row.id for row in rows} and len(trained.held_out) == 2
    assert [len(HeardClip.from_bytes(trained.heard[row.id]).copies) for row in rows] == [2, 2, 0]
    assert [clip.held_out is None for clip in lesson.kept(trained).clips] == [False, False, True]
    assert header["method"] == "ridge" and header["labels"] == ("low",)
    assert header["report"]["num_background"] == 1 and header["report"]["num_left_out"] == 0
    assert Adapter.from_bytes(data, trainer.clap).known is not None
    assert "listen_background" in {progress.phase for progress in told}
    assert list((tmp_path / "kept").iterdir())


def test_what_an_earlier_release_heard_less_of_is_heard_anew_where_its_audio_is_there(small_clap, tmp_path):
    trainer = ClapTrainer(FrozenClap.load(small_clap), max_clip_s=60.0, library=shipped_library(tmp_path / "kept"))
    clips = {f"{number:064x}": tone(200 + 700 * (number % 2), seed=number) for number in range(4)}
    waveforms = [decode(data).waveform for data in clips.values()]
    heard = dict(zip(clips, hear_clips(trainer.clap, waveforms), strict=True))
    before = trainer.clap.layout.without_peaks().width
    earlier = {clip: replace(each, stages=each.stages[:before]).to_bytes() for clip, each in heard.items()}

    def train(has_audio, kept):
        rows = [TaughtClip(clip, ("low", "high")[n % 2], has_audio=has_audio) for n, clip in enumerate(clips)]
        lesson = Lesson(tuple(LessonClip(row, partial(clips.get, row.id), kept.get(row.id)) for row in rows))
        asked = {"on_progress": lambda _: None, "should_cancel": lambda: False, "findings": {}}
        trained = trainer.train(lesson, {"method": "ridge"}, checkpoint=tmp_path / "checkpoint", **asked)
        return trained.heard.keys(), Adapter.from_bytes(trained.data, trainer.clap).head.layout

    some = {clip: each.to_bytes() for clip, each in heard.items()}
    copied = {
        clip: each.to_bytes() for clip, each in zip(clips, hear_clips(trainer.clap, waveforms, copies=2), strict=True)
    }
    assert train(True, some)[0] == clips.keys()  # of which no copies were heard
    assert train(False, some)[0] == train(True, copied)[0] == set()
    first = min(clips)
    partly = copied | {first: earlier[first]}
    assert train(True, partly) == ({first}, trainer.clap.layout)
    assert train(False, partly) == (set(), trainer.clap.layout.without_peaks())


def test_a_lesson_that_goes_on_from_an_earlier_release_is_heard_as_it_was_recorded(small_clap, tmp_path):
    trainer = ClapTrainer(FrozenClap.load(small_clap), max_clip_s=60.0, library=shipped_library(tmp_path / "kept"))
    clips = {f"{number:064x}": tone(200 + 700 * (number % 2), seed=number) for number in range(4)}
    asked = {"on_progress": lambda _: None, "should_cancel": lambda: False, "findings": {}}
    asked["checkpoint"] = tmp_path / "checkpoint"

    def lesson(before, kept):
        rows = [TaughtClip(clip, ("low", "high")[n % 2], has_audio=True) for n, clip in enumerate(clips)]
        parts = (LessonClip(row, partial(clips.get, row.id), kept.get(row.id)) for row in rows)
        return Lesson(tuple(parts), before=before)

    new = trainer.train(lesson(None, {}), {"method": "ridge"}, **asked)
    adapter = Adapter.from_bytes(new.data, trainer.clap)
    earlier = replace(adapter, level_db=None, format_version=4).to_bytes()
    further = trainer.train(lesson(earlier, {}), {"method": "ridge"}, **asked)
    assert (adapter.level_db, Adapter.from_bytes(further.data, trainer.clap).level_db) == (HEARD_AT_DB, None)
    heard, as_recorded = (HeardClip.from_bytes(each.heard[min(clips)]) for each in (new, further))
    (expected,) = hear_clips(trainer.clap, [decode(clips[min(clips)]).waveform], level_db=None)
    assert np.allclose(as_recorded.stages, expected.stages) and not np.allclose(heard.stages, expected.stages)


def test_suspects_are_named_by_their_files_and_digests():
    report = Report(suspects=(Suspect(1, "low"),), accuracy=1.0)
    clips = [TaughtClip(f"{number:064x}", "low", file=f"{number}.wav") for number in range(2)]
    named = _with_findings(report, clips, {"num_left_out": 3})
    suspect = Suspect(1, "low", file="1.wav", id=clips[1].id)
    assert named == replace(report, suspects=(suspect,), num_left_out=3)
