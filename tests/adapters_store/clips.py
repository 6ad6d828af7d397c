"""Clips to publish adapters with, and what must hold of them in a store whatever happened."""

import hashlib

from adapters_store import AdapterStore, ClipList, Taught, TaughtClip
from adapters_store.kept_clips import CLIPS, ERASED, FEATURES, KeptClips
from adapters_store.names import LIST, version_path

MODEL = "f" * 64


def sound(number: int) -> bytes:
    return b"sound %d" % number * 100


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def taught(*numbers: int, keep: str = "audio", base: ClipList | None = None) -> Taught:
    """Clips of these numbers, those of `base` before them."""
    new = {digest(sound(number)): sound(number) for number in numbers}
    clips = [
        TaughtClip(clip, f"label {number % 2}", file=f"{number}.wav", size_bytes=len(data))
        for number, (clip, data) in zip(numbers, new.items(), strict=True)
    ]
    return Taught(
        keep,
        (*(base.clips if base else ()), *clips),
        audio={clip: (lambda data=data: data) for clip, data in new.items()},
        fingerprint=MODEL,
        features={clip: b"heard " + data for clip, data in new.items()},
        base=base,
    )


def check_sound(store: AdapterStore, tenant: str, name: str, *, model: str | None = MODEL) -> None:
    """Every version has its file, its clips and their features; those that were erased alone may be missing.

    Args:
        model: what heard them; None of any.
    """
    for number in store.versions(tenant, name):
        ref = store.resolve(tenant, f"{name}@{number}")
        store.read(ref)
        kept, listed = store.kept(ref), store.clips(ref)
        if listed is None:
            continue
        there = kept.presence()
        for clip in listed.kept_ids - there.erased:
            kept.audio(clip)
        models = listed.packs if model is None else [model]
        heard = frozenset().union(*(kept.features(listed, each).keys() for each in models))
        assert listed.keep == "nothing" or listed.ids <= there.audio | there.erased | heard
        assert len(kept._read_packs(listed.pack_names)) == len(listed.pack_names)


def strays(store: AdapterStore, tenant: str, name: str) -> list[str]:
    """Files of clips and versions that no version names, and packs with features of clips that were erased."""
    directory = f"{tenant}/{name}"
    lists = [
        listed for n in store.versions(tenant, name) if (listed := store.clips(store.resolve(tenant, f"{name}@{n}")))
    ]
    named = {f"{clip}.audio" for listed in lists for clip in listed.kept_ids}
    named |= {f"{clip}{ERASED}" for listed in lists for clip in listed.ids}
    packs = {pack for listed in lists for pack in listed.pack_names}
    tree = store._files.tree(directory)
    versions = {version_path(tenant, name, n).removeprefix(f"{directory}/") for n in store.versions(tenant, name)}
    named = {f"{CLIPS}/{file}" for file in named} | {f"{FEATURES}/{pack}" for pack in packs}
    found = [path for path in tree if path.startswith((f"{CLIPS}/", f"{FEATURES}/")) and path not in named]
    kept = KeptClips(store._files, tenant, name)
    erased = kept.presence().erased
    found += [pack for pack, read in kept._read_packs(packs).items() if erased & read.rows.keys()]
    for suffix in (LIST, ".safetensors"):
        found += [path for path in tree if path.endswith(suffix) and path.removesuffix(suffix) not in versions]
    return found
