"""How much one upload may hold: every limit with its unit and its default, and nowhere else."""

from pydantic import BaseModel, ConfigDict, Field

from aspl.labels import MAX_LABEL_CHARS

MIB = 1024 * 1024


class StorageLimits(BaseModel):
    """How much one tenant may keep in the adapter store; `Settings` has them as settings of the same names."""

    model_config = ConfigDict(frozen=True)

    max_adapters: int = Field(1000, gt=0, description="most adapters of one tenant")
    max_versions: int = Field(1000, gt=0, description="most versions of one adapter")
    max_stored_bytes: int = Field(
        20 * 1024 * MIB, gt=0, description="most bytes of one tenant in the adapter store, clips among them"
    )


class UploadLimits(BaseModel):
    """The limits of one upload; `Settings` has them as settings of the same names."""

    model_config = ConfigDict(frozen=True)

    max_clip_s: float = Field(600.0, gt=0, description="longest clip, in seconds")
    max_clip_bytes: int = Field(64 * MIB, gt=0, description="largest clip file, in bytes")
    max_upload_bytes: int = Field(512 * MIB, gt=0, description="largest upload for one adaptation, in bytes")
    max_upload_s: float = Field(3600.0, gt=0, description="longest upload for one adaptation, in seconds of audio")
    max_clips: int = Field(2000, gt=0, description="most clips in one adaptation")
    max_labels: int = Field(1000, gt=1, description="most labels in one adaptation")
    max_label_chars: int = Field(MAX_LABEL_CHARS, gt=0, le=1000, description="longest label, in characters")
    max_archive_members: int = Field(10_000, gt=0, description="most entries in an archive, folders included")
    max_archive_ratio: float = Field(
        100.0, gt=1, description="most bytes that an archive may unfold to, per byte of its own"
    )
