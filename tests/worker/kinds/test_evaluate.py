import hashlib
import json
from dataclasses import replace

import pytest

from adapters_store import Taught, TaughtClip
from aspl import Adapter
from aspl.report import Report
from jobs.errors import TrainingStopped
from tests.worker.kinds.conftest import sound
from tests.worker.sounds import tone
from worker.clip_scorer import ClipScorer
from worker.kinds.evaluate import EVALUATE


@pytest.fixture
def upload(uploads):
    """Eight clips of two labels and four of the background, of two seconds in all."""
    upload_id = uploads.new_upload()
    for label in ("low", "high"):
        for number in range(4):
            uploads.add_clip(upload_id, label, [sound(label, 20 + number)])
    for number in range(4):
        uploads.add_clip(upload_id, "background", [sound("other", number)], is_background=True)
    return upload_id


def test_the_report_is_on_these_clips(taught, task, upload, told):
    ref = taught()
    result = EVALUATE.run(task(upload, adapter="tones@1"))
    assert result.keys() == {"report"}  # nothing is published
    told_of = json.loads(json.dumps(result["report"], allow_nan=False))
    assert told_of["adapter"] == {"name": "tones", "version": 1, "digest": ref.digest}
    assert told_of["against"] is told_of["comparison"] is None and told_of["not_taught"] == {}
    report = Report.from_json(told_of["report"])
    assert (report.num_clips, report.num_folds) == (8, 0)
    assert report.accuracy_interval[0] <= report.accuracy <= report.accuracy_interval[1]
    confusion = dict(zip(report.per_label, report.confusion, strict=True))
    assert [sum(row) for row in confusion.values()] == [4, 4]
    assert report.background.num_clips == 4
    rows = report.per_label.values()
    assert all(0 <= row.misses_per_hundred <= 100 for row in rows)
    # Each background clip lasts half a second, so one alarm is 1800 an hour.
    alarms = sum(row.false_alarms_per_hour for row in rows)
    assert alarms == pytest.approx(report.background.false_alarms_per_hour, abs=0.01)
    assert alarms / 1800 == pytest.approx(4 * report.background.false_acceptance, abs=0.01)
    assert [(each.phase, each.epoch, each.epochs) for each in told.progress][-1] == ("evaluate", 12, 12)


def test_each_version_hears_at_its_own_level(trainer, taught, store, tmp_path):
    path, other = tmp_path / "sound", tmp_path / "other"
    path.write_bytes(sound("low", 30))
    other.write_bytes(sound("high", 30))
    levelled = Adapter.from_bytes(store.read(taught()), trainer.clap)
    as_recorded = replace(levelled, level_db=None)
    together = list(ClipScorer(trainer.clap, [levelled, as_recorded], max_clip_s=60.0).scored([path, other], check=int))
    for place, adapter in enumerate((levelled, as_recorded)):
        alone = list(ClipScorer(trainer.clap, [adapter], max_clip_s=60.0).scored([path, other], check=int))
        for one, both in zip(alone, together, strict=True):
            assert both.scores[place].clip.known == pytest.approx(one.scores[0].clip.known, abs=1e-5)
    first, second = together[0].scores
    assert levelled.level_db is not None and first.clip.known != pytest.approx(second.clip.known, abs=1e-3)


def test_two_versions_are_compared_clip_by_clip(taught, task, upload):
    taught()
    taught(labels=("low", "other"))
    told_of = EVALUATE.run(task(upload, adapter="tones@1", against="tones@2"))["report"]
    assert told_of["against"]["adapter"]["version"] == 2
    assert told_of["against"]["not_taught"]["high"]["num_clips"] == 4
    clips = told_of["comparison"]["clips"]
    assert clips["num_clips"] == 8
    counts = [clips[name] for name in ("both_right", "only_adapter", "only_against", "both_wrong")]
    assert sum(counts) == 8
    # The other does not know `high`, and of four clips of `low` it can be right.
    assert counts[1] >= 1 and counts[0] + counts[2] <= 4
    assert clips["difference"] == (counts[1] - counts[2]) / 8 and 0 <= clips["p_value"] <= 1
    # The second was taught what is background to the first.
    assert told_of["comparison"]["background"]["num_clips"] == 4
    swapped = EVALUATE.run(task(upload, adapter="tones@2", against="tones@1"))["report"]["comparison"]["clips"]
    assert (swapped["only_against"], swapped["only_adapter"]) == (counts[1], counts[2])
    assert swapped["difference"] == -clips["difference"]


def test_a_version_against_itself_differs_nowhere(taught, task, upload):
    taught()
    comparison = EVALUATE.run(task(upload, adapter="tones@1", against="tones@1"))["report"]["comparison"]
    for part in comparison.values():
        assert part["only_adapter"] == part["only_against"] == 0 and part["p_value"] is None


def test_clips_that_it_was_taught_with_are_counted_and_left_aside(taught, task, uploads, store):
    before = taught()
    known = [sound("low", 0), sound("high", 0), sound("other", 9)]
    rows = tuple(TaughtClip(hashlib.sha256(data).hexdigest(), "low") for data in known)
    store.publish("t", "tones", store.read(before), store.manifest(before), taught=Taught("nothing", rows))
    upload_id = uploads.new_upload()
    # Wrong on purpose: of the new clips none is right, of those that it was taught with each is.
    for label, data in (("low", known[0]), ("high", known[1]), ("low", sound("high", 7)), ("high", sound("low", 7))):
        uploads.add_clip(upload_id, label, [data])
    uploads.add_clip(upload_id, "background", [known[2]], is_background=True)
    told_of = json.loads(json.dumps(EVALUATE.run(task(upload_id, adapter="tones@2", against="tones@1"))["report"]))
    assert told_of["report"]["accuracy"] == 0.5
    overlap, others = told_of["overlap"], told_of["overlap"]["others"]
    assert (overlap["num_clips"], overlap["num_background"]) == (2, 1)
    assert (others["num_clips"], others["accuracy"]) == (2, 0.0) and len(others["accuracy_interval"]) == 2
    assert told_of["against"]["overlap"] is None  # what it was taught with was not kept
    assert [told_of["comparison"][part]["num_clips"] for part in ("clips", "new_clips", "background")] == [4, 2, 1]


def test_labels_that_were_not_taught_are_to_be_unknown(taught, task, uploads):
    taught()
    upload_id = uploads.new_upload()
    for number in range(3):
        uploads.add_clip(upload_id, "low", [sound("low", 20 + number)])
        uploads.add_clip(upload_id, "squeak", [sound("other", number)])
    told_of = EVALUATE.run(task(upload_id, adapter="tones"))["report"]
    assert told_of["report"]["num_clips"] == 3
    row = told_of["not_taught"]["squeak"]
    assert row["num_clips"] == 3 == row["unknown"] + sum(row["taken_for"].values())


def test_background_alone_and_silence(taught, task, uploads):
    taught(threshold=0.5)
    upload_id = uploads.new_upload()
    uploads.add_clip(upload_id, "background", [tone(1, duration_s=0.01)[:44] + bytes(96_000)], is_background=True)
    report = EVALUATE.run(task(upload_id, adapter="tones"))["report"]["report"]
    assert report["num_clips"] == 0 and "no clips of labels" in report["reason"]
    assert report["background"]["false_acceptance"] == 0.0


def test_it_steps_down_when_told_to(taught, task, upload, told):
    taught()
    told.stops_after = 0
    with pytest.raises(TrainingStopped):
        EVALUATE.run(task(upload, adapter="tones"))
