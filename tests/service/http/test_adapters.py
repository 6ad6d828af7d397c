import json

import httpx2
import pytest

from tests.service.sounds import tone


def classify(client, adapter):
    files = [("audio", ("a.wav", tone(440)))]
    return client.post("/classify", files=files, data={"adapter": adapter}).json()


def test_the_list_shows_what_lies_in_the_store(client, publish):
    for name in ("a", "b", "c"):
        publish(name, ["dog", "cat"])
    publish("b", ["owl", "fox"])
    publish("z", ["of", "another"], tenant="other")
    first = client.get("/adapters", params={"limit": 2}).json()
    second = client.get("/adapters", params={"limit": 2, "after": first["next"]}).json()
    rows = first["adapters"] + second["adapters"]
    assert [row["name"] for row in rows] == ["a", "b", "c"]
    assert second["next"] is None
    assert (rows[1]["current"], rows[1]["versions"]) == (2, [1, 2])
    assert rows[1]["adapter"]["labels"] == ["owl", "fox"]
    one = client.get("/adapters/b").json()
    del one["channel"]  # which lists leave out, as they do reports
    assert {**one, "adapter": {**one["adapter"], "report": None}} == rows[1]
    assert client.get("/adapters/b@1").json()["adapter"]["labels"] == ["dog", "cat"]


def test_a_damaged_adapter_is_an_error_row_among_others(client, context, publish):
    for name in ("a", "b", "c", "d"):
        publish(name, ["dog", "cat"])
    adapters = context.settings.data_dir / "adapters" / "local"
    (adapters / "b" / "current").write_text("{")
    (adapters / "c" / "versions" / "000001.json").write_text("{")
    rows = client.get("/adapters").json()["adapters"]
    assert [(row["name"], row.get("error", {}).get("code")) for row in rows] == [
        ("a", None),
        ("b", "adapter_corrupt"),
        ("c", "adapter_corrupt"),
        ("d", None),
    ]


def test_versions_come_by_pages(client, publish):
    for _ in range(3):
        publish("animals", ["dog", "cat"])
    first = client.get("/adapters/animals/versions", params={"limit": 2}).json()
    second = client.get("/adapters/animals/versions", params={"limit": 2, "after": first["next"]}).json()
    assert [row["version"] for row in first["versions"] + second["versions"]] == [1, 2, 3]
    assert [row["is_current"] for row in first["versions"] + second["versions"]] == [False, False, True]
    assert second["next"] is None


def test_rolling_back_takes_hold_at_once(client, publish):
    publish("animals", ["dog", "cat"])
    publish("animals", ["owl", "fox"])
    assert classify(client, "animals")["adapter"]["version"] == 2
    assert client.put("/adapters/animals/current", json={"version": 1}).json()["current"] == 1
    assert classify(client, "animals")["adapter"]["version"] == 1
    assert client.put("/adapters/animals/current", json={"version": 3}).status_code == 404


def test_deleting_a_version_and_the_whole(client, publish):
    publish("animals", ["dog", "cat"])
    publish("animals", ["owl", "fox"])
    assert client.delete("/adapters/animals@2").status_code == 204
    assert client.get("/adapters/animals").json()["current"] == 1
    assert client.delete("/adapters/animals").status_code == 204
    assert classify(client, "animals")["code"] == "adapter_not_found"
    assert client.delete("/adapters/animals").status_code == 404


def test_deleting_fails_the_jobs_that_would_write_it(client):
    clips = [("clips", ("a.wav", tone(440))), ("clips", ("b.wav", tone(900)))]
    job = client.post("/adapt", files=clips, data={"name": "animals", "labels": ["dog", "cat"]}).json()
    assert client.delete("/adapters/animals").status_code == 204
    job = client.get(f"/jobs/{job['id']}").json()
    assert (job["state"], job["error"]["code"]) == ("failed", "adapter_deleted")


