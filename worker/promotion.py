"""Whether a new version takes over from the one that the bare name means."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from adapters_store import AdapterStore, Ref, TaughtClip
from adapters_store.errors import AdapterCorrupt, AdapterNotFound

WISHES = ("auto", "always", "never")


MAX_CLIPS_WORSE = 1
MAX_POINTS_WORSE = 3


@dataclass(frozen=True)
class Comparison:
    """How two versions did, held out, on the clips that both were taught with under the same label."""

    shared_clips: int
    correct_before: int
    correct_after: int

    @property
    def is_worse(self) -> bool:
        """Whether the later one is worse by more than one clip and more than three points."""
        lost = self.correct_before - self.correct_after
        return lost > MAX_CLIPS_WORSE and 100 * lost > MAX_POINTS_WORSE * self.shared_clips

    @property
    def sentence(self) -> str:
        return (
            f"of {self.shared_clips} clips that both were tested on it has {self.correct_after} right, "
            f"the current version {self.correct_before}"
        )


@dataclass(frozen=True)
class Promotion:
    """The decision, the sentence that the tenant reads, and what was compared, if anything was."""

    takes_over: bool
    reason: str
    comparison: Comparison | None = None

    def to_json(self) -> dict[str, Any]:
        """As the manifest and the job have it."""
        comparison = self.comparison and asdict(self.comparison)
        return {"current": self.takes_over, "reason": self.reason, "comparison": comparison}


def decide(
    store: AdapterStore,
    tenant: str,
    name: str,
    labels: Sequence[str],
    wish: str = "auto",
    *,
    clips: Sequence[TaughtClip] = (),
) -> Promotion:
    """Decide whether a version with these labels is to be the current one.

    Args:
        wish: "auto" lets it take over unless it lacks a label that the current version knows, or did worse on held-out
            clips that both have; "always"; "never".
        clips: what the version was taught with, and what it answered held out.
    """
    current = _current(store, tenant, name)
    if current is None:
        return Promotion(True, "it is the first version that the name can mean")
    ref, current_labels = current
    comparison = compared(store, ref, clips)
    if wish == "always":
        return Promotion(True, "it was asked to take over (promote=always)", comparison)
    if wish == "never":
        return Promotion(False, "it was asked to stand by (promote=never)", comparison)
    lacking = [label for label in current_labels if label not in set(labels)]
    if lacking:
        named = ", ".join(map(repr, lacking[:5])) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        reason = f"it does not know {named}, which the current version knows"
        return Promotion(False, reason, comparison)
    known = "it knows every label of the version before"
    if comparison is None:
        warning = "no clip was held out from both under the same label, so that they could not be compared"
        return Promotion(True, f"{known}; {warning}")
    if comparison.is_worse:
        return Promotion(False, f"it does worse: {comparison.sentence}", comparison)
    return Promotion(True, f"{known}, and {comparison.sentence}", comparison)


def _current(store: AdapterStore, tenant: str, name: str) -> tuple[Ref, Sequence[str]] | None:
    """The version that the bare name means, and its labels; None where it means nothing that can be read."""
    try:
        ref = store.resolve(tenant, name)
        return ref, store.manifest(ref).get("labels") or ()
    except (AdapterNotFound, AdapterCorrupt):
        return None


def compared(store: AdapterStore, ref: Ref, clips: Sequence[TaughtClip]) -> Comparison | None:
    """How the version `ref` and one of these clips did on what both held out; None where that is nothing."""
    try:
        listed = store.clips(ref)
    except AdapterCorrupt:
        return None
    before, after = _held_out(listed.clips if listed else ()), _held_out(clips)
    shared = before.keys() & after.keys()
    if not shared:
        return None
    return Comparison(len(shared), sum(before[key] for key in shared), sum(after[key] for key in shared))


def _held_out(clips: Sequence[TaughtClip]) -> dict[tuple[str, str], bool]:
    """Whether each clip that was tested got its own label, by id and label.

    One that was taught under two labels cannot be tested; it counts as wrong, for it is under one of them.
    """
    taught = [clip for clip in clips if clip.label is not None]
    labels: dict[str, set[str]] = {}
    for clip in taught:
        labels.setdefault(clip.id, set()).add(clip.label)
    return {
        (clip.id, clip.label): len(labels[clip.id]) == 1 and clip.held_out["label"] == clip.label
        for clip in taught
        if clip.held_out or len(labels[clip.id]) > 1
    }
