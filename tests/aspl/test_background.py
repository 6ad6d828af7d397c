import json
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from aspl.background import (
    FEATURES_FILE,
    Background,
    BackgroundFeatures,
    BackgroundInvalid,
    BackgroundLibrary,
    hear_background,
    shipped_library,
)
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts
from aspl.reach import BANDS_HZ, first_above
from aspl.sound.level import HEARD_AT_DB, at_level
from aspl.sound.log_mel import LogMel
from pretrain.background import draw_background, encode_opus, write_background
from pretrain.families import FAMILIES

MODELS = Path(__file__).parents[2] / "models"
SHIPPED = MODELS / "tiny-clap" / FEATURES_FILE


class PlainEar:
    """Hears no more of a log-mel than its mean and deviation per mel bin, and counts how often."""

    fingerprint, dtype = "a" * 64, torch.float32

    def __init__(self) -> None:
        self.num_clips = 0

    def log_mel(self, waveforms):
        return waveforms.reshape(len(waveforms), 1, -1, 64)

    def hear(self, log_mel, prompts=None, *, stages=False):
        assert stages
        self.num_clips += len(log_mel)
        heard = log_mel if prompts is None else prompts.spectral(log_mel)
        statistics = torch.cat([heard.mean((1, 2)), heard.std((1, 2))], 1)
        return SimpleNamespace(joint=torch.nn.functional.normalize(statistics[:, :32], dim=1), stages=statistics)


@pytest.fixture(scope="session")
def shipped_bank():
    return Background.load(MODELS / "background")


@pytest.fixture
def bank(tmp_path, shipped_bank):
    """The first five of the shipped clips."""
    directory = tmp_path / "bank"
    entries = [vars(clip) for clip in shipped_bank.clips[:5]]
    for entry in entries:
        (directory / entry["file"]).parent.mkdir(parents=True, exist_ok=True)
        (directory / entry["file"]).write_bytes((shipped_bank.directory / entry["file"]).read_bytes())
    (directory / "index.json").write_text(json.dumps({"clips": entries}))
    return Background.load(directory)


def same(one: BackgroundFeatures, other: BackgroundFeatures) -> bool:
    return np.array_equal(one.stages, other.stages) and np.array_equal(one.joint, other.joint)


def test_the_shipped_bank_is_whole(shipped_bank):
    families, counts = np.unique(shipped_bank.families, return_counts=True)
    assert (len(shipped_bank), len(families), set(counts)) == (261, 87, {3})
    size_bytes = sum(path.stat().st_size for path in shipped_bank.directory.rglob("*"))
    assert size_bytes < 6 * 2**20
    listed = {clip.file for clip in shipped_bank.clips}
    assert listed == {str(p.relative_to(shipped_bank.directory)) for p in shipped_bank.directory.rglob("*.ogg")}
    for waveform in Background(shipped_bank.directory, shipped_bank.clips[::20]).waveforms():
        assert 5 * 48_000 <= len(waveform) <= 480_000
        assert np.abs(waveform).max() > 0.01


def test_the_shipped_clips_are_those_that_their_seed_draws(shipped_bank):
    coded = shipped_bank.waveforms()
    for _, (family, _, drawn) in zip(range(4), draw_background(), strict=False):
        heard = next(coded)
        assert len(heard) == len(drawn)
        spectra = [LogMel()(torch.from_numpy(wave[None].astype(np.float32))) for wave in (heard, drawn)]
        loud, same_place = (np.clip(spectrum.numpy(), -50, None).ravel() for spectrum in spectra)
        assert np.corrcoef(loud, same_place)[0, 1] > 0.8, family


def test_coding_repeats_itself():
    tone = 0.3 * np.sin(np.arange(48_000) * 0.05)
    assert encode_opus(tone) == encode_opus(tone)


def test_drawing_the_bank_writes_what_its_index_says(tmp_path, monkeypatch):
    monkeypatch.setattr("pretrain.background.FAMILIES", FAMILIES[:2])
    size_bytes = write_background(tmp_path, clips_per_family=1)
    bank = Background.load(tmp_path)
    assert bank.families.tolist() == ["dog", "cat"]
    assert len(list(bank.waveforms())) == 2
    assert size_bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.ogg"))


