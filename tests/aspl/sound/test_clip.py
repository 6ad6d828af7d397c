"""Bytes of every kind, good and bad -> a waveform or an error that says what is wrong."""

import io
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aspl.errors import AsplError, AudioInvalid, AudioNotAudio, AudioTooLong, AudioUndecodable
from aspl.sound.clip import SAMPLE_RATE_HZ, WINDOW_SAMPLES, decode, windows
from tests.sound_files import KINDS, tone, write

CODEC_EDGE_S = 0.1  # what an encoder may add at both ends
LEVEL_EDGE = 0.03  # LAME lowers the level by 5% on its way in


def level_edge(kind: str) -> float:
    return 0.08 if kind == "amr" else LEVEL_EDGE  # made for speech


def level_at_440_hz(waveform: np.ndarray) -> float:
    middle = waveform[len(waveform) // 4 : -len(waveform) // 4 or None]
    carrier = np.exp(-2j * np.pi * 440 * np.arange(len(middle)) / SAMPLE_RATE_HZ)
    return float(2 * np.abs(np.mean(middle * carrier)))


def patched(data: bytes, offset: int, value: bytes) -> bytes:
    return data[:offset] + value + data[offset + len(value) :]


def flac_claiming(num_samples: int) -> bytes:
    data = write("flac", tone())
    field = int.from_bytes(data[18:26], "big")  # rate 20 bits, channels 3, depth 5, samples 36
    return patched(data, 18, (field >> 36 << 36 | num_samples).to_bytes(8, "big"))


WAV = write("wav", tone())
DATA_SIZE = WAV.index(b"data") + 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_file_is_heard(kind, capfd):
    clip = decode(write(kind, tone()))
    assert clip.waveform.dtype == np.float32 and clip.waveform.ndim == 1
    assert clip.duration_s == pytest.approx(1.0, abs=CODEC_EDGE_S)
    assert len(clip.waveform) == pytest.approx(clip.duration_s * SAMPLE_RATE_HZ, abs=1)
    assert level_at_440_hz(clip.waveform) == pytest.approx(0.5, abs=level_edge(kind))
    assert not clip.is_silent and not clip.is_truncated and not clip.is_damaged
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", KINDS)
def test_same_bytes_give_same_samples_from_memory_and_from_a_file(kind, tmp_path):
    data = write(kind, tone(0.3))
    (tmp_path / "clip.raw").write_bytes(data)  # a name that would make libsndfile ask for a sample rate
    with open(tmp_path / "clip.raw", "rb") as file:
        file.seek(5)
        from_file = decode(file).waveform
    assert np.array_equal(decode(data).waveform, decode(data).waveform)
    assert np.allclose(from_file, decode(data).waveform, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_truncated_file_is_used_as_far_as_it_goes(kind, capfd):
    data = write(kind, tone(2.0))
    cut = data[: len(data) * 6 // 10]
    if kind in ("m4a", "mp4", "m4a alac", "caf alac"):  # their index stands at the end
        with pytest.raises(AudioUndecodable, match="does not open"):
            decode(cut)
    else:
        clip = decode(cut)
        assert clip.is_truncated and not clip.is_damaged
        assert 0.5 < clip.duration_s < 1.7
        assert level_at_440_hz(clip.waveform) == pytest.approx(0.5, abs=level_edge(kind))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "amr"])  # which 100 bytes of hold 100 ms
def test_a_file_cut_within_its_first_bytes_says_that_it_is_damaged(kind, capfd):
    with pytest.raises((AudioUndecodable, AudioInvalid)):
        decode(write(kind, tone(2.0))[:100])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", ["wav", "mp3", "aac", "ogg vorbis", "m4a", "webm", "aiff"])
def test_a_tag_behind_the_audio_is_no_truncation(kind):
    assert not decode(write(kind, tone()) + b"TAG" + bytes(125)).is_truncated


@pytest.mark.parametrize("kind", ["mp3", "aac", "flac"])
def test_a_tag_before_the_audio_is_skipped(kind):
    tagged = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 0]) + bytes(256) + write(kind, tone())
    clip = decode(tagged)
    assert clip.duration_s == pytest.approx(1.0, abs=CODEC_EDGE_S) and not clip.is_truncated


