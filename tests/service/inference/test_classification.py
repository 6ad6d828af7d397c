"""Classification without HTTP: what fails a request, and what one clip of it."""

import asyncio
import io

import pytest

from aspl.errors import AudioNotAudio
from service.inference.classification import ClassifyRequest, ScoredClip
from service.inference.errors import ModelFailed, Overloaded, TenantOverloaded
from tests.service.sounds import tone


@pytest.fixture
def pipeline(context):
    context.start()
    yield context.pipeline
    asyncio.run(context.stop())


def classify(pipeline, *clips, tenant="acme"):
    request = ClassifyRequest(
        tenant=tenant,
        clips=[io.BytesIO(clip) for clip in clips],
        adapter=None,
        labels=("dog", "cat"),
        template="This is a sound of {}.",
        wants_windows=False,
    )
    return asyncio.run(pipeline.classifier.classify(request))


def test_a_clip_that_is_no_audio_fails_alone(pipeline):
    result = classify(pipeline, tone(440), b"\x89PNG\r\n\x1a\n" + b"x" * 100, tone(440))
    first, second, third = result.clips
    assert isinstance(second, AudioNotAudio)
    assert first.info.duration_s == third.info.duration_s
    assert list(first.scores.clip.probabilities) == list(third.scores.clip.probabilities)
    assert (result.ref, result.labels) == (None, ("dog", "cat"))


def test_a_clip_that_the_model_fails_on_fails_alone(pipeline, monkeypatch):
    encode = pipeline.engine._encode

    def fail_on_long_ones(rows):
        if any(row.clip.num_windows > 1 for row in rows):
            raise RuntimeError("the device is lost")
        return encode(rows)

    monkeypatch.setattr(pipeline.engine, "_encode", fail_on_long_ones)
    short, long = classify(pipeline, tone(440), tone(440, duration_s=15)).clips
    assert isinstance(short, ScoredClip)
    assert isinstance(long, ModelFailed)


@pytest.mark.parametrize(("bound", "error"), [("max_windows", Overloaded), ("max_tenant_windows", TenantOverloaded)])
def test_a_full_queue_refuses_before_anything_is_decoded(pipeline, monkeypatch, bound, error):
    decoded, decode = [], pipeline.decoder._decode
    monkeypatch.setattr(pipeline.decoder, "_decode", lambda *clip: decoded.append(clip) or decode(*clip))
    monkeypatch.setattr(pipeline.engine.queue, bound, 0)
    with pytest.raises(error):
        classify(pipeline, tone(440))
    assert not decoded
