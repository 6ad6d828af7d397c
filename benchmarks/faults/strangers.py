"""One tenant who tries to reach what is another's, by every name and number that he may know."""

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.faults.caller import Call, form

# What a path may be bent by on its way to a file or a key.
BENT = [
    "{}", "../{tenant}/{}", "..%2f{tenant}%2f{}", "%2e%2e/{tenant}/{}", "{tenant}/{}", "{tenant}%2f{}", "{tenant}:{}",
    "{}%00", "./{}", "{}@1", "{}@1@1", "{}@001", "%2f{tenant}%2f{}", "..%5c{tenant}%5c{}", "{}?tenant={tenant}", "{}#",
]  # fmt: skip


@dataclass(frozen=True)
class Treasure:
    """What is another tenant's: names that anybody may guess, and words that nobody but he should read."""

    tenant: str
    adapter: str
    job_id: str
    clip_ids: tuple[str, ...]
    secrets: tuple[bytes, ...]


def tries(treasure: Treasure, clip: bytes, dice: random.Random) -> Callable[[], Call]:
    """What makes one try after the other, of every route that takes a name or an id."""

    def bent(name: str) -> str:
        return dice.choice(BENT).format(name, tenant=treasure.tenant)

    def adapters_call() -> Call:
        ref = bent(dice.choice([treasure.adapter, f"{treasure.adapter}@1", f"{treasure.adapter}@2"]))
        rest = dice.choice(
            ["", "/versions", "/file", "/file?clips=true", "/clips", "/current", "/thresholds", *clips_of()]
        )
        method = dice.choice(["GET", "GET", "GET", "DELETE", "PUT", "POST", "HEAD"])
        body = json.dumps(dice.choice([{"version": 1}, {"sensitivity": "low"}])).encode() if method == "PUT" else b""
        return Call(method, f"/adapters/{ref}{rest}", body, {"Content-Type": "application/json"})

    def clips_of() -> list[str]:
        return [f"/clips/{clip_id}" for clip_id in treasure.clip_ids]

    def jobs_call() -> Call:
        rest = dice.choice(["", "", "/events", "/results?format=jsonl", "/results?format=csv"])
        return Call(dice.choice(["GET", "GET", "DELETE"]), f"/jobs/{bent(treasure.job_id)}{rest}")

    def lists_call() -> Call:
        path = dice.choice(["/adapters", "/jobs"])
        after = dice.choice(
            ["", f"?after={treasure.adapter[:-1]}", "?after=0", f"?tenant={treasure.tenant}", "?limit=200"]
        )
        return Call("GET", path + after, b"", {"X-Tenant": treasure.tenant, "X-Forwarded-User": treasure.tenant})

    def classify_call() -> Call:
        return form("/classify", [("adapter", bent(treasure.adapter))], [("audio", "a.ogg", clip)])

    def evaluate_call() -> Call:
        fields = [("labels", "a"), ("against", f"{treasure.adapter}@1")]
        return form(f"/adapters/{bent(treasure.adapter)}/evaluate", fields, [("clips", "a.ogg", clip)])

    def adapt_call() -> Call:
        fields = [("name", "mine"), ("base", bent(treasure.adapter)), ("labels", "a")]
        return form("/adapt", fields, [("clips", "a.ogg", clip)])

    def recalibrate_call() -> Call:
        return form(f"/adapters/{bent(treasure.adapter)}/recalibrate", [], [("audio", "a.ogg", clip)] * 5)

    makers = (
        [adapters_call] * 4 + [jobs_call] * 3 + [lists_call, classify_call, evaluate_call, adapt_call, recalibrate_call]
    )
    return lambda: dice.choice(makers)()


def is_leak(treasure: Treasure, status: int | None, content: bytes) -> bool:
    """Whether an answer shows what is another tenant's."""
    return status is not None and any(secret in content for secret in treasure.secrets)
