"""The same loop by the command, before a real service."""

import csv
import json
import re
import textwrap

import pytest

from service.http.result_formats import audacity_labels, csv_lines
from tests.client.command_line import earshot
from tests.e2e.stack import ROOT

TRAIN, HELD_OUT = ROOT / "examples" / "train", ROOT / "examples" / "held_out"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(address):
    """Run a command that is to end well, or with another status."""

    def run(*arguments, status=0, **environment):
        ran = earshot(*arguments, url=address, **environment)
        assert ran.returncode == status, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.fixture(scope="module")
def taught(run):
    assert "farm@1 is current" in run("teach", "farm", TRAIN)
    return "farm"


def test_the_loop(run, taught, tmp_path):
    rows = [line.split("\t") for line in run("classify", "farm", HELD_OUT).splitlines()]
    assert len(rows) == 10
    assert sum(label == path.split("/")[-2] for path, label, *_ in rows) >= 7
    others = tmp_path / "others"
    (others / "rain").mkdir(parents=True)
    (others / "rain" / "mine.ogg").write_bytes((HELD_OUT / "rain" / "2-87781-A.ogg").read_bytes())
    (others / "rain" / "wrong.ogg").write_bytes((HELD_OUT / "rooster" / "1-44831-A.ogg").read_bytes())
    assert "farm@2 is current" in run("add", "farm", others)
    suspect = json.loads(run("suspects", "farm", "--json").splitlines()[0])
    assert (suspect["file"], suspect["sounds_like"]) == ("wrong.ogg", "rooster")
    said = run("correct", "farm", "--remove", suspect["id"])
    assert "farm@3" in said and "accuracy" in said
    assert "Nothing to correct" in earshot("correct", "farm").stderr
    assert "right where farm@1 is not" in run("evaluate", "farm", HELD_OUT, "--against", "farm@1")
    assert json.loads(run("evaluate", "farm", HELD_OUT, "--json"))["report"]["report"]["num_clips"] == 10
    assert run("recalibrate", "farm@1", *HELD_OUT.glob("*/*.ogg"))
    assert [line.split("\t")[0] for line in run("versions", "farm").splitlines()[:3]] == ["1", "2", "3"]
    run("rollback", "farm", 3)
    assert run("rollback", "farm") == "farm is now version 2\n"
    assert run("rollback", "farm", 1) == "farm is now version 1\n"
    assert [row["kind"] for row in map(json.loads, run("jobs", "--json").splitlines())].count("adapt") >= 3
    assert "succeeded" in run("jobs", "--limit", 1)
    for option, file in (((), "farm.safetensors"), (("--clips",), "farm.zip")):
        run("export", "farm", tmp_path / file, *option)
        assert "is current" in run("import", "barn", tmp_path / file)
    names = [line.split("\t")[:3] for line in run("adapters").splitlines()]
    assert ["barn", "2", "2"] in names


def rounded(text):
    """Lines of CSV; other batches' scores differ in their last digits."""
    return [[re.sub(r"(\d\.\d{4})\d+", r"\1", cell) for cell in line] for line in csv.reader(text.splitlines())]


def test_results_are_written_as_the_service_writes_them(run, taught, tmp_path):
    files = sorted(HELD_OUT.glob("*/*.ogg"))
    rows = [
        json.loads(line)
        for line in run("classify", "farm", *files, ROOT / "README.md", "--windows", "--json", status=1).splitlines()
    ]
    assert len(rows) == 11
    ours = run("classify", "farm", *files, ROOT / "README.md", "--csv", status=1)
    assert rounded(ours) == rounded(b"".join(csv_lines(rows)).decode())
    run("classify", "farm", *files, "--audacity", tmp_path)
    for file, row in zip(files, rows, strict=False):
        assert (tmp_path / f"{file.name}.txt").read_text() == audacity_labels(row)


def test_the_doctor(run, keyed):
    clip = HELD_OUT / "rain" / "2-87781-A.ogg"
    said = run("doctor", clip)
    assert "model tiny-clap" in said and "no key is needed" in said and "5.0 s of sound" in said
    assert "audio_unsupported" not in run("doctor", clip, ROOT / "README.md", status=1)
    address, key = keyed
    good = earshot("doctor", url=address, EARSHOT_API_KEY=key)
    assert good.returncode == 0 and "the key is good" in good.stdout
    bad = earshot("--key", "wrong", "doctor", url=address)
    assert bad.returncode == 1 and "BAD   key" in bad.stdout
    assert "a key is needed" in earshot("doctor", url=address).stdout


MICROPHONE = f"""
    # A microphone that hears a rooster once, as sounddevice would tell of it, and is then unplugged.
    import os, signal, soundfile, threading, time
    class PortAudioError(Exception): pass
    class InputStream:
        def __init__(self, device, channels, dtype, callback):
            self.samples, self.samplerate = soundfile.read({str(HELD_OUT / "rooster" / "1-44831-A.ogg")!r}, dtype=dtype)
            self.callback = callback
        def __enter__(self):
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which a background job would pass over
            threading.Thread(target=self.play, daemon=True).start()
        def __exit__(self, *_): pass
        def play(self):
            block = int(self.samplerate / 10)
            for start in range(0, len(self.samples), block):
                self.callback(self.samples[start : start + block, None], block, None, None)
            time.sleep(10)
            os.kill(os.getpid(), signal.SIGINT)
"""


def test_listening(run, taught, tmp_path):
    (tmp_path / "sounddevice.py").write_text(textwrap.dedent(MICROPHONE))
    said = run("listen", "farm", "--window", 2, "--all", "--json", before=str(tmp_path), status=130)
    heard = [json.loads(line) for line in said.splitlines()]
    assert len(heard) == 2  # of five seconds
    assert heard[0]["label"] == "rooster" and heard[0]["duration_s"] == 2.0
