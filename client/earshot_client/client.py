"""The client whose calls wait."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
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
from earshot_client.thread_driver import ThreadDriver

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from earshot_client.classification import ClassifyOptions
    from earshot_client.teaching import EvaluateOptions, RecalibrateOptions, TeachOptions


class Client:
    """One service; may be used by several threads, and as a context manager.

    Every call raises `EarshotError` where the service refuses, `Unreachable` where nothing answers, and `JobFailed`
    where a job that is waited for does not succeed. What is refused for now (429, 503, a connection that breaks) is
    sent again after as long as the answer says, or else after ever longer waits.

    Args:
        url: `EARSHOT_URL`, or else http://127.0.0.1:8000.
        key: `EARSHOT_API_KEY`, or else none.
        retries: how often a request is sent again, 0 or more.
        concurrency: how many batches of a classification are under way at once, 1 or more.
        timeout_s: how long an answer may be silent.
        transport: httpx's, for proxies and certificates of one's own.
        on_retry: told why a request is sent again, and in how many seconds.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        retries: int = 5,
        concurrency: int = 2,
        timeout_s: float = 120.0,
        transport: httpx.BaseTransport | None = None,
        on_retry: Callable[[EarshotError, float], None] | None = None,
    ):
        self._calls = Calls(Session(service_url(url), api_key(key), retries, on_retry), concurrency)
        self._session = self._calls.session
        timeout = httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S)
        self._http = httpx.Client(timeout=timeout, transport=transport)
        self._driver = ThreadDriver(self._http, self._session.url)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    @property
    def url(self) -> str:
        """Of the service."""
        return self._session.url

    # What it is taught with

    def teach(self, name: str, sounds: Sounds, **options: Unpack[TeachOptions]) -> Job:
        """Teach an adapter; returns the job when it has succeeded, or at once with `wait=False`.

        Args:
            name: the adapter's; a name that exists gets a new version.
            sounds: clips by label, `{"rain": ["a.wav", b"...", array, "folder"]}`; the path of a folder with one for
                each label, and perhaps one named `background`; or the path of such a folder's zip or tar.
            options: see `TeachOptions`: `background`, `wait`, `on_progress` and others.
        """
        return self._driver.run(self._calls.teach(name, sounds, **options))

    def add(self, name: str, sounds: Sounds, **options: Unpack[TeachOptions]) -> Job:
        """Teach further clips on top of what `name`, or the version `name@3`, was taught with."""
        return self._driver.run(self._calls.add(name, sounds, **options))

    def correct(
        self,
        name: str,
        relabel: Mapping[str, str] | None = None,
        *,
        remove: Collection[str] = (),
        **options: Unpack[TeachOptions],
    ) -> Job:
        """Teach again with other labels by the ids of clips, and clips left out; `clips` and `suspects` have ids."""
        return self._driver.run(self._calls.add(name, None, relabel=relabel, remove=remove, **options))

    def evaluate(self, ref: str, sounds: Sounds | None = None, **options: Unpack[EvaluateOptions]) -> Job:
        """Try an adapter on labelled clips that it was not taught with: the job's `evaluation` tells."""
        return self._driver.run(self._calls.evaluate(ref, sounds, **options))

    def recalibrate(self, ref: str, clips: Clips | None = None, **options: Unpack[RecalibrateOptions]) -> Job:
        """Fit an adapter to the channel of unlabelled clips, or of what it has heard lately where there are none."""
        return self._driver.run(self._calls.recalibrate(ref, clips, **options))

    # What it hears

    @overload
    def classify(
        self, adapter: str | None, clips: list[ClipLike], **options: Unpack[ClassifyOptions]
    ) -> list[Heard]: ...

    @overload
    def classify(self, adapter: str | None, clips: ClipLike, **options: Unpack[ClassifyOptions]) -> Heard: ...

    def classify(
        self,
        adapter: str | None,
        clips: Clips,
        *,
        on_progress: Callable[[Classified], None] | None = None,
        **options: Unpack[ClassifyOptions],
    ) -> Heard | list[Heard]:
        """Classify one clip, or any number of them in batches that the service takes.

        Args:
            adapter: `name` or `name@3`; None where `labels` are given.
            clips: a path, bytes, an array (with `rate_hz`), a `Recording`; a list of these, or a folder.
            on_progress: told how many are done, in the caller's thread.

        Returns:
            For one clip what is heard in it; for a list or a folder a list in the same order, in which a clip that
            cannot be used has `error`.
        """
        return self._driver.run(self._calls.classify(adapter, clips, on_progress, **options))

    # Adapters

    def adapters(self) -> list[Adapter]:
        """Every adapter, in alphabetical order."""
        return self._driver.run(self._calls.adapters())

    def adapter(self, ref: str) -> Adapter:
        """One adapter with its report; `name@3` shows that version."""
        return self._driver.run(self._calls.adapter(ref))

    def versions(self, name: str) -> list[Version]:
        """Every version of an adapter, in ascending order."""
        return self._driver.run(self._calls.versions(name))

    def suspects(self, ref: str) -> list[Suspect]:
        """Clips that it was taught with and that should be listened to, the worst first."""
        return self._driver.run(self._calls.suspects(ref))

    def promote(self, name: str, version: int) -> Adapter:
        """Have the bare name mean that version."""
        return self._driver.run(self._calls.promote(name, version))

    def rollback(self, name: str, version: int | None = None) -> Adapter:
        """Go back to the version before the current one, or to the one that is named."""
        return self._driver.run(self._calls.rollback(name, version))

    def thresholds(self, ref: str) -> dict[str, float]:
        """From which known score on an answer is known, by label."""
        return self._driver.run(self._calls.thresholds(ref))

    def set_thresholds(
        self, ref: str, by_label: Mapping[str, float] | None = None, *, sensitivity: str | None = None
    ) -> Adapter:
        """Make a version with other thresholds, by label or by a sensitivity: "high", "balanced", "normal", "low"."""
        return self._driver.run(self._calls.set_thresholds(ref, by_label, sensitivity))

    def delete_adapter(self, ref: str) -> None:
        """Delete an adapter with all its versions and clips, or with `name@3` that version."""
        self._driver.run(self._calls.delete_adapter(ref))

    def export(self, ref: str, *, clips: bool = False) -> bytes:
        """The adapter's file; with `clips` a zip of it and of the clips that are kept."""
        return self._driver.run(self._calls.export(ref, clips))

    def import_(self, name: str, file: ClipLike) -> Version:
        """Take an exported file, by its path or bytes, as the adapter's next version; of a zip the adapter alone."""
        return self._driver.run(self._calls.import_(name, file))

    def clips(self, ref: str) -> list[KeptClip]:
        """What a version was taught with."""
        return self._driver.run(self._calls.clips(ref))

    def clip_audio(self, ref: str, clip_id: str) -> bytes:
        """The audio of a clip, as it was sent."""
        return self._driver.run(self._calls.clip_audio(ref, clip_id))

    def delete_clips(self, ref: str, clip_id: str | None = None) -> None:
        """Erase what is kept of one clip, or of all of them."""
        self._driver.run(self._calls.delete_clips(ref, clip_id))

    # Jobs

    def jobs(self, *, limit: int = 50) -> list[Job]:
        """The newest jobs, at most `limit`, 1 to 200."""
        return self._driver.run(self._session.jobs(limit))

    def job(self, job_id: str) -> Job:
        """A job as it stands."""
        return self._driver.run(self._session.job(job_id))

    def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that has ended stays as it is."""
        return self._driver.run(self._calls.cancel(job_id))

    def events(self, job_id: str, *, after: str | None = None) -> Iterator[JobEvent]:
        """A job at each of its changes, until it ends; `after` goes on from an event that was seen before."""
        yield from self._driver.emitted(self._session.events(job_id, after))

    def wait(self, job_id: str, *, on_progress: Callable[[Job], None] | None = None) -> Job:
        """Wait for a job's end; raises JobFailed where it has not succeeded."""
        return self._driver.run(self._session.wait(job_id, on_progress))

    def results(self, job_id: str, *, format: str = "jsonl") -> bytes:
        """What a job that classified an archive found: "jsonl", "csv" or "audacity", a zip."""
        return self._driver.run(self._calls.results(job_id, format))

    # The service

    def info(self, *, refresh: bool = False) -> Info:
        """What runs there, and its limits; asked for once."""
        return self._driver.run(self._session.info(refresh))
