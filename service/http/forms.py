"""The multipart forms of the two calls that take audio, checked as far as their text goes."""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from fastapi import Form, UploadFile
from pydantic import BaseModel, Field, create_model

from aspl.fitting.config import OPTIONS, Option, TrainingConfig
from aspl.labels import fold_label
from aspl.methods import METHODS
from aspl.templates import SENTENCE
from service.http.problems import ServiceError
from service.settings import ServiceSettings

SEVERAL_LABELS = (
    'Repeat the field for each label (-F labels=dog -F labels=rain) or send a JSON array (labels=["dog", "rain"]); '
    "a comma is part of a label."
)


class ClassifyForm(BaseModel):
    """The body of `POST /classify`."""

    EXAMPLE: ClassVar[str] = "-F audio=@clip.wav -F adapter=NAME"

    audio: list[UploadFile] = Field([], description="One or more audio files; or else give `archive`.")
    archive: UploadFile | None = Field(
        None,
        description="A zip or tar of audio files in any folders, in place of `audio`: the answer is a job, which has "
        "results for each file. Of each 5 scores are kept unless `top_k` says otherwise.",
    )
    adapter: str | None = Field(None, description="`name`, or `name@3` for a version; or else give `labels`.")
    labels: list[str] = Field([], description="For zero-shot: repeated, or one JSON array.")
    template: str = Field(SENTENCE, description="Zero-shot: the sentence around each label, with one `{}`.")
    top_k: int | None = Field(None, ge=1, le=2**31, description="How many scores to return; all of them if absent.")
    threshold: float | None = Field(
        None, ge=0, le=1, description="Below it an answer is unknown, whatever its label; in place of the adapter's."
    )
    thresholds: str | None = Field(
        None, description='The same by label, as a JSON object: `{"rain": 0.7}`; other labels keep theirs.'
    )
    windows: bool = Field(False, description="Also return the scores of each 10 s window.")


class LabelledUpload(BaseModel):
    """The body of `POST /adapt`: `clips` with `labels`, or an `archive`."""

    EXAMPLE: ClassVar[str] = "-F name=NAME -F clips=@dog.wav -F labels=dog -F clips=@rain.wav -F labels=rain"

    name: str = Field(description="The adapter's name; a name that exists gets a new version.")
    clips: list[UploadFile] = Field([], description="Audio files.")
    labels: list[str] = Field([], description="One a clip, in the same order; repeated, or one JSON array.")
    archive: UploadFile | None = Field(
        None,
        description="A zip or tar with a folder for each label; `background` or `_background` beside them holds clips "
        "of the background.",
    )
    background: list[UploadFile] = Field(
        [], description="Audio files of what is none of the labels: heard as unknown, and never an answer."
    )
    background_labels: list[str] = Field(
        [], description="Labels whose clips are background, as `noise`; repeated, or one JSON array."
    )
    unlabelled: list[UploadFile] = Field(
        [],
        description="Audio files of the place where it is to listen, without labels, 5 or more: they tell its channel "
        "from the one of the clips.",
    )
    description: str = Field("", max_length=1000, description="Kept with the adapter.")
    base: str | None = Field(
        None,
        description="`name` or `name@3`: teach what that version was taught with, and these clips, if any, beside it.",
    )
    remove: list[str] = Field(
        [], description="With `base`: ids of its clips to leave out; repeated, or one JSON array."
    )
    relabel: str | None = Field(
        None,
        description='With `base`: other labels for some of its clips, as a JSON object: `{"ID": "rain"}`; `background` '
        "makes a clip one of the background, unless it is a label of the base.",
    )
    channel: Literal["base", "none"] = Field(
        "base",
        description="With `base`: whether these clips come from the field, through the channel that the base was "
        "recalibrated to, and so are brought back by it before they teach (`base`), or are as those that it was taught "
        "with (`none`). Of a base that was not recalibrated it says nothing. The new version has its base's channel.",
    )
    keep: Literal["audio", "features", "nothing"] | None = Field(
        None,
        description="What is kept of the clips, so that `base` can go on from them: `audio` (the default, as far as "
        "this service keeps it, and with `base` as much as that keeps), `features` (what the model hears of them, "
        "which another model cannot use), `nothing`.",
    )
    promote: Literal["auto", "always", "never"] = Field(
        "auto",
        description="Whether the new version takes over: `auto` if it knows every label that the current one knows, "
        "and is not worse on the clips that both held out, by more than one and more than 3 of a hundred.",
    )


def _form_field(option: Option, default: Any) -> tuple[Any, Any]:
    """A training option as pydantic takes it: types are checked here, ranges by `TrainingConfig`, with one code."""
    kind = Literal[option.choices] if option.choices else option.type
    limits = {"minimum": option.lowest, "exclusiveMinimum": option.above, "maximum": option.highest}
    stated = {name: value for name, value in limits.items() if value is not None}
    field = Field(default, description=option.description, json_schema_extra=_stating(stated))
    return (kind if default is not None else kind | None), field


