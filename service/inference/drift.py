"""What each adapter version hears of its channel, told by sums over its clips: no audio, some 200 numbers a version.

A clip is added in memory, in microseconds. In the background the sums that came since go to Redis, where those of all
replicas add up and fade: what was heard a thousand clips ago counts a third. A Redis that is away holds nobody up; what
could not be sent is sent with the next.
"""

import json
import time
import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import structlog
from redis.exceptions import RedisError

from adapters_store import Ref
from aspl import Adapter
from aspl.channel_drift import ChannelDrift, assess
from aspl.channel_shift import Differences, clip_weights
from aspl.inference import Scored
from jobs.records import PREFIX
from service.metrics import Metrics

MEMORY_CLIPS = 1000.0  # over so many clips what was heard falls to 1 / e
MAX_VERSIONS = 1000  # in memory; of others Redis keeps what was sent
KEPT_S = 30 * 24 * 3600  # in Redis, after the last clip
CLIPS, SINCE = 0, "since"

# KEYS: the version's. ARGV: its new sums as JSON, the factor by which the earlier ones fade, now, KEPT_S.
MERGE = """
local stored = redis.call('HGET', KEYS[1], 'sums')
local sums = cjson.decode(ARGV[1])
if stored then
  local earlier = cjson.decode(stored)
  if #earlier == #sums then
    for i = 1, #sums do sums[i] = earlier[i] * tonumber(ARGV[2]) + sums[i] end
  end
end
local merged = cjson.encode(sums)
redis.call('HSET', KEYS[1], 'sums', merged)
redis.call('HSETNX', KEYS[1], 'since', ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[4])
return {merged, redis.call('HGET', KEYS[1], 'since')}
"""

log = structlog.get_logger(__name__)


class Evaluates(Protocol):
    """What of redis.asyncio.Redis is needed."""

    async def eval(self, script: str, numkeys: int, *keys_and_args: Any) -> Any: ...


@dataclass(eq=False, slots=True)
class Tally:
    """One version's sums: those that came since the last were sent, and those of all replicas as last heard of."""

    adapter: "weakref.ref[Adapter]"
    pending: np.ndarray  # float32 [3 + K + 2 M]
    merged: np.ndarray
    since: float
    sending: np.ndarray | None = None  # what is on its way to the others
    is_drifting: bool = False


@dataclass(frozen=True, eq=False)
class HeardChannel:
    """What is known of a version's channel: the sums, and since when (seconds since 1970)."""

    differences: Differences
    since: float


