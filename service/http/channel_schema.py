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
