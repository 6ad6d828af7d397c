import hashlib
import threading

import pytest

from adapters_store import AdapterCorrupt, AdapterNotFound, NameInvalid, Ref, StoreUnavailable, VersionNotFound
from adapters_store.names import version_path

DATA = b"an adapter's bytes"


def publish(store, tenant="acme", name="birds", data=DATA, **manifest) -> Ref:
    return store.publish(tenant, name, data, manifest)


def test_published_version_is_read_back_by_every_opening_of_the_store(place):
    ref = publish(place(), labels=["wren", "Zaunkönig"])
    other = place()
    assert other.resolve("acme", "birds") == ref == other.resolve("acme", "birds@1")
    assert (ref.version, ref.digest) == (1, hashlib.sha256(DATA).hexdigest())
    assert other.read(ref) == DATA
    manifest = other.manifest(ref)
    assert manifest.pop("created_at").endswith("Z")
    assert manifest == {"labels": ["wren", "Zaunkönig"], "version": 1, "digest": ref.digest, "size_bytes": len(DATA)}


def test_new_version_is_seen_at_once_by_another_opening(place):
    writer, reader = place(), place()
    publish(writer)
    assert reader.resolve("acme", "birds").version == 1
    second = publish(writer, data=b"better")
    assert reader.resolve("acme", "birds") == second
    assert reader.read(second) == b"better"
    assert reader.read(reader.resolve("acme", "birds@1")) == DATA
    assert reader.versions("acme", "birds") == [1, 2]


def test_an_empty_file_and_a_large_one(store):
    large = bytes(range(256)) * 4096 * 4
    assert store.read(publish(store, data=b"")) == b""
    assert store.read(publish(store, data=large)) == large


def test_tenants_do_not_see_each_other(store):
    publish(store, tenant="acme")
    for other in ("Acme", "ACME", "acme2", "umbrella"):
        with pytest.raises(AdapterNotFound):
            store.resolve(other, "birds")
        with pytest.raises(AdapterNotFound):
            store.delete(other, "birds")
        assert store.names(other) == ([], None)
    mine = publish(store, tenant="Acme", data=b"another's")
    assert mine.version == 1
    assert store.read(store.resolve("acme", "birds")) == DATA


@pytest.mark.parametrize("reference", ["birds", "birds@1"])
def test_unknown_adapter(store, reference):
    with pytest.raises(AdapterNotFound) as caught:
        store.resolve("acme", reference)
    assert caught.value.code == "adapter_not_found"
    assert store.versions("acme", "birds") == []
    assert store.current("acme", "birds") is None


def test_unknown_version(store):
    publish(store)
    for call in (
        lambda: store.resolve("acme", "birds@2"),
        lambda: store.set_current("acme", "birds", 2),
        lambda: store.delete("acme", "birds", 2),
    ):
        with pytest.raises(VersionNotFound):
            call()
    assert store.current("acme", "birds") == 1


def test_roll_back_and_promote(place):
    store = place()
    first, second = publish(store), publish(store, data=b"worse")
    assert store.set_current("acme", "birds", 1) == first
    assert place().resolve("acme", "birds") == first
    assert place().resolve("acme", "birds@2") == second
    third = publish(store)
    assert store.current("acme", "birds") == third.version == 3


def test_delete_of_the_current_version_falls_back_to_the_highest_left(store):
    refs = [publish(store, data=bytes([number])) for number in range(3)]
    store.delete("acme", "birds", 3)
    assert store.resolve("acme", "birds") == refs[1]
    store.delete("acme", "birds", 1)
    assert store.resolve("acme", "birds") == refs[1]
    store.delete("acme", "birds", 2)
    assert store.names("acme") == ([], None)
    with pytest.raises(AdapterNotFound):
        store.resolve("acme", "birds")
    with pytest.raises(AdapterNotFound):
        store.read(refs[2])
    with pytest.raises(AdapterNotFound):
        store.manifest(refs[2])


def test_numbers_are_not_reused_after_delete(place):
    store = place()
    publish(store), publish(store)
    store.delete("acme", "birds", 2)
    assert publish(place()).version == 3
    store.delete("acme", "birds")
    assert store.versions("acme", "birds") == []
    with pytest.raises(AdapterNotFound):
        store.delete("acme", "birds")
    assert publish(place()).version == 4
    assert place().names("acme") == (["birds"], None)


def test_delete_leaves_other_adapters_alone(store):
    kept = publish(store, name="birds-2")
    publish(store, name="birds")
    store.delete("acme", "birds")
    assert store.read(store.resolve("acme", "birds-2")) == DATA
    assert store.read(kept) == DATA


