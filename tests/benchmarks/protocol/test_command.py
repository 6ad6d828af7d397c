import csv

import pytest

from benchmarks.protocol.__main__ import main
from benchmarks.protocol.lay_out_esc10 import lay_out
from benchmarks.protocol.layout import read_set
from benchmarks.protocol.rows import read_rows
from tests.benchmarks.protocol.conftest import rows_of, sound, write_list

METHODS = ["--methods", "zero_shot", "ridge", "--audio-prompts", "none", "adabn"]
QUICK = [*METHODS, "--shots", "1", "2", "--seeds", "0", "1"]


@pytest.fixture
def folds(write_set):
    """Two folds of a set with a stale copy at the top, a clip on both sides, stereo, and an underscore in a label."""

    def write(name: str = "UrbanSound8K"):
        lists = {}
        for fold in (1, 2):
            train, test = rows_of(f"{fold}00-{fold}-0", 3), rows_of(f"9{fold}-{fold}-0", 2)
            lists |= {f"csv_files/train_{fold}.csv": train, f"csv_files/test_{fold}.csv": [*test, train[0]]}
        folder = write_set(name, lists, channels=2)
        write_list(folder / "train.csv", [("audios/stale.wav", "stale")])
        return folder

    return write


@pytest.fixture
def command(root, tmp_path, small_clap_directory, capsys):
    results = tmp_path / "results" / "protocol.jsonl"

    def run(*words: str) -> tuple[int, str, list[dict]]:
        settings = ["--model", str(small_clap_directory), "--results", str(results), "--cache", str(tmp_path / "cache")]
        status = main([str(root), *settings, *words])
        return status, capsys.readouterr().out, read_rows(results)

    return run


def test_a_dry_run_checks_the_sets_and_tells_the_traps(command, folds, write_set):
    folds()
    write_set("CREMA-D", {"train.csv": [("a/1001_X.wav", "dog bark")], "test.csv": [("a/1001_Y.wav", "dog bark")]})
    status, out, rows = command("--dry-run")
    assert status == 0 and not rows
    assert "UrbanSound8K: train.csv and test.csv at the top are of no fold: not read" in out
    assert "TRAP UrbanSound8K fold 1: 1 of 7 test clips are in the train list too: 1 by path" in out
    assert "TRAP CREMA-D: actors on both sides: 1 of 1 test clips" in out


def test_a_set_that_cannot_be_used_is_named_and_the_others_go_on(command, folds, root):
    folds()
    (folds("ESC50") / "audios" / rows_of("100-1-0", 1)[0][0].removeprefix("audios/")).unlink()
    status, out, _ = command("--dry-run")
    assert status == 1 and "LEFT OUT ESC50: 1 of" in out and "UrbanSound8K" in out
    assert command("--dry-run", "--sets", "RAVDESS")[0] == 1
    assert command("--dry-run", "--sets", "UrbanSound8K")[0] == 0


def test_every_row_is_fitted_once_and_a_run_goes_on_where_it_was_cut_off(command, folds, tmp_path):
    folds()
    status, out, rows = command(*QUICK)
    assert status == 0 and len(rows) == 3 * 2 * 2 * 2  # lines, shots, seeds, folds
    assert "24 fits on" in out and "24/24" in out
    assert {row["num_clips"] for row in rows} == {7}
    assert {(row["shots"], row["num_taught"]) for row in rows} == {(1, 3), (2, 6)}
    results = tmp_path / "results" / "protocol.jsonl"
    lines = results.read_text().splitlines(keepends=True)
    results.write_text("".join(lines[:20]) + lines[20][:30])  # killed while it wrote
    _, out, again = command(*QUICK)
    assert "4 fits on" in out and without_times(again) == without_times(rows)


def without_times(rows: list[dict]) -> list[dict]:
    return [{name: row[name] for name in row if not name.startswith("fit_")} for row in rows]


def test_the_table_names_what_was_left_out(command, folds):
    folds()
    command(*QUICK, "--seeds", "0")
    _, out, _ = command(*QUICK, "--show")
    assert "2 of 4" in out
    assert "not run: UrbanSound8K, 1 shots, ours, ridge none: 2 fits of folds 1, 2" in out
    assert "another backbone" in out.replace("\n", " ").lower()


def test_the_papers_crop_stands_beside_ours(command, folds, tmp_path):
    folds()
    words = ["--methods", "ridge", "--shots", "1", "--seeds", "0"]
    command(*words)
    _, out, rows = command(*words, "--crop", "paper")
    assert sorted(row["crop"] for row in rows) == ["ours", "ours", "paper", "paper"]
    assert "clips heard as ours" in out and "clips heard as paper" in out and "against ours" in out
    assert "clips heard as paper" in (tmp_path / "results" / "protocol.txt").read_text()


def test_esc10_is_laid_out_as_a_published_set(tmp_path, root):
    folder = tmp_path / "esc10"
    (folder / "audio").mkdir(parents=True)
    with (folder / "clips.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["file", "fold", "label"])
        for fold in range(1, 6):
            for take, label in zip("AB", ("dog bark", "siren, far"), strict=True):
                rows.writerow([f"{fold}-10{fold}-{take}.wav", fold, label])
                (folder / "audio" / f"{fold}-10{fold}-{take}.wav").write_bytes(sound(label, fold))
    lay_out(folder, root)
    audio_set = read_set(root, "ESC50-Actions")
    assert [split.fold for split in audio_set.splits] == [1, 2, 3, 4, 5]
    assert [len(split.test) for split in audio_set.splits] == [2] * 5
    assert audio_set.splits[0].labels == ("dog bark", "siren, far")
    assert audio_set.remarks[0] == "these are ESC-10's clips, not the published set's"
