import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from aspl.background import shipped_library
from aspl.inference import Scored
from aspl.sound.level import HEARD_AT_DB
from service.http import answers
from service.inference.classification import ClassifyResult, ScoredClip
from service.inference.decoding import ClipInfo
from service.inference.queued_clip import Scores
from tests.service.sounds import tone, wav

LABELS = {"labels": ["dog", "cat", "rain"]}


def audio(*contents):
    return [("audio", (f"{number}.wav", content)) for number, content in enumerate(contents)]


def test_zero_shot_answers_in_the_order_of_the_files(client):
    answer = client.post("/classify", files=audio(tone(440), tone(2000)), data=LABELS)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["adapter"] is None
    assert [result["file"] for result in body["results"]] == ["0.wav", "1.wav"]
    for result in body["results"]:
        assert sorted(score["label"] for score in result["scores"]) == ["cat", "dog", "rain"]
        assert abs(sum(score["score"] for score in result["scores"]) - 1) < 1e-5
        assert result["label"] == result["scores"][0]["label"]
        assert result["unknown"] is False
    assert body["timing_ms"].keys() == {"decode", "queue", "encode", "total"}


def test_a_bad_file_is_an_error_row_among_others_and_a_problem_alone(client):
    together = client.post("/classify", files=audio(tone(440), b"not audio", tone(440)), data=LABELS).json()["results"]
    assert "error" in together[1]
    assert together[0]["scores"] == together[2]["scores"]
    alone = client.post("/classify", files=audio(b"not audio"), data=LABELS)
    assert alone.status_code == 415
    assert alone.headers["content-type"] == "application/problem+json"
    assert alone.json()["code"] == together[1]["error"]["code"] == "audio_unsupported"


def test_windows_and_top_k(client):
    clip = wav(np.random.default_rng(0).standard_normal(48_000 * 13) * 0.1)
    data = {**LABELS, "windows": "true", "top_k": "2"}
    (result,) = client.post("/classify", files=audio(clip), data=data).json()["results"]
    assert [(row["start_s"], row["end_s"]) for row in result["windows"]] == [(0.0, 10.0), (3.0, 13.0)]
    assert len(result["scores"]) == 2
    assert all(len(row["scores"]) == 2 for row in result["windows"])


def test_silence_and_truncation_are_flagged(client):
    broken = tone(440, duration_s=2.0)[:100_000]
    rows = client.post("/classify", files=audio(wav(np.zeros(48_000)), broken), data=LABELS).json()["results"]
    assert [(row["silent"], row["truncated"]) for row in rows] == [(True, False), (False, True)]
    assert [row["unknown"] for row in rows] == [True, False]


def test_a_silent_window_is_unknown_where_the_clip_is_not(client):
    clip = wav(np.concatenate([np.random.default_rng(0).standard_normal(480_000) * 0.1, np.zeros(480_000)]))
    (row,) = client.post("/classify", files=audio(clip), data={**LABELS, "windows": "true"}).json()["results"]
    assert not row["unknown"]
    assert [window["unknown"] for window in row["windows"]] == [False, False, True]


def test_a_taught_adapter_tells_how_known_a_clip_is(client, publish_taught):
    publish_taught("tones")
    rows = client.post("/classify", files=audio(tone(440), wav(np.zeros(48_000))), data={"adapter": "tones"}).json()
    heard, silence = rows["results"]
    assert 0 <= heard["known_score"] <= 1
    assert (heard["unknown"], silence["unknown"]) == (heard["known_score"] < 0.5, True)


@pytest.mark.parametrize("level_db", [HEARD_AT_DB, None])
def test_labels_alone_can_be_unknown_where_the_background_has_been_heard(client, context, clap, level_db):
    """As a first job hears it, and as the jobs of an earlier release did."""
    library = shipped_library(context.settings.data_dir / "background")
    assert len(library.features(clap, level_db=level_db).joint)
    clips = audio(tone(440), wav(np.zeros(48_000)))
    heard, silence = client.post("/classify", files=clips, data={**LABELS, "windows": "true"}).json()["results"]
    assert 0 <= heard["known_score"] <= 1 and 0 <= heard["windows"][0]["known_score"] <= 1
    assert silence["unknown"]
    sure, open_minded = (
        client.post("/classify", files=audio(tone(440)), data={**LABELS, "threshold": threshold}).json()["results"][0]
        for threshold in (1, 0)
    )
    assert (sure["unknown"], open_minded["unknown"]) == (True, False)


def test_before_the_background_is_heard_and_in_the_first_release_there_is_no_known_score(client, publish):
    publish("animals", ["dog", "cat"])
    for data in ({"adapter": "animals"}, LABELS):
        data = {**data, "windows": "true"}
        (row,) = client.post("/classify", files=audio(tone(440)), data=data).json()["results"]
        assert (row["known_score"], row["windows"][0]["known_score"]) == (None, None)


def test_an_adapter_is_used_and_named(client, publish):
    ref = publish("animals", ["dog", "cat"])
    body = client.post("/classify", files=audio(tone(440)), data={"adapter": "animals"}).json()
    assert body["adapter"] == {"name": "animals", "version": 1, "digest": ref.digest}
    assert {score["label"] for score in body["results"][0]["scores"]} == {"dog", "cat"}


