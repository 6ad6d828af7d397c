"""What the two sides of a split share: paths, the very bytes, recordings by name; and who is heard on both sides."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from benchmarks.protocol.facts import FACTS, UNKNOWN, named_by
from benchmarks.protocol.layout import AudioSet, ListedClip, Split

TAIL_BYTES = 4096


@dataclass(frozen=True)
class Overlap:
    """Test clips of a split that the train list holds too.

    Attributes:
        paths, contents, recordings: test clips whose path, bytes or recording the train list has; `shared`: any of it.
        unnamed: test clips whose file name does not tell the recording, where the set's names should.
        performers: test clips whose actor, speaker or instrument is in the train list.
    """

    num_train: int
    num_test: int
    paths: int
    contents: int
    recordings: int
    shared: int
    unnamed: int
    performers: int

    def flags(self, name: str) -> list[str]:
        """Return what has to be said of it, in words."""
        facts, told = FACTS.get(name, UNKNOWN), []
        if self.shared:
            told.append(
                f"{self.shared} of {self.num_test} test clips are in the train list too: {self.paths} by path, "
                f"{self.contents} by content, {self.recordings} by recording"
            )
        if self.num_train == self.num_test:
            told.append(f"the test list is as long as the train list ({self.num_test})")
        if self.unnamed:
            told.append(f"{self.unnamed} file names do not tell the recording")
        if self.performers:
            told.append(f"{facts.performers} on both sides: {self.performers} of {self.num_test} test clips")
        return told


class SharedClips:
    """Tells which clips of a set are the same sound: one path, the same bytes, or cuts of one recording."""

    def __init__(self, audio_set: AudioSet, *, tell: Callable[[str], None] = lambda text: None) -> None:
        self.name = audio_set.name
        facts = FACTS.get(audio_set.name, UNKNOWN)
        self._recording, self._performer = facts.recording, facts.performer
        paths = {clip.path for split in audio_set.splits for clip in (*split.train, *split.test)}
        self._contents = repeated_contents(audio_set.folder, sorted(paths), tell=tell)

    def shared(self, test: Sequence[ListedClip], taught: Iterable[ListedClip]) -> list[bool]:
        """Say of each test clip whether it is the same sound as one that is taught."""
        known = {key for clip in taught for key in self._keys(clip.path)}
        return [not known.isdisjoint(self._keys(clip.path)) for clip in test]

    def overlap(self, split: Split) -> Overlap:
        """Return what the lists of a split share."""
        train = [clip.path for clip in split.train]
        test = [clip.path for clip in split.test]

        def count(of: Callable[[str], str | None]) -> int:
            known = {of(path) for path in train} - {None}
            return sum(of(path) in known for path in test)

        return Overlap(
            num_train=len(train),
            num_test=len(test),
            paths=count(lambda path: path),
            contents=count(lambda path: self._contents.get(path, path)),
            recordings=count(lambda path: named_by(self._recording, path)),
            shared=sum(self.shared(split.test, split.train)),
            unnamed=sum(named_by(self._recording, path) is None for path in test) if self._recording else 0,
            performers=count(lambda path: named_by(self._performer, path)),
        )

    def _keys(self, path: str) -> list[tuple[str, str]]:
        keys = [("path", path)]
        if path in self._contents:
            keys.append(("content", self._contents[path]))
        if (recording := named_by(self._recording, path)) is not None:
            keys.append(("recording", recording))
        return keys


def repeated_contents(folder: Path, paths: Sequence[str], *, tell: Callable[[str], None]) -> Mapping[str, str]:
    """Return the digest of each file whose bytes another path has too.

    Only files of equal length and equal last bytes are read whole: sets of many gigabytes have few of them.
    """
    alike: dict[tuple[int, bytes], list[str]] = defaultdict(list)
    for number, path in enumerate(paths):
        if number % 1000 == 999:
            tell(f"{number + 1} of {len(paths)} files looked at")
        with (folder / path).open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - TAIL_BYTES))
            alike[size, sha256(file.read()).digest()].append(path)
    digests: dict[str, str] = {}
    for group in alike.values():
        if len(group) < 2:
            continue
        for path in group:
            digests[path] = sha256((folder / path).read_bytes()).hexdigest()
    counts: dict[str, int] = defaultdict(int)
    for digest in digests.values():
        counts[digest] += 1
    return {path: digest for path, digest in digests.items() if counts[digest] > 1}