@pytest.mark.parametrize("num_padding", [1, 100])
def test_padding_between_a_tag_and_the_audio_is_no_truncation(num_padding):
    tagged = b"ID3\x04\x00\x00" + bytes([0, 0, 2, 0]) + bytes(256 + num_padding) + write("mp3", tone())
    clip = decode(tagged)
    assert clip.duration_s == pytest.approx(1.0, abs=CODEC_EDGE_S) and not clip.is_truncated


def test_an_ogg_file_may_end_in_an_empty_page():
    data = bytearray(write("ogg vorbis", tone()))
    last = data.rfind(b"OggS")
    data[last + 5] &= ~0x04  # no longer the last page; its checksum follows below
    put_checksum(data, last, len(data))
    sequence = struct.pack("<I", struct.unpack_from("<I", data, last + 18)[0] + 1)
    end = bytearray(b"OggS\x00\x04" + data[last + 6 : last + 18] + sequence + bytes(4) + b"\x00")
    put_checksum(end, 0, len(end))
    clip = decode(bytes(data + end))
    assert clip.duration_s == pytest.approx(1.0, abs=CODEC_EDGE_S) and not clip.is_truncated
    assert decode(bytes(data)).is_truncated


def put_checksum(data: bytearray, start: int, stop: int) -> None:
    """Write the checksum of the Ogg page `data[start:stop]` into it (RFC 3533, section 6)."""
    data[start + 22 : start + 26] = bytes(4)
    crc = 0
    for byte in data[start:stop]:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ 0x04C11DB7 if crc & 0x80000000 else crc << 1) & 0xFFFFFFFF
    data[start + 22 : start + 26] = struct.pack("<I", crc)


@pytest.mark.parametrize(
    ("data", "is_truncated"),
    [
        (patched(WAV, DATA_SIZE, struct.pack("<I", 200_000)), True),
        (patched(WAV, DATA_SIZE, struct.pack("<I", 4_294_967_200)), False),  # what a pipe's writer puts, less a header
        (patched(WAV, DATA_SIZE, struct.pack("<I", 0x7FFFFFFF)), False),
        (patched(WAV, DATA_SIZE, struct.pack("<I", 0x7FFFF000)), False),  # as SoX writes it to a pipe
        (patched(WAV, DATA_SIZE, struct.pack("<I", 0xFFFFFFFF)), False),  # as FFmpeg does
        (patched(WAV, DATA_SIZE, bytes(4)), True),  # a recorder that never came to write it
        (patched(WAV, 4, struct.pack("<I", 4_294_967_200)), False),  # the samples are all there
        (flac_claiming(2**35), True),
        (flac_claiming(0), False),  # unknown, as an encoder writes it to a pipe
    ],
    ids=[
        "wav too much",
        "wav near 4 GiB",
        "wav 2 GiB - 1",
        "wav of SoX",
        "wav of FFmpeg",
        "wav unfinished",
        "riff 4 GB",
        "flac 2^35",
        "flac unknown",
    ],
)
def test_a_header_that_lies_about_its_length_is_not_believed(data, is_truncated):
    clip = decode(data)
    assert clip.duration_s == 1.0
    assert clip.is_truncated == is_truncated and not clip.is_damaged


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_every_rate_comes_out_at_48_khz(rate_hz):
    clip = decode(write("wav float", tone(rate_hz=rate_hz), rate_hz))
    assert clip.duration_s == 1.0
    assert len(clip.waveform) == SAMPLE_RATE_HZ
    assert level_at_440_hz(clip.waveform) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("rate_hz", [1, 999, 800_000, 2**31 - 1])
def test_a_rate_that_no_recording_has_is_refused(rate_hz):
    with pytest.raises(AudioInvalid, match="sample rate"):
        decode(patched(WAV, 24, struct.pack("<I", rate_hz)))


