"""A hub name, a directory or a LAION `.pt` file -> transformers' `ClapModel` with its tokenizer."""

import json
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import torch
import transformers
from huggingface_hub import hf_hub_download
from torch import Tensor
from transformers import AutoTokenizer, ClapConfig, ClapModel, PreTrainedTokenizerBase

from aspl.errors import CheckpointInvalid, CheckpointNotFound
from aspl.model.laion_checkpoint import read_laion_checkpoint
from aspl.sound.log_mel import FrontEnd


@dataclass(frozen=True)
class Checkpoint:
    """A base model in float32 on the CPU, with what is known of it."""

    model: ClapModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    licence: str | None
    fingerprint: str


def load_checkpoint(
    source: str | Path, *, revision: str | None = None, tokenizer: str | Path | None = None
) -> Checkpoint:
    """Load an unfused CLAP.

    Args:
        source: a directory in transformers' layout, a LAION `.pt` file, or a hub name such as
            `laion/clap-htsat-unfused` (from the hub's local cache alone where `HF_HUB_OFFLINE=1`).
        revision: branch, tag or commit of a hub name.
        tokenizer: directory or hub name of the tokenizer; needed beside a `.pt` file, which holds none.

    Raises:
        CheckpointNotFound: nothing under that name.
        CheckpointInvalid: a fused checkpoint, another architecture, missing or unexpected weights.
    """
    path = Path(source)
    if path.is_file():
        model = read_laion_checkpoint(path)
        if tokenizer is None:
            raise CheckpointInvalid(f"{path.name} holds no tokenizer: name a directory or hub model to take one from")
        name, licence = path.name, None
    elif path.is_dir() or not _looks_like_path(str(source)):
        model = _from_pretrained(source, revision)
        name, licence = path.name if path.is_dir() else str(source), _licence(source, revision)
    else:
        raise CheckpointNotFound(f"no file or directory {source}")
    if model.config.audio_config.num_mel_bins != FrontEnd().mel_bins:
        raise CheckpointInvalid(
            f"{name} expects {model.config.audio_config.num_mel_bins} mel bins, not {FrontEnd().mel_bins}"
        )
    return Checkpoint(
        model=model.eval(),
        tokenizer=_tokenizer(tokenizer or source, None if tokenizer else revision),
        name=name,
        licence=licence,
        fingerprint=fingerprint(model.state_dict()),
    )


def fingerprint(state: dict[str, Tensor]) -> str:
    """Return the SHA-256 (hex) of the weights that inference uses, as float32, and of the front end's settings."""
    digest = sha256(json.dumps(FrontEnd().as_dict(), sort_keys=True).encode())
    for name in sorted(state):
        if state[name].is_floating_point():  # position ids and index tables follow from the shapes
            digest.update(f"{name}{list(state[name].shape)}".encode())
            digest.update(state[name].detach().float().contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def _looks_like_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or source.count("/") != 1 or source.endswith((".pt", ".pth", ".ckpt"))


def _from_pretrained(source: str | Path, revision: str | None) -> ClapModel:
    local = _is_offline()
    try:
        config = transformers.AutoConfig.from_pretrained(source, revision=revision, local_files_only=local)
    except OSError as error:
        kind = CheckpointInvalid if Path(source).is_dir() else CheckpointNotFound
        raise kind(f"no model configuration in {source}: {_first_line(error)}") from error
    except ValueError as error:
        raise CheckpointInvalid(f"{source} is not a CLAP model: {_first_line(error)}") from error
    if not isinstance(config, ClapConfig):
        raise CheckpointInvalid(f"{source} holds a model of type {config.model_type}, not clap")
    if config.audio_config.enable_fusion:
        raise CheckpointInvalid(f"{source} is a fused CLAP, which hears another input; take an unfused one")
    try:
        model, report = ClapModel.from_pretrained(
            source, revision=revision, dtype=torch.float32, output_loading_info=True, local_files_only=local
        )
    except OSError as error:
        raise CheckpointInvalid(f"no weights in {source}: {_first_line(error)}") from error
    except Exception as error:  # safetensors, shapes and JSON each raise their own
        raise CheckpointInvalid(f"the weights of {source} cannot be read: {_first_line(error)}") from error
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
    if missing:
        raise CheckpointInvalid(f"{source} lacks {len(missing)} weights, {missing[0]} among them")
    return model


def _tokenizer(source: str | Path, revision: str | None) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(source, revision=revision, local_files_only=_is_offline())
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointInvalid(f"no tokenizer in {source}: {_first_line(error)}") from error


def _licence(source: str | Path, revision: str | None) -> str | None:
    """Return the licence that the model card's front matter names, if there is a card to be had."""
    card = Path(source) / "README.md"
    try:
        if not card.is_file():
            card = Path(hf_hub_download(str(source), card.name, revision=revision, local_files_only=_is_offline()))
        lines = card.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return None
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(("license:", "licence:"))), None)


def _is_offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE") == "1"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:300]