def _stating(limits: dict[str, float]) -> Callable[[dict[str, Any]], None]:
    """What adds limits to a field's schema: to the number's own part where the field may be left out."""

    def state(schema: dict[str, Any]) -> None:
        parts = [part for part in schema.get("anyOf", ()) if part != {"type": "null"}]
        (parts or [schema])[0].update(limits)

    return state


_DEFAULTS = TrainingConfig()
AdaptForm = create_model(
    "AdaptForm",
    __base__=LabelledUpload,
    __doc__=LabelledUpload.__doc__,
    **{name: _form_field(option, getattr(_DEFAULTS, name)) for name, option in OPTIONS.items()},
)

ClassifyBody = Annotated[ClassifyForm, Form(media_type="multipart/form-data")]
AdaptBody = Annotated[AdaptForm, Form(media_type="multipart/form-data")]


def split_labels(labels: list[str]) -> list[str]:
    """Labels as they came: the field repeated, each value one label or a JSON array of labels."""
    return [label for value in labels for label in _labels_in(value)]


def _labels_in(value: str) -> list[str]:
    if not value.lstrip().startswith("["):
        return [value]
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError) as error:
        # A shell that ate the quotes leaves the same as a label in brackets: better asked than guessed.
        detail = f'labels: {value[:40]!r} starts like a JSON array and is none ({error}); write ["dog", "rain"]'
        raise ServiceError("labels_invalid", f'{detail}, or, of a label in brackets, ["[noise]"].') from error
    if not all(isinstance(label, str) for label in parsed):
        raise ServiceError("labels_invalid", 'labels: the JSON array must hold strings alone, as ["dog", "rain"].')
    return parsed


def split_ids(ids: list[str]) -> list[str]:
    """Ids of clips as they came: the field repeated, each value one or a JSON array of them."""
    found: list[str] = []
    for value in ids:
        parsed = _json("remove", value) if value.lstrip().startswith("[") else [value]
        if not isinstance(parsed, list) or not all(isinstance(clip, str) for clip in parsed):
            raise ServiceError("invalid_request", "remove: send ids of clips, repeated or as one JSON array.")
        found += parsed
    return found


def parsed_relabel(text: str | None) -> dict[str, str]:
    """The field `relabel`: labels by the ids of clips."""
    parsed = {} if text is None else _json("relabel", text)
    if not isinstance(parsed, dict) or not all(isinstance(label, str) for label in parsed.values()):
        raise ServiceError("invalid_request", 'relabel: send a JSON object of ids and labels, as {"ID": "rain"}.')
    return parsed


def _json(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ServiceError("invalid_request", f"{field}: no JSON ({error}).") from error


def bounded_labels(labels: list[str], settings: ServiceSettings) -> tuple[str, ...]:
    """Zero-shot labels within the limits, or an error that names the one that is exceeded."""
    if len(labels) > settings.max_labels:
        limit = ("max_labels", settings.max_labels)
        raise ServiceError("labels_invalid", f"More than max_labels = {settings.max_labels} labels.", limit=limit)
    folded = [fold_label(label, max_chars=settings.max_label_chars) for label in labels]
    if len(folded) == 1:
        detail = f"There is one label, {folded[0]!r}; zero-shot takes 2 to {settings.max_labels}. {SEVERAL_LABELS}"
        raise ServiceError("labels_invalid", detail)
    if folded:  # none where an adapter brings its own
        METHODS["zero_shot"].check_labels(folded)
    return tuple(folded)


def parsed_thresholds(text: str | None, settings: ServiceSettings) -> dict[str, float]:
    """The field `thresholds`, by label."""
    if text is None:
        return {}
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ServiceError("thresholds_invalid", f'thresholds: no JSON ({error}); write {{"rain": 0.7}}.') from error
    if not isinstance(parsed, dict):
        raise ServiceError("thresholds_invalid", 'thresholds: send a JSON object of labels, as {"rain": 0.7}.')
    return checked_thresholds(parsed, settings)


def checked_thresholds(given: Mapping[str, Any], settings: ServiceSettings) -> dict[str, float]:
    """Thresholds by label, spelled as labels are kept; refuses what is no number from 0 to 1."""
    for label, value in given.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise ServiceError("thresholds_invalid", f"thresholds: {label[:60]!r} must be a number from 0 to 1.")
    return {fold_label(label, max_chars=settings.max_label_chars): value for label, value in given.items()}


def check_num_files(num_files: int, settings: ServiceSettings) -> None:
    """Refuse more files than a classification may have."""
    if num_files > settings.max_files:
        limit = ("max_files", settings.max_files)
        raise ServiceError("too_many_files", f"More than max_files = {settings.max_files} files.", limit=limit)


def check_num_bytes(num_bytes: int, settings: ServiceSettings) -> None:
    """Refuse more bytes of audio than a classification that is answered at once may have."""
    if num_bytes > settings.max_request_bytes:
        limit = ("max_request_bytes", settings.max_request_bytes)
        detail = f"More than max_request_bytes = {settings.max_request_bytes} bytes of audio; send them as an archive."
        raise ServiceError("body_too_large", detail, limit=limit)
