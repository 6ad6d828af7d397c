import pytest

from benchmarks.protocol.facts import FACTS, named_by
from benchmarks.protocol.layout import read_set
from benchmarks.protocol.overlaps import SharedClips
from tests.benchmarks.protocol.conftest import sound

A = "dog bark"


def overlap_of(root, write_set, name, train, test, contents=None):
    lists = {"train.csv": [(path, A) for path in train], "test.csv": [(path, A) for path in test]}
    write_set(name, lists, contents=contents)
    audio_set = read_set(root, name)
    shared = SharedClips(audio_set)
    (split,) = audio_set.splits
    return shared, split, shared.overlap(split)


def test_shared_paths_contents_and_recordings_are_counted_apart(root, write_set):
    train = ["audios/a001_0_10.wav", "audios/b002_0_10.wav", "audios/c003_0_10.wav"]
    test = ["audios/a001_10_20.wav", "audios/b002_0_10.wav", "audios/x9_0_10.wav", "audios/y9_0_10.wav"]
    same = sound(A, 77)
    contents = {"audios/c003_0_10.wav": same, "audios/x9_0_10.wav": same}
    shared, split, overlap = overlap_of(root, write_set, "TUT2017", train, test, contents)
    assert (overlap.paths, overlap.contents, overlap.recordings, overlap.shared) == (1, 2, 2, 3)
    assert shared.shared(split.test, split.train[:1]) == [True, False, False, False]  # only a001 is taught
    assert shared.shared(split.test, split.train[2:]) == [False, False, True, False]  # only the copy
    (flag,) = overlap.flags("TUT2017")
    assert flag == "3 of 4 test clips are in the train list too: 1 by path, 2 by content, 2 by recording"


def test_files_of_one_length_are_told_apart(root, write_set):
    _, _, overlap = overlap_of(root, write_set, "SESA", ["audios/1.wav", "audios/2.wav"], ["audios/3.wav"])
    assert overlap.shared == 0 and overlap.flags("SESA") == []


def test_a_test_list_as_long_as_the_train_list_is_flagged(root, write_set):
    _, _, overlap = overlap_of(root, write_set, "SESA", ["audios/1.wav"], ["audios/2.wav"])
    assert overlap.flags("SESA") == ["the test list is as long as the train list (1)"]


def test_actors_on_both_sides_are_marked_and_do_not_count_as_shared(root, write_set):
    train = ["audios/1001_DFA_ANG_XX.wav", "audios/1002_DFA_ANG_XX.wav"]
    test = ["audios/1001_IEO_SAD_LO.wav", "audios/1003_IEO_SAD_LO.wav", "audios/1002_IEO_SAD_LO.wav"]
    _, _, overlap = overlap_of(root, write_set, "CREMA-D", train, test)
    assert (overlap.shared, overlap.performers) == (0, 2)
    assert overlap.flags("CREMA-D") == ["actors on both sides: 2 of 3 test clips"]


def test_names_that_do_not_tell_the_recording_are_counted(root, write_set):
    _, _, overlap = overlap_of(root, write_set, "ESC50", ["audios/1-100-A-3.wav"], ["audios/one.wav", "audios/2.wav"])
    assert overlap.unnamed == 2
    assert "2 file names do not tell the recording" in overlap.flags("ESC50")


@pytest.mark.parametrize(
    ("name", "path", "told"),
    [
        ("ESC50", "audios/5-203128-B-0.wav", "203128"),
        ("ESC50-Actions", "audios/1-100032-A.ogg", "100032"),
        ("UrbanSound8K", "audios/fold1/102305-6-0-0.wav", "102305"),
        ("TUT2017", "audios/b020_90_100.wav", "b020"),
        ("CREMA-D", "audios/1076_MTI_SAD_XX.wav", "1076"),
        ("RAVDESS", "audios/Actor_12/03-01-05-02-01-01-12.wav", "12"),
        ("NS-Instruments", "audios/bass_synthetic_033-022-050.wav", "bass_synthetic_033"),
        ("VocalSound", "audios/f0003_0_laughter.wav", "f0003"),
        ("CREMA-D", "audios/clip.wav", None),
    ],
)
def test_what_names_tell(name, path, told):
    facts = FACTS[name]
    assert named_by(facts.recording or facts.performer, path) == told
