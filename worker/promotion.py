"""Whether a new version takes over from the one that the bare name means."""

from collections.abc import Sequence
from dataclasses import dataclass

from adapters_store import AdapterStore
from adapters_store.errors import AdapterCorrupt, AdapterNotFound

WISHES = ("auto", "always", "never")


@dataclass(frozen=True)
class Promotion:
    """The decision and the sentence that the tenant reads."""

    takes_over: bool
    reason: str


def decide(store: AdapterStore, tenant: str, name: str, labels: Sequence[str], wish: str = "auto") -> Promotion:
    """Decide whether a version with these labels is to be the current one.

    Args:
        wish: "auto" lets it take over unless it lacks a label that the current version knows; "always"; "never".
    """
    current = _current_labels(store, tenant, name)
    if current is None:
        return Promotion(True, "it is the first version that the name can mean")
    if wish == "always":
        return Promotion(True, "it was asked to take over (promote=always)")
    if wish == "never":
        return Promotion(False, "it was asked to stand by (promote=never)")
    lacking = [label for label in current if label not in set(labels)]
    if lacking:
        named = ", ".join(map(repr, lacking[:5])) + (f" and {len(lacking) - 5} more" if len(lacking) > 5 else "")
        return Promotion(False, f"it stands by, for it does not know {named}, which the current version knows")
    return Promotion(True, "it knows every label of the version before")


def _current_labels(store: AdapterStore, tenant: str, name: str) -> Sequence[str] | None:
    """The labels that the bare name knows; None where it means nothing, or nothing that can be read."""
    try:
        return store.manifest(store.resolve(tenant, name)).get("labels") or ()
    except (AdapterNotFound, AdapterCorrupt):
        return None
