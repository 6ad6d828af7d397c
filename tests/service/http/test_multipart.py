"""What clients send for a form, over a socket: with fields and file names of their own, or as no form at all."""

import io
import json
import shutil
import subprocess
import zipfile

import httpx2
import pytest

from tests.service.http.wire import exchange, field, form
from tests.service.sounds import tone

CLIP = tone(440)
AUDIO = field("audio", CLIP, more='; filename="a.wav"')
LABELS = field("labels", '["dog", "rain"]')
CLIPS = [field("clips", tone(hz), more='; filename="a.wav"') for hz in (440, 900)]
EMPTY_CHOOSER = '; filename=""\r\nContent-Type: application/octet-stream'
TRAINING = [field("name", "animals"), field("labels", '["dog", "rain"]'), *CLIPS]


def post(address, path, content_type, body):
    lines = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n"
    if content_type:
        lines += f"Content-Type: {content_type}\r\n"
    (answer,) = exchange(address, lines.encode() + b"\r\n" + body)
    return answer.status, json.loads(answer.body)


def classify(address, *parts):
    return post(address, "/classify", *form(*parts))


def adapt(address, *parts):
    return post(address, "/adapt", *form(*parts))


@pytest.mark.parametrize(
    ("stray", "meant"),
    [
        ("file", "audio"), ("files", "audio"), ("upload", "audio"), ("audio[]", "audio"), ("audio[0]", "audio"),
        ("Audio", "audio"), ("clips[]", "audio"), ("topk", "top_k"), ("top-k", "top_k"), ("label", "labels"),
        ("model", "adapter"), ("name", "adapter"), ("windows[]", "windows"), ("treshold_", "threshold"), ("x", None),
    ],
)  # fmt: skip
def test_a_stray_field_of_classify_is_named_with_the_near_one(shared_address, stray, meant):
    more = '; filename="a.wav"' if meant == "audio" else ""
    status, problem = classify(shared_address, AUDIO, LABELS, field(stray, CLIP if more else "1", more=more))
    assert (status, problem["code"]) == (422, "invalid_request")
    assert problem["detail"].startswith(f"{stray}: there is no such field; ")
    assert problem["detail"].endswith(f"did you mean {meant}?" if meant else "windows")


@pytest.mark.parametrize(
    ("stray", "meant"),
    [
        ("file", "clips"), ("files", "clips"), ("clips[]", "clips"), ("audio", "clips"), ("clip", "clips"),
        ("epoch", "epochs"), ("batchsize", "batch_size"), ("learningrate", "learning_rate"), ("zip", "archive"),
        ("adapter", "name"), ("Labels", "labels"), ("audioprompt", "audio_prompt"),
    ],
)  # fmt: skip
def test_a_stray_field_of_adapt_is_named_with_the_near_one(shared_address, stray, meant):
    status, problem = adapt(shared_address, *TRAINING, field(stray, "500"))
    assert (status, problem["detail"]) == (422, f"{stray}: there is no such field; did you mean {meant}?")


def test_a_refused_form_leaves_nothing(address, context):
    assert adapt(address, *TRAINING, field("epoch", "500"))[0] == 422
    assert context.jobs.records.live_ids() == []
    assert list((context.settings.data_dir / "staging").glob("*")) == []


def test_a_stray_field_alone_is_all_that_is_said(shared_address):
    status, problem = classify(shared_address, field("file", CLIP, more='; filename="a.wav"'))
    assert (status, problem["detail"]) == (422, "file: there is no such field; did you mean audio?")


def test_many_and_long_strays_make_a_short_answer(shared_address):
    strays = [field(f"{number}{'x' * 3000}", "1") for number in range(40)]
    status, problem = classify(shared_address, AUDIO, LABELS, *strays)
    assert status == 422
    assert problem["detail"].endswith("and 35 more that are not known")
    assert len(problem["detail"]) < 1500


@pytest.mark.parametrize(
    "path", ["/classify?adapter=farm", "/adapters?limits=3", "/jobs?page=2", "/adapters/a/file?version=2"]
)
def test_a_stray_query_parameter_is_named(client, publish, path):
    publish("a", ["dog", "cat"])
    answer = client.post(path, files=[("audio", CLIP)]) if "classify" in path else client.get(path)
    stray = path.partition("?")[2].partition("=")[0]
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert answer.json()["detail"].startswith(f"{stray}: there is no such query parameter; ")


