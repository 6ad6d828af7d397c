"""Which files are heard: `python -m benchmarks.formats`, with the ffmpeg and sox that are on PATH.

Two seconds of sound are written in every codec and container below, at several rates and numbers of channels, and sent
to a running API, each beside nothing else. A file is heard right where its duration is that of the plain WAV of the
same rate and channels, to 20 ms, or to 60 ms or two codec frames where the codec loses something; and where, of a
lossless codec, the scores are the plain WAV's. What is refused is shown with how; an answer of 5xx is a fault.
"""

import argparse
import io
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import numpy as np
import soundfile
from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.figures import keep
from benchmarks.machine import describe_machine
from benchmarks.served import BUNDLED, served

RATES_HZ = (8_000, 16_000, 22_050, 44_100, 48_000, 96_000)
CHANNELS = (1, 2, 6)
DURATION_S = 2.0
LABELS = ["dog bark", "rain", "rooster", "helicopter", "person sneeze"]
LOSSLESS_EDGE_S, LOSSY_EDGE_S = 0.02, 0.06
SCORE_EDGE = 1e-4


@dataclass(frozen=True)
class Writer:
    """How one codec is put into one container; `frame` is the codec's frame in samples, 0 where nothing is lost."""

    codec: str
    container: str
    arguments: Sequence[str]
    suffix: str
    frame: int = 0
    tool: str = "ffmpeg"
    is_piped: bool = False

    @property
    def name(self) -> str:
        return f"{self.container} {self.codec} ({self.tool}{', through a pipe' if self.is_piped else ''})"

    def write(self, source: Path, target: Path) -> bytes | None:
        """The file, or None where the tool cannot make it of this rate or number of channels."""
        output = "-" if self.is_piped else str(target)
        if self.tool == "sox":
            kind = ["-t", self.suffix]
            command = ["sox", "-V1", "-D", str(source), *self.arguments, *kind, output]
        else:
            command = ["ffmpeg", "-v", "quiet", "-y", "-i", str(source), "-map_metadata", "-1", *self.arguments, output]
        ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if ran.returncode:
            return None
        return ran.stdout if self.is_piped else target.read_bytes()


@dataclass
class Row:
    """What became of one writer's files."""

    writer: Writer
    heard: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    not_made: int = 0


def ffmpeg(codec: str, container: str, suffix: str, *more: str, frame: int = 0, is_piped: bool = False) -> Writer:
    """A writer by ffmpeg; `more` are further arguments."""
    return Writer(codec, container, ["-c:a", codec, *more], suffix, frame, is_piped=is_piped)


