"""A bare name means a version of its own for a base model that one was made ready for."""

import json

import pytest

from adapters_store import AdapterNotFound

OLD, NEW = "a" * 64, "b" * 64


@pytest.fixture
def moved(store):
    """An adapter of three versions: two of the old model, and the third ready for the new one."""
    for number, fingerprint in enumerate((OLD, OLD, NEW), 1):
        manifest = {"fingerprint": fingerprint, "labels": [str(number)]}
        ref = store.publish("acme", "doors", b"%d" % number, manifest, takes_over=number < 3)
    store.make_ready(ref, NEW)
    return store


def means(store, fingerprint=""):
    return store.for_model(fingerprint).resolve("acme", "doors").version


def test_each_model_has_its_own_meaning_and_others_the_common_one(moved):
    assert (means(moved), means(moved, OLD), means(moved, NEW)) == (2, 2, 3)
    assert moved.for_model(NEW).current("acme", "doors") == 3
    assert [entry.current.version for entry in moved.for_model(NEW).page("acme")[0]] == [3]
    assert moved.for_model(NEW).entry("acme", "doors").manifests[3]["labels"] == ["3"]
    assert [entry.current.version for entry in moved.page("acme")[0]] == [2]
    assert moved.tenants() == ["acme"]


def test_a_release_before_reads_what_it_always_read(moved):
    pointer = json.loads(moved._files.read("acme/doors/current"))
    assert pointer["version"] == 2 and len(pointer["digest"]) == 64


def test_what_is_published_and_rolled_back_under_a_model_moves_its_meaning_alone(moved):
    moved.for_model(NEW).publish("acme", "doors", b"4", {"fingerprint": NEW})
    assert (means(moved), means(moved, NEW)) == (2, 4)
    moved.for_model(OLD).publish("acme", "doors", b"5", {"fingerprint": OLD})
    assert (means(moved), means(moved, NEW)) == (5, 4)
    moved.for_model(NEW).set_current("acme", "doors", 3)
    moved.for_model(OLD).set_current("acme", "doors", 1)
    assert (means(moved), means(moved, NEW)) == (1, 3)


def test_in_place_of_a_version_that_goes_comes_one_of_its_model(moved):
    moved.delete("acme", "doors", 2)
    assert (means(moved), means(moved, NEW)) == (1, 3)  # the highest that remains is of the other model
    moved.for_model(NEW).publish("acme", "doors", b"4", {"fingerprint": NEW})
    moved.delete("acme", "doors", 4)
    assert (means(moved), means(moved, NEW)) == (1, 3)
    moved.delete("acme", "doors", 3)
    assert (means(moved), means(moved, NEW)) == (1, 1)  # nothing is ready for it any more
    moved.delete("acme", "doors")
    with pytest.raises(AdapterNotFound):
        means(moved, NEW)


def test_a_name_that_only_the_new_model_has_is_common(moved):
    moved.for_model(NEW).publish("acme", "bells", b"1", {"fingerprint": NEW})
    assert moved.resolve("acme", "bells").version == 1


@pytest.mark.parametrize("models", ["[]", '{"x": 3}', '{"x": {"version": 0, "digest": ""}}'])
def test_a_damaged_pointer_is_healed_by_the_next_that_moves_it(moved, models):
    digest = moved.resolve("acme", "doors").digest
    text = f'{{"version": 2, "digest": "{digest}", "models": {models}}}'
    moved._files.write("acme/doors/current", text.encode())
    if models != "[]":
        with pytest.raises(Exception, match="damaged"):
            moved.resolve("acme", "doors")
    moved.set_current("acme", "doors", 1)
    assert means(moved) == 1
