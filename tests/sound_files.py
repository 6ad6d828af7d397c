"""Sounds as files of every kind that is taken, written by libsndfile and libav."""

import io

import av
import numpy as np
import soundfile

SNDFILE_KINDS = {
    "wav": ("WAV", "PCM_16"),
    "wav float": ("WAV", "FLOAT"),
    "wav ulaw": ("WAV", "ULAW"),
    "rf64": ("RF64", "PCM_16"),
    "w64": ("W64", "PCM_16"),
    "aiff": ("AIFF", "PCM_24"),
    "au": ("AU", "PCM_16"),
    "caf": ("CAF", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "ogg vorbis": ("OGG", "VORBIS"),
    "ogg opus": ("OGG", "OPUS"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
}
LIBAV_KINDS = {
    "m4a": ("ipod", "aac"),
    "mp4": ("mp4", "aac"),
    "aac": ("adts", "aac"),
    "webm": ("webm", "libopus"),
    "mkv": ("matroska", "aac"),
    "mp2": ("mp2", "mp2"),
    "mp3 of libav": ("mp3", "libmp3lame"),
    "ogg flac": ("oga", "flac"),
    "caf alac": ("caf", "alac"),
    "m4a alac": ("ipod", "alac"),
    "wma": ("asf", "wmav2"),
    "amr": ("amr", "libopencore_amrnb"),
    "wavpack": ("wv", "wavpack"),
    "tta": ("tta", "tta"),
    "avi": ("avi", "pcm_s16le"),
    "wav adpcm": ("wav", "adpcm_ms"),
}
KINDS = [*SNDFILE_KINDS, *LIBAV_KINDS]


def tone(duration_s: float = 1.0, rate_hz: int = 48_000, channels: int = 1) -> np.ndarray:
    """440 Hz at an amplitude of 0.5 with a little seeded noise, [n, channels]."""
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    noise = np.random.default_rng(0).standard_normal((len(t), channels)) * 1e-3
    return (0.5 * np.sin(2 * np.pi * 440 * t)[:, None] + noise).astype(np.float32)


def write(kind: str, samples: np.ndarray, rate_hz: int = 48_000) -> bytes:
    file = io.BytesIO()
    if kind in SNDFILE_KINDS:
        container, codec = SNDFILE_KINDS[kind]
        soundfile.write(file, samples, rate_hz, format=container, subtype=codec)
        return file.getvalue()
    container, codec = LIBAV_KINDS[kind]
    layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[samples.shape[1]]
    with av.open(file, "w", format=container) as target:
        stream = target.add_stream(codec, rate=8_000 if container == "amr" else rate_hz, layout=layout)
        if codec == "wmav2":
            stream.bit_rate = 128_000
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout=layout)
        frame.sample_rate, frame.pts = rate_hz, 0
        resampler = av.AudioResampler(format=stream.format.name, rate=stream.rate, frame_size=stream.frame_size)
        for converted in [*resampler.resample(frame), *resampler.resample(None), None]:
            for packet in stream.encode(converted):
                target.mux(packet)
    return file.getvalue()
