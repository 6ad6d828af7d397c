"""A microphone's sound in windows, one after another."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

from earshot_client.clips import Recording

MAX_WAITING = 4  # windows; a service that is slower than the sound is not sent what is long past


def record(window_s: float, device: str | None) -> Iterator[tuple[Recording, int]]:
    """Windows of the microphone until it is closed, each with how many before it were passed over.

    Raises:
        ValueError: sounddevice, numpy or PortAudio is not installed, or there is no such microphone.
    """
    sounddevice, numpy = _installed()
    blocks: queue.SimpleQueue[Any] = queue.SimpleQueue()
    try:
        stream = sounddevice.InputStream(
            device=int(device) if device and device.isdigit() else device,
            channels=1,
            dtype="float32",
            callback=lambda block, *_: blocks.put(block[:, 0].copy()),
        )
    except (sounddevice.PortAudioError, ValueError) as error:
        raise ValueError(f"No microphone: {error}. python -m sounddevice lists those that there are.") from error
    with stream:
        rate_hz = int(stream.samplerate)
        window_length = round(window_s * rate_hz)
        held = numpy.zeros(0, "float32")
        while True:
            while len(held) < window_length:
                held = numpy.concatenate([held, blocks.get()])
            held = numpy.concatenate([held, *_waiting(blocks)])
            num_passed_over = max(0, len(held) // window_length - MAX_WAITING)
            held = held[num_passed_over * window_length :]
            yield Recording(held[:window_length], rate_hz), num_passed_over
            held = held[window_length:]


def _waiting(blocks: queue.SimpleQueue[Any]) -> Iterator[Any]:
    while not blocks.empty():
        yield blocks.get()


def _installed() -> tuple[Any, Any]:
    try:
        import numpy
        import sounddevice
    except ImportError as error:
        detail = f"{error.name} is not installed: pip install 'earshot-client[cli,listen]'"
        raise ValueError(f"The microphone cannot be heard: {detail}") from None
    except OSError as error:  # PortAudio, which sounddevice's wheel for Linux does not bring
        detail = f"{error}: install PortAudio, on Debian and Ubuntu the package libportaudio2"
        raise ValueError(f"The microphone cannot be heard: {detail}") from None
    return sounddevice, numpy
