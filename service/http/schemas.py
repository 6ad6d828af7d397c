"""Every body of the HTTP interface, typed; what `/openapi.json` says is generated from here."""

import dataclasses
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, RootModel, StrictFloat, StrictStr, create_model

from aspl import progress
from jobs.kinds import KINDS, PHASES
from service.http.change_schemas import Changes, Comparison
from service.http.channel_schema import ChannelDrift, ChannelReport
from service.http.schemas_report import ClipWarning, Fault, LeftOut, Report


class Limit(BaseModel):
    """A limit that a request exceeded."""

    name: str
    value: float


class Problem(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    code: str = Field(description="Stable; programs may rely on it.")
    detail: str = Field(description="For a person.")
    limit: Limit | None = None
    request_id: str | None = None


class AdapterRef(BaseModel):
    """One immutable version of an adapter."""

    name: str
    version: int
    digest: str = Field(description="SHA-256 of the adapter's file.")


class BaseModelRef(BaseModel):
    """The frozen CLAP that every adapter stands on."""

    name: str
    fingerprint: str


class Score(BaseModel):
    label: str
    score: float = Field(ge=0, le=1)


class WindowScores(BaseModel):
    """The scores of one 10 s window."""

    start_s: float
    end_s: float
    label: str
    score: float
    unknown: bool
    known_score: float | None = Field(ge=0, le=1)
    scores: list[Score]


class ClipScores(BaseModel):
    """What was heard in one file."""

    file: str
    duration_s: float
    label: str = Field(description="The best label.")
    score: float = Field(description="Its calibrated probability.")
    unknown: bool = Field(description="It is to be taken for nothing that was taught; digital silence always is.")
    known_score: float | None = Field(
        ge=0,
        le=1,
        description="How much more it sounds like what was taught than like the background; under the label's "
        "threshold it is unknown. Null under adapters of the first release, and for labels alone as long as nobody has "
        "heard the background with this model: then the threshold is of the score.",
    )
    silent: bool = Field(description="Digital silence.")
    truncated: bool = Field(description="The file ends before it should; what is there was used.")
    damaged: bool = Field(description="A part within the file could not be decoded; the rest was used.")
    scores: list[Score] = Field(description="The best first; at most top_k.")
    windows: list[WindowScores] | None = None


class ClipFailed(BaseModel):
    """A file that could not be used, among others that could."""

    file: str
    error: Fault


class Timing(BaseModel):
    """Milliseconds; files are handled beside each other, so each phase counts its slowest file."""

    decode: float
    queue: float
    encode: float
    total: float


class Classification(BaseModel):
    """The answer of `POST /classify`; results are in the order of the files."""

    adapter: AdapterRef | None
    model: BaseModelRef
    results: list[ClipScores | ClipFailed]
    timing_ms: Timing


def _progress_field(field: dataclasses.Field) -> tuple[Any, Any]:
    default = ... if field.default is dataclasses.MISSING else field.default
    return field.type, Field(default, description=field.metadata.get("description"))


Phase = Literal[*PHASES]
Progress = create_model(
    "Progress",
    __doc__=progress.Progress.__doc__,
    **{field.name: _progress_field(field) for field in dataclasses.fields(progress.Progress)} | {"phase": (Phase, ...)},
)


class JobAdapter(BaseModel):
    name: str
    version: int | None = None


class Promoted(BaseModel):
    """Whether a version took over from the one before when it was made."""

    current: bool = Field(description="False where it stands by: the bare name goes on to mean the version before.")
    reason: str
    comparison: Comparison | None = Field(None, description="Null where no clip was held out by both versions.")


class Job(BaseModel):
    """A job: an adaptation, or what else `kind` says."""

    id: str
    kind: Literal[*KINDS] = Field("adapt", description="What is done.")
    state: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    progress: Progress | None
    adapter: JobAdapter | None
    promoted: Promoted | None = Field(None, description="Of a job that succeeded: whether its version took over.")
    error: Fault | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    left_out: list[LeftOut] = Field([], description="Files of the upload that are not trained on; the first 100.")
    num_left_out: int = Field(0, description="How many they are.")
    warnings: list[ClipWarning] = Field([], description="Clips that are used although they are odd; the first 100.")
    num_warnings: int = Field(0, description="How many warnings there are.")
    report: dict[str, Any] | None = Field(
        default=None,
        description="Of an evaluation that succeeded, and of an adaptation whose archive had a part to test on; "
        "lists and events leave it out.",
    )


class JobList(BaseModel):
    jobs: list[Job]
    next: str | None = Field(description="Pass as `after` for the next page; null at the end.")


class AdapterVersion(BaseModel):
    """One version, as the store has it."""

    version: int
    digest: str
    size_bytes: int
    created_at: str | None = None
    is_current: bool
    promoted: Promoted | None = Field(default=None, description="Whether it took over when it was made, and why.")
    description: str | None = None
    labels: list[str]
    method: str | None = None
    audio_prompt: str | None = None
    template: str | None = None
    num_parameters: int | None = None
    shots: dict[str, int] | None = None
    seed: int | None = None
    preset: str | None = None
    threshold: float | None = Field(None, description="Of the best score, where the adapter knows no background.")
    thresholds: dict[str, float] | None = Field(None, description="Of the known score, by label.")
    temperature: float | None = None
    level_db: float | None = Field(
        None, description="To which clips are brought before they are heard, null for as loud as they were recorded."
    )
    model: dict[str, Any] | None = None
    report: Report | None = Field(None, description="How it did on clips that it had not heard. Lists leave it out.")
    evaluation: dict[str, Any] | None = Field(
        None, description="Of an archive with `train` and `test`: the `report` on the clips of `test`."
    )
    changes: Changes | None = Field(None, description="How its clips differ from those of its `base`.")
    recalibration: ChannelReport | None = Field(
        None, description="What came of the live clips that its channel was told from. Lists leave it out."
    )


class StandingBy(BaseModel):
    """A version that did not take over when it was made."""

    version: int
    reason: str


class AdapterSummary(BaseModel):
    """An adapter with its current version."""

    name: str
    current: int
    versions: list[int]
    standing_by: list[StandingBy] = Field([], description="Newer versions that did not take over; the last 10.")
    adapter: AdapterVersion
    channel: ChannelDrift | None = Field(None, description="Of one adapter: what it hears of its channel, if anything.")


class AdapterFailed(BaseModel):
    """An adapter whose files are damaged, among others that are not."""

    name: str
    error: Fault


class VersionFailed(BaseModel):
    """A version whose files are damaged, among others that are not."""

    name: str
    version: int
    error: Fault


class AdapterList(BaseModel):
    adapters: list[AdapterSummary | AdapterFailed]
    next: str | None = Field(description="Pass as `after` for the next page; null at the end.")


class VersionList(BaseModel):
    name: str
    current: int | None = Field(description="null where what says so is damaged; set it anew.")
    versions: list[AdapterVersion | VersionFailed]
    next: int | None = Field(description="Pass as `after` for the next page; null at the end.")


class CurrentVersion(BaseModel):
    """Which version a bare name means."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 2}]})

    version: int = Field(ge=1, le=2**53)


class Thresholds(RootModel[dict[str, StrictFloat | StrictStr]]):
    """Thresholds of the known score by label, 0 to 1; or a `sensitivity`: `high`, `balanced`, `normal` or `low`."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"rain": 0.7}, {"sensitivity": "high"}]})


class Health(BaseModel):
    status: Literal["ok"]


class ModelInfo(BaseModel):
    """The base model and where it runs."""

    name: str
    fingerprint: str
    licence: str | None
    joint_width: int
    device: str
    dtype: str
    batch_windows: int


class Info(BaseModel):
    """What runs here."""

    version: str
    needs_key: bool = Field(True, description="Whether a tenant's own calls need an API key.")
    model: ModelInfo
    limits: dict[str, float]
    keep: Literal["audio", "features", "nothing"] = Field(description="The most that is kept of clips.")
