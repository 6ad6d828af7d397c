"""How labels may be spelt and sent, in forms and as the folders of archives."""

import pytest

from tests.jobs.archives import zip_of
from tests.service.http.test_uploads import renamed
from tests.service.sounds import tone

SPELT = ["می\u200cخوانم", "क्\u200dष", "👩\u200d🚒"]


def classify(client, *labels):
    return client.post("/classify", files={"audio": ("a.wav", tone(440))}, data={"labels": list(labels)})


def labels_of(answer):
    assert answer.status_code == 200, answer.json()
    return {score["label"] for score in answer.json()["results"][0]["scores"]}


def test_labels_with_joiners_are_taken(client, adapt):
    assert labels_of(classify(client, *SPELT)) == set(SPELT)
    clips = [(f"{number}.wav", tone(300 + number)) for number in range(3)]
    assert adapt(clips=clips, labels=SPELT)[1] == SPELT
    assert adapt(zip_of(renamed(*SPELT)))[1] == SPELT


def test_an_adapter_with_such_labels_is_used(client, publish):
    publish("words", SPELT)
    answer = client.post("/classify", files={"audio": ("a.wav", tone(440))}, data={"adapter": "words"})
    assert labels_of(answer) == set(SPELT)


def test_an_adapter_of_another_spelling_loads_as_it_is(client, publish):
    labels = ["be\u0301be\u0301", "bébé", "dog  bark"]
    publish("words", labels)
    answer = client.post("/classify", files={"audio": ("a.wav", tone(440))}, data={"adapter": "words"})
    assert labels_of(answer) == set(labels)


def test_each_value_of_the_field_may_be_an_array(client, adapt):
    assert labels_of(classify(client, '["dog","rain"]', "cat")) == {"dog", "rain", "cat"}
    assert labels_of(classify(client, "cat", ' ["dog"]', '["[noise]", "a, b"]')) == {"cat", "dog", "[noise]", "a, b"}
    clips = [(f"{number}.wav", tone(300 + number)) for number in range(3)]
    assert adapt(clips=clips, labels=['["dog","rain"]', "cat"])[1] == ["dog", "rain", "cat"]


def test_labels_joined_by_a_comma_are_one_and_the_way_out_is_shown(client, adapt):
    answer = classify(client, "dog,rain")
    assert (answer.status_code, answer.json()["code"]) == (422, "labels_invalid")
    assert '["dog", "rain"]' in answer.json()["detail"] and "'dog,rain'" in answer.json()["detail"]
    answer, _ = adapt(clips=[("a.wav", tone(300)), ("b.wav", tone(400))], labels=["dog,rain"])
    assert answer.json()["code"] == "upload_invalid" and '["dog", "rain"]' in answer.json()["detail"]


@pytest.mark.parametrize("value", ["[noise]", "[dog,rain]", "['dog', 'rain']", '["dog", "rain"', "[" * 10_000])
def test_a_label_that_starts_like_an_array_is_refused_with_the_way_to_send_it(client, value):
    answer = classify(client, value, "dog")
    assert (answer.status_code, answer.json()["code"]) == (422, "labels_invalid")
    assert '["[noise]"]' in answer.json()["detail"] and len(answer.json()["detail"]) < 400


@pytest.mark.parametrize("pair", [("dog", " dog"), ("bébé", "be\u0301be\u0301"), ("dog bark", "dog\u00a0bark")])
def test_labels_that_fold_to_one_are_doubled_for_zero_shot_and_one_for_training(client, adapt, pair):
    answer = classify(client, *pair, "cat")
    assert (answer.status_code, answer.json()["code"]) == (422, "labels_invalid") and "twice" in answer.json()["detail"]
    clips = [(f"{number}.wav", tone(300 + number)) for number in range(3)]
    assert adapt(clips=clips, labels=[*pair, "cat"])[1] == [pair[0].strip(), "cat"]


@pytest.mark.parametrize("label", ["", " \u00a0", "do\u202eg", "x" * 300])
def test_labels_that_cannot_be_used_have_one_code(client, adapt, label):
    for answer in (
        classify(client, label, "cat"),
        adapt(clips=[("a.wav", tone(300)), ("b.wav", tone(400))], labels=[label, "cat"])[0],
    ):
        assert (answer.status_code, answer.json()["code"]) == (422, "labels_invalid")
        assert ("limit" in answer.json()) == (len(label) == 300)
