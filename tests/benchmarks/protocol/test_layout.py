import pytest

from benchmarks.protocol.layout import LayoutInvalid, find_sets, read_set
from tests.benchmarks.protocol.conftest import rows_of, write_list


def test_a_single_split_is_read(root, write_set):
    train, test = rows_of("train", 3), rows_of("test", 2)
    write_set("SESA", {"train.csv": train, "test.csv": test})
    (split,) = read_set(root, "SESA").splits
    assert split.fold is None
    assert [(clip.path, clip.label) for clip in split.train] == train
    assert split.labels == ("air_conditioner", "dog bark", "siren, far")  # underscore and comma are the label's own


def test_folds_come_before_stale_copies_at_the_top(root, write_set):
    folds = {fold: (rows_of(f"a{fold}", 3), rows_of(f"b{fold}", 2)) for fold in (1, 2, 10)}
    lists = {f"csv_files/train_{fold}.csv": train for fold, (train, _) in folds.items()}
    lists |= {f"csv_files/test_{fold}.csv": test for fold, (_, test) in folds.items()}
    folder = write_set("UrbanSound8K", lists)
    write_list(folder / "train.csv", folds[2][0])
    write_list(folder / "test.csv", folds[2][1])
    audio_set = read_set(root, "UrbanSound8K")
    assert [split.fold for split in audio_set.splits] == [1, 2, 10]
    assert [(clip.path, clip.label) for clip in audio_set.splits[0].test] == folds[1][1]
    assert any("a copy of fold 2's: not read" in remark for remark in audio_set.remarks)
    write_list(folder / "train.csv", [("audios/gone.wav", "nothing")])
    assert any("of no fold: not read" in remark for remark in read_set(root, "UrbanSound8K").remarks)


def test_what_differs_from_the_published_set_is_remarked(root, write_set):
    write_set("SESA", {"train.csv": rows_of("a", 2), "test.csv": rows_of("b", 1)})
    write_set("mine_own", {"train.csv": rows_of("a", 2), "test.csv": rows_of("b", 1)})
    assert read_set(root, "SESA").remarks == ("3 labels; 4 are published", "3 test clips; published are 105")
    assert read_set(root, "mine_own").remarks == ("not one of the published sets",)
    assert find_sets(root) == ["SESA", "mine_own"]


@pytest.mark.parametrize(
    ("train", "test", "said"),
    [
        (rows_of("a", 2), rows_of("b", 1, ["dog bark"]), "'air_conditioner' is not in test.csv"),
        (
            rows_of("a", 2, ["dog bark"]),
            rows_of("b", 1, ["dog bark", "siren, far"]),
            "'siren, far' is not in train.csv",
        ),
        (rows_of("a", 2), [], "test.csv lists no clips"),
        (rows_of("a", 2), [("audios/x.wav", "")], "line 2: a path and a classname are needed"),
    ],
)
def test_lists_that_do_not_agree_are_refused(root, write_set, train, test, said):
    folder = write_set("SESA", {"train.csv": train})
    write_list(folder / "test.csv", test)
    for path, _ in test:
        (folder / path).write_bytes(b"")
    with pytest.raises(LayoutInvalid, match=said):
        read_set(root, "SESA")


def test_missing_clips_are_counted_and_the_first_is_named(root, write_set):
    folder = write_set("SESA", {"train.csv": rows_of("a", 2), "test.csv": rows_of("b", 1)})
    (folder / "audios/a-1-dog_bark.wav").unlink()
    with pytest.raises(LayoutInvalid, match=r"1 of 9 clips are missing, the first audios/a-1-dog_bark.wav"):
        read_set(root, "SESA")


def test_other_columns_and_missing_lists_are_refused(root, write_set):
    folder = write_set("SESA", {"train.csv": rows_of("a", 2), "test.csv": rows_of("b", 1)})
    (folder / "test.csv").write_text("file,label\naudios/x.wav,dog\n")
    with pytest.raises(LayoutInvalid, match="columns file, label; path and classname are needed"):
        read_set(root, "SESA")
    (folder / "test.csv").unlink()
    with pytest.raises(LayoutInvalid, match=r"test.csv cannot be read"):
        read_set(root, "SESA")
    with pytest.raises(LayoutInvalid, match="there is no folder"):
        read_set(root, "RAVDESS")
