"""Damage within a file, ends that are missing, streams that were joined: what is heard, and what is said of it."""

import contextlib
import io
import struct
import tempfile

import av
import numpy as np
import pytest

from aspl.errors import AsplError, AudioInvalid, AudioNotAudio, AudioUndecodable
from aspl.sound.clip import SAMPLE_RATE_HZ, decode
from aspl.sound.containers import FLAC, MP3, OGG, identify
from aspl.sound.flac_frames import Numbering
from aspl.sound.ogg_pages import links
from tests.aspl.sound.test_clip import level_at_440_hz, level_edge, patched
from tests.sound_files import KINDS, tone, write

RESYNCHRONISING = ["mp3", "mp2", "aac", "flac", "ogg vorbis", "ogg opus", "ogg flac", "webm", "mkv"]


def click_at(at_s: float, duration_s: float = 1.0) -> np.ndarray:
    """Faint noise with a loud short burst in it, [n, 1]."""
    rng = np.random.default_rng(3)
    samples = 1e-3 * rng.standard_normal((round(duration_s * SAMPLE_RATE_HZ), 1))
    start = round(at_s * SAMPLE_RATE_HZ)
    samples[start : start + 480] += 0.5 * rng.standard_normal((480, 1))
    return samples.astype(np.float32)


@pytest.mark.parametrize("kind", RESYNCHRONISING)
def test_what_comes_after_damage_is_heard(kind, capfd):
    data = write(kind, tone(8.0))
    middle = len(data) // 2
    spoilt = data[:middle] + np.random.default_rng(0).bytes(600) + data[middle + 600 :]
    clip = decode(spoilt)
    assert clip.is_damaged and not clip.is_truncated
    assert 5.5 < clip.duration_s < 8.1
    assert level_at_440_hz(clip.waveform[-SAMPLE_RATE_HZ:]) == pytest.approx(
        0.5, abs=0.09
    )  # Opus lets little through the channel for the bass
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["mp3", "aac", "flac", "ogg opus"])
def test_cut_short_and_damaged_within_are_told_apart(kind):
    data = write(kind, tone(8.0))
    quarter = len(data) // 4
    spoilt = data[:quarter] + np.random.default_rng(1).bytes(600) + data[quarter + 600 : 3 * quarter]
    clip = decode(spoilt)
    assert clip.is_damaged and clip.is_truncated
    cut = decode(data[: 3 * quarter])
    assert cut.is_truncated and not cut.is_damaged


