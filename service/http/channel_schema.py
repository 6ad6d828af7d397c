"""What `GET /adapters/{name}` tells of a channel, typed."""

from datetime import datetime

from pydantic import BaseModel, Field


class ChannelDrift(BaseModel):
    """How far what a version hears live is from what it was taught with, whatever is heard; no audio is kept for it."""

    difference_db: float = Field(description="As one number: the root of the mean square over bins, level left out.")
    bins_db: list[float] = Field(
        description="In each mel bin, what is heard less the taught, as far as it is no chance."
    )
    clips: int = Field(description="How many were heard; those of a thousand clips ago count a third.")
    known_clips: float = Field(description="How many clips that sound like what was taught they amount to.")
    since: datetime
    advised: bool = Field(description="Whether `POST /adapters/{name}/recalibrate` without audio would do.")
    wanting: list[str] = Field(description="What is wanting for that.")
    labels: dict[str, float] = Field(description="How much was heard of each label.")


class ChannelReport(BaseModel):
    """What came of unlabelled clips, or of what was heard, that a version's channel was to be told from."""

    applied: bool = Field(description="Whether the version has another channel by it.")
    reason: str
    check: str = Field(description="What it had to pass: `margin`, of the live clips, or `evidence`.")
    margin_before: float | None = Field(description="By how much the clips sounded more like what was taught.")
    margin_after: float | None = Field(description="The same behind the channel that was tried last.")
    num_clips: int
    num_known: float = Field(description="How many clips that sound like what was taught they amount to.")
    shift_db: list[float] = Field(description="What was changed in each mel bin.")