@dataclass(eq=False)
class DriftMonitor:
    """Adds up what versions hear; `note` and `flush` are called on the event loop, `heard` from any thread."""

    centres_hz: np.ndarray
    metrics: Metrics
    _tallies: "OrderedDict[str, Tally]" = field(default_factory=OrderedDict, init=False)
    _is_away: bool = field(default=False, init=False)

    def note(self, ref: Ref, adapter: Adapter, curve: np.ndarray, scored: Scored) -> None:
        """Add a clip that was heard: its curve `[M]` in dB, and what the adapter made of it."""
        taught = adapter.taught_curves
        if taught is None:
            return
        key = drift_key(ref)
        tally = self._tallies.get(key)
        if tally is None:
            size = 3 + len(adapter.labels) + 2 * len(curve)
            zeros = np.zeros(size, np.float32), np.zeros(size, np.float32)
            tally = self._tallies[key] = Tally(weakref.ref(adapter), *zeros, since=time.time())
            if len(self._tallies) > MAX_VERSIONS:
                self._tallies.popitem(last=False)
        elif tally.adapter() is None:
            tally.adapter = weakref.ref(adapter)
        self._tallies.move_to_end(key)
        _add(tally.pending, curve, scored, taught.mean)

    async def flush(self, redis: Evaluates) -> None:
        """Send what came since the last time, and hear of what other replicas sent."""
        for key, tally in list(self._tallies.items()):
            num_clips = float(tally.pending[CLIPS])
            if not num_clips:
                continue
            sent = tally.sending = tally.pending
            tally.pending = np.zeros_like(sent)
            fades = float(np.exp(-num_clips / MEMORY_CLIPS))
            numbers = json.dumps([round(float(value), 4) for value in sent])
            try:
                merged, since = await redis.eval(MERGE, 1, key, numbers, fades, time.time(), KEPT_S)
            except RedisError as error:
                tally.pending, tally.sending = tally.pending + sent, None
                if not self._is_away:
                    log.warning("what adapters hear of their channels waits for redis", error=type(error).__name__)
                self._is_away = True
                return
            self._is_away = False
            tally.merged, tally.sending = np.array(json.loads(merged), np.float32), None
            tally.since = float(since)
            tally.is_drifting = self._is_drifting(tally)
        self.metrics.drifting_adapters.set(sum(tally.is_drifting for tally in self._tallies.values()))

    def heard(self, ref: Ref, stored: Sequence[bytes | None], num_labels: int) -> HeardChannel | None:
        """Return what a version has heard lately, None for nothing.

        Args:
            stored: its `sums` and `since` in Redis, as far as there are any; None where Redis was not to be asked.
        """
        tally = self._tallies.get(drift_key(ref))
        sums, since = stored
        parts = [] if sums is None else [np.array(json.loads(sums), float)]
        moments = [] if since is None else [float(since)]
        if tally is not None:
            # What redis has of this replica's may hold what is on its way, or not yet.
            ours = [tally.pending] + ([] if parts else [tally.merged, tally.sending])
            parts += [part.astype(float) for part in ours if part is not None]
            moments.append(tally.since)
        if not parts:
            return None
        try:
            differences = Differences.from_vector(np.sum(parts, 0), num_labels)
        except ValueError as error:  # another release's, or somebody's hand
            log.warning("what redis has of a channel cannot be used", error=str(error))
            return None
        return HeardChannel(differences, min(moments)) if differences.clips else None

    def _is_drifting(self, tally: Tally) -> bool:
        adapter = tally.adapter()
        if adapter is None:
            return tally.is_drifting
        differences = Differences.from_vector(tally.merged, len(adapter.labels))
        return assess(differences, adapter, self.centres_hz).is_advised


def _add(pending: np.ndarray, curve: np.ndarray, scored: Scored, taught_mean: np.ndarray) -> None:
    """Add one clip in place; the order is that of `Differences.vector`."""
    known = float(scored.probabilities.max()) if scored.known is None else scored.known
    weight = float(clip_weights(np.float64(known)))
    num_labels, bins = len(scored.probabilities), len(curve)
    difference = curve - scored.probabilities @ taught_mean[:-1]
    pending[0] += 1
    pending[1] += weight
    pending[2] += weight**2
    pending[3 : 3 + num_labels] += weight * scored.probabilities
    pending[3 + num_labels : 3 + num_labels + bins] += weight * difference
    pending[3 + num_labels + bins :] += weight * difference**2


def drift_key(ref: Ref) -> str:
    """Where Redis keeps a version's sums; the digest is part of it, for a name may be deleted and taught anew."""
    return f"{PREFIX}:tenant:{ref.tenant}:channel:{ref.name}:{ref.version}:{ref.digest[:16]}"


def shown(drift: ChannelDrift, heard: HeardChannel, labels: Sequence[str]) -> dict[str, Any]:
    """Return what `GET /adapters/{name}` tells of it, `since` in seconds since 1970."""
    differences = heard.differences
    return {
        "difference_db": round(drift.size_db, 2),
        "bins_db": [round(float(value), 2) for value in drift.bins_db],
        "clips": round(differences.clips),
        "known_clips": round(differences.num_effective, 1),
        "since": heard.since,
        "advised": drift.is_advised,
        "wanting": list(drift.wanting),
        "labels": {label: round(float(w), 1) for label, w in zip(labels, differences.by_label, strict=True)},
    }
