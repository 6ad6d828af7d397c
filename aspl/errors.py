"""What can go wrong in the method, each with a code that callers may rely on and a sentence for a person."""


class AsplError(Exception):
    """Base of every error that `aspl` raises on purpose; `code` is stable across releases."""

    code = "aspl_error"


class AudioNotAudio(AsplError):
    """The bytes are of a type that holds no audio at all."""

    code = "audio_unsupported"


class AudioUndecodable(AsplError):
    """The bytes look like audio, but less than 10 ms of it can be decoded."""

    code = "audio_undecodable"


class AudioInvalid(AsplError):
    """The decoded samples cannot be used: none at all, under 10 ms, NaN or infinite."""

    code = "audio_invalid"


class AudioTooLong(AsplError):
    """The audio is longer than the limit that the caller set."""

    code = "audio_too_long"


class CheckpointNotFound(AsplError):
    """No checkpoint under that name or path (or not in the local cache while offline)."""

    code = "checkpoint_not_found"


class CheckpointInvalid(AsplError):
    """A file or directory that is not an unfused LAION CLAP."""

    code = "checkpoint_invalid"


class DeviceUnavailable(AsplError):
    """A device that this machine does not have, or a type of number that the model does not run in."""

    code = "device_unavailable"


class LabelsInvalid(AsplError):
    """A label or a list of them cannot be used; `limit` is the setting that was exceeded, if one was, and its value."""

    code = "labels_invalid"

    def __init__(self, detail: str, *, limit: tuple[str, int] | None = None) -> None:
        super().__init__(detail)
        self.limit = limit


class TemplateInvalid(AsplError):
    """The text around a label has no place for it, or is too long: `limit` as in LabelsInvalid."""

    code = "invalid_request"  # as the first release answers

    def __init__(self, detail: str, *, limit: tuple[str, int] | None = None) -> None:
        super().__init__(detail)
        self.limit = limit


class AudioPromptInvalid(AsplError):
    """An audio prompt of an unknown kind."""

    code = "audio_prompt_invalid"


class TrainingConfigInvalid(AsplError):
    """A training setting outside of its range."""

    code = "training_config_invalid"


class TrainingDataInvalid(AsplError):
    """Clips and labels that no classifier can be fitted to."""

    code = "training_data_invalid"


class TrainingCancelled(AsplError):
    """The caller's `should_cancel` said so."""

    code = "cancelled"


class TrainingDiverged(AsplError):
    """The loss became NaN or infinite."""

    code = "training_diverged"


class RecalibrationInvalid(AsplError):
    """An adapter, or clips, that no channel can be told from."""

    code = "recalibration_invalid"


class OutOfMemory(AsplError):
    """The device is too small for a single clip."""

    code = "out_of_memory"


class AdapterInvalid(AsplError):
    """Bytes that are not an adapter file of this format."""

    code = "adapter_invalid"


class AdapterMismatch(AsplError):
    """An adapter that was trained on another base model."""

    code = "adapter_model_mismatch"
