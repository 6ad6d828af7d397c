"""Kind `adapt` on an archive with a part to test on."""

from dataclasses import replace

from adapters_store import Ref
from tests.jobs.archives import zip_of
from tests.worker.kinds.conftest import sound
from worker.kinds.adapt import ADAPT
from worker.kinds.evaluate import EVALUATE


def test_the_test_part_becomes_its_evaluation(task, uploads, store, told):
    upload = uploads.new_upload()
    entries = [(f"train/{label}/{n}.wav", sound(label, n)) for label in ("low", "high") for n in range(3)]
    entries += [(f"test/{label}/{n}.wav", sound(label, 30 + n)) for label in ("low", "high", "other") for n in range(2)]
    uploads.add_archive(upload, zip_of(entries))
    uploads.check_audio(upload)
    made = []

    def publish(data, manifest, *, wish, taught):
        made.append((manifest, taught))
        return {"version": store.publish("t", "tones", data, manifest, taught=taught).version, "promoted": None}

    result = ADAPT.run(replace(task(upload, kind="adapt"), publish=publish))
    manifest, taught = made[0]
    assert result["report"] == manifest["evaluation"] and result["version"] == 1
    assert result["report"]["report"]["num_clips"] == 4
    assert result["report"]["not_taught"]["other"]["num_clips"] == 2
    assert manifest["shots"] == {"low": 3, "high": 3} and len(taught.clips) == 6
    assert {each.phase for each in told.progress} >= {"evaluate"}
    # The same archive sent to be evaluated on is evaluated on its test part.
    again = EVALUATE.run(task(upload, adapter="tones@1"))["report"]
    assert again["report"] == result["report"]["report"]
    assert isinstance(store.resolve("t", "tones"), Ref)