def test_an_exported_file_comes_back_as_the_next_version(client, publish):
    ref = publish("animals", ["dog", "cat"])
    file = client.get("/adapters/animals/file")
    assert file.headers["etag"] == f'"{ref.digest}"'
    imported = client.post("/adapters/copy/file", content=file.content)
    assert (imported.status_code, imported.json()["version"], imported.json()["digest"]) == (201, 1, ref.digest)
    assert classify(client, "copy")["results"] == classify(client, "animals")["results"]


def test_a_file_that_is_no_adapter_is_not_stored(client, publish):
    publish("animals", ["dog", "cat"])
    content = client.get("/adapters/animals/file").content
    assert client.post("/adapters/copy/file", content=content[:-4]).json()["code"] == "adapter_invalid"
    assert client.get("/adapters/copy").status_code == 404


def edited(file: bytes, **facts) -> bytes:
    """The adapter's file with some facts of its header replaced."""
    size = int.from_bytes(file[:8], "little")
    header = json.loads(file[8 : 8 + size])
    kept = json.loads(header["__metadata__"]["adapter"])
    header["__metadata__"]["adapter"] = json.dumps({**kept, **facts}, ensure_ascii=False)
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[8 + size :]


LONG_ROWS = {f"{number} " + "x" * 990: {"num_clips": 1, "precision": 1, "recall": 1, "f1": 1} for number in range(1000)}


@pytest.mark.parametrize(
    ("facts", "code"),
    [
        ({"labels": ["a" * 3_500_000, "b" * 3_500_000]}, "adapter_invalid"),
        ({"labels": ["dog", "c" * 201]}, "labels_invalid"),
        ({"report": {"reason": "x" * 7_000_000}}, "adapter_invalid"),
        ({"report": {"optimism": ["x" * 1000] * 101}}, "adapter_invalid"),
        ({"report": {"unvalidated_labels": ["🎺" * 1000] * 1000, "per_label": LONG_ROWS}}, "adapter_invalid"),
        ({"shots": {f"{number}": 1 for number in range(1001)}}, "adapter_invalid"),
        ({"base_model": "x" * 1001}, "adapter_invalid"),
    ],
)
def test_a_header_is_bounded_in_every_field(client, publish, facts, code):
    publish("animals", ["dog", "cat"])
    content = client.get("/adapters/animals/file").content
    assert client.post("/adapters/copy/file", content=edited(content)).status_code == 201
    answer = client.post("/adapters/other/file", content=edited(content, **facts))
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert client.get("/adapters/other").status_code == 404


def test_a_report_of_the_first_release_is_shown_in_the_names_of_both(client, publish):
    publish("animals", ["dog", "cat"])
    row = {"num_clips": 3, "precision": 1.0, "recall": 0.5, "f1": 0.6667}
    report = {"accuracy": 0.5, "per_class": {"dog": row}, "confusion": [[1, 1], [0, 1]], "num_folds": 3}
    content = edited(client.get("/adapters/animals/file").content, report=report)
    imported = client.post("/adapters/old/file", content=content).json()["report"]
    shown = client.get("/adapters/old").json()["adapter"]["report"]
    assert shown == imported and shown["accuracy"] == 0.5 and shown["confusion"] == [[1, 1], [0, 1]]
    assert shown["per_class"] == shown["per_label"] and shown["per_label"]["dog"].items() >= row.items()
    assert client.get("/adapters/old/versions").json()["versions"][0]["report"] is None
    assert {each["adapter"]["report"] for each in client.get("/adapters").json()["adapters"]} == {None}