@pytest.mark.parametrize("channels", range(1, 9))
def test_mono_is_the_mean_of_the_channels(channels):
    samples = np.random.default_rng(1).uniform(-1, 1, (4_800, channels)).astype(np.float32)
    clip = decode(write("wav float", samples))
    np.testing.assert_allclose(clip.waveform, samples.mean(axis=1, dtype=np.float64), atol=1e-7)


@pytest.mark.parametrize("duration_s", [0.01, 0.011, 0.05])
@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000])
def test_10_ms_are_enough(duration_s, rate_hz):
    clip = decode(write("wav", tone(duration_s + 1 / rate_hz, rate_hz), rate_hz))
    assert clip.duration_s >= 0.01 and len(clip.waveform) >= 480
    assert windows(clip.waveform)[0].shape == (1, WINDOW_SAMPLES)


@pytest.mark.parametrize(
    ("duration_s", "said"), [(0, "no samples at all"), (0.001, "1 ms"), (0.005, "5 ms"), (0.009, "9 ms")]
)
def test_less_than_10_ms_are_refused(duration_s, said):
    with pytest.raises(AudioInvalid, match=said):
        decode(write("wav", tone(duration_s)))


@pytest.mark.parametrize(
    ("value", "said"), [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite"), (1e30, "1e\\+30")]
)
@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
def test_one_unusable_sample_is_found(value, said, rate_hz):
    samples = tone(channels=2)
    samples[30_000, 1] = value
    with pytest.raises(AudioInvalid, match=said):
        decode(write("wav float", samples, rate_hz))


def test_infinities_that_would_cancel_are_found():
    samples = tone(channels=2)
    samples[100] = np.inf, -np.inf
    with pytest.raises(AudioInvalid, match="infinite"):
        decode(write("wav float", samples))


@pytest.mark.parametrize("kind", ["wav", "flac", "mp3", "ogg vorbis", "ogg opus", "m4a", "webm"])
def test_digital_silence_is_flagged(kind):
    silence = decode(write(kind, np.zeros((48_000, 1), dtype=np.float32)))
    assert silence.is_silent and not silence.is_truncated


def test_a_whisper_is_not_silence():
    assert not decode(write("wav", tone() * 1e-3)).is_silent


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg opus", "mp3", "webm"])
def test_audio_over_the_limit_is_refused_by_name(kind):
    data = write(kind, tone(3.0))
    assert decode(data, max_duration_s=3.2).duration_s == pytest.approx(3.0, abs=CODEC_EDGE_S)
    with pytest.raises(AudioTooLong, match=r"limit of 2\.5 s"):
        decode(data, max_duration_s=2.5)


def test_exactly_the_limit_is_not_over_it():
    assert decode(WAV, max_duration_s=1.0).duration_s == 1.0


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("clip.wav", WAV)
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"%PDF-1.7\n" + bytes(1_000),
        b"\x89PNG\r\n\x1a\n" + bytes(1_000),
        b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(1_000),
        b"Dear tenant, this is no sound." * 50,
        "\ufeffDear tenant".encode("utf-16-le") * 50,
        b"#EXTM3U\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<html></html>",
        b"RIFF\x00\x10\x00\x00WEBPVP8 " + bytes(1_000),
        b"\xff" * 1_000,
        bytes(1_000),
        b"x",
        zip_file(),
    ],
    ids=lambda data: repr(bytes(data[:8])),
)
def test_other_types_of_file_are_not_audio(data):
    with pytest.raises(AudioNotAudio, match="known here"):
        decode(data)


def test_an_empty_file_says_so():
    with pytest.raises(AudioInvalid, match="0 bytes"):
        decode(b"")


def test_a_video_without_sound_is_not_audio():
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as target:
        stream = target.add_stream("mpeg4", rate=10, width=32, height=32)
        target.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8), format="rgb24")))
        target.mux(stream.encode(None))
    with pytest.raises(AudioNotAudio, match="no audio track"):
        decode(file.getvalue())


