"""Names of fields and parameters that nobody knows: which they are, and which were meant."""

import difflib
import re
from collections.abc import Collection, Iterable

from fastapi import Request

from service.http.problems import ServiceError

# What other services call it, or this one in another call; the first that a call knows is the one that was meant.
ALIASES = {
    "adapter": ("adapter", "name"),
    "adapter_name": ("name", "adapter"),
    "audio": ("audio", "clips"),
    "class": ("labels",),
    "classes": ("labels",),
    "clip": ("clips", "audio"),
    "clips": ("clips", "audio"),
    "file": ("audio", "clips"),
    "files": ("audio", "clips"),
    "folder": ("archive",),
    "model": ("adapter", "name"),
    "name": ("name", "adapter"),
    "tar": ("archive",),
    "upload": ("audio", "clips"),
    "wav": ("audio", "clips"),
    "zip": ("archive",),
}
CUTOFF = 0.7  # of difflib's ratio: "epoch" and "epochs" are at 0.9, "lr" and "learning_rate" at 0.3
MAX_NAMED = 5
MAX_NAME_CHARS = 60


async def check_query(request: Request) -> None:
    """A dependency of routes: refuse parameters of the address that the route does not take."""
    if request.query_params:
        known = {parameter.alias for parameter in request.scope["route"].dependant.query_params}
        check_known(request.query_params, known, what="query parameter")


def check_known(given: Iterable[str], known: Collection[str], *, what: str = "field") -> None:
    """Refuse names that are not known, each with the one that was probably meant.

    Raises:
        ServiceError: "invalid_request".
    """
    strays = [name for name in dict.fromkeys(given) if name not in known]
    if strays:
        sentences = [_sentence(name, known, what) for name in strays[:MAX_NAMED]]
        if len(strays) > MAX_NAMED:
            sentences.append(f"and {len(strays) - MAX_NAMED} more that are not known")
        raise ServiceError("invalid_request", "; ".join(sentences))


def nearest(name: str, known: Collection[str]) -> str | None:
    """The known name that was probably meant, where any comes near."""
    plain = re.sub(r"\[\w*\]$", "", name[:MAX_NAME_CHARS].strip()).lower().replace("-", "_")
    if plain in known:
        return plain
    alias = next((candidate for candidate in ALIASES.get(plain, ()) if candidate in known), None)
    if alias:
        return alias
    joined = {candidate.replace("_", ""): candidate for candidate in known}
    close = difflib.get_close_matches(plain.replace("_", ""), joined, n=1, cutoff=CUTOFF)
    return joined[close[0]] if close else None


def _sentence(name: str, known: Collection[str], what: str) -> str:
    shown = name if len(name) <= MAX_NAME_CHARS else name[:MAX_NAME_CHARS] + "…"
    if meant := nearest(name, known):
        return f"{shown}: there is no such {what}; did you mean {meant}?"
    there = f"are {', '.join(sorted(known))}" if known else "is none here"
    return f"{shown}: there is no such {what}; there {there}"