def test_a_frame_whose_header_is_zeroed_costs_that_frame_alone():
    data = write("mp3 of libav", tone(20.0))
    sync = data.index(b"\xff\xfb", len(data) // 4)
    clip = decode(patched(data, sync, bytes(4)))
    assert clip.duration_s == pytest.approx(20.0, abs=0.15)
    assert clip.is_damaged and not clip.is_truncated


@pytest.mark.parametrize("kind", ["mp3 of libav", "aac"])
def test_a_stream_that_was_joined_in_the_middle_of_a_frame_is_heard(kind):
    data = write(kind, tone(5.0))[3_001:]
    clip = decode(data)
    assert 3.0 < clip.duration_s < 5.0
    assert level_at_440_hz(clip.waveform) == pytest.approx(0.5, abs=level_edge(kind))
    assert not clip.is_damaged


def test_an_mp3_that_lost_its_last_frames_exactly_is_cut():
    data = write("mp3 of libav", tone(3.0))
    frames = [at for at in range(len(data) - 1) if data[at : at + 2] == b"\xff\xfb"]
    assert decode(data[: frames[-10]]).is_truncated
    assert not decode(data).is_truncated


def test_random_bytes_do_not_look_like_a_joined_stream():
    rng = np.random.default_rng(5)
    for _ in range(50):
        with pytest.raises(AudioNotAudio):
            identify(io.BytesIO(b"\x00" + rng.bytes(40_000)))


@pytest.mark.parametrize("kind", ["ogg vorbis", "ogg opus", "ogg flac"])
def test_joined_ogg_streams_are_heard_to_the_end(kind):
    first, second = write(kind, tone(1.0)), write(kind, np.zeros((SAMPLE_RATE_HZ * 2, 2), np.float32))
    clip = decode(first + second + first)
    assert clip.duration_s == pytest.approx(4.0, abs=0.1)
    assert not clip.is_truncated and not clip.is_damaged
    assert level_at_440_hz(clip.waveform[: SAMPLE_RATE_HZ * 9 // 10]) == pytest.approx(0.5, abs=0.03)
    assert level_at_440_hz(clip.waveform[-SAMPLE_RATE_HZ * 9 // 10 :]) == pytest.approx(0.5, abs=0.03)


def test_joined_ogg_streams_may_differ_in_codec_and_rate():
    joined = (
        write("ogg vorbis", tone(1.0, 22_050), 22_050) + write("ogg opus", tone(1.0)) + write("ogg flac", tone(1.0))
    )
    assert decode(joined).duration_s == pytest.approx(3.0, abs=0.1)


def test_a_joined_stream_that_no_decoder_knows_is_a_loss_and_no_error():
    good = write("ogg opus", tone(1.0))
    pages = [struct.pack("<4sBBqIIIB", b"OggS", 0, kind, 0, 7, 0, 0, 1) + bytes([8]) + b"nosuchit" for kind in (2, 4)]
    clip = decode(good + b"".join(pages) + good)
    assert clip.duration_s == pytest.approx(2.0, abs=0.1) and clip.is_damaged


def test_the_first_of_joined_ogg_streams_may_be_cut():
    whole = write("ogg opus", tone(3.0))
    clip = decode(whole[: len(whole) // 2] + whole)
    assert 3.5 < clip.duration_s < 6.0
    assert clip.is_damaged and not clip.is_truncated


def test_a_file_of_one_stream_is_one_link():
    data = write("ogg vorbis", tone(3.0))
    (link,) = links(io.BytesIO(data))
    assert link.read() == data and identify(link) is OGG


@pytest.mark.parametrize("kind", ["wav", "aiff", "au", "caf"])
def test_a_recording_whose_size_was_never_written_is_heard_and_flagged(kind):
    data = write(kind, tone(1.0))
    at, size_bytes = {
        "wav": (data.find(b"data") + 4, 4),
        "aiff": (data.find(b"SSND") + 4, 4),
        "au": (8, 4),
        "caf": (data.find(b"data") + 4, 8),
    }[kind]
    clip = decode(patched(data, at, bytes(size_bytes)))
    assert clip.duration_s == pytest.approx(1.0, abs=0.001)
    assert clip.is_truncated and not clip.is_damaged


def test_a_file_that_really_holds_no_samples_says_so():
    data = write("wav", tone(1.0))
    at = data.index(b"data")
    empty = data[: at + 4] + bytes(4) + b"LIST" + struct.pack("<I", 400) + bytes(400)
    with pytest.raises(AudioInvalid, match="no samples"):
        decode(empty)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("spooled_bytes", [2**20, 16], ids=["in memory", "on disk"])
def test_a_spooled_upload_is_read_as_its_bytes_are(kind, spooled_bytes):
    data = write(kind, tone(0.5))
    with tempfile.SpooledTemporaryFile(max_size=spooled_bytes) as upload:
        upload.write(data)
        upload.seek(0)
        assert np.array_equal(decode(upload).waveform, decode(data).waveform)
        upload.seek(0)
        assert upload.read() == data


@pytest.mark.parametrize(
    "kind", ["m4a", "mp4", "mp3", "mp3 of libav", "ogg opus", "webm", "m4a alac", "caf alac", "ogg flac"]
)
def test_what_an_encoder_puts_in_front_is_taken_off(kind):
    waveform = decode(write(kind, click_at(0.5))).waveform
    heard_s = np.argmax(np.abs(waveform) > 0.2) / SAMPLE_RATE_HZ
    assert heard_s == pytest.approx(0.5, abs=0.004)


def test_flac_frames_tell_what_is_missing():
    numbering = Numbering(4096 * 4 + 100)
    header = b"\xff\xf8\x00\x00"
    assert not numbering.has_gap(header + bytes([0]), 4096)
    assert not numbering.has_gap(header + bytes([1]), 4096)
    assert numbering.has_gap(header + bytes([3]), 4096)
    assert numbering.is_short()
    assert not numbering.has_gap(header + bytes([4]), 100)
    assert not numbering.is_short()
    assert not numbering.has_gap(header + bytes([0]), 4096), "another stream, joined on"


def test_flac_frames_of_varying_length_bear_the_number_of_their_first_sample():
    numbering = Numbering(1_000)
    assert not numbering.has_gap(b"\xff\xf9\x00\x00\x00", 300)
    assert numbering.has_gap(b"\xff\xf9\x00\x00" + "\u0200".encode(), 488)
    assert not numbering.is_short()


def test_kinds_are_told_by_their_first_bytes():
    assert identify(io.BytesIO(write("flac", tone(0.1)))) is FLAC
    assert identify(io.BytesIO(write("mp3", tone(0.1)))) is MP3


@pytest.mark.parametrize("kind", ["wav", "flac", "w64", "wavpack", "ogg flac", "ogg opus"])
@pytest.mark.parametrize("channels", [6, 8])
def test_many_channels_are_heard(kind, channels):
    samples = np.repeat(tone(0.5), channels, axis=1)
    clip = decode(write(kind, samples))
    assert clip.duration_s == pytest.approx(0.5, abs=0.02)
    assert level_at_440_hz(clip.waveform) == pytest.approx(
        0.5, abs=0.09
    )  # Opus lets little through the channel for the bass


@pytest.mark.parametrize("channels", [12, 36, 200])
def test_more_channels_than_any_layout_has_are_heard_or_refused(channels):
    data = bytearray(write("wav float", tone(0.5)))
    data[22:24] = struct.pack("<H", channels)
    data[32:34] = struct.pack("<H", 4 * channels)
    data[20:22] = struct.pack("<H", 0x674F)  # a codec that libsndfile does not know, so that libav is asked
    with contextlib.suppress(AsplError):
        decode(bytes(data))


def test_floats_in_a_wave64_are_floats():
    samples = tone(0.5)
    with av.open(file := io.BytesIO(), "w", format="w64") as target:
        stream = target.add_stream("pcm_f32le", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples.T.copy(), format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, 0
        target.mux(stream.encode(frame))
    np.testing.assert_array_equal(decode(file.getvalue()).waveform, samples[:, 0])


def test_a_track_of_an_unknown_codec_is_refused():
    data = bytearray(write("wav", tone(0.5)))
    data[20:22] = struct.pack("<H", 0x7777)
    with pytest.raises(AudioUndecodable, match="codec"):
        decode(bytes(data))
