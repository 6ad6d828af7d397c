"""`python -m worker rebase --model NEW`: every adapter fitted on another base model, while the old one serves.

What is made is ready for the new model and means nothing to the old: the API is switched afterwards, and no bare name
is without a version in between. Whatever cuts it off, the next run goes on with what is not ready yet.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TextIO

from adapters_store import AdapterStore, ClipList, Ref
from adapters_store.errors import AdapterNotFound, StoreError
from aspl.adapter_info import read_channel
from aspl.errors import AsplError
from aspl.fitting.config import OPTIONS
from jobs.errors import JobsError
from jobs.manifest import adapter_manifest
from worker.lesson import Lesson, LessonClip, Trained
from worker.promotion import Comparison, compared

BAR_WIDTH = 24
NOT_KEPT = "its clips were not kept: teach it again with EARSHOT_KEEP=audio, or delete it"


class Fitter(Protocol):
    """What fits on the new model; see worker.clap_trainer.ClapTrainer."""

    @property
    def fingerprint(self) -> str: ...

    @property
    def mel_bins(self) -> int: ...

    def train(self, lesson: Lesson, training: dict[str, Any], **options: Any) -> Trained: ...


@dataclass(frozen=True)
class Moved:
    """What became of one adapter: `ref` of what is ready for the new model, or why there is none.

    Attributes:
        num_missing: of its clips, those that were not kept.
        notes: what is to be known of its thresholds and its channel.
    """

    tenant: str
    source: str
    ref: Ref | None = None
    reason: str = ""
    comparison: Comparison | None = None
    num_missing: int = 0
    notes: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """For the operator."""
        if self.ref is None:
            return f"{self.tenant}/{self.source}: cannot be moved: {self.reason}"
        told = [self.reason or f"version {self.ref.version} is ready"]
        if self.num_missing:
            told.append(f"{self.num_missing} of its clips are not kept and were left out")
        told += self.notes
        if self.comparison:
            told.append(("WORSE: " if self.comparison.is_worse else "") + self.comparison.sentence)
        return f"{self.tenant}/{self.source}: {'; '.join(told)}"


class CannotMove(Exception):
    """An adapter that cannot be fitted on another model; the message says why."""


class Rebase:
    """Moves the adapters of a store, one after the other.

    Args:
        store: as no base model in particular sees it.
        on_progress: takes the fit's own progress.
    """

    def __init__(self, store: AdapterStore, fitter: Fitter, *, on_progress: Callable[[Any], None] = lambda _: None):
        self._store = store
        self._fitter = fitter
        self._on_progress = on_progress

    def adapters(self, tenants: Sequence[str] = ()) -> list[tuple[str, str]]:
        """Tenant and name of every adapter of these tenants, or of all."""
        return [(tenant, name) for tenant in tenants or self._store.tenants() for name in self._names(tenant)]

    def move(self, tenant: str, name: str) -> Moved:
        """Fit one adapter's current version on the new model and make it ready, or say why not or why it is already."""
        source = name
        try:
            ref = self._store.resolve(tenant, name)
            source, manifest = str(ref), self._store.manifest(ref)
            if manifest.get("fingerprint") == self._fitter.fingerprint:
                return Moved(tenant, source, ref, "it is of this model already")
            if ready := self._ready(ref):
                self._store.make_ready(ready, self._fitter.fingerprint)
                return Moved(tenant, source, ready, f"version {ready.version} was ready before")
            return self._fit(ref, manifest)
        except CannotMove as error:
            return Moved(tenant, source, reason=str(error))
        except AdapterNotFound:
            return Moved(tenant, source, reason="it was deleted meanwhile")
        except (StoreError, JobsError, AsplError) as error:
            return Moved(tenant, source, reason=f"{error} ({error.code})")

    def _names(self, tenant: str) -> Iterator[str]:
        after = None
        while True:
            names, after = self._store.names(tenant, after=after)
            yield from names
            if after is None:
                return

    def _ready(self, source: Ref) -> Ref | None:
        """What an earlier run made of this version, also where it was cut off before it said so."""
        for number in reversed(self._store.versions(source.tenant, source.name)):
            if number <= source.version:
                return None
            ref = self._store.resolve(source.tenant, f"{source.name}@{number}")
            if self._store.manifest(ref).get("rebased") == self._origin(source):
                return ref
        return None

    def _origin(self, source: Ref) -> dict[str, Any]:
        return {"version": source.version, "digest": source.digest, "fingerprint": self._fitter.fingerprint}

    def _fit(self, ref: Ref, manifest: dict[str, Any]) -> Moved:
        listed, before = self._store.clips(ref), self._store.read(ref)
        lesson, notes = self._lesson(ref, listed, before)
        training = {name: manifest[name] for name in OPTIONS if manifest.get(name) is not None}
        with tempfile.TemporaryDirectory() as directory:
            trained = self._fitter.train(
                lesson,
                training,
                on_progress=self._on_progress,
                should_cancel=lambda: False,
                checkpoint=Path(directory) / "checkpoint.safetensors",
                findings={},
            )
        notes += [trained.told] if trained.told else []
        taught = lesson.kept(trained)
        comparison = compared(self._store, ref, taught.clips)
        made = adapter_manifest(trained.header, description=manifest.get("description") or "")
        reason = "; ".join([f"it is version {ref.version} on another base model, for when that serves", *notes])
        made |= {"rebased": self._origin(ref), "promoted": {"current": False, "reason": reason}}
        new = self._store.publish(ref.tenant, ref.name, trained.data, made, takes_over=False, taught=taught)
        self._store.make_ready(new, self._fitter.fingerprint)
        missing = len(listed.clips) - len(lesson.clips)
        return Moved(ref.tenant, str(ref), new, comparison=comparison, num_missing=missing, notes=notes)

    def _lesson(self, ref: Ref, listed: ClipList | None, before: bytes) -> tuple[Lesson, list[str]]:
        """What is taught on the new model, and what is to be said of the channels; `before`: the version's file."""
        if listed is None or listed.keep != "audio":
            raise CannotMove(NOT_KEPT)
        kept = self._store.kept(ref)
        there = kept.presence().audio
        num_bins = self._fitter.mel_bins
        shifts = {name: shift for name, shift in listed.channels.items() if len(shift) == num_bins}
        clips = [
            LessonClip(
                row if row.channel in shifts else replace(row, channel=None),
                lambda clip=row.id: kept.audio(clip),
                shift=shifts.get(row.channel),
            )
            for row in listed.clips
            if row.id in there
        ]
        lost = {row.label for row in listed.clips} - {clip.row.label for clip in clips} - {None}
        if lost:
            raise CannotMove(f"no clip of {min(lost)!r} is kept any more; teach it again, or delete it")
        notes, channel = [], read_channel(before)
        if channel is not None and len(channel) != num_bins:
            notes.append(f"its channel is of {len(channel)} mel bins, the model of {num_bins}: recalibrate it again")
            channel = None
        if strange := sum(row.channel is not None and row.channel not in shifts for row in listed.clips):
            notes.append(f"clips that came through a channel and are taught as they came: {strange}")
        return Lesson(tuple(clips), listed.keep, shared=listed, channel=channel, before=before), notes


