"""The forms by which an adapter is taught, tried and put right."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from earshot_client.clips import Clips, Sounds, clips_of, labelled
from earshot_client.form import Form
from earshot_client.job_options import JobOptions

ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz")


class TeachOptions(JobOptions, total=False):
    """What teaching may be told besides its clips."""

    background: Clips  # what is none of the sounds: heard as unknown, never an answer
    unlabelled: Clips  # clips as they sound where the adapter will listen, 5 or more
    rate_hz: int  # of clips that are arrays
    channel: str  # "none" where clips beside a recalibrated version did not come through its channel, as by default
    keep: str  # what is kept of the clips: "audio", "features" or "nothing"
    promote: str  # whether the new version takes over: "auto", "always" or "never"
    method: str  # "auto", "ridge", "palm", "coop", "cocoop" or "zero_shot"
    description: str  # kept with the adapter
    training: Mapping[str, Any]  # every other field of POST /adapt, as {"audio_prompt": "aspl_star"}


class EvaluateOptions(JobOptions, total=False):
    """What an evaluation may be told besides its clips."""

    background: Clips  # false alarms are counted by the hour of it
    rate_hz: int  # of clips that are arrays
    against: str  # another `name` or `name@3`, which hears the same clips


class RecalibrateOptions(JobOptions, total=False):
    """What a recalibration may be told besides its clips."""

    rate_hz: int  # of clips that are arrays
    promote: str  # whether the new version takes over: "auto", "always" or "never"


def adapt_form(
    name: str,
    sounds: Sounds | None,
    *,
    base: str | None = None,
    relabel: Mapping[str, str] | None = None,
    remove: Collection[str] = (),
    background: Clips | None = None,
    unlabelled: Clips | None = None,
    rate_hz: int | None = None,
    training: Mapping[str, Any] | None = None,
    **texts: Any,
) -> Form:
    """The form of `POST /adapt`; `texts` are fields of that name."""
    form = Form()
    form.add("name", name)
    _add_sounds(form, sounds, rate_hz)
    for clip in clips_of(background, rate_hz=rate_hz):
        form.add_clip("background", clip)
    for clip in clips_of(unlabelled, rate_hz=rate_hz):
        form.add_clip("unlabelled", clip)
    form.add("base", base)
    form.add("relabel", json.dumps(dict(relabel)) if relabel else None)
    form.add("remove", json.dumps(list(remove)) if remove else None)
    for field, text in {**texts, **(training or {})}.items():
        form.add(field, text)
    return form


def evaluate_form(
    sounds: Sounds | None, *, background: Clips | None = None, rate_hz: int | None = None, against: str | None = None
) -> Form:
    """The form of `POST /adapters/{ref}/evaluate`."""
    form = Form()
    _add_sounds(form, sounds, rate_hz)
    for clip in clips_of(background, rate_hz=rate_hz):
        form.add_clip("background", clip)
    form.add("against", against)
    return form


def recalibrate_form(clips: Clips | None, *, rate_hz: int | None = None, promote: str | None = None) -> Form:
    """The form of `POST /adapters/{ref}/recalibrate`; empty where what was heard lately is to do."""
    form = Form()
    for clip in clips_of(clips, rate_hz=rate_hz):
        form.add_clip("audio", clip)
    form.add("promote", promote)
    return form


def bare(ref: str) -> str:
    """The name in `name@3`."""
    return ref.partition("@")[0]


def _add_sounds(form: Form, sounds: Sounds | None, rate_hz: int | None) -> None:
    if sounds is not None and not isinstance(sounds, Mapping) and str(sounds).lower().endswith(ARCHIVES):
        (archive,) = clips_of(Path(sounds))
        form.add_clip("archive", archive)
        return
    for label, clip in labelled(sounds, rate_hz=rate_hz):
        form.add_clip("background" if label is None else "clips", clip)
        if label is not None:
            form.add("labels", json.dumps([label]))  # an array, for a label may look like one
