import asyncio
import io
import threading
import traceback

import pytest

from aspl.errors import AudioTooLong
from service.http.problems import ServiceError
from service.inference.decoding import Decoder
from service.metrics import Metrics
from tests.service.sounds import tone


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
    decoder = Decoder(num_threads=1, max_waiting=2, max_clip_s=10.0, metrics=Metrics())
    yield decoder
    decoder.close()


def refuse(num_windows):
    raise ServiceError("too_many_windows", "More than there may be.")


def hold(num_windows):
    """As much as may come: what requests hold has tests of its own."""


async def held(decoder):
    """A file in the hands of the decoder's only thread, and the task that waits for it."""
    file = HeldFile()
    decoding = asyncio.ensure_future(decoder.decode(file, hold))
    await asyncio.to_thread(file.entered.wait, 10)
    return file, decoding


async def is_full(decoder):
    try:
        await decoder.decode(io.BytesIO(tone(440)), hold)
    except ServiceError as error:
        assert (error.code, error.limit) == ("overloaded", ("max_decoding", 2))
        return True
    return False


def test_no_more_clips_wait_than_may(decoder):
    async def ask():
        file, first = await held(decoder)
        second = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440)), hold))
        await asyncio.sleep(0)
        assert await is_full(decoder)
        file.gate.set()
        assert (await first).duration_s == (await second).duration_s == 0.5
        assert not await is_full(decoder)

    asyncio.run(ask())


def test_a_clip_that_waits_can_be_given_up(decoder):
    async def ask():
        file, first = await held(decoder)
        second = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440)), hold))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second], timeout=1)
        assert second.cancelled()
        file.gate.set()
        await first
        assert not await is_full(decoder)

    asyncio.run(ask())


@pytest.mark.parametrize("num_cancels", [1, 2, 3])
def test_however_often_it_is_cancelled_a_clip_being_decoded_keeps_its_file_and_its_place(decoder, num_cancels):
    async def ask():
        file, decoding = await held(decoder)
        for _ in range(num_cancels):
            decoding.cancel()
            await asyncio.wait([decoding], timeout=0.02)
        assert not decoding.done()  # whoever waits for it closes the file after
        other = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440)), hold))
        await asyncio.sleep(0)
        assert await is_full(decoder)
        file.gate.set()
        await asyncio.wait([decoding])
        file.close()
        assert decoding.cancelled()
        assert file.was_open_to_the_end
        await other
        assert not await is_full(decoder)

    asyncio.run(ask())


@pytest.mark.parametrize(("duration_s", "hold", "refusal"), [(11.0, hold, AudioTooLong), (5.0, refuse, ServiceError)])
def test_a_refused_clip_leaves_no_samples_behind(decoder, duration_s, hold, refusal):
    with pytest.raises(refusal) as refused:
        asyncio.run(decoder.decode(io.BytesIO(tone(440, duration_s=duration_s)), hold))
    frames = [frame for frame, _ in traceback.walk_tb(refused.value.__traceback__)]
    assert not {"waveform", "clip", "samples", "block"} & {name for frame in frames for name in frame.f_locals}
