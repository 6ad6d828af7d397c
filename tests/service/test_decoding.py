import asyncio
import io
import threading

import pytest

from service.decoding import Decoder
from service.metrics import Metrics
from service.problems import ServiceError
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


async def held(decoder):
    """A file in the hands of the decoder's only thread, and the task that waits for it."""
    file = HeldFile()
    decoding = asyncio.ensure_future(decoder.decode(file))
    await asyncio.to_thread(file.entered.wait, 10)
    return file, decoding


async def is_full(decoder):
    try:
        await decoder.decode(io.BytesIO(tone(440)))
    except ServiceError as error:
        assert (error.code, error.limit) == ("overloaded", ("max_decoding", 2))
        return True
    return False


def test_no_more_clips_wait_than_may(decoder):
    async def ask():
        file, first = await held(decoder)
        second = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440))))
        await asyncio.sleep(0)
        assert await is_full(decoder)
        file.gate.set()
        assert (await first).duration_s == (await second).duration_s == 0.5
        assert not await is_full(decoder)

    asyncio.run(ask())


def test_a_clip_that_waits_can_be_given_up(decoder):
    async def ask():
        file, first = await held(decoder)
        second = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440))))
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
        other = asyncio.ensure_future(decoder.decode(io.BytesIO(tone(440))))
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
