"""The trained model as a directory that transformers loads with nothing from us."""

import json
from pathlib import Path

import torch
from transformers import ClapFeatureExtractor, ClapModel, ClapProcessor

from pretrain.model import small_clap
from pretrain.train import ALIGNED
from pretrain.vocabulary import train_tokenizer


def load_trained(work: Path) -> ClapModel:
    """Return the aligned model of a finished training, or else the averaged weights of its last checkpoint."""
    if (work / ALIGNED).exists():
        state = torch.load(work / ALIGNED, weights_only=True)
    else:
        ema = torch.load(work / "checkpoint.pt", weights_only=True)["ema"]
        state = {name.removeprefix("0."): value for name, value in ema.items() if name.startswith("0.")}
    model = small_clap(state["text_model.embeddings.word_embeddings.weight"].shape[0])
    model.load_state_dict(state)
    return model.eval()


def export(work: Path, directory: Path, *, seed: int = 0) -> None:
    """Write the model in half precision, its tokenizer and its feature extractor to `directory`.

    The weights are read back in float32; `README.md` there is left alone.
    """
    directory.mkdir(parents=True, exist_ok=True)
    tokenizer = train_tokenizer(directory, seed=seed)
    model = load_trained(work)
    model.half().save_pretrained(directory)
    extractor = ClapFeatureExtractor(
        feature_size=64,
        sampling_rate=48_000,
        hop_length=480,
        fft_window_size=1024,
        frequency_min=50,
        frequency_max=14_000,
        truncation="rand_trunc",
        padding="repeatpad",
    )
    ClapProcessor(extractor, tokenizer).save_pretrained(directory)
    config_path = directory / "config.json"
    config = json.loads(config_path.read_text())
    config["dtype"] = "float32"  # half precision is how they are stored, not how they are run
    config_path.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")
