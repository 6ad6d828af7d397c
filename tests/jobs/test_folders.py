import pytest

from jobs.errors import ArchiveInvalid
from jobs.folders import label_depth, named


def folders(*paths: str) -> list[tuple[str, ...]]:
    return [tuple(path.split("/")) for path in paths]


@pytest.mark.parametrize(
    ("paths", "labels"),
    [
        (["dog", "rain"], ["dog", "rain"]),
        (["clips/dog", "clips/rain"], ["dog", "rain"]),
        (["a/b/c/dog", "a/b/c/rain"], ["dog", "rain"]),
        (["dog/audio", "rain/audio"], ["dog", "rain"]),
        (["set/dog/audio", "set/rain/audio"], ["dog", "rain"]),
        (["dog/dog", "rain/rain"], ["dog", "rain"]),
        (["train/dog", "train/rain"], ["dog", "rain"]),
        (["test/dog", "test/rain"], ["dog", "rain"]),
        (["train", "car"], ["train", "car"]),
        (["clips/dog"], ["dog"]),
        (["dog"], ["dog"]),
        (["Dog", "dog"], ["Dog", "dog"]),
    ],
)
def test_labels_that_can_be_told(paths, labels):
    depth = label_depth(folders(*paths))
    assert [path.split("/")[depth] for path in paths] == labels


@pytest.mark.parametrize(
    ("paths", "match"),
    [
        (["dog/s1", "dog/s2", "rain/s1", "rain/s2"], r"'dog', 'rain' \('dog/'\).*'s1', 's2' \('dog/s1/'\)"),
        (["fold1/dog", "fold1/rain", "fold2/dog", "fold2/rain"], "cannot be told"),
        (["animals/dog", "animals/cat", "vehicles/car"], "cannot be told"),
        (["dog-export/dog", "rain-export/rain"], "cannot be told"),
        (["clips/dog/s1", "clips/rain/s2"], "cannot be told"),
        (["dog", "rain/s1", "rain/s2"], r"different depths.*'dog/'.*'rain/s1/'"),
        (["clips", "clips/dog", "clips/rain"], r"different depths.*'clips/'.*'clips/dog/'"),
        (["train/dog", "train/rain", "test/dog", "test/rain"], "'train', 'test' look like.*'train' alone"),
        (["set/Train/dog", "set/TEST/dog"], "'Train', 'TEST'"),
        (["train", "test"], "'train', 'test'"),
        (["training/dog", "validation"], "'training' alone"),
        (["val/dog", "dev/dog"], "'val', 'dev'"),
        (["dog/train", "dog/test", "rain/train"], "'train', 'test'"),
        (["dog", "rain", "test"], r"'test' \(beside 'dog', 'rain'\)"),
    ],
)
def test_labels_that_cannot_be_told_are_refused_with_what_was_found(paths, match):
    with pytest.raises(ArchiveInvalid, match=match):
        label_depth(folders(*paths))


def test_the_order_of_the_clips_does_not_matter():
    paths = folders("set/dog/audio", "set/rain/audio", "set/dog/audio")
    assert label_depth(paths) == label_depth(paths[::-1]) == 1


def test_not_all_of_many_names_are_named():
    assert named(["a", "b", "a"]) == "'a', 'b'"
    assert named([str(number) for number in range(100)]).endswith("'7' and 92 more")