def test_names_are_paged_in_order(store):
    expected = sorted(f"a{number}" for number in range(7))
    for name in reversed(expected):
        publish(store, name=name)
    publish(store, name="a3-gone")
    store.delete("acme", "a3-gone")
    pages, after = [], None
    while True:
        page, after = store.names("acme", limit=3, after=after)
        pages.append(page)
        if after is None:
            break
    assert [len(page) for page in pages] == [3, 3, 1]
    assert [name for page in pages for name in page] == expected
    assert store.names("acme", limit=7) == (expected, None)
    with pytest.raises(ValueError, match="limit"):
        store.names("acme", limit=0)


def test_crash_between_data_and_manifest_leaves_nothing_visible(place, monkeypatch):
    store = place()
    publish(store)
    write = store._files.write

    def crashing_write(path, data):
        if path.endswith(".json"):
            raise KeyboardInterrupt
        write(path, data)

    monkeypatch.setattr(store._files, "write", crashing_write)
    with pytest.raises(KeyboardInterrupt):
        publish(store, data=b"half")
    after = place()
    assert after.versions("acme", "birds") == [1]
    assert after.current("acme", "birds") == 1
    with pytest.raises(AdapterNotFound):
        after.resolve("acme", "birds@2")
    assert publish(after).version == 3


def test_first_publish_that_crashes_makes_no_adapter(place, monkeypatch):
    store = place()
    monkeypatch.setattr(store._files, "write", lambda path, data: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        publish(store)
    assert place().names("acme") == ([], None)
    with pytest.raises(AdapterNotFound):
        place().delete("acme", "birds")


def test_a_failed_publish_leaves_the_old_version_and_no_data(place, monkeypatch):
    store = place()
    first = publish(store)
    write = store._files.write

    def failing_write(path, data):
        if path.endswith(".json"):
            raise StoreUnavailable("gone")
        write(path, data)

    monkeypatch.setattr(store._files, "write", failing_write)
    with pytest.raises(StoreUnavailable):
        publish(store, data=b"half")
    assert place().resolve("acme", "birds") == first
    assert place()._files.read(version_path("acme", "birds", 2) + ".safetensors") is None


@pytest.mark.parametrize("can_remove", [True, False])
def test_a_manifest_that_was_written_after_all_never_stands_alone(place, monkeypatch, can_remove):
    store = place()
    first, write = publish(store), store._files.write

    def unconfirmed_write(path, data):
        write(path, data)
        if path.endswith(".json"):
            raise StoreUnavailable("no answer")

    remove = store._files.remove

    def failing_remove(path):
        if path.endswith(".json"):
            raise StoreUnavailable("no answer")
        remove(path)

    monkeypatch.setattr(store._files, "write", unconfirmed_write)
    if not can_remove:
        monkeypatch.setattr(store._files, "remove", failing_remove)
    with pytest.raises(StoreUnavailable):
        publish(store, data=b"second")
    after = place()
    assert after.resolve("acme", "birds") == first
    readable = [after.read(after.resolve("acme", f"birds@{number}")) for number in after.versions("acme", "birds")]
    assert readable == ([DATA] if can_remove else [DATA, b"second"])


def test_damaged_data_is_found_at_read(store):
    ref = publish(store)
    store._files.write(version_path("acme", "birds", 1) + ".safetensors", DATA[:-1])
    with pytest.raises(AdapterCorrupt) as caught:
        store.read(ref)
    assert caught.value.code == "adapter_corrupt"


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"version": 0}', b'{"version": 1, "digest": "../.."}', b"\xff"])
def test_damaged_pointer_and_manifest_are_named_as_such(store, damage):
    ref = publish(store)
    store._files.write("acme/birds/current", damage)
    with pytest.raises(AdapterCorrupt, match="birds"):
        store.resolve("acme", "birds")
    assert store.resolve("acme", "birds@1") == ref
    store._files.write(version_path("acme", "birds", 1) + ".json", damage)
    with pytest.raises(AdapterCorrupt, match="birds"):
        store.resolve("acme", "birds@1")


@pytest.mark.parametrize(
    ("heal", "current"),
    [
        (lambda store: publish(store), 3),
        (lambda store: store.set_current("acme", "birds", 1), 1),
        (lambda store: store.delete("acme", "birds", 1), 2),
        (lambda store: store.delete("acme", "birds"), None),
    ],
    ids=["publish", "set_current", "delete a version", "delete all"],
)
def test_a_damaged_pointer_is_healed_by_whatever_sets_it(store, heal, current):
    publish(store), publish(store)
    store._files.write("acme/birds/current", b"{")
    heal(store)
    assert store.current("acme", "birds") == current


