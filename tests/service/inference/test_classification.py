"""Classification without HTTP: what fails a request, and what one clip of it."""

import asyncio
import io

import pytest

from aspl.errors import AudioNotAudio
from service.inference.account import Resource
from service.inference.classification import ClassifyRequest, ScoredClip
from service.inference.errors import ModelFailed, Overloaded, TenantOverloaded
from tests.service.sounds import tone


@pytest.fixture
def pipeline(context):
    context.pipeline.start()
    yield context.pipeline
    asyncio.run(context.stop())


def classify(context, *clips, tenant="acme"):
    with context.accounts.open(tenant) as charge:
        request = ClassifyRequest(
            charge=charge,
            clips=[io.BytesIO(clip) for clip in clips],
            adapter=None,
            labels=("dog", "cat"),
            template="This is a sound of {}.",
            wants_windows=False,
        )
        return asyncio.run(context.pipeline.classifier.classify(request))


def test_a_clip_that_is_no_audio_fails_alone(context, pipeline):
    result = classify(context, tone(440), b"\x89PNG\r\n\x1a\n" + b"x" * 100, tone(440))
    first, second, third = result.clips
    assert isinstance(second, AudioNotAudio)
    assert first.info.duration_s == third.info.duration_s
    assert list(first.scores.clip.probabilities) == list(third.scores.clip.probabilities)
    assert (result.ref, result.labels) == (None, ("dog", "cat"))


def test_a_clip_that_the_model_fails_on_fails_alone(context, pipeline, monkeypatch):
    encode = pipeline.engine._encode

    def fail_on_long_ones(rows):
        if any(row.work.num_units > 1 for row in rows):
            raise RuntimeError("the device is lost")
        return encode(rows)

    monkeypatch.setattr(pipeline.engine, "_encode", fail_on_long_ones)
    short, long = classify(context, tone(440), tone(440, duration_s=15)).clips
    assert isinstance(short, ScoredClip)
    assert isinstance(long, ModelFailed)


@pytest.mark.parametrize(("tenant", "error"), [("busy", TenantOverloaded), ("acme", Overloaded)])
def test_a_full_account_refuses_before_anything_is_decoded(context, pipeline, monkeypatch, tenant, error):
    decoded, decode = [], pipeline.decoder._decode
    monkeypatch.setattr(pipeline.decoder, "_decode", lambda *clip: decoded.append(clip) or decode(*clip))
    for holder, num_windows in (("busy", 384), ("other", 128 if error is Overloaded else 0)):
        context.accounts.take(holder, Resource.WINDOWS, num_windows)
    with pytest.raises(error):
        classify(context, tone(440), tenant=tenant)
    assert not decoded
