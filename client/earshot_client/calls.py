"""Every call of the client as a flow, for both of its kinds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from earshot_client import request, teaching
from earshot_client.adapter_file import adapter_bytes
from earshot_client.adapters import Adapter, KeptClip, Version
from earshot_client.classification import Classification, Classified
from earshot_client.clips import ClipLike, Clips, Sounds, clips_of, is_one
from earshot_client.errors import EarshotError
from earshot_client.heard import Heard
from earshot_client.job_options import JobOptions
from earshot_client.jobs import Job
from earshot_client.report import Suspect
from earshot_client.session import Session
from earshot_client.steps import Flow


class Calls:
    """Flows of one session; `at_once` are the batches of a classification that are under way at a time."""

    def __init__(self, session: Session, at_once: int):
        self.session = session
        self._at_once = at_once

    def teach(self, name: str, sounds: Sounds | None, base: str | None = None, **options: Any) -> Flow[Job]:
        """A job that makes a version."""
        job_options = _taken(options)
        form = teaching.adapt_form(name, sounds, base=base, **options)
        return self.session.submit("adapt", form=form, **job_options)

    def add(self, ref: str, sounds: Sounds | None, **options: Any) -> Flow[Job]:
        """A job that makes a version on top of another."""
        return self.teach(teaching.bare(ref), sounds, base=ref, **options)

    def evaluate(self, ref: str, sounds: Sounds | None, **options: Any) -> Flow[Job]:
        """A job whose report says how a version does."""
        job_options = _taken(options)
        form = teaching.evaluate_form(sounds, **options)
        return self.session.submit("adapters", ref, "evaluate", form=form, **job_options)

    def recalibrate(self, ref: str, clips: Clips | None, **options: Any) -> Flow[Job]:
        """A job that fits a version to its channel."""
        job_options = _taken(options)
        form = teaching.recalibrate_form(clips, **options)
        return self.session.submit("adapters", ref, "recalibrate", form=form, **job_options)

    def classify(
        self,
        adapter: str | None,
        clips: Clips,
        on_progress: Callable[[Classified], None] | None = None,
        rate_hz: int | None = None,
        **options: Any,
    ) -> Flow[Heard | list[Heard]]:
        """One result for one clip, a list for a list or a folder."""
        classification = Classification(self.session, adapter, options, self._at_once)
        found = clips_of(clips, rate_hz=rate_hz)
        if is_one(clips) and len(found) == 1 and not found[0].in_folder:
            return classification.one(found[0])
        return classification.many(found, on_progress)

    def adapters(self) -> Flow[list[Adapter]]:
        """Every adapter."""
        return self.session.pages("adapters", field="adapters", kind=Adapter)

    def adapter(self, ref: str) -> Flow[Adapter]:
        """One adapter."""
        return self.session.json(request.get("adapters", ref), Adapter)

    def versions(self, name: str) -> Flow[list[Version]]:
        """Every version."""
        return self.session.pages("adapters", name, "versions", field="versions", kind=Version)

    def suspects(self, ref: str) -> Flow[list[Suspect]]:
        """The suspects of a version's report."""
        version = (yield from self.adapter(ref)).adapter
        return list(version.report.suspects) if version and version.report else []

    def promote(self, name: str, version: int) -> Flow[Adapter]:
        """Have the bare name mean a version."""
        call = request.put("adapters", name, "current", content={"version": version}, may_repeat=True)
        return self.session.json(call, Adapter)

    def rollback(self, name: str, version: int | None = None) -> Flow[Adapter]:
        """The version before the current one, or the one that is named."""
        if version is None:
            adapter = yield from self.adapter(name)
            earlier = [number for number in adapter.versions if number < (adapter.current or 0)]
            if not earlier:
                detail = f"There is no version of {name} before version {adapter.current}: nothing to go back to."
                raise EarshotError("no_earlier_version", detail)
            version = max(earlier)
        return (yield from self.promote(name, version))

    def thresholds(self, ref: str) -> Flow[dict[str, float]]:
        """Thresholds by label; an adapter without a background has one for all."""
        version = (yield from self.adapter(ref)).adapter
        if version is None:
            return {}
        alone = {} if version.threshold is None else dict.fromkeys(version.labels, version.threshold)
        return dict(version.thresholds or alone)

    def set_thresholds(
        self, ref: str, by_label: Mapping[str, float] | None, sensitivity: str | None = None
    ) -> Flow[Adapter]:
        """A version with other thresholds; sent twice it would be two versions."""
        content = {**(by_label or {}), **({} if sensitivity is None else {"sensitivity": sensitivity})}
        return self.session.json(request.put("adapters", ref, "thresholds", content=content, may_repeat=False), Adapter)

    def delete_adapter(self, ref: str) -> Flow[None]:
        """Delete an adapter or a version."""
        return self.session.done(request.delete("adapters", ref))

    def export(self, ref: str, clips: bool = False) -> Flow[bytes]:
        """The adapter's file, or a zip with its clips."""
        return self.session.data(request.get("adapters", ref, "file", clips="true" if clips else None))

    def import_(self, name: str, file: ClipLike) -> Flow[Version]:
        """The adapter's next version from a file; sent twice it would be two versions."""
        call = request.post("adapters", name, "file", body=adapter_bytes(file), may_repeat=False)
        return self.session.json(call, Version)

    def clips(self, ref: str) -> Flow[list[KeptClip]]:
        """Every clip of a version."""
        return self.session.pages("adapters", ref, "clips", field="clips", kind=KeptClip)

    def clip_audio(self, ref: str, clip_id: str) -> Flow[bytes]:
        """The audio of a clip."""
        return self.session.data(request.get("adapters", ref, "clips", clip_id))

    def delete_clips(self, ref: str, clip_id: str | None = None) -> Flow[None]:
        """Erase one clip, or all."""
        return self.session.done(request.delete("adapters", ref, "clips", *([] if clip_id is None else [clip_id])))

    def cancel(self, job_id: str) -> Flow[Job]:
        """Cancel a job."""
        return self.session.json(request.delete("jobs", job_id), Job)

    def results(self, job_id: str, format: str = "jsonl") -> Flow[bytes]:
        """What a job that classified an archive found."""
        return self.session.data(request.get("jobs", job_id, "results", format=format))


def _taken(options: dict[str, Any]) -> JobOptions:
    """Take those of the job out of the options of a call."""
    return {name: options.pop(name) for name in JobOptions.__annotations__ if name in options}
