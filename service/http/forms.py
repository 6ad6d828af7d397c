"""The multipart forms of the two calls that take audio, checked as far as their text goes."""

import json
from typing import Annotated, ClassVar, Literal

from fastapi import Form, UploadFile
from pydantic import BaseModel, Field

from aspl.labels import fold_label
from aspl.prompts.text import check_labels
from service.http.problems import ServiceError
from service.settings import ServiceSettings

DEFAULT_TEMPLATE = "This is a sound of {}."
SEVERAL_LABELS = (
    'Repeat the field for each label (-F labels=dog -F labels=rain) or send a JSON array (labels=["dog", "rain"]); '
    "a comma is part of a label."
)


class ClassifyForm(BaseModel):
    """The body of `POST /classify`."""

    EXAMPLE: ClassVar[str] = "-F audio=@clip.wav -F adapter=NAME"

    audio: list[UploadFile] = Field(min_length=1, description="One or more audio files.")
    adapter: str | None = Field(None, description="`name`, or `name@3` for a version; or else give `labels`.")
    labels: list[str] = Field([], description="For zero-shot: repeated, or one JSON array.")
    template: str = Field(DEFAULT_TEMPLATE, description="Zero-shot: the sentence around each label, with one `{}`.")
    top_k: int | None = Field(None, ge=1, le=2**31, description="How many scores to return; all of them if absent.")
    windows: bool = Field(False, description="Also return the scores of each 10 s window.")


class AdaptForm(BaseModel):
    """The body of `POST /adapt`: `clips` with `labels`, or an `archive`."""

    EXAMPLE: ClassVar[str] = "-F name=NAME -F clips=@dog.wav -F labels=dog -F clips=@rain.wav -F labels=rain"

    name: str = Field(description="The adapter's name; a name that exists gets a new version.")
    clips: list[UploadFile] = Field([], description="Audio files.")
    labels: list[str] = Field([], description="One a clip, in the same order; repeated, or one JSON array.")
    archive: UploadFile | None = Field(None, description="A zip or tar with a folder for each label.")
    method: Literal["palm", "coop", "cocoop", "zero_shot"] = "palm"
    template: str | None = Field(None, description="The sentence around each label, with one `{}`.")
    audio_prompt: str = Field(
        "aspl_star", description="`aspl_star`, `aspl`, `none`, or stages joined by `+`, as `spectral+structural`."
    )
    preset: Literal["fast", "paper"] = "fast"
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="Passes over the clips: of text and audio prompt together, or of the text prompt where there is "
        "no audio prompt. Without one, the preset's.",
    )
    learning_rate: float | None = Field(None, gt=0, le=100)
    batch_size: int | None = Field(None, ge=1, le=1024)
    seed: int = Field(0, ge=0, lt=2**31)
    description: str = Field("", max_length=1000, description="Kept with the adapter.")


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
        check_labels(folded, "zero_shot")
    return tuple(folded)


def check_template(template: str, settings: ServiceSettings) -> str:
    """A template with one `{}` and of bearable length."""
    if len(template) > settings.max_template_chars:
        limit = ("max_template_chars", settings.max_template_chars)
        detail = f"template: longer than max_template_chars = {settings.max_template_chars} characters."
        raise ServiceError("invalid_request", detail, limit=limit)
    if template.count("{}") != 1 or template.replace("{}", "").count("{") or template.replace("{}", "").count("}"):
        raise ServiceError("invalid_request", "template: exactly one {} is needed, for the label.")
    return template


def check_num_files(num_files: int, settings: ServiceSettings) -> None:
    """Refuse more files than a classification may have."""
    if num_files > settings.max_files:
        limit = ("max_files", settings.max_files)
        raise ServiceError("too_many_files", f"More than max_files = {settings.max_files} files.", limit=limit)
