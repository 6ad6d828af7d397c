"""What can go wrong between a clip and its scores, each with a code that callers may rely on and a sentence for a
person."""

from collections.abc import Sequence


class InferenceError(Exception):
    """Base of every error that `service.inference` raises on purpose; `code` is stable across releases.

    `limit` is the setting that was exceeded, if one was, and its value; `retry_after_s` is how long to wait before the
    same call may succeed, where that is known.
    """

    code = "inference_error"

    def __init__(self, detail: str, *, limit: tuple[str, float] | None = None, retry_after_s: float = 0.0) -> None:
        super().__init__(detail)
        self.limit = limit
        self.retry_after_s = retry_after_s


class ModelFailed(InferenceError):
    """The model raised on this clip, or on the batch that it was in."""

    code = "engine_fault"


class NotReady(InferenceError):
    """The model's thread does not run: not yet, or no longer."""

    code = "not_ready"


class Overloaded(InferenceError):
    """All tenants together have as many clips under way as the machine takes."""

    code = "overloaded"


class TenantOverloaded(InferenceError):
    """The tenant has as many clips under way as it may have."""

    code = "tenant_overloaded"


class TooManyWindows(InferenceError):
    """One request's clips make more windows than a request may have."""

    code = "too_many_windows"


class QueueTimeout(InferenceError):
    """The clip waited for the model until its deadline."""

    code = "queue_timeout"


class ThresholdsInvalid(InferenceError):
    """A threshold is given for a label that the adapter does not know."""

    code = "thresholds_invalid"

    def __init__(self, unheard: Sequence[str], labels: Sequence[str]) -> None:
        shown = ", ".join(map(repr, labels[:10])) + (f" and {len(labels) - 10} more" if len(labels) > 10 else "")
        super().__init__(f"thresholds: the adapter knows no label {unheard[0]!r}; it knows {shown}.")