class Bar:
    """A line on a terminal that says how far it is; silent elsewhere."""

    def __init__(self, total: int, file: TextIO):
        self._total, self._file, self._done = total, file, 0
        self._is_shown = file.isatty()
        self.doing = ""

    def show(self, progress: Any = None) -> None:
        """Draw it; `progress` is the fit's."""
        if self._is_shown:
            filled = BAR_WIDTH * self._done // max(self._total, 1)
            phase = f" {progress.phase} {progress.epoch}/{progress.epochs}" if progress else ""
            bar = "#" * filled + "." * (BAR_WIDTH - filled)
            print(
                f"\r\x1b[K[{bar}] {self._done}/{self._total} {self.doing}{phase}", end="", file=self._file, flush=True
            )

    def step(self) -> None:
        """One adapter is done."""
        self._done += 1
        if self._is_shown:
            print("\r\x1b[K", end="", file=self._file)


def run(store: AdapterStore, fitter: Fitter, tenants: Sequence[str] = (), *, file: TextIO = sys.stderr) -> int:
    """Move all adapters and print what became of each; 1 where any cannot be moved."""
    rebase = Rebase(store, fitter, on_progress=lambda progress: bar.show(progress))
    adapters = rebase.adapters(tenants)
    bar = Bar(len(adapters), file)
    moved = []
    for tenant, name in adapters:
        bar.doing = f"{tenant}/{name}"
        bar.show()
        moved.append(rebase.move(tenant, name))
        bar.step()
        print(moved[-1].sentence, flush=True)
    ready = sum(each.ref is not None for each in moved)
    print(f"{ready} of {len(moved)} adapters are ready for model {fitter.fingerprint[:12]}")
    return int(ready < len(moved))
