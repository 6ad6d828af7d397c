"""The client whose calls are awaited; what they do is written once, in `calls` and `session`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing
from typing import TYPE_CHECKING, overload

import httpx

from earshot_client.adapters import Adapter, KeptClip, Version
from earshot_client.calls import Calls
from earshot_client.classification import Classified
from earshot_client.clips import ClipLike, Clips, Sounds
from earshot_client.errors import EarshotError
from earshot_client.heard import Heard
from earshot_client.info import Info
from earshot_client.jobs import Job, JobEvent
from earshot_client.report import Suspect
from earshot_client.session import Session
from earshot_client.settings import CONNECT_TIMEOUT_S, api_key, service_url
from earshot_client.task_driver import TaskDriver

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from earshot_client.classification import ClassifyOptions
    from earshot_client.teaching import EvaluateOptions, RecalibrateOptions, TeachOptions


class AsyncClient:
    """One service, as `Client`, which explains the calls; used with `async with`.

    The arguments are `Client`'s; what is told of progress is called from the event loop.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retries: int = 5,
        concurrency: int = 2,
        timeout_s: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
        on_retry: Callable[[EarshotError, float], None] | None = None,
    ):
        self._calls = Calls(Session(service_url(url), api_key(key), retries, on_retry), concurrency)
        self._session = self._calls.session
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport)
        self._driver = TaskDriver(self._http, self._session.url)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    @property
    def url(self) -> str:
        """Of the service."""
        return self._session.url

    # What it is taught with

    async def teach(self, name: str, sounds: Sounds, **options: Unpack[TeachOptions]) -> Job:
        """Teach an adapter; returns the job when it has succeeded, or at once with `wait=False`."""
        return await self._driver.run(self._calls.teach(name, sounds, **options))

    async def add(self, name: str, sounds: Sounds, **options: Unpack[TeachOptions]) -> Job:
        """Teach further clips on top of what `name`, or the version `name@3`, was taught with."""
        return await self._driver.run(self._calls.add(name, sounds, **options))

    async def correct(
        self,
        name: str,
        relabel: Mapping[str, str] | None = None,
        *,
        remove: Collection[str] = (),
        **options: Unpack[TeachOptions],
    ) -> Job:
        """Teach again with other labels by the ids of clips, and clips left out; `clips` and `suspects` have ids."""
        return await self._driver.run(self._calls.add(name, None, relabel=relabel, remove=remove, **options))

    async def evaluate(self, ref: str, sounds: Sounds | None = None, **options: Unpack[EvaluateOptions]) -> Job:
        """Try an adapter on labelled clips that it was not taught with: the job's `evaluation` tells."""
        return await self._driver.run(self._calls.evaluate(ref, sounds, **options))

    async def recalibrate(self, ref: str, clips: Clips | None = None, **options: Unpack[RecalibrateOptions]) -> Job:
        """Fit an adapter to the channel of unlabelled clips, or of what it has heard lately where there are none."""
        return await self._driver.run(self._calls.recalibrate(ref, clips, **options))

    # What it hears

    @overload
    async def classify(
        self, adapter: str | None, clips: list[ClipLike], **options: Unpack[ClassifyOptions]
    ) -> list[Heard]: ...

    @overload
    async def classify(self, adapter: str | None, clips: ClipLike, **options: Unpack[ClassifyOptions]) -> Heard: ...

    async def classify(
        self,
        adapter: str | None,
        clips: Clips,
        *,
        on_progress: Callable[[Classified], None] | None = None,
        **options: Unpack[ClassifyOptions],
    ) -> Heard | list[Heard]:
        """Classify one clip, or any number of them in batches that the service takes."""
        return await self._driver.run(self._calls.classify(adapter, clips, on_progress, **options))

    # Adapters

    async def adapters(self) -> list[Adapter]:
        """Every adapter, in alphabetical order."""
        return await self._driver.run(self._calls.adapters())

    async def adapter(self, ref: str) -> Adapter:
        """One adapter with its report; `name@3` shows that version."""
        return await self._driver.run(self._calls.adapter(ref))

    async def versions(self, name: str) -> list[Version]:
        """Every version of an adapter, in ascending order."""
        return await self._driver.run(self._calls.versions(name))

    async def suspects(self, ref: str) -> list[Suspect]:
        """Clips that it was taught with and that should be listened to, the worst first."""
        return await self._driver.run(self._calls.suspects(ref))

    async def promote(self, name: str, version: int) -> Adapter:
        """Have the bare name mean that version."""
        return await self._driver.run(self._calls.promote(name, version))

    async def rollback(self, name: str, version: int | None = None) -> Adapter:
        """Go back to the version before the current one, or to the one that is named."""
        return await self._driver.run(self._calls.rollback(name, version))

    async def thresholds(self, ref: str) -> dict[str, float]:
        """From which known score on an answer is known, by label."""
        return await self._driver.run(self._calls.thresholds(ref))

    async def set_thresholds(
        self, ref: str, by_label: Mapping[str, float] | None = None, *, sensitivity: str | None = None
    ) -> Adapter:
        """Make a version with other thresholds, by label or by a sensitivity: "high", "balanced", "normal", "low"."""
        return await self._driver.run(self._calls.set_thresholds(ref, by_label, sensitivity))

    async def delete_adapter(self, ref: str) -> None:
        """Delete an adapter with all its versions and clips, or with `name@3` that version."""
        await self._driver.run(self._calls.delete_adapter(ref))

    async def export(self, ref: str, *, clips: bool = False) -> bytes:
        """The adapter's file; with `clips` a zip of it and of the clips that are kept."""
        return await self._driver.run(self._calls.export(ref, clips))

    async def import_(self, name: str, file: ClipLike) -> Version:
        """Take an exported file, by its path or bytes, as the adapter's next version; of a zip the adapter alone."""
        return await self._driver.run(self._calls.import_(name, file))

    async def clips(self, ref: str) -> list[KeptClip]:
        """What a version was taught with."""
        return await self._driver.run(self._calls.clips(ref))

    async def clip_audio(self, ref: str, clip_id: str) -> bytes:
        """The audio of a clip, as it was sent."""
        return await self._driver.run(self._calls.clip_audio(ref, clip_id))

    async def delete_clips(self, ref: str, clip_id: str | None = None) -> None:
        """Erase what is kept of one clip, or of all of them."""
        await self._driver.run(self._calls.delete_clips(ref, clip_id))

    # Jobs

    async def jobs(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs, at most `limit`, 1 to 200."""
        return await self._driver.run(self._session.jobs(limit))

    async def job(self, job_id: str) -> Job:
        """A job as it stands."""
        return await self._driver.run(self._session.job(job_id))

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return await self._driver.run(self._calls.cancel(job_id))

    async def events(self, job_id: str, *, after: str | None = None) -> AsyncIterator[JobEvent]:
        """A job at each of its changes, until it ends; `after` goes on from an event that was seen before."""
        async with aclosing(self._driver.emitted(self._session.events(job_id, after))) as emitted:
            async for event in emitted:
                yield event

    async def wait(self, job_id: str, *, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait for a job's end; raises JobFailed where it has not succeeded."""
        return await self._driver.run(self._session.wait(job_id, on_progress))

    async def results(self, job_id: str, *, format: str = "jsonl") -> bytes:
        """What a job that classified an archive found: "jsonl", "csv" or "audacity", a zip."""
        return await self._driver.run(self._calls.results(job_id, format))

    # The service

    async def info(self, *, refresh: bool = False) -> Info:
        """What runs there, and its limits; asked for once."""
        return await self._driver.run(self._session.info(refresh))
