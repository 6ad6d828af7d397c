import numpy as np
import pandas
import pytest

from benchmarks.protocol.layout import read_list
from benchmarks.protocol.sampling import draw_shots
from tests.benchmarks.protocol.conftest import write_list


def drawn_by_pandas(path, shots, seed):
    """The published protocol in pandas' own calls: numpy seeded once, then `sample` for each sorted label."""
    np.random.seed(seed)
    table = pandas.read_csv(path)
    paths = []
    for label in sorted(table["classname"].unique()):
        own = table[table["classname"] == label]
        paths += (own.sample(shots) if len(own) >= shots else own)["path"].tolist()
    return paths


@pytest.mark.parametrize("shots", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_draw_is_that_of_pandas_on_the_same_list(tmp_path, shots, seed):
    labels = {"tram": 40, "cafe/restaurant": 16, "city_center": 9, "Ähre, reif": 25}  # of one too few for 16 shots
    rows = [(f"audios/{number}.wav", label) for label, count in labels.items() for number in range(count)]
    rows = [rows[place] for place in np.random.default_rng(5).permutation(len(rows))]
    write_list(tmp_path / "train_1.csv", rows)
    clips = read_list(tmp_path / "train_1.csv")
    drawn = [clips[row].path for row in draw_shots(clips, shots=shots, seed=seed)]
    assert drawn == drawn_by_pandas(tmp_path / "train_1.csv", shots, seed)


def test_seeds_draw_other_clips(tmp_path):
    write_list(tmp_path / "train.csv", [(f"{number}.wav", "tram") for number in range(40)])
    clips = read_list(tmp_path / "train.csv")
    assert len({tuple(draw_shots(clips, shots=4, seed=seed)) for seed in range(3)}) == 3
