"""Clips beside an adapter, in every kind of place; how a crash leaves them; what is counted of them."""

import random
import threading

import pytest

from adapters_store import (
    ClipList,
    ClipNotFound,
    ClipsGone,
    StoreUnavailable,
    Taught,
    TaughtClip,
    local_files,
    sweep,
)
from adapters_store.errors import AdapterCorrupt
from adapters_store.kept_clips import KeptClips
from tests.adapters_store.clips import MODEL, check_sound, digest, sound, strays, taught
from tests.adapters_store.crashes import Crashes


def publish(store, clips, name="birds", **how):
    return store.publish("acme", name, b"adapter", {}, taught=clips, **how)


def files_of(store, kind):
    return sorted(store._files.children(f"acme/birds/versions-{kind}"))


def test_clips_are_kept_once_and_read_back(place):
    store = place()
    first = publish(store, taught(1, 2))
    second = publish(store, taught(3, base=store.clips(first)))
    other = place()
    assert [clip.file for clip in other.clips(second).clips] == ["1.wav", "2.wav", "3.wav"]
    assert files_of(other, "clips") == sorted(f"{digest(sound(n))}.audio" for n in (1, 2, 3))
    kept = other.kept(second)
    assert kept.audio(digest(sound(1))) == sound(1)
    assert kept.features(other.clips(second), MODEL)[digest(sound(3))] == b"heard " + sound(3)
    assert kept.features(other.clips(second), "0" * 64) == {}
    check_sound(other, "acme", "birds")
    assert not strays(other, "acme", "birds")


def test_a_version_that_came_to_be_clip_by_clip_has_few_packs(tmp_path):
    from adapters_store import open_store

    store, listed = open_store(tmp_path), None
    for number in range(40):
        listed = store.clips(publish(store, taught(number, base=listed)))
    assert len(listed.packs[MODEL]) <= 6
    check_sound(store, "acme", "birds")


@pytest.mark.parametrize(("keep", "audio", "packs"), [("audio", 2, 1), ("features", 0, 1), ("nothing", 0, 0)])
def test_no_more_is_kept_than_was_said(store, keep, audio, packs):
    ref = publish(store, taught(1, 2, keep=keep))
    assert (len(files_of(store, "clips")), len(files_of(store, "features"))) == (audio, packs)
    listed = store.clips(ref)
    assert listed.keep == keep and len(listed.clips) == 2
    assert [clip.file for clip in listed.clips] == (["", ""] if keep == "nothing" else ["1.wav", "2.wav"])
    with pytest.raises(ClipNotFound):
        store.kept(ref).audio("0" * 64)


def test_a_deleted_version_takes_the_clips_that_no_other_uses(place):
    store = place()
    first = publish(store, taught(1, 2))
    publish(store, taught(3, base=store.clips(first)))
    store.delete("acme", "birds", 2)
    assert files_of(place(), "clips") == sorted(f"{digest(sound(n))}.audio" for n in (1, 2))
    assert not strays(store, "acme", "birds")
    publish(store, taught(2, 3))
    store.delete("acme", "birds", 1)
    assert files_of(store, "clips") == sorted(f"{digest(sound(n))}.audio" for n in (2, 3))
    check_sound(store, "acme", "birds")
    store.delete("acme", "birds")
    assert files_of(store, "clips") == files_of(store, "features") == []


def test_an_erased_clip_stays_named_and_is_gone(place):
    store, clip = place(), digest(sound(1))
    ref = publish(store, taught(1, 2))
    store.erase_clips("acme", "birds", [clip])
    kept, listed = place().kept(ref), place().clips(ref)
    assert clip in listed.ids and kept.presence().erased == {clip}
    assert kept.features(listed, MODEL).keys() == {digest(sound(2))}
    with pytest.raises(ClipNotFound):
        kept.audio(clip)
    tree = store._files.tree("acme/birds")
    assert not any(sound(1) in (store._files.read(f"acme/birds/{path}") or b"") for path in tree)
    check_sound(store, "acme", "birds")
    again = publish(store, taught(1, keep="features"))
    assert not kept.presence().erased and kept.features(store.clips(again), MODEL).keys() == {clip}
    publish(store, taught(1))
    assert kept.audio(clip) == sound(1)


def test_an_erased_clip_does_not_come_back_with_a_publication_under_way(store):
    first = publish(store, taught(1))
    base = store.clips(first)
    kept = store.kept(first)
    listed = kept.put(taught(2, base=base))
    store.erase_clips("acme", "birds", [digest(sound(1))])
    # What was merged before the erasure is written after it.
    store._files.write_many({f"{kept.packs}/{n}": _pack_with(1, 2) for n in listed.packs[MODEL]})
    kept.confirm(listed)
    assert kept.features(listed, MODEL).keys() == {digest(sound(2))}


def _pack_with(*numbers):
    from adapters_store.feature_packs import Pack

    return Pack(MODEL, {digest(sound(n)): b"heard " + sound(n) for n in numbers}).to_bytes()


def test_a_version_whose_base_was_deleted_meanwhile_does_not_come_to_be(store, monkeypatch):
    first = publish(store, taught(1))
    going_on = taught(2, base=store.clips(first))
    store.delete("acme", "birds", 1)
    with pytest.raises(ClipsGone):
        publish(store, going_on)
    assert store.versions("acme", "birds") == []
    monkeypatch.setattr(sweep, "GRACE_S", 0.0)
    store.sweep()
    assert not strays(store, "acme", "birds")


def test_a_deletion_leaves_clips_that_a_publication_under_way_may_need(store, monkeypatch):
    first = publish(store, taught(1))
    assert store._claim_number("acme", "birds") == 2
    kept = store.kept(first)
    listed = kept.put(taught(2))
    store.delete("acme", "birds", 1)
    assert store.sweep() == 0
    kept.confirm(listed)
    monkeypatch.setattr(sweep, "GRACE_S", -1.0)
    assert store.sweep() > 0
    assert files_of(store, "clips") == []


