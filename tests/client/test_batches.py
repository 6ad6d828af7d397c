"""Many clips go in batches to the service's limits, a few at once, and come back in order."""

import re

import pytest
from earshot_client import EarshotError

from tests.client.scripted import Told, problem

CLIPS = [b"%03d" % number * 100 for number in range(20)]


def heard(asked):
    """Results that say what was sent."""
    clips = re.findall(rb"\r\n\r\n((?:\d{3}){100})\r\n", asked.body)
    results = [{"file": "x", "label": clip[:3].decode(), "score": 1.0, "unknown": False} for clip in clips]
    return Told(200, {"adapter": {"name": "farm", "version": 2, "digest": "d"}, "results": results}, after_s=0.05)


def labels(results):
    return [result.label for result in results]


ALL = [f"{number:03d}" for number in range(20)]


def test_batches_keep_to_the_limits_and_the_order(scripted, call):
    server = scripted(info=[Told(200, {"limits": {"max_files": 3}})], classify=[heard])
    done = []
    results = call(server.url, "classify", "farm", CLIPS, on_progress=done.append, client={"concurrency": 2})
    assert labels(results) == ALL
    assert results[0].adapter.version == 2
    assert len(server.to("/classify")) == 7
    assert server.most_at_once == 2
    assert [progress.num_clips for progress in done] == [20] * 7
    assert done[-1].num_done == 20


def test_batches_keep_to_the_bytes(scripted, call):
    server = scripted(info=[Told(200, {"limits": {"max_files": 32, "max_request_bytes": 5000}})], classify=[heard])
    assert labels(call(server.url, "classify", "farm", CLIPS)) == ALL
    assert all(len(asked.body) <= 5000 for asked in server.to("/classify"))


def test_what_is_too_much_is_halved(scripted, call):
    def at_most_two(asked):
        return problem(422, "too_many_windows") if asked.body.count(b'name="audio"') > 2 else heard(asked)

    server = scripted(info=[Told(200, {"limits": {}})], classify=[at_most_two])
    assert labels(call(server.url, "classify", "farm", CLIPS)) == ALL


def test_a_clip_that_is_too_much_alone_fails_alone(scripted, call):
    def not_the_third(asked):
        return problem(413, "body_too_large") if b"002002" in asked.body else heard(asked)

    server = scripted(info=[Told(200, {"limits": {"max_files": 4}})], classify=[not_the_third])
    results = call(server.url, "classify", "farm", CLIPS[:6])
    assert labels(results) == ["000", "001", None, "003", "004", "005"]
    assert (results[2].error.code, results[2].file) == ("body_too_large", "clip-3")
    with pytest.raises(EarshotError):
        call(server.url, "classify", "farm", CLIPS[2])


def test_a_refusal_of_the_call_is_raised_and_ends_it(scripted, call):
    server = scripted(info=[Told(200, {"limits": {"max_files": 1}})], classify=[problem(404, "adapter_not_found")])
    with pytest.raises(EarshotError) as refused:
        call(server.url, "classify", "farm", CLIPS, client={"concurrency": 2})
    assert refused.value.code == "adapter_not_found"
    assert len(server.to("/classify")) < 20


def test_no_clips_are_no_results(scripted, call):
    server = scripted(info=[Told(200, {"limits": {}})])
    assert call(server.url, "classify", "farm", []) == []


def test_options_are_fields(scripted, call):
    server = scripted(classify=[heard])
    call(server.url, "classify", None, CLIPS[0], labels=["a", "b, c"], top_k=1, thresholds={"a": 0.5}, windows=True)
    (asked,) = server.asked
    for name, value in (("labels", '["a", "b, c"]'), ("top_k", "1"), ("thresholds", '{"a": 0.5}'), ("windows", "true")):
        assert f'name="{name}"\r\n\r\n{value}\r\n'.encode() in asked.body
    with pytest.raises(TypeError):
        call(server.url, "classify", "farm", CLIPS[0], topk=1)