@pytest.mark.skipif(not hasattr(FrozenClap, "hear"), reason="the model gives no statistics of its stages")
@pytest.mark.parametrize(("level_db", "band_hz"), [(None, None), *((HEARD_AT_DB, hz) for hz in (None, *BANDS_HZ))])
def test_the_shipped_features_are_what_the_bundled_model_hears(shipped_bank, level_db, band_hz):
    torch.set_num_threads(1)
    clap = FrozenClap.load(MODELS / "tiny-clap")
    band = None if band_hz is None else first_above(band_hz, clap.mel_centres_hz)
    name = SHIPPED.name if band_hz is None else f"below-{band_hz:.0f}-hz.safetensors"
    shipped = BackgroundFeatures.read(SHIPPED if level_db is None else MODELS / "tiny-clap-levelled" / name)
    assert (shipped.fingerprint, shipped.digest, shipped.dtype) == (clap.fingerprint, shipped_bank.digest, "float32")
    some = Background(shipped_bank.directory, shipped_bank.clips[::10])
    heard = hear_background(clap, some, band=band, level_db=level_db)
    spread = np.maximum(shipped.stages.std(0), 1e-6)
    assert np.abs((heard.stages - shipped.stages[::10]) / spread).max() < 0.05
    assert (heard.joint * shipped.joint[::10]).sum(1).min() > 0.999
    library = shipped_library.__wrapped__()
    assert library.is_at_hand(clap)
    found = library.features(clap, band=band, level_db=level_db, progress=lambda *_: pytest.fail("heard anew"))
    assert same(found, shipped)


def test_what_is_heard_once_is_kept_in_memory_and_on_disk(bank, tmp_path):
    ear, told = PlainEar(), []
    library = BackgroundLibrary(bank, directory=tmp_path / "kept")
    assert not library.is_at_hand(ear)
    first = library.features(ear, progress=lambda heard, of: told.append((heard, of)))
    assert told == [(4, 5), (5, 5)]
    assert first.stages.dtype == np.float32
    assert library.features(ear) is first
    another_process = BackgroundLibrary(bank, directory=tmp_path / "kept")
    assert another_process.is_at_hand(ear)
    assert same(another_process.features(ear), first)
    assert ear.num_clips == 5
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_a_band_is_heard_by_itself_and_kept_beside_the_whole(bank, tmp_path):
    ear, kept = PlainEar(), tmp_path / "kept"
    whole, low, lower = (BackgroundLibrary(bank, directory=kept).features(ear, band=band) for band in (None, 40, 9))
    assert (low.stages[:, 40:64] == -100).all() and np.array_equal(low.stages[:, :40], whole.stages[:, :40])
    assert (lower.stages[:, 9:64] == -100).all() and not same(low, lower)
    assert ear.num_clips == 15 and len(list(kept.iterdir())) == 3
    again = BackgroundLibrary(bank, directory=kept)
    assert same(again.features(ear, band=40), low) and same(again.features(ear, band=9), lower)
    assert same(again.features(ear), whole) and ear.num_clips == 15
    # What is shipped is of the whole, and a file says which it is.
    (path,) = kept.glob("*-below-40.safetensors")
    low.save(kept / path.name.replace("-below-40", ""))
    low.save(kept / path.name.replace("-40", "-9"))
    library = BackgroundLibrary(bank, shipped=[path], directory=kept)
    assert same(library.features(ear), whole) and same(library.features(ear, band=9), lower)
    assert ear.num_clips == 25


def test_a_level_is_heard_by_itself_and_kept_beside_what_is_as_it_was_recorded(bank, tmp_path):
    ear, kept = PlainEar(), tmp_path / "kept"
    ways = ({}, {"level_db": HEARD_AT_DB}, {"level_db": HEARD_AT_DB, "band": 40})
    plain, levelled, low = (BackgroundLibrary(bank, directory=kept).features(ear, **way) for way in ways)
    by_hand = Background(bank.directory, bank.clips)
    gains = [at_level(waveform, HEARD_AT_DB).std() / waveform.std() for waveform in by_hand.waveforms()]
    heard = levelled.stages[:, 64:] / plain.stages[:, 64:]  # deviations
    assert np.allclose(heard, np.array(gains)[:, None], rtol=0.02) and not same(low, levelled)
    assert ear.num_clips == 15 and len(list(kept.iterdir())) == 3
    again = BackgroundLibrary(bank, directory=kept)
    assert all(same(again.features(ear, **way), first) for way, first in zip(ways, (plain, levelled, low), strict=True))
    assert ear.num_clips == 15