def test_a_file_that_the_client_has_is_neither_read_nor_sent(address, context, publish, monkeypatch):
    ref = publish("animals", ["dog", "cat"])
    url = f"{address}/adapters/animals/file"
    etag = httpx2.get(url).headers["etag"]

    def unread(*_):
        raise AssertionError("the file is read")

    monkeypatch.setattr(context.store, "read", unread)
    for tags in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = httpx2.get(url, headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", f'"{ref.digest}"')
    monkeypatch.undo()
    for tags in ('"other"', "", ref.digest):
        assert httpx2.get(url, headers={"If-None-Match": tags}).status_code == 200
    assert httpx2.get(f"{address}/adapters/nobody/file", headers={"If-None-Match": "*"}).status_code == 404


@pytest.mark.parametrize("damage", ["{", "", "[]", "{}", '{"digest": NaN}', "[" * 100_000, '{"threshold": -Infinity}'])
def test_a_damaged_version_is_an_error_row_among_others(client, context, publish, damage):
    for _ in range(3):
        publish("animals", ["dog", "cat"])
    directory = context.settings.data_dir / "adapters" / "local" / "animals"
    (directory / "versions" / "000002.json").write_text(damage)
    body = client.get("/adapters/animals/versions").json()
    first, damaged, last = body["versions"]
    assert (first["version"], last["version"], last["is_current"], body["current"]) == (1, 3, True, 3)
    assert (damaged["name"], damaged["version"], damaged["error"]["code"]) == ("animals", 2, "adapter_corrupt")
    (directory / "current").write_text(damage)
    body = client.get("/adapters/animals/versions").json()
    assert (body["current"], [row.get("is_current") for row in body["versions"]]) == (None, [False, None, False])
    assert client.get("/adapters").status_code == 200


@pytest.mark.parametrize("field", ["file", "adapter"])
def test_an_import_takes_a_form_too(address, publish, field):
    ref = publish("animals", ["dog", "cat"])
    content = httpx2.get(f"{address}/adapters/animals/file").content
    for file in (("x.safetensors", content), ("", content)):
        answer = httpx2.post(f"{address}/adapters/{field}/file", files=[(field, file)])
        assert (answer.status_code, answer.json()["digest"]) == (201, ref.digest)


@pytest.mark.parametrize(
    "form", [{"data": {"file": "x"}, "files": [("b", b"x")]}, {"files": [("a", b"x"), ("b", b"x")]}]
)
def test_an_import_takes_one_file(client, form):
    answer = client.post("/adapters/copy/file", **form)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid_request")
    assert "--data-binary" in answer.json()["detail"]


def test_a_version_that_stands_by_is_shown_with_its_reason(client, context, publish, clap):
    ref = publish("animals", ["dog", "cat"])
    promoted = {"current": False, "reason": "it does not know 'cat'"}
    manifest = {**context.store.manifest(ref), "promoted": promoted}
    context.store.publish("local", "animals", context.store.read(ref), manifest, takes_over=False)
    summary = client.get("/adapters/animals").json()
    assert (summary["current"], summary["adapter"]["promoted"]) == (1, None)
    assert summary["standing_by"] == [{"version": 2, "reason": "it does not know 'cat'"}]
    rows = client.get("/adapters/animals/versions").json()["versions"]
    assert [row["promoted"] for row in rows] == [None, promoted]
    client.put("/adapters/animals/current", json={"version": 2})
    assert client.get("/adapters/animals").json()["standing_by"] == []


def test_what_came_of_live_clips_is_shown_with_the_version(client, context, publish):
    ref = publish("animals", ["dog", "cat"])
    report = {
        "applied": False, "reason": "may be chance", "check": "margin", "margin_before": None, "margin_after": None,
        "num_clips": 5, "num_known": 2.5, "shift_db": [0.0, 1.5],
    }  # fmt: skip
    manifest = context.store.manifest(ref) | {"recalibration": report}
    context.store.publish("local", "animals", context.store.read(ref), manifest)
    assert client.get("/adapters/animals").json()["adapter"]["recalibration"] == report
    assert client.get("/adapters/animals@1").json()["adapter"]["recalibration"] is None
    assert client.get("/adapters").json()["adapters"][0]["adapter"]["recalibration"] is None


def test_an_adapter_of_another_model_is_shown_without_reading_its_file(client, context):
    context.store.publish(
        "local", "elsewhere", b"of another model", {"labels": ["dog", "rain"], "fingerprint": "other"}
    )
    shown = client.get("/adapters/elsewhere")
    assert (shown.status_code, shown.json()["channel"]) == (200, None)
    assert shown.json()["adapter"]["labels"] == ["dog", "rain"]