def test_a_sweep_finishes_an_erasure_that_was_cut_off(store):
    ref = publish(store, taught(1, 2))
    clip = digest(sound(1))
    store._files.write(f"acme/birds/versions-clips/{clip}.erased", b"")
    store.sweep()
    assert store.kept(ref).presence().erased == {clip}
    assert clip not in store.kept(ref).features(store.clips(ref), MODEL)


def test_a_sweep_knows_tenants_with_capitals(store, monkeypatch):
    monkeypatch.setattr(sweep, "GRACE_S", -1.0)
    store.publish("ACme", "birds", b"adapter", {}, taught=taught(1))
    store._files.write(f"=a=cme/birds/versions-clips/{'0' * 64}.audio", b"stray")
    assert store.sweep() == 1
    check_sound(store, "ACme", "birds")


def test_usage_counts_what_is_there(store):
    assert store.usage("acme").num_adapters == 0
    listed = store.clips(publish(store, taught(1, 2)))
    before = store.usage("acme")
    publish(store, taught(base=listed))
    publish(store, taught(3), name="owls")
    usage = store.usage("acme")
    assert usage.versions == {"birds": 2, "owls": 1}
    assert 2 * len(sound(1)) < before.stored_bytes < usage.stored_bytes < before.stored_bytes + 3 * len(sound(1)) + 3000
    assert store.usage("umbrella").stored_bytes == 0


def test_a_version_without_clips_goes_on_as_before(store):
    ref = store.publish("acme", "birds", b"adapter", {})
    assert store.clips(ref) is None
    assert Taught.as_before(None) is None
    listed = store.clips(publish(store, taught(1)))
    again = publish(store, Taught.as_before(listed))
    assert store.clips(again) == listed


@pytest.mark.parametrize("data", [b"", b"{", b"\x1f\x8b"])
def test_a_damaged_list_or_pack_is_named_as_such(store, data):
    ref = publish(store, taught(1))
    listed = store.clips(ref)
    store._files.write(f"acme/birds/versions-features/{listed.packs[MODEL][0]}", data)
    with pytest.raises(AdapterCorrupt, match="birds"):
        store.kept(ref).features(listed, MODEL)
    store._files.write("acme/birds/versions/000001.clips", data)
    with pytest.raises(AdapterCorrupt, match="birds@1"):
        store.clips(ref)


def test_a_list_survives_its_bytes():
    clip = TaughtClip("a" * 64, "Zaunkönig", False, "w.wav", 1.5, 7, {"label": "wren", "score": 0.5}, "c", True)
    listed = ClipList("audio", (clip,), {MODEL: ("x.pack",)}, {"c": (1.5, -2.0)})
    assert ClipList.from_bytes(listed.to_bytes(), "it") == listed


@pytest.mark.parametrize(("kind", "num_kills"), [("directory", 25), ("s3", 4)])
def test_killed_at_any_step_no_version_lacks_clips_and_no_clip_its_version(
    kind, num_kills, tmp_path, request, monkeypatch
):
    """`python -m benchmarks.faults.publishing` does it to real workers and APIs, many times more."""
    url = str(tmp_path / "store") if kind == "directory" else request.getfixturevalue("s3_url")
    monkeypatch.setattr(sweep, "GRACE_S", -1.0)
    crashes = Crashes(url, random.Random(1))
    for _ in range(num_kills):
        crashes.crash()
    assert crashes.num_killed > num_kills / 2 and crashes.num_versions > 1
    assert (crashes.num_lacking, crashes.num_strays, crashes.num_miscounted) == (0, 0, 0)


def test_a_lock_that_another_holds_for_ever_is_given_up(tmp_path, monkeypatch):
    from adapters_store import open_store

    monkeypatch.setattr(local_files, "LOCK_TIMEOUT_S", 0.2)
    store, is_held, is_over = open_store(tmp_path), threading.Event(), threading.Event()

    def hold():
        with open_store(tmp_path)._files.lock("acme/birds"):
            is_held.set()
            is_over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    is_held.wait()
    with pytest.raises(StoreUnavailable, match="holds"):
        store.publish("acme", "birds", b"adapter", {})
    is_over.set()
    holder.join()
    assert store.publish("acme", "birds", b"adapter", {}).version == 1


def test_a_page_of_adapters_takes_four_rounds_of_reads(store, monkeypatch):
    for number in range(5):
        store.publish("acme", f"a{number}", b"adapter", {"labels": ["x"]})
    store.publish("acme", "a1", b"adapter", {"promoted": {"current": False, "reason": "no"}}, takes_over=False)
    store._files.write("acme/a2/current", b"{")
    calls = []
    for name in ("read", "read_many", "children", "children_many"):
        monkeypatch.setattr(store._files, name, _counting(calls, name, getattr(store._files, name)))
    entries, following = store.page("acme", limit=4)
    assert calls[:1] == ["children"] and calls.count("read_many") == 2 and calls.count("children_many") == 1
    assert following == "a3" and [entry.name for entry in entries] == ["a0", "a1", "a2", "a3"]
    assert entries[1].versions == (1, 2) and entries[1].manifests.keys() == {1, 2}
    assert entries[2].fault and entries[2].versions == (1,)
    assert entries[0].current == store.resolve("acme", "a0")


def _counting(calls, name, call):
    def counted(*arguments):
        calls.append(name)
        return call(*arguments)

    return counted


def test_kept_clips_are_those_of_one_adapter(store):
    publish(store, taught(1))
    assert KeptClips(store._files, "acme", "owls").presence().audio == frozenset()
