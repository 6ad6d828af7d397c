"""What a version says of how it came after another: what was changed, and how both did."""

from pydantic import BaseModel, Field


class Comparison(BaseModel):
    """How a version and the one before did on the clips that both held out under the same label."""

    shared_clips: int
    correct_before: int
    correct_after: int


class VersionRef(BaseModel):
    name: str
    version: int


class Changes(BaseModel):
    """How a version differs from the one that it goes on from."""

    base: VersionRef
    added: int
    through_channel: int = Field(0, description="How many of these came through the channel of the base.")
    removed: list[str] = Field(description="Ids; the first 100.")
    num_removed: int
    relabelled: dict[str, str] = Field(description="New labels by id; the first 100.")
    num_relabelled: int
    thresholds: str = Field("", description="What is to be known of thresholds that were set by hand in the base.")