def test_another_model_or_type_of_number_or_bank_is_heard_by_itself(bank, tmp_path):
    ear, other, half = PlainEar(), PlainEar(), PlainEar()
    other.fingerprint, half.dtype = "b" * 64, torch.bfloat16
    for each in (ear, other, half):
        BackgroundLibrary(bank, directory=tmp_path / "kept").features(each)
    less = Background(bank.directory, bank.clips[:4])
    assert len(BackgroundLibrary(less, directory=tmp_path / "kept").features(ear).joint) == 4
    assert len(list((tmp_path / "kept").iterdir())) == 4


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign", "of another model", "of fewer clips"])
def test_a_file_that_is_not_right_is_heard_anew(bank, tmp_path, damage):
    ear = PlainEar()
    right = BackgroundLibrary(bank, directory=tmp_path).features(ear)
    (path,) = tmp_path.glob("*.safetensors")
    data = bytearray(path.read_bytes())
    if damage == "cut":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "flipped":
        data[-3] ^= 1
        path.write_bytes(data)
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "foreign":
        path.write_bytes(b'{"format": "something else"}')
    elif damage == "of another model":
        BackgroundFeatures(right.stages, right.joint, "c" * 64, right.digest, right.dtype).save(path)
    else:
        BackgroundFeatures(right.stages[:2], right.joint[:2], ear.fingerprint, right.digest, right.dtype).save(path)
    library = BackgroundLibrary(bank, directory=tmp_path)
    assert not library.is_at_hand(ear)
    assert same(library.features(ear), right)
    assert same(BackgroundFeatures.read(path), right)


def test_two_at_once_leave_one_whole_file(bank, tmp_path):
    found = []

    def hear():
        found.append(BackgroundLibrary(bank, directory=tmp_path / "kept").features(PlainEar()))

    threads = [threading.Thread(target=hear) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (path,) = (tmp_path / "kept").iterdir()
    assert all(same(each, BackgroundFeatures.read(path)) for each in found)


def test_features_that_cannot_be_kept_are_used_all_the_same(bank, tmp_path, caplog):
    (tmp_path / "kept").write_text("a file, not a directory")
    assert len(BackgroundLibrary(bank, directory=tmp_path / "kept").features(PlainEar()).joint) == 5
    assert "could not be kept" in caplog.text


def test_what_progress_raises_passes_and_leaves_nothing(bank, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BackgroundLibrary(bank, directory=tmp_path / "kept").features(PlainEar(), progress=stop)
    assert not (tmp_path / "kept").exists()


def test_an_audio_prompt_is_heard_through(bank):
    prompts = AudioPrompts(spectral=Affine(torch.full((64,), 2.0), torch.zeros(64)))
    plain, prompted = (hear_background(PlainEar(), bank, each) for each in (None, prompts))
    assert np.allclose(prompted.stages, 2 * plain.stages, rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("fault", ["no index", "no clips", "no JSON", "missing clip", "other clip"])
def test_a_bank_that_is_not_right_says_so(bank, fault):
    index, clip = bank.directory / "index.json", bank.directory / bank.clips[1].file
    if fault == "no index":
        index.unlink()
    elif fault == "no clips":
        index.write_text('{"clips": []}')
    elif fault == "no JSON":
        index.write_text("clips")
    elif fault == "missing clip":
        clip.unlink()
    else:
        clip.write_bytes((bank.directory / bank.clips[0].file).read_bytes())
    with pytest.raises(BackgroundInvalid):
        list(Background.load(bank.directory).waveforms())


def test_the_digest_follows_clips_and_families_not_the_place(bank, tmp_path):
    assert Background(tmp_path, bank.clips).digest == bank.digest
    assert Background(bank.directory, bank.clips[::-1]).digest != bank.digest