def writers() -> list[Writer]:
    """Every codec in every container that it is found in, as far as the tools are here."""
    found = []
    if shutil.which("ffmpeg"):
        for container, suffix, codecs in (
            ("WAV", "wav", ("pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le")),
            ("AIFF", "aiff", ("pcm_s16be", "pcm_s24be", "pcm_s32be")),
            ("AU", "au", ("pcm_s16be", "pcm_s24be", "pcm_f32be")),
            ("CAF", "caf", ("pcm_s16le", "pcm_s24be", "pcm_f32le", "alac")),
            ("Wave64", "w64", ("pcm_s16le", "pcm_f32le")),
            ("FLAC", "flac", ("flac",)),
            ("Ogg", "oga", ("flac",)),
            ("M4A", "m4a", ("alac",)),
            ("MOV", "mov", ("pcm_s16le", "pcm_s24be", "alac")),
            ("Matroska", "mka", ("pcm_s16le", "flac", "alac", "wavpack", "tta")),
            ("WavPack", "wv", ("wavpack",)),
            ("TTA", "tta", ("tta",)),
            ("AVI", "avi", ("pcm_s16le",)),
        ):
            found += [ffmpeg(codec, container, suffix) for codec in codecs]
        for container, suffix, codecs in (
            ("WAV", "wav", {"pcm_u8": 1, "pcm_alaw": 1, "pcm_mulaw": 1, "adpcm_ms": 2048, "adpcm_ima_wav": 2048}),
            ("AIFF", "aiff", {"pcm_alaw": 1, "pcm_mulaw": 1}),
            ("AU", "au", {"pcm_mulaw": 1}),
            ("CAF", "caf", {"aac": 1024, "libopus": 960}),
            ("MP3", "mp3", {"libmp3lame": 1152}),
            ("MP2", "mp2", {"mp2": 1152}),
            ("ADTS", "aac", {"aac": 1024}),
            ("M4A", "m4a", {"aac": 1024, "ac3": 1536}),
            ("MP4", "mp4", {"aac": 1024, "libmp3lame": 1152, "libopus": 960}),
            ("3GP", "3gp", {"aac": 1024}),
            ("Ogg", "ogg", {"libvorbis": 1024, "libopus": 960}),
            ("WebM", "webm", {"libvorbis": 1024, "libopus": 960}),
            ("Matroska", "mka", {"aac": 1024, "libmp3lame": 1152, "libvorbis": 1024, "libopus": 960, "ac3": 1536}),
            ("WMA", "wma", {"wmav1": 2048, "wmav2": 2048}),
            ("AVI", "avi", {"libmp3lame": 1152, "ac3": 1536}),
            ("MPEG-TS", "ts", {"aac": 1024}),
            ("FLV", "flv", {"aac": 1024}),
            ("AC-3", "ac3", {"ac3": 1536}),
            ("Speex", "spx", {"libspeex": 640}),
        ):
            found += [ffmpeg(codec, container, suffix, frame=frame) for codec, frame in codecs.items()]
        found += [
            ffmpeg("pcm_s16le", "RF64", "wav", "-rf64", "always"),
            ffmpeg("pcm_s16le", "WAV", "wav", "-f", "wav", is_piped=True),
            ffmpeg("pcm_s16le", "Wave64", "w64", "-f", "w64", is_piped=True),
            ffmpeg("flac", "FLAC", "flac", "-f", "flac", is_piped=True),
            ffmpeg("libmp3lame", "MP3 without a header", "mp3", "-write_xing", "0", frame=1152),
            ffmpeg("libmp3lame", "MP3 of variable rate", "mp3", "-q:a", "5", frame=1152),
            ffmpeg("libmp3lame", "MP3", "mp3", "-f", "mp3", frame=1152, is_piped=True),
            ffmpeg("aac", "fragmented MP4", "mp4", "-movflags", "frag_keyframe+empty_moov", frame=1024),
            ffmpeg("libopus", "WebM", "webm", "-f", "webm", frame=960, is_piped=True),
            ffmpeg("libopus", "Ogg", "ogg", "-f", "ogg", frame=960, is_piped=True),
        ]
    if shutil.which("sox"):
        for codec, suffix, arguments, frame in (
            ("16 bit", "wav", ("-b", "16"), 0),
            ("24 bit", "wav", ("-b", "24"), 0),
            ("8 bit", "wav", ("-b", "8"), 1),
            ("GSM", "wav", ("-e", "gsm-full-rate"), 320),
            ("ADPCM", "wav", ("-e", "ms-adpcm", "-c", "2"), 2048),
            ("16 bit", "aifc", ("-b", "16"), 0),
            ("32 bit", "au", ("-b", "32"), 0),
            ("24 bit", "flac", ("-b", "24"), 0),
            ("Vorbis", "ogg", (), 1024),
            ("16 bit", "voc", ("-b", "16"), 0),
            ("16 bit", "sph", ("-b", "16"), 0),
            ("AMR-NB", "amr-nb", ("-c", "1"), 160),
        ):
            found.append(Writer(codec, suffix, arguments, suffix, frame, tool="sox"))
        found.append(Writer("16 bit", "wav", ("-b", "16"), "wav", 0, tool="sox", is_piped=True))
    return found


def sound(rate_hz: int, channels: int) -> bytes:
    """A plain 16-bit WAV: a chord with noise and a beat, different in each channel."""
    rng = np.random.default_rng(7)
    time_s = np.arange(round(DURATION_S * rate_hz)) / rate_hz
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (220, 330, 1200))
    beat = 0.5 + 0.5 * np.sin(2 * np.pi * 3 * time_s)
    samples = [0.1 * chord * beat + 0.03 * rng.standard_normal(len(time_s)) + 0.02 * k * chord for k in range(channels)]
    file = io.BytesIO()
    soundfile.write(file, np.stack(samples, 1), rate_hz, format="WAV", subtype="PCM_16")
    return file.getvalue()


