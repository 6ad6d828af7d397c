"""The report of an adapter, typed: every model is made of the dataclass of `aspl.report` that it shows."""

import dataclasses
import types
from collections.abc import Mapping
from functools import cache, reduce
from operator import or_
from typing import Any, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, create_model

from aspl import report


class Fault(BaseModel):
    """Why one file or one job failed."""

    code: str
    detail: str


class LeftOut(BaseModel):
    """A file of the upload that is not trained on."""

    file: str = Field(description="Its name; in an archive its path there.")
    label: str | None = Field(description="Null where it has none: it is no audio, or lies in no folder.")
    error: Fault


class ClipWarning(BaseModel):
    """A clip that is trained on although something about it is odd."""

    code: str = Field(
        description="Stable, but new ones may come: `audio_silent`, `audio_truncated`, `audio_damaged`, "
        "`clip_repeated` (the same bytes under the same label), `clip_in_two_labels`, `label_like_background` (of the "
        "label's first clip: `noise`, `other` and the like are taught as labels), `clip_taught` (in an evaluation: the "
        "version was taught with it)."
    )
    file: str
    label: str
    detail: str


@cache
def _model(shown: Any) -> type[BaseModel]:
    if shown in WRITTEN:
        return WRITTEN[shown]
    hints = get_type_hints(shown)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(shown):
        told = Field(description=field.metadata.get("description"), **_default(field))
        fields[field.name] = (_type(hints[field.name]), told)
    return create_model(shown.__name__, __doc__=shown.__doc__, **fields)


def _default(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    if field.default_factory is not dataclasses.MISSING:
        return {"default_factory": field.default_factory}
    return {} if field.default is dataclasses.MISSING else {"default": field.default}


def _type(hint: Any) -> Any:
    """The type of a field, in models where it speaks of dataclasses and in lists where it speaks of tuples."""
    if dataclasses.is_dataclass(hint):
        return _model(hint)
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return reduce(or_, map(_type, parts))
    if origin is tuple and parts[-1] is Ellipsis:
        return list[_type(parts[0])]
    return dict[str, _type(parts[1])] if origin is Mapping else hint


WRITTEN = {report.LeftOut: LeftOut, report.ClipWarning: ClipWarning}  # those that jobs show too


class Report(_model(report.Report)):
    """How an adapter did on clips that it had not heard.

    Files of earlier releases lack some fields; where nothing could be held out most say nothing.
    """

    per_class: dict[str, _model(report.LabelReport)] = Field({}, description="Is `per_label`.", deprecated=True)


def shown_report(kept: Any) -> dict[str, Any] | None:
    """A report as the store has it, of whatever release, as it is shown; None where there is none to show."""
    try:
        shown = report.Report.from_json(kept).to_json()
    except ValueError:
        return None
    return {**shown, "per_class": shown["per_label"]}