def test_a_damaged_pointer_to_nothing_can_be_deleted(store):
    publish(store)
    store.delete("acme", "birds")
    store._files.write("acme/birds/current", b"{")
    store.delete("acme", "birds")
    assert store.names("acme") == ([], None)


@pytest.mark.parametrize("reference", ["../birds", "birds/../../x", "", ".", "..", "/etc", "birds@../1", "Birds"])
def test_references_that_are_not_names_are_refused(store, reference):
    publish(store)
    for call in (
        lambda: store.resolve("acme", reference),
        lambda: store.publish("acme", reference, DATA, {}),
        lambda: store.delete("acme", reference),
        lambda: store.versions("acme", reference),
        lambda: store.set_current("acme", reference, 1),
        lambda: store.current("acme", reference),
    ):
        with pytest.raises(NameInvalid) as caught:
            call()
        assert caught.value.code == "adapter_name_invalid"
    assert store.names("acme") == (["birds"], None)


@pytest.mark.parametrize("tenant", ["", "..", "a/b", "a\\b", "a\n", "a b", "ä", "x" * 65, None])
def test_tenants_that_are_not_path_safe_are_refused(store, tenant):
    for call in (
        lambda: store.resolve(tenant, "birds"),
        lambda: store.publish(tenant, "birds", DATA, {}),
        lambda: store.names(tenant),
        lambda: store.delete(tenant, "birds"),
    ):
        with pytest.raises(NameInvalid):
            call()


def test_a_manifest_that_is_not_json_stores_nothing(store):
    with pytest.raises(ValueError, match="JSON"):
        publish(store, loss=float("nan"))
    assert store.names("acme") == ([], None)


def test_resolve_lists_nothing(store, monkeypatch):
    ref = publish(store)
    for name in ("children", "read_many", "lock", "write"):
        monkeypatch.setattr(store._files, name, lambda *_: pytest.fail("more than a read on the hot path"))
    assert store.resolve("acme", "birds") == ref
    assert store.resolve("acme", "birds@1") == ref
    assert store.read(ref) == DATA


def test_concurrent_threads_get_distinct_versions_and_readers_see_whole_ones(place):
    store = place()
    publish(store, data=b"0" * 10_000)
    versions, faults, stop = [], [], threading.Event()

    def write(writer):
        mine = place()
        versions.extend(publish(mine, data=b"%d" % writer * 10_000).version for _ in range(4))

    def read():
        mine = place()
        while not stop.is_set():
            data = mine.read(mine.resolve("acme", "birds"))
            if len(data) != 10_000 or len(set(data)) != 1:
                faults.append(data)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write, args=(number,)) for number in range(1, 5)]
    reader.start()
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    stop.set()
    reader.join()
    assert sorted(versions) == list(range(2, 18))
    assert store.versions("acme", "birds") == list(range(1, 18))
    assert not faults


def test_a_claim_is_given_once(place):
    claims = [place()._files.claim("acme/birds/versions/000001.claim") for _ in range(3)]
    assert claims == [True, False, False]


def test_a_request_during_a_deletion_finds_a_whole_version(place, monkeypatch):
    store, reader = place(), place()
    first, second = publish(store), publish(store, data=b"newer")
    remove, seen = store._files.remove, []

    def watched_remove(path):
        remove(path)
        seen.append(reader.read(reader.resolve("acme", "birds")))

    monkeypatch.setattr(store._files, "remove", watched_remove)
    store.delete("acme", "birds", second.version)
    assert len(seen) >= 2 and set(seen) == {DATA}
    assert reader.resolve("acme", "birds") == first


def test_check_leaves_nothing(store):
    store.check()
    assert store.names("acme") == ([], None)
    publish(store)
    store.check()
    assert store.names("acme") == (["birds"], None)


def test_a_version_may_stand_by_but_not_the_first(store):
    first = store.publish("acme", "birds", DATA, {}, takes_over=False)
    assert store.resolve("acme", "birds") == first
    second = store.publish("acme", "birds", b"worse", {}, takes_over=False)
    assert store.resolve("acme", "birds") == first
    assert store.versions("acme", "birds") == [1, 2]
    assert store.resolve("acme", "birds@2") == second
    assert store.set_current("acme", "birds", 2) == second
    assert publish(store).version == 3 == store.current("acme", "birds")