def classify(client: httpx.Client, data: bytes) -> httpx.Response:
    """What the service answers for one file."""
    return client.post("/classify", files={"audio": ("sound", data)}, data={"labels": LABELS})


def judge(row: Row, answer: httpx.Response, plain: dict, where: str, rate_hz: int) -> None:
    """Count one answer."""
    if answer.status_code != 200:
        how = f"{answer.status_code} {answer.json().get('code')}"
        row.refused[how] = row.refused.get(how, 0) + 1
        if answer.status_code >= 500:
            row.wrong.append(f"{where}: {how}")
        return
    (heard,) = answer.json()["results"]
    frame = row.writer.frame
    edge_s = max(LOSSY_EDGE_S, 2 * frame / rate_hz) if frame else LOSSLESS_EDGE_S
    difference_s = heard["duration_s"] - plain["duration_s"]
    scores, expected = ({s["label"]: s["score"] for s in result["scores"]} for result in (heard, plain))
    difference = max(abs(scores[label] - expected[label]) for label in LABELS)
    faults = [
        f"{difference_s * 1000:+.0f} ms" if abs(difference_s) > edge_s else "",
        f"scores off by {difference:.1e}" if not frame and difference > SCORE_EDGE else "",
        "truncated" if heard["truncated"] else "",
        "damaged" if heard["damaged"] else "",
    ]
    if any(faults):
        row.wrong.append(f"{where}: {', '.join(filter(None, faults))}")
    else:
        row.heard += 1


def try_all(address: str, chosen: Sequence[Writer]) -> Iterator[Row]:
    """Every writer at every rate and number of channels, beside the plain WAV."""
    shapes = list(itertools.product(RATES_HZ, CHANNELS))
    with (
        tempfile.TemporaryDirectory() as directory,
        httpx.Client(base_url=address, timeout=60) as client,
        ThreadPoolExecutor(2) as threads,
    ):
        sources, plain = {}, {}
        for rate_hz, channels in shapes:
            path = Path(directory) / f"{rate_hz}-{channels}.wav"
            path.write_bytes(sound(rate_hz, channels))
            sources[rate_hz, channels] = path
            (plain[rate_hz, channels],) = classify(client, path.read_bytes()).json()["results"]
        for number, writer in enumerate(track(chosen, "formats")):
            row = Row(writer)
            targets = [Path(directory) / f"{number}-{shape}.{writer.suffix}" for shape in range(len(shapes))]
            made = threads.map(
                lambda pair, writer=writer: writer.write(*pair), zip(sources.values(), targets, strict=True)
            )
            for (rate_hz, channels), data in zip(shapes, made, strict=True):
                if data is None:
                    row.not_made += 1
                    continue
                where = f"{rate_hz} Hz, {channels} ch"
                judge(row, classify(client, data), plain[rate_hz, channels], where, rate_hz)
            yield row


def main() -> int:
    """Try, print, keep; the status is 1 where a file was heard wrong or answered with 5xx."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="writers whose name holds this")
    arguments = parser.parse_args()
    chosen = [writer for writer in writers() if arguments.only in writer.name]
    machine = describe_machine()
    with served(BUNDLED, requests_per_s=0) as stack:
        rows = list(try_all(stack.apis[0].address, chosen))
    table = Table("file", "heard right", "refused", "wrong", "not made")
    for row in rows:
        refused = ", ".join(f"{count} x {how}" for how, count in row.refused.items())
        table.add_row(row.writer.name, str(row.heard), refused, "\n".join(row.wrong), str(row.not_made or ""))
    Console(width=140).print(table)
    counts = {
        "heard": sum(row.heard for row in rows),
        "refused": sum(sum(row.refused.values()) for row in rows),
        "wrong": sum(len(row.wrong) for row in rows),
    }
    print(", ".join(f"{count} files {what}" for what, count in counts.items()))
    if not arguments.only:
        kept = [
            {"file": row.writer.name, "heard": row.heard, "refused": row.refused, "wrong": row.wrong} for row in rows
        ]
        keep("formats", machine=machine, **counts, files=kept)
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
