"""The files of an adapter's clips: written, read, erased, and swept where no version names them any more."""

import hashlib
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from adapters_store.clips import ClipList, Taught
from adapters_store.errors import AdapterCorrupt, ClipNotFound, ClipsGone
from adapters_store.feature_packs import Pack
from adapters_store.files import Files
from adapters_store.names import DIGEST, LIST, Ref, adapter_directory, version_path

CLIPS, FEATURES = "versions-clips", "versions-features"
"""Names that come after `versions`: a copy in the order of names has no version whose clips it was too early for."""
AUDIO, ERASED, PACK = ".audio", ".erased", ".pack"
BATCH_BYTES = 16 * 2**20
"""So much of new clips is read and handed to the place at once."""
BATCH_CLIPS = 32


@dataclass(frozen=True)
class Presence:
    """Which clips of an adapter are there, by id; `erased` are those that somebody erased and nobody brought again."""

    audio: frozenset[str]
    erased: frozenset[str]


class KeptClips:
    """The clips of one adapter; the store's lock is its caller's to hold."""

    def __init__(self, files: Files, tenant: str, name: str):
        self._files = files
        self._tenant, self._name = tenant, name
        self.directory = adapter_directory(tenant, name)
        self.clips, self.packs = f"{self.directory}/{CLIPS}", f"{self.directory}/{FEATURES}"

    def put(self, taught: Taught) -> ClipList:
        """Write what is new of the clips, and return the list that the version is to have."""
        if taught.keep == "audio":
            for batch in self._batches(taught.audio):
                self._files.write_many({f"{self.clips}/{clip}{AUDIO}": data for clip, data in batch.items()})
        # Where audio is kept, features of a clip whose audio is gone bring back nothing of it.
        returned = {"audio": taught.audio.keys(), "features": taught.features.keys()}.get(taught.keep, set())
        if marked := returned & self._marked():
            self._files.remove_many([f"{self.clips}/{clip}{ERASED}" for clip in marked])
        clips = taught.listed(audio=[*taught.audio, *(taught.base.kept_ids if taught.base else ())])
        packs = self._put_features(taught) if taught.keep != "nothing" else {}
        used = {clip.channel for clip in clips}
        channels = {name: channel for name, channel in taught.channels.items() if name in used}
        return ClipList(taught.keep, clips, packs, channels)

    def confirm(self, listed: ClipList) -> ClipList:
        """Check right before the manifest that all is there that the list names, and nothing that was erased since.

        Raises ClipsGone where a deletion has taken some of it.
        """
        there = self.presence()
        if listed.kept_ids - there.audio - there.erased:
            raise ClipsGone(f"The clips of adapter {self._name!r} that it was to go on from were deleted meanwhile.")
        if names := listed.pack_names:
            if names - set(self._files.children(self.packs)):
                raise ClipsGone(f"The version of {self._name!r} that it was to go on from was deleted meanwhile.")
            if there.erased & listed.ids:
                self._strip(names, there.erased)
        return listed

    def presence(self) -> Presence:
        """Which clips are there."""
        children = self._files.children(self.clips)
        audio = _stems(children, AUDIO)
        return Presence(audio, _stems(children, ERASED) - audio)

    def audio(self, clip: str) -> bytes:
        """The bytes of a clip.

        Raises:
            ClipNotFound: they were never kept, or were erased.
            AdapterCorrupt: what is stored is not that clip.
        """
        data = self._files.read(f"{self.clips}/{clip}{AUDIO}")
        if data is None:
            raise ClipNotFound(f"The audio of clip {clip} is not there: it was not kept, or was erased.")
        if hashlib.sha256(data).hexdigest() != clip:
            raise AdapterCorrupt(f"The stored audio of clip {clip} is damaged: its digest is another.")
        return data

    def features(self, listed: ClipList, fingerprint: str) -> dict[str, bytes]:
        """What a base model hears of a version's clips, by id, as far as it is kept."""
        names = listed.packs.get(fingerprint, ())
        rows = {clip: data for pack in self._read_packs(names).values() for clip, data in pack.rows.items()}
        return {clip: rows[clip] for clip in (listed.ids & rows.keys()) - (self.presence().erased if rows else set())}

    def erase(self, ids: Iterable[str]) -> None:
        """Erase the bytes and the features of clips; the lists go on naming them."""
        ids = frozenset(ids)
        # The mark comes first: a sweep goes on from it where this is cut off.
        self._files.write_many({f"{self.clips}/{clip}{ERASED}": b"" for clip in ids})
        self._finish_erasing(ids)

    def lists(self, versions: Iterable[int]) -> dict[int, ClipList]:
        """The lists of those versions that have one; one at a time would be a read each."""
        paths = {version_path(self._tenant, self._name, number) + LIST: number for number in versions}
        return {
            paths[path]: ClipList.from_bytes(data, f"The list of clips of {self._name}@{paths[path]}")
            for path, data in self._files.read_many(paths).items()
        }

    def list_of(self, ref: Ref) -> ClipList | None:
        """What a version was taught with; None where that was not kept, as of an imported one."""
        return self.lists([ref.version]).get(ref.version)

    def drop_unused(self, lists: Iterable[ClipList]) -> list[str]:
        """Remove the clips and packs that none of these lists, which are those of all versions, names."""
        lists = list(lists)
        audio = frozenset().union(*(listed.kept_ids for listed in lists))
        named = frozenset().union(*(listed.ids for listed in lists))
        packs = frozenset().union(*(listed.pack_names for listed in lists))
        children = self._files.children_many([self.clips, self.packs])
        doomed = []
        for child in children[self.clips]:
            if ((stem := _stem(child, AUDIO)) and stem not in audio) or (
                (stem := _stem(child, ERASED)) and stem not in named
            ):
                doomed.append(f"{self.clips}/{child}")
        doomed += [f"{self.packs}/{child}" for child in children[self.packs] if child not in packs]
        self._files.remove_many(doomed)
        return doomed

    def finish_erasing(self, unfinished: Iterable[str]) -> None:
        """Finish what `erase` left when it was cut off."""
        if ids := frozenset(unfinished):
            self._finish_erasing(ids)

    def _finish_erasing(self, ids: frozenset[str]) -> None:
        self._files.remove_many([f"{self.clips}/{clip}{AUDIO}" for clip in ids])
        self._strip(self._files.children(self.packs), ids)
        self._files.write_many({f"{self.clips}/{clip}{ERASED}": b"done" for clip in ids})

    def _strip(self, names: Iterable[str], ids: frozenset[str]) -> None:
        """Take the rows of these clips out of packs."""
        for name, pack in self._read_packs(names).items():
            if ids & pack.rows.keys():
                self._files.write(f"{self.packs}/{name}", pack.without(ids).to_bytes())

    def _put_features(self, taught: Taught) -> Mapping[str, tuple[str, ...]]:
        packs = dict(taught.base.packs) if taught.base else {}
        ids = frozenset(clip.id for clip in taught.clips)
        rows = {clip: data for clip, data in taught.features.items() if clip in ids}
        if rows:
            names = list(packs.get(taught.fingerprint, ()))
            while names:
                last = next(iter(self._read_packs(names[-1:]).values()), Pack(taught.fingerprint, {}))
                if len(last.rows) > len(rows):
                    break
                rows = {clip: data for clip, data in last.rows.items() if clip in ids} | rows
                names.pop()
            name = f"{taught.fingerprint[:32]}-{uuid.uuid4().hex}{PACK}"
            self._files.write(f"{self.packs}/{name}", Pack(taught.fingerprint, rows).to_bytes())
            packs[taught.fingerprint] = (*names, name)
        return packs

    def _marked(self) -> frozenset[str]:
        """The clips with a mark that they were erased, or were to be."""
        return _stems(self._files.children(self.clips), ERASED)

    def _read_packs(self, names: Iterable[str]) -> dict[str, Pack]:
        paths = {f"{self.packs}/{name}": name for name in names}
        found = self._files.read_many(paths)
        return {
            name: Pack.from_bytes(found[path], f"The pack {name} of {self._name!r}")
            for path, name in paths.items()
            if path in found
        }

    def _batches(self, audio: Mapping) -> Iterator[dict[str, bytes]]:
        batch: dict[str, bytes] = {}
        for clip, read in audio.items():
            batch[clip] = read()
            if len(batch) >= BATCH_CLIPS or sum(map(len, batch.values())) > BATCH_BYTES:
                yield batch
                batch = {}
        if batch:
            yield batch


def _stems(children: Iterable[str], suffix: str) -> frozenset[str]:
    return frozenset(stem for child in children if (stem := _stem(child, suffix)))


def _stem(child: str, suffix: str) -> str | None:
    stem = child.removesuffix(suffix)
    return stem if stem != child and DIGEST.fullmatch(stem) else None
