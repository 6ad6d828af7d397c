"""The clips that wait for the model: bounded, and taken from the tenants in turn."""

import threading
import time
from collections import OrderedDict, deque

from service.inference.errors import Overloaded, QueueTimeout, TenantOverloaded
from service.inference.queued_clip import BatchSlice, QueuedClip


class TenantQueue:
    """Holds clips by tenant; thread-safe. Bounds count windows, for those are what takes time and memory."""

    def __init__(self, *, max_windows: int, max_tenant_windows: int):
        self.max_windows = max_windows
        self.max_tenant_windows = max_tenant_windows
        self._clips: OrderedDict[str, deque[QueuedClip]] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, clip: QueuedClip) -> None:
        """Append a clip; raises TenantOverloaded or Overloaded when there is no room."""
        with self._changed:
            self._check_room(clip.tenant, clip.num_windows)
            self._clips.setdefault(clip.tenant, deque()).append(clip)
            self._changed.notify()

    def check_room(self, tenant: str) -> None:
        """Refuse early, before a clip is decoded, when not even one window would fit."""
        with self._changed:
            self._check_room(tenant, 1)

    def take(self, max_windows: int, *, timeout_s: float | None = None) -> list[BatchSlice]:
        """Wait for clips, then return up to `max_windows` windows without waiting for more; [] when closed or late.

        One window a turn, tenant after tenant, so neither a long clip nor a busy tenant holds up the others.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or bool(self._clips), timeout_s)
            taken: dict[QueuedClip, int] = {}
            now = time.monotonic()
            while self._clips and sum(taken.values()) < max_windows:
                if (clip := self._next(now)) is not None:
                    taken[clip] = taken.get(clip, 0) + 1
            return [clip.last_taken(count, now) for clip, count in taken.items()]

    def expire(self, clip: QueuedClip) -> None:
        """Refuse a clip that no batch has taken yet: while the model hangs, nobody else would tell its caller."""
        with self._changed:
            is_late = clip.num_taken == 0
            if is_late:
                self._remove(clip)
        if is_late:
            clip.fail(_expired(clip))

    def withdraw(self, clip: QueuedClip) -> None:
        """Remove what is left of a clip that nobody waits for, and with it its room and its windows."""
        with self._changed:
            self._remove(clip)

    def drain(self) -> list[QueuedClip]:
        """Remove and return every clip that waits."""
        with self._changed:
            clips = [clip for clips in self._clips.values() for clip in clips]
            self._clips.clear()
            return clips

    def close(self) -> None:
        """Wake whoever waits in `take`, for good."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def num_windows(self, tenant: str | None = None) -> int:
        """How many windows wait, of one tenant or of all."""
        with self._changed:
            return self._count(tenant)

    def _remove(self, clip: QueuedClip) -> None:
        clips = self._clips.get(clip.tenant, deque())
        if clip in clips:
            clips.remove(clip)
            if not clips:
                del self._clips[clip.tenant]

    def _count(self, tenant: str | None) -> int:
        queues = self._clips.values() if tenant is None else [self._clips.get(tenant, ())]
        return sum(clip.num_left for clips in queues for clip in clips)

    def _check_room(self, tenant: str, num_windows: int) -> None:
        if self._count(None) + num_windows > self.max_windows:
            limit = ("max_queue_windows", self.max_windows)
            raise Overloaded("The queue of the model is full; try again shortly.", limit=limit)
        if self._count(tenant) + num_windows > self.max_tenant_windows:
            limit = ("max_tenant_queue_windows", self.max_tenant_windows)
            raise TenantOverloaded("This tenant's share of the model's queue is full.", limit=limit)

    def _next(self, now: float) -> QueuedClip | None:
        """Count one window of the next tenant's first clip as taken; None where that clip is no longer wanted."""
        tenant, clips = self._clips.popitem(last=False)
        clip = clips.popleft()
        is_wanted = not clip.future.done()  # cancelled by its client, or failed in an earlier batch
        if is_wanted and clip.is_expired(now):
            clip.fail(_expired(clip))
            is_wanted = False
        if is_wanted:
            clip.num_taken += 1
            if clip.num_left:
                clips.append(clip)
        if clips:
            self._clips[tenant] = clips
        return clip if is_wanted else None


def _expired(clip: QueuedClip) -> QueueTimeout:
    waited_s = clip.deadline - clip.submitted_at
    return QueueTimeout(f"The clip waited for the model for more than {waited_s:.3g} s; try again.")
