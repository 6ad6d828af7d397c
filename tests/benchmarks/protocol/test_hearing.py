import io

import numpy as np
import soundfile

from aspl import decode
from benchmarks.protocol.hearing import OURS, PAPER, PAPER_SAMPLES, channels_end_to_end, hear_file

RATE_HZ = 48_000


def stereo(seconds: float, rate_hz: int = RATE_HZ) -> tuple[bytes, np.ndarray]:
    time_s = np.arange(int(seconds * rate_hz)) / rate_hz
    samples = np.stack([0.5 * np.sin(2 * np.pi * 300 * time_s), 0.25 * np.cos(2 * np.pi * 900 * time_s)], 1)
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, format="WAV", subtype="FLOAT")
    return file.getvalue(), samples.astype(np.float32)


def test_ours_averages_channels_and_hears_the_whole_clip():
    data, samples = stereo(8.0)
    waveform, is_drawn = hear_file(data, OURS, seed=0)
    assert not is_drawn
    np.testing.assert_allclose(waveform, samples.mean(1), atol=1e-6)


def test_the_paper_lays_channels_end_to_end_and_repeats_them_to_seven_seconds():
    data, samples = stereo(1.5)
    assert np.array_equal(channels_end_to_end(data), samples.T.reshape(-1))
    waveform, is_drawn = hear_file(data, PAPER, seed=0)
    assert not is_drawn and len(waveform) == PAPER_SAMPLES
    whole = samples.T.reshape(-1)  # three seconds
    assert np.array_equal(waveform, np.concatenate([whole, whole, whole])[:PAPER_SAMPLES])


def test_of_more_than_seven_seconds_one_piece_is_drawn_by_the_seed():
    data, samples = stereo(4.0)  # eight seconds end to end
    pieces = [hear_file(data, PAPER, seed=seed) for seed in (0, 0, 1)]
    assert all(is_drawn and len(waveform) == PAPER_SAMPLES for waveform, is_drawn in pieces)
    assert np.array_equal(pieces[0][0], pieces[1][0]) and not np.array_equal(pieces[0][0], pieces[2][0])
    whole = samples.T.reshape(-1)
    starts = range(len(whole) - PAPER_SAMPLES)
    assert any(np.array_equal(whole[start : start + PAPER_SAMPLES], pieces[0][0]) for start in starts)


def test_channels_are_resampled_each_by_itself():
    data, samples = stereo(1.0, rate_hz=16_000)
    heard = channels_end_to_end(data)
    assert len(heard) == 2 * RATE_HZ
    mono = io.BytesIO()
    soundfile.write(mono, samples[:, 1], 16_000, format="WAV", subtype="FLOAT")
    np.testing.assert_allclose(heard[RATE_HZ + 500 : -500], decode(mono.getvalue()).waveform[500:-500], atol=1e-3)
