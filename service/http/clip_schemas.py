"""Bodies of the routes for clips that adapters were taught with."""

from typing import Literal

from pydantic import BaseModel, Field

from service.http.schemas import AdapterRef


class HeldOut(BaseModel):
    """What a version answered to a clip without having heard it."""

    label: str
    score: float


class TaughtClip(BaseModel):
    """A clip that a version was taught with."""

    id: str = Field(description="SHA-256 of its bytes.")
    label: str | None = Field(description="Null of the background.")
    is_background: bool
    file: str = Field(description="Its name in the upload; empty where nothing was to be kept.")
    duration_s: float | None
    size_bytes: int
    held_out: HeldOut | None = Field(description="Null where it was never held out.")
    channel: str | None = Field(
        description="Of a clip that came through a recalibrated channel: what brings it back, in `channels`; else null."
    )
    has_audio: bool = Field(description="Its audio is kept: any method and any base model can be taught with it.")
    has_features: bool = Field(description="What this service's model hears of it is kept: method=auto needs no more.")


class ClipPage(BaseModel):
    """What a version was taught with, in order."""

    adapter: AdapterRef
    keep: Literal["audio", "features", "nothing"] = Field(description="How much of its clips it was to keep.")
    clips: list[TaughtClip]
    channels: dict[str, list[float]] = Field(description="In dB a mel bin, added to the log-mel of clips that have it.")
    next: int | None = Field(description="Pass as `after` for the next page; null at the end.")