def test_pages_and_probes_bear_any_query(client):
    for path in ("/", "/docs", "/healthz", "/readyz", "/metrics", "/info", "/openapi.json"):
        assert client.get(f"{path}?_=1").status_code == 200


@pytest.mark.parametrize("text", ["clip.wav", "/tmp/my clip.wav", "@", "", "C:\\clip.wav\r\n", "été.wav"])
def test_a_forgotten_at_is_told(shared_address, text):
    for status, problem in (
        classify(shared_address, field("audio", text), LABELS),
        classify(shared_address, AUDIO, field("audio", text, more="\r\nContent-Type: text/plain"), LABELS),
    ):
        assert (status, problem["code"]) == (422, "invalid_request")
        assert problem["detail"].startswith("audio: ")
        assert problem["detail"].endswith("send a file: -F audio=@clip.wav")
    for name in ("clips", "archive"):
        status, problem = adapt(shared_address, field("name", "animals"), field(name, text))
        assert status == 422
        assert problem["detail"].startswith(f"{name}: ")


def test_a_file_in_place_of_text_is_told(shared_address):
    status, problem = classify(shared_address, AUDIO, field("labels", '["a", "b"]', more='; filename="labels.json"'))
    assert (status, problem["code"]) == (422, "invalid_request")
    assert "labels: came as a file and is a text" in problem["detail"]


def test_what_may_come_once_is_not_chosen_from(shared_address):
    status, problem = classify(shared_address, AUDIO, field("adapter", "a"), field("adapter", "b"))
    assert (status, problem["detail"]) == (422, "adapter: came more than once, and may only once")


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("; filename*=UTF-8''x.wav", "x.wav"),
        ("; filename*=utf-8'de'%e2%82%ac%20rates.wav", "€ rates.wav"),
        ("; filename*=ISO-8859-1''%e9.wav", "é.wav"),
        ("; filename=\"_.wav\"; filename*=UTF-8''%C3%A9t%C3%A9.wav", "été.wav"),
        ('; filename="日本 the \\"best\\".wav"', '日本 the "best".wav'),
        ('; filename="C:\\dogs\\a.wav"', "a.wav"),
        ('; filename="a; filename*=b.wav"', "a; filename*=b.wav"),
        ("", "audio-1"),
        ("\r\nContent-Type: audio/wav", "audio-1"),
        ('; filename=""\r\nContent-Type: application/octet-stream', "audio-1"),
    ],
)
def test_a_file_is_one_however_it_is_named(shared_address, more, name):
    status, answer = classify(shared_address, field("audio", CLIP, more=more), LABELS)
    assert status == 200, answer
    assert (answer["results"][0]["file"], answer["results"][0]["duration_s"]) == (name, 0.5)


@pytest.mark.parametrize(
    "more",
    [
        "; filename*=bogus''x.wav",
        "; filename*=idna''x",
        "; filename*=x.wav",
        "; filename*=UTF-8''%FF%FE",
        "; filename*=",
    ],
)
def test_a_file_name_that_cannot_be_read_stops_no_file(shared_address, more):
    status, answer = classify(shared_address, field("audio", CLIP, more=more), LABELS)
    assert (status, answer["results"][0]["duration_s"]) == (200, 0.5)


def test_nameless_files_over_a_megabyte_go_the_same_way(shared_address):
    long = tone(440, duration_s=15.0)
    status, answer = classify(shared_address, field("audio", long), field("audio", CLIP), LABELS)
    assert (status, [row["duration_s"] for row in answer["results"]]) == (200, [15.0, 0.5])


def test_clips_and_archives_without_a_file_name_are_taught(shared_address):
    nameless = [field("clips", tone(hz)) for hz in (440, 900)]
    assert adapt(shared_address, *TRAINING[:2], *nameless)[0] == 202
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("dog/a.wav", tone(440))
        archive.writestr("cat/b.wav", tone(900))
    assert adapt(shared_address, TRAINING[0], field("archive", file.getvalue()))[0] == 202
    assert adapt(shared_address, *TRAINING, field("archive", b"", more=EMPTY_CHOOSER))[0] == 202