def test_a_new_version_is_used_by_the_next_request(client, publish):
    publish("animals", ["dog", "cat"])
    client.post("/classify", files=audio(tone(440)), data={"adapter": "animals"})
    publish("animals", ["owl", "fox"])
    now = client.post("/classify", files=audio(tone(440)), data={"adapter": "animals"}).json()
    assert now["adapter"]["version"] == 2
    before = client.post("/classify", files=audio(tone(440)), data={"adapter": "animals@1"}).json()
    assert {score["label"] for score in before["results"][0]["scores"]} == {"dog", "cat"}


@pytest.mark.parametrize(("threshold", "is_unknown"), [(1.0, True), (0.0, False), (None, False)])
def test_an_answer_under_its_adapters_threshold_is_unknown(client, publish, threshold, is_unknown):
    publish("animals", ["dog", "cat"], threshold=threshold)
    (row,) = client.post("/classify", files=audio(tone(440)), data={"adapter": "animals"}).json()["results"]
    assert row["unknown"] is is_unknown


def test_labels_may_come_as_one_json_array(client):
    body = client.post("/classify", files=audio(tone(440)), data={"labels": '["a, b", "c"]'}).json()
    assert {score["label"] for score in body["results"][0]["scores"]} == {"a, b", "c"}


@pytest.mark.parametrize("labels", ['["\\ud800", "b"]', '["a\\u0000", "b"]', '["a", 1]', "[" * 50_000, '["a", "b"'])
def test_labels_that_are_none_are_refused(client, labels):
    answer = client.post("/classify", files=audio(tone(440)), data={"labels": labels})
    assert (answer.status_code, answer.json()["code"]) == (422, "labels_invalid")


def test_a_model_that_hangs_refuses_whom_it_did_not_begin(client, context, monkeypatch):
    entered, gate = threading.Event(), threading.Event()
    encode = context.pipeline.engine._encode

    def hang(rows):
        entered.set()
        gate.wait(20)
        return encode(rows)

    monkeypatch.setattr(context.pipeline.engine, "_encode", hang)
    monkeypatch.setattr(context.pipeline.classifier, "queue_timeout_s", 0.3)
    clip_form = {"files": [("audio", ("a.wav", tone(440)))], "data": {"labels": ["dog", "cat"]}}
    with ThreadPoolExecutor(1) as caller:
        begun = caller.submit(client.post, "/classify", **clip_form)
        assert entered.wait(10)
        late = client.post("/classify", **clip_form)
        assert (late.status_code, late.json()["code"]) == (503, "queue_timeout")
        assert not begun.done()
        assert context.pipeline.engine.queue.num_units() == 0
        gate.set()
        assert begun.result().status_code == 200


def unknown(client, **data):
    answer = client.post("/classify", files=audio(tone(440)), data=data)
    assert answer.status_code == 200, answer.text
    (row,) = answer.json()["results"]
    return row["unknown"]


@pytest.mark.parametrize("name", ["animals", "tones"])
def test_thresholds_of_a_request_stand_in_for_the_adapters(client, publish, publish_taught, name):
    publish("animals", ["low", "high"], threshold=0.0)
    publish_taught("tones", threshold=0.1)
    (row,) = client.post("/classify", files=audio(tone(440)), data={"adapter": name}).json()["results"]
    best, other = row["label"], {"low": "high", "high": "low"}[row["label"]]
    assert not row["unknown"]
    assert unknown(client, adapter=name, threshold="1")
    assert unknown(client, adapter=name, thresholds=f'{{"{best}": 1}}')
    assert not unknown(client, adapter=name, thresholds=f'{{"{other}": 1}}')
    assert not unknown(client, adapter=name, threshold="1", thresholds=f'{{"{best}": 0}}')


def test_zero_shot_takes_thresholds_too(client):
    assert unknown(client, **LABELS, threshold="1")
    assert not unknown(client, **LABELS, threshold="0")


@pytest.mark.parametrize(
    ("thresholds", "named"),
    [
        ('{"snow": 0.5}', "'snow'"),
        ('{"dog": 1.5}', "'dog'"),
        ('{"dog": true}', "'dog'"),
        ('{"dog": NaN}', "'dog'"),
        ("[0.5]", "object"),
        ("{", "JSON"),
    ],
)
def test_thresholds_that_cannot_be_used_are_named(client, thresholds, named):
    answer = client.post("/classify", files=audio(tone(440)), data={**LABELS, "thresholds": thresholds})
    assert (answer.status_code, answer.json()["code"]) == (422, "thresholds_invalid")
    assert named in answer.json()["detail"]


@pytest.mark.parametrize("threshold", ["-0.1", "1.1", "nan", "half"])
def test_a_threshold_is_a_number_from_0_to_1(client, threshold):
    answer = client.post("/classify", files=audio(tone(440)), data={**LABELS, "threshold": threshold})
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")


def test_a_large_answer_is_cut_into_pieces_that_take_no_time(clap):
    labels, rng = tuple(f"{number:0190d}" for number in range(1000)), np.random.default_rng(0)
    scored = [Scored(rng.random(1000, np.float32), None) for _ in range(121)]
    info = ClipInfo(600.0, [(0.0, 10.0)] * 120, False, [False] * 120, False, False, -20.0, 1.0)
    clip = ScoredClip(info, Scores(scored[0], scored[1:], 1.0, 1.0), False, (False,) * 120)
    result = ClassifyResult(None, labels, [clip], 1.0)
    told = answers.classification(result, clap, filenames=["a.wav"], top_k=None, has_windows=True)
    pieces = list(answers._pieces(told))
    assert sum(map(len, pieces)) > 25_000_000
    assert max(map(len, pieces)) < 400_000  # two milliseconds
    assert len(json.loads(b"".join(pieces))["results"][0]["windows"]) == 120
