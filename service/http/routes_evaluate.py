"""`POST /adapters/{ref}/evaluate`: labelled clips to a job that says what a version is worth on them."""

from collections.abc import Iterable, Iterator
from typing import Annotated, ClassVar

import structlog
from fastapi import APIRouter, Form, Request, UploadFile
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from adapters_store import Ref
from aspl.report import ClipWarning
from jobs import kinds
from jobs.findings import Findings
from jobs.uploaded_clip import UploadedClip
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.labelled_files import stage_labelled
from service.http.multipart import FormRoute
from service.http.problems import ServiceError, responses
from service.http.schemas import Job
from service.http.submission import ACCEPTED, IdempotencyKey, Submission
from service.inference.tenant_threads import Check

ERRORS = responses(
    "bad_request", "adapter_not_found", "adapter_model_mismatch", "idempotency_in_flight", "body_too_large",
    "too_many_files", "upload_too_large", "body_unsupported", "invalid_request", "labels_invalid",
    "adapter_name_invalid", "upload_invalid", "archive_invalid", "idempotency_mismatch", "tenant_queue_full",
    "queue_full", "adapter_corrupt", "store_unavailable", "redis_unavailable", "staging_unavailable",
)  # fmt: skip
NUM_SHOWN = 10

router = APIRouter(tags=["adapters"], route_class=FormRoute)


class EvaluateForm(BaseModel):
    """The body of `POST /adapters/{ref}/evaluate`: `clips` with `labels`, or an `archive`, or `background` alone."""

    EXAMPLE: ClassVar[str] = "-F clips=@dog.wav -F labels=dog -F clips=@rain.wav -F labels=rain"

    clips: list[UploadFile] = Field([], description="Audio files that the adapter was not taught with.")
    labels: list[str] = Field(
        [],
        description="One a clip, in the same order; repeated, or one JSON array. A label that the adapter was not "
        "taught is of clips that are to be unknown to it.",
    )
    archive: UploadFile | None = Field(
        None,
        description="A zip or tar with a folder for each label; `background` or `_background` beside them holds clips "
        "of the background.",
    )
    background: list[UploadFile] = Field(
        [], description="Audio files of what is none of the labels; false alarms are counted by the hour of them."
    )
    background_labels: list[str] = Field(
        [], description="Labels whose clips are background; repeated, or one JSON array."
    )
    against: str | None = Field(
        None, description="Another `name` or `name@3`, which hears the same clips and is compared with it."
    )


EvaluateBody = Annotated[EvaluateForm, Form(media_type="multipart/form-data")]


@router.post("/adapters/{name}/evaluate", status_code=202, response_model=Job, responses=ACCEPTED | ERRORS)
async def evaluate(
    request: Request,
    name: str,
    form: EvaluateBody,
    tenant: Tenant,
    context: ServiceContext,
    idempotency_key: IdempotencyKey = None,
) -> JSONResponse:
    """Queue a job whose report says how a version does on clips that it was not taught with.

    `name` is `name` or `name@3`. The report has what a version's own has, misses a hundred and false alarms an hour by
    label, and against another version how often each was right where the other was not. Of clips that a
    version was taught with it warns, and `overlap` counts them, with the accuracy on the `others`; a comparison has
    `new_clips` apart.
    """
    structlog.contextvars.bind_contextvars(adapter=name)
    return await Evaluation(context, tenant, name, form, idempotency_key).answer(request)


class Evaluation(Submission):
    """One such request behind its form."""

    kind = kinds.EVALUATE

    def __init__(self, context: Context, tenant: str, reference: str, form: EvaluateForm, key: str | None):
        if (form.archive is not None and form.clips) or not (form.archive or form.clips or form.background):
            raise ServiceError("upload_invalid", "Give either clips with labels, or an archive, or background.")
        super().__init__(context, tenant, "", key)
        self._reference = reference
        self._form = form
        self._refs: list[Ref] = []

    def stage(self, upload_id: str) -> None:
        """Resolve the versions, from here on for good, and put the clips into the upload."""
        references = [self._reference, *([] if self._form.against is None else [self._form.against])]
        self._refs = [self.context.resolved(self.tenant, reference) for reference in references]
        self.name = self._refs[0].name
        self.request = dict(zip(("adapter", "against"), map(str, self._refs), strict=False))
        stage_labelled(self.uploads, upload_id, self._form)

    def check(self, upload_id: str, still_wanted: Check) -> Findings:
        """Decode the clips, and refuse where the adapter knows none of the labels."""
        findings = self.uploads.check_audio(upload_id, min_labels=0, on_audio=lambda seconds: still_wanted())
        taught = self.context.store.manifest(self._refs[0]).get("labels") or ()
        clips = [clip for clip in self.uploads.clips(upload_id) if clip.error is None]
        given = {clip.label for clip in clips if clip.label is not None and not clip.is_background}
        if given and not given & set(taught):
            shown = ", ".join(map(repr, taught[:NUM_SHOWN]))
            detail = f"{self._refs[0]} was taught none of the labels of these clips; it knows {shown}."
            raise ServiceError("upload_invalid", detail)
        if not clips:
            raise ServiceError("upload_invalid", "None of the files is a clip that can be used.")
        return findings.warned(self._taught(clips))

    def _taught(self, clips: Iterable[UploadedClip]) -> Iterator[ClipWarning]:
        """A warning for each clip that a version was taught with."""
        lists = {ref: self.context.store.clips(ref) for ref in dict.fromkeys(self._refs)}
        for clip in clips:
            if knows := [str(ref) for ref, listed in lists.items() if listed and clip.sha256 in listed.ids]:
                detail = f"{' and '.join(knows)} was taught with this clip, and its answer says little of others"
                yield ClipWarning("clip_taught", clip.shown_name, clip.label or "", detail)