@pytest.mark.parametrize("path", ["/classify", "/adapt"])
@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b'{"audio": "clip.wav"}'),
        ("audio/wav", CLIP),
        ("application/octet-stream", CLIP),
        ("application/x-www-form-urlencoded", b"audio=clip.wav"),
        ("multipart/mixed; boundary=x", form(AUDIO)[1]),
        ("", CLIP),
        ("", b""),
    ],
)
def test_what_is_no_form_is_told_how_to_send_one(shared_address, path, content_type, body):
    status, problem = post(shared_address, path, content_type, body)
    assert (status, problem["code"]) == (415, "body_unsupported")
    assert "multipart/form-data" in problem["detail"]
    assert f"curl http://a{path} -F " in problem["detail"]


@pytest.mark.skipif(not shutil.which("curl"), reason="there is no curl")
def test_the_line_that_is_shown_works(address, context, publish, tmp_path):
    publish("farm", ["dog", "rain"], tenant="acme")
    key = context.keys.add("acme")
    for name in ("clip", "dog", "rain"):
        (tmp_path / f"{name}.wav").write_bytes(CLIP + tone(900) * (name == "rain"))
    for path, expected in (("/classify", "results"), ("/adapt", "state")):
        headers = {"X-API-Key": key}
        hint = httpx2.post(f"{address}{path}", content=CLIP, headers=headers).json()["detail"]
        line = hint.partition(": curl ")[2].replace("NAME", "farm").replace(": KEY", f": {key}")
        answer = subprocess.run(f"curl -sS {line}", shell=True, cwd=tmp_path, capture_output=True, text=True)
        assert expected in json.loads(answer.stdout), answer


@pytest.mark.parametrize(
    ("content_type", "body", "code"),
    [
        ("multipart/form-data", form(AUDIO)[1], "bad_request"),
        ("multipart/form-data; boundary=", form(AUDIO)[1], "bad_request"),
        ("multipart/form-data; boundary=other", form(AUDIO)[1], "bad_request"),
        ("multipart/form-data; boundary=x", b"", "bad_request"),
        ("multipart/form-data; boundary=x", form()[1], "invalid_request"),
        ("multipart/form-data; boundary=x", form(AUDIO)[1][:-20], "bad_request"),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n",
            "bad_request",
        ),
        ("multipart/form-data; boundary=x", form(("A: " + "b" * 100_000, b"c"))[1], "bad_request"),
        ("multipart/form-data; boundary=x", form(("A: b\r\n" * 5000 + "A: b", b"c"))[1], "bad_request"),
        (
            "multipart/form-data; boundary=x",
            form(*[field(str(number), "1") for number in range(10_000)])[1],
            "too_many_files",
        ),
        ("multipart/form-data; boundary=x", form(field("x" * 100_000, "1"))[1], "bad_request"),
        ("multipart/form-data; boundary=" + "y" * 3000, b"--" + b"y" * 3000 + b"--\r\n", "bad_request"),
        ("multipart/form-data; boundary=x; charset=nonsense", form(field("labels", "é"))[1], "invalid_request"),
        ("Multipart/Form-Data; Boundary=x", form(LABELS)[1], "invalid_request"),
    ],
)
def test_odd_forms_are_refused_and_nothing_worse(shared_address, content_type, body, code):
    status, problem = post(shared_address, "/classify", content_type, body)
    assert (problem["code"], status // 100) == (code, 4)


@pytest.mark.parametrize("path", ["/classify/", "/adapt/", "/nowhere", "/classify/x", "//classify"])
def test_what_is_nowhere_is_not_found_whatever_is_sent(shared_address, path):
    content_type, body = form(field("audio", tone(440, duration_s=2.0), more='; filename="a.wav"'), LABELS)
    status, problem = post(shared_address, path, content_type, body)
    assert (status, problem["code"]) == (404, "not_found")


def test_a_body_is_still_bounded_where_there_is_something(client):
    answer = client.put("/adapters/a/current", content=b"x" * 70_000, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["limit"]["name"]) == (413, "max_json_bytes")


@pytest.mark.parametrize("host", ["", "a b", "a" * 5000, "[::1", "ex%41mple.org:99999", "é".encode().decode("latin-1")])
def test_a_weird_host_is_answered(shared_address, host):
    request = f"POST /classify HTTP/1.1\r\nHost: {host}\r\nContent-Length: 2\r\n\r\n{{}}"
    (answer,) = exchange(shared_address, request.encode("latin-1"))
    assert answer.status in (400, 415)
