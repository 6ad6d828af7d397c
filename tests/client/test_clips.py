"""Clips in every guise, as they are sent."""

import io
import wave
import zipfile
from pathlib import Path

import pytest
from earshot_client import Recording
from earshot_client.adapter_file import adapter_bytes
from earshot_client.clips import clips_of, is_one, labelled
from earshot_client.form import Form
from earshot_client.teaching import adapt_form
from earshot_client.wav import wav_bytes


@pytest.fixture
def folder(tmp_path):
    for path in ("rain/b.wav", "rain/a.wav", "rain/deep/c.wav", "rain/.hidden", "Background/d.wav", ".git/e.wav"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(path.encode())
    return tmp_path


def sent(clip):
    return b"".join(clip.chunks())


def test_a_folder_is_its_files_in_order(folder):
    clips = clips_of(folder / "rain")
    assert [clip.name for clip in clips] == ["a.wav", "b.wav", "deep/c.wav"]
    assert [sent(clip) for clip in clips] == [b"rain/a.wav", b"rain/b.wav", b"rain/deep/c.wav"]


def test_a_folder_of_folders_is_labelled(folder):
    assert [label for label, _ in labelled(folder)] == [None, "rain", "rain", "rain"]
    # In a mapping nothing is the background but what is given as such.
    assert [label for label, _ in labelled({"background": folder / "rain" / "a.wav"})] == ["background"]


def test_a_folder_without_folders_is_refused(folder):
    with pytest.raises(ValueError, match="holds no folders"):
        list(labelled(folder / "rain" / "deep"))


def test_bytes_files_and_paths(folder):
    path = folder / "rain" / "a.wav"
    with path.open("rb") as file:
        given = [b"x", bytearray(b"y"), str(path), path, file, io.BytesIO(b"z")]
        clips = clips_of(given)
    assert [sent(clip) for clip in clips] == [b"x", b"y", b"rain/a.wav", b"rain/a.wav", b"rain/a.wav", b"z"]
    assert [clip.name for clip in clips] == ["clip-1", "clip-2", str(path), str(path), "a.wav", "clip-6"]
    assert [clip.size_bytes for clip in clips] == [len(sent(clip)) for clip in clips]
    assert all(map(is_one, given))
    assert not is_one(given)
    assert clips_of(None) == []


def test_what_is_no_clip_is_refused(tmp_path):
    with pytest.raises(TypeError, match="A int is no clip"):
        clips_of([3])
    with pytest.raises(FileNotFoundError):
        clips_of(tmp_path / "none.wav")


def test_arrays_are_wav_files():
    numpy = pytest.importorskip("numpy")
    tone = numpy.sin(numpy.arange(441) / 10)
    (clip,) = clips_of(tone, rate_hz=44100)
    data = sent(clip)
    assert clip.name == "clip-1.wav"
    assert int.from_bytes(data[4:8], "little") == len(data) - 8
    assert numpy.array_equal(numpy.frombuffer(data[-4 * 441 :], "<f4"), tone.astype("f4"))
    whole = (tone * 32767).astype("int16")
    with wave.open(io.BytesIO(wav_bytes(whole[:, None], 8000))) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, 2)
        assert file.readframes(441) == whole.tobytes()
    (named,) = clips_of([Recording(tone, 8000, "mine.wav")])
    assert named.name == "mine.wav"


@pytest.mark.parametrize(
    ("shape", "kind", "rate_hz", "wrong"),
    [
        ((2, 9), "f4", 8000, "shape"),
        ((9,), "f4", 0, "rate_hz"),
        ((9,), "u1", 8000, "uint8"),
        ((9,), "f4", None, "rate"),
    ],
)
def test_arrays_that_are_no_clip_are_refused(shape, kind, rate_hz, wrong):
    numpy = pytest.importorskip("numpy")
    with pytest.raises(ValueError, match=wrong):
        clips_of([numpy.zeros(shape, kind)], rate_hz=rate_hz)


def test_a_form_is_as_long_as_it_says_and_the_same_each_time(folder):
    form = adapt_form("farm", folder, background=[b"x"], keep="nothing", training={"audio_prompt": "aspl"})
    body = b"".join(form)
    assert len(body) == len(form)
    assert b"".join(form) == body
    assert body.count(b'name="clips"') == body.count(b'name="labels"\r\n\r\n["rain"]') == 3
    assert body.count(b'name="background"') == 2
    assert b'name="audio_prompt"\r\n\r\naspl\r\n' in body


def test_odd_file_names_stay_in_their_part():
    form = Form()
    form.add_clip("audio", clips_of([open_file('a"b\r\nc: é.wav')])[0])
    assert 'filename="a%22b%0D%0Ac: é.wav"'.encode() in b"".join(form)


def open_file(name):
    file = io.BytesIO(b"x")
    file.name = name
    return file


def test_an_archive_is_sent_as_one(tmp_path):
    archive = tmp_path / "clips.tar.gz"
    archive.write_bytes(b"tar")
    body = b"".join(adapt_form("farm", archive))
    assert b'name="archive"' in body and b'name="clips"' not in body


def test_the_adapter_in_a_zip(tmp_path):
    path = tmp_path / "farm.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("farm-1.safetensors", b"adapter")
        archive.writestr("rain/x.safetensors", b"a clip")
    assert adapter_bytes(path) == adapter_bytes(path.read_bytes()) == b"adapter"
    assert adapter_bytes(b"adapter") == b"adapter"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("clips.json", b"{}")
    with pytest.raises(ValueError, match="0 adapters"):
        adapter_bytes(Path(path))
