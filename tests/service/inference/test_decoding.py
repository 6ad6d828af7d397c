import asyncio
import io
import threading
import time
import traceback

import numpy as np
import pytest
import soundfile

from aspl.errors import AudioTooLong
from service.bounds import bounds
from service.inference.account import Accounts, Resource
from service.inference.decoding import Decoder
from service.inference.errors import TooManyWindows
from service.metrics import Metrics
from service.settings import ServiceSettings
from tests.service.sounds import RATE_HZ, tone


class HeldFile(io.BytesIO):
    """A file whose first read waits until it is let go; it knows whether it was read after it was closed."""

    def __init__(self):
        super().__init__(tone(440))
        self.entered, self.gate = threading.Event(), threading.Event()
        self.was_open_to_the_end = False

    def read(self, *size):
        self.entered.set()
        self.gate.wait(10)
        self.was_open_to_the_end = not self.closed
        return super().read(*size)


@pytest.fixture
def decoder():
    decoder = Decoder(num_threads=1, max_clip_s=10.0, metrics=Metrics())
    yield decoder
    decoder.close()


@pytest.fixture
def charge():
    settings = ServiceSettings(max_request_windows=2)
    with Accounts(bounds(settings)).open("acme") as charge:
        charge.take(Resource.WINDOWS, 1)
        yield charge


def test_however_often_it_is_cancelled_a_clip_being_decoded_keeps_its_file(decoder, charge):
    async def ask():
        file = HeldFile()
        decoding = asyncio.ensure_future(decoder.decode(file, charge))
        await asyncio.to_thread(file.entered.wait, 10)
        for _ in range(3):
            decoding.cancel()
            await asyncio.wait([decoding], timeout=0.02)
        assert not decoding.done()  # whoever waits for it closes the file after
        file.gate.set()
        await asyncio.wait([decoding])
        file.close()
        assert decoding.cancelled()
        assert file.was_open_to_the_end
        assert (await decoder.decode(io.BytesIO(tone(440)), charge)).info.duration_s == 0.5

    asyncio.run(ask())


def test_a_long_clip_whose_client_left_is_not_decoded_to_its_end(charge):
    decoder = Decoder(num_threads=1, max_clip_s=600.0, metrics=Metrics())
    clip = flac(600)

    async def ask():
        started_at = time.monotonic()
        decoding = asyncio.ensure_future(decoder.decode(io.BytesIO(clip), charge))
        await asyncio.sleep(0.01)
        decoding.cancel()
        await asyncio.wait([decoding])
        return time.monotonic() - started_at

    assert asyncio.run(ask()) < 0.3
    decoder.close()


def test_seconds_are_counted_whatever_comes_of_the_clip(decoder, charge):
    clip = flac(600)  # of which ten seconds are decoded before it is refused

    async def ask():
        with pytest.raises(AudioTooLong):
            await decoder.decode(io.BytesIO(clip), charge)
        with pytest.raises(TooManyWindows) as refused:
            await decoder.decode(io.BytesIO(clip), charge)
        assert refused.value.limit == ("max_request_windows", 2)

    asyncio.run(ask())


def flac(duration_s):
    file = io.BytesIO()
    soundfile.write(file, np.zeros(int(duration_s * RATE_HZ), np.float32), RATE_HZ, format="FLAC")
    return file.getvalue()


@pytest.mark.parametrize(("duration_s", "refusal"), [(11.0, AudioTooLong), (9.9, TooManyWindows)])
def test_a_refused_clip_leaves_no_samples_behind(decoder, charge, duration_s, refusal):
    charge.take(Resource.SECONDS, 10 if refusal is TooManyWindows else 0)
    with pytest.raises(refusal) as refused:
        asyncio.run(_twice(decoder, tone(440, duration_s=duration_s), charge))
    frames = [frame for frame, _ in traceback.walk_tb(refused.value.__traceback__)]
    assert not {"waveform", "clip", "samples", "block"} & {name for frame in frames for name in frame.f_locals}


async def _twice(decoder, content, charge):
    for _ in range(2):
        await decoder.decode(io.BytesIO(content), charge)