MAGICS = [
    b"RIFF\xff\xff\xff\x7fWAVEfmt ",
    b"fLaC\x00\x00\x00\x22",
    b"OggS\x00\x02",
    b"ID3\x04\x00\x00\x00\x00\x00\x00",
    b"\xff\xfb\x90\x64",
    b"\xff\xf1\x50\x80",
    b"\x00\x00\x00\x20ftypM4A ",
    b"\x1aE\xdf\xa3",
    b"FORM\x00\x00\x10\x00AIFFCOMM",
    b".snd\x00\x00\x00\x18",
    b"caff\x00\x01\x00\x00",
    b"",
]


@pytest.mark.parametrize(
    "magic", [magic for magic in MAGICS if magic and magic[0] != 0xFF], ids=lambda magic: repr(magic[:4])
)
def test_a_promising_start_alone_is_undecodable(magic, capfd):
    with pytest.raises((AudioUndecodable, AudioInvalid)):
        decode(magic + bytes(range(1, 200)))
    assert capfd.readouterr() == ("", "")


@settings(max_examples=150, deadline=None)
@given(magic=st.sampled_from(MAGICS), rest=st.binary(max_size=3_000))
def test_random_bytes_raise_nothing_else(magic, rest):
    decode_or_refuse(magic + rest)


SHORT_FILES = {kind: write(kind, tone(0.2)) for kind in KINDS}


@settings(max_examples=200, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    damage=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=6),
    kept=st.floats(0, 1),
)
def test_damaged_files_raise_nothing_else(kind, damage, kept):
    data = SHORT_FILES[kind]
    for where, value in damage:
        data = patched(data, int(where * len(data)), value)
    decode_or_refuse(data[: int(kept * len(data))])


def decode_or_refuse(data: bytes) -> None:
    try:
        clip = decode(data, max_duration_s=30)
    except AsplError as error:
        assert error.code.startswith("audio_") and str(error)
        return
    assert np.isfinite(clip.waveform).all() and len(clip.waveform) >= 0.01 * SAMPLE_RATE_HZ - 1


def test_many_threads_decode_as_one_does():
    alone = {kind: decode(data).waveform for kind, data in SHORT_FILES.items()}
    with ThreadPoolExecutor(8) as pool:
        together = pool.map(lambda kind: (kind, decode(SHORT_FILES[kind]).waveform), KINDS * 5)
        assert all(np.array_equal(alone[kind], waveform) for kind, waveform in together)


@pytest.mark.parametrize(
    ("num_samples", "repeats"),
    [(1, 480_000), (2_400, 200), (7, 68_571), (160_000, 3), (160_001, 2), (240_000, 2), (479_999, 1), (480_000, 1)],
)
def test_a_short_clip_is_repeated_whole_and_padded(num_samples, repeats):
    waveform = np.arange(1, num_samples + 1, dtype=np.float32)
    cut, spans = windows(waveform)
    assert cut.shape == (1, WINDOW_SAMPLES) and cut.dtype == np.float32
    assert np.array_equal(cut[0, : repeats * num_samples], np.tile(waveform, repeats))
    assert not cut[0, repeats * num_samples :].any()
    assert spans == [(0.0, num_samples / SAMPLE_RATE_HZ)]


@pytest.mark.parametrize(
    ("num_samples", "starts"),
    [
        (480_001, [0, 1]),
        (719_999, [0, 239_999]),
        (720_000, [0, 240_000]),
        (720_001, [0, 240_000, 240_001]),
        (1_200_000, [0, 240_000, 480_000, 720_000]),
        (1_300_000, [0, 240_000, 480_000, 720_000, 820_000]),
    ],
)
def test_a_long_clip_is_cut_into_half_overlapping_windows(num_samples, starts):
    waveform = np.arange(num_samples, dtype=np.float32)
    cut, spans = windows(waveform)
    assert cut[:, 0].tolist() == starts and cut[:, -1].tolist() == [start + WINDOW_SAMPLES - 1 for start in starts]
    assert spans == [(start / SAMPLE_RATE_HZ, start / SAMPLE_RATE_HZ + 10) for start in starts]


@pytest.mark.parametrize("shape", [(0,), (2, 480_000)])
def test_windows_of_nothing_are_refused(shape):
    with pytest.raises(ValueError, match="shape"):
        windows(np.zeros(shape, dtype=np.float32))
