"""The whole loop by the client in Python, in both its kinds, before a real service."""

import numpy as np
import pytest
import soundfile
from earshot_client import Client, EarshotError, JobFailed, Recording

from tests.e2e.stack import ROOT

TRAIN, HELD_OUT = ROOT / "examples" / "train", ROOT / "examples" / "held_out"
ROOSTER = HELD_OUT / "rooster" / "1-44831-A.ogg"
pytestmark = pytest.mark.slow


def test_the_loop(address, call):
    def ask(name, *arguments, **options):
        return call(address, name, *arguments, **options)

    name = f"farm-{call.__name__.rpartition('_')[2]}"
    states = []
    sounds = {"rain": TRAIN / "rain", "rooster": sorted((TRAIN / "rooster").iterdir()), "[a, b]": TRAIN / "helicopter"}
    job = ask("teach", name, sounds, background=TRAIN / "dog bark", on_progress=lambda job: states.append(job.state))
    assert (job.adapter.name, job.adapter.version, job.promoted.current) == (name, 1, True)
    assert (states[0], states[-1]) == ("queued", "succeeded")
    events = ask("events", job.id)
    assert [event.id for event in ask("events", job.id, after=events[1].id)] == [event.id for event in events[2:]]

    assert (heard := ask("classify", name, ROOSTER)).label == "rooster" and not heard.unknown
    assert heard.adapter.version == 1
    samples, rate_hz = soundfile.read(ROOSTER)
    given = [ROOSTER, ROOSTER.read_bytes(), Recording(samples, rate_hz), ROOT / "README.md"]
    many = ask("classify", name, given, top_k=1)
    assert [result.label for result in many] == ["rooster", "rooster", "rooster", None]
    assert many[3].error.code == "audio_unsupported"
    assert ask("classify", name, samples.astype("f4"), rate_hz=rate_hz).label == "rooster"
    assert ask("classify", name, np.zeros(48_000), rate_hz=48_000).unknown
    assert ask("classify", None, ROOSTER, labels=["rooster", "rain"]).label
    # More than the service takes at once, and more calls than it takes a second.
    batches = []
    all_of_them = ask("classify", name, [HELD_OUT / "rain"] * 20, on_progress=batches.append)
    assert len(all_of_them) == 40 and len(batches) >= 5
    assert [result.score for result in all_of_them] == pytest.approx([r.score for r in all_of_them[:2]] * 20, abs=1e-3)

    job = ask("add", name, {"sneeze": TRAIN / "person sneeze"})
    assert job.adapter.version == 2
    clips = ask("clips", name)
    assert {clip.label for clip in clips} == {"rain", "rooster", "[a, b]", "sneeze", None}
    rain = next(clip for clip in clips if clip.label == "rain")
    assert ask("clip_audio", name, rain.id) == (TRAIN / "rain" / rain.file).read_bytes()
    job = ask("correct", name, {rain.id: "rooster"}, remove=[clips[-1].id])
    assert job.adapter.version == 3
    assert rain.id in {suspect.id for suspect in ask("suspects", f"{name}@3")}

    job = ask(
        "evaluate", f"{name}@2", {"rain": HELD_OUT / "rain", "rooster": HELD_OUT / "rooster"}, against=f"{name}@1"
    )
    assert job.evaluation.report.accuracy == 1.0
    assert job.evaluation.comparison["clips"]["num_clips"] == 4
    assert ask("recalibrate", name, HELD_OUT).report["num_clips"] == 10
    with pytest.raises(EarshotError) as refused:
        ask("recalibrate", f"{name}@1")
    assert refused.value.code == "recalibration_invalid"

    assert [(version.version, version.report) for version in ask("versions", name)[:3]] == [
        (1, None),
        (2, None),
        (3, None),
    ]
    assert ask("promote", name, 3).current == 3
    assert ask("rollback", name).current == 2
    assert ask("rollback", name, 1).current == 1
    with pytest.raises(EarshotError) as refused:
        ask("rollback", name)
    assert refused.value.code == "no_earlier_version"
    assert ask("set_thresholds", name, {"rain": 0.25}).adapter.thresholds["rain"] == 0.25
    assert ask("thresholds", name)["rain"] == 0.25
    assert ask("set_thresholds", name, sensitivity="low").adapter.thresholds["rain"] != 0.25

    copies = [ask("import_", f"{name}-copy", ask("export", name, clips=clips)).version for clips in (False, True)]
    assert copies == [1, 2]
    assert {f"{name}-copy", name} <= {adapter.name for adapter in ask("adapters")}
    ask("delete_clips", f"{name}@1", rain.id)
    assert not next(clip for clip in ask("clips", f"{name}@1") if clip.id == rain.id).has_audio
    ask("delete_adapter", f"{name}-copy")
    with pytest.raises(EarshotError) as refused:
        ask("adapter", f"{name}-copy")
    assert (refused.value.code, refused.value.status) == ("adapter_not_found", 404)
    assert refused.value.request_id


def test_one_key_is_one_job_and_a_cancelled_one_is_told(address, call):
    options = {"wait": False, "idempotency_key": f"key-{call.__name__}", "training": {"method": "palm", "epochs": 500}}
    sounds = {"rain": TRAIN / "rain", "rooster": TRAIN / "rooster"}
    first, second = (call(address, "teach", "keyed", sounds, **options) for _ in range(2))
    assert first.id == second.id
    assert first.id in {job.id for job in call(address, "jobs", limit=5)}
    call(address, "cancel", first.id)
    with pytest.raises(JobFailed) as failed:
        call(address, "wait", first.id)
    assert failed.value.job.state == "cancelled"
    assert call(address, "job", first.id).has_ended


def test_a_folder_of_a_folder_for_each_sound(address, call):
    job = call(address, "teach", f"folder-{call.__name__}", TRAIN)
    with Client(address) as earshot:
        assert len(earshot.adapter(job.adapter.name).adapter.labels) == 5
        assert earshot.info().model.name == "tiny-clap"


def test_keys(keyed, call):
    address, key = keyed
    with pytest.raises(EarshotError) as refused:
        call(address, "adapters")
    assert refused.value.status == 401
    assert call(address, "adapters", client={"key": key}) == []
