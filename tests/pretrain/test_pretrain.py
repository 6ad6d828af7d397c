import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import AutoTokenizer, ClapModel, ClapProcessor
from typer.testing import CliRunner

from aspl import FrozenClap
from pretrain.__main__ import app
from pretrain.families import FAMILIES
from pretrain.generate import shards

MAX_SIZE_BYTES = 12 * 2**20


def run(*arguments: str | Path) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + repr(result.exception)
    return result.output


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return (data, model) of a complete small run."""
    root = tmp_path_factory.mktemp("pretrain")
    data, model = root / "data", root / "model"
    run("all", "--data", data, "--setting", "tiny", "--model", model)
    return data, model


@pytest.mark.slow
def test_generate_keeps_what_is_there(made: tuple[Path, Path]) -> None:
    data, _ = made
    before = {path: path.stat().st_mtime_ns for path in data.glob("shard-*")}
    run("generate", "--data", data, "--setting", "tiny", "--processes", "1")
    assert {path: path.stat().st_mtime_ns for path in data.glob("shard-*")} == before
    shard = next(shards(data))
    assert shard.log_mel.shape == (64, 1001, 64)
    assert shard.log_mel.dtype == np.float16
    assert len(shard.family) == len(shard.words) == 64
    assert next(shards(data, held_out=True)).family.max() < len(FAMILIES)


@pytest.mark.slow
def test_train_goes_on_from_its_checkpoint(made: tuple[Path, Path]) -> None:
    data, _ = made
    run("train", "--data", data, "--setting", "tiny", "--steps", "5", "--threads", "1")
    history = json.loads((data / "run" / "history.json").read_text())["history"]
    assert [entry["step"] for entry in history] == [4, 5]


@pytest.mark.slow
def test_the_export_loads_with_transformers_alone(made: tuple[Path, Path]) -> None:
    _, directory = made
    model, tokenizer = ClapModel.from_pretrained(directory), AutoTokenizer.from_pretrained(directory)
    assert sum(path.stat().st_size for path in directory.iterdir()) <= MAX_SIZE_BYTES
    tokens = tokenizer(["This is a sound of a dog bark.", "rain"], padding=True, return_tensors="pt")
    with torch.no_grad():
        text = model.get_text_features(**tokens).pooler_output
        features = ClapProcessor.from_pretrained(directory).feature_extractor(
            np.zeros(48_000, np.float32), sampling_rate=48_000, return_tensors="pt"
        )
        audio = model.get_audio_features(input_features=features["input_features"]).pooler_output
    clap = FrozenClap.load(directory)
    torch.testing.assert_close(clap.encode_text(["This is a sound of a dog bark.", "rain"]), text, atol=1e-4, rtol=1e-3)
    torch.testing.assert_close(clap.encode_audio(features["input_features"]), audio, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_evaluate_prints_every_figure(made: tuple[Path, Path], tmp_path: Path) -> None:
    _, model = made
    (tmp_path / "audio").mkdir()
    rng = np.random.default_rng(0)
    rows = [
        (f"{label}-{fold}-{k}.wav", fold, label) for label in ("rain", "siren") for fold in (1, 2) for k in range(4)
    ]
    for name, _, label in rows:
        wave = rng.standard_normal(24_000) if label == "rain" else np.sin(np.arange(24_000) * rng.uniform(0.05, 0.1))
        soundfile.write(tmp_path / "audio" / name, 0.1 * wave, 48_000)
    with (tmp_path / "clips.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "fold", "label"), *rows])
    figures = tmp_path / "figures.json"
    out = run("evaluate", "--data", tmp_path, "--model", model, "--shots", "3", "--draws", "1", "--output", figures)
    assert all(name in out for name in ("zero-shot, 16 clips", "logistic probe, 3 shots", "PALM, 3 shots", "ms a clip"))
    assert json.loads(figures.read_text())["probe"]["runs"] == 2


def test_help_names_every_command() -> None:
    out = run("--help")
    assert all(name in out for name in ("generate", "train", "export", "evaluate", "all"))
