"""LAION-CLAP's own `.pt` files -> transformers' `ClapModel`, without ever running a pickle freely."""

import pickle
import re
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import ClapAudioConfig, ClapConfig, ClapModel, ClapTextConfig

from aspl.errors import CheckpointInvalid

FRONT_END_KEYS = ("audio_branch.spectrogram_extractor.", "audio_branch.logmel_extractor.")
UNUSED_KEYS = ("audio_branch.tscam_conv.", "audio_branch.head.", "audio_transform.", "text_transform.")
FOLLOWS_FROM_SHAPES = ("attn_mask", "relative_position_index", "position_ids", "num_batches_tracked", "token_type_ids")
FUSION_MARKS = ("fusion_model", "mel_conv2d", "mel_conv1d")

AUDIO_RENAMES = (
    ("audio_branch.bn0.", "audio_model.audio_encoder.batch_norm."),
    ("audio_branch.", "audio_model.audio_encoder."),
    (".attn.proj.", ".attention.output.dense."),
    (".attn.", ".attention.self."),
    (".mlp.fc1.", ".intermediate.dense."),
    (".mlp.fc2.", ".output.dense."),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
)


def read_laion_checkpoint(path: Path) -> ClapModel:
    """Load a LAION-CLAP checkpoint (laion-clap 1.1.7, `630k-audioset-best.pt` and its siblings; HTSAT-tiny and -base).

    Raises:
        CheckpointInvalid: a fused or foreign checkpoint, weights missing, or a pickle that asks for anything but
            tensors, numpy scalars and containers.
    """
    state = _state_dict(_unpickle(path), path.name)
    if any(mark in key for key in state for mark in FUSION_MARKS):
        raise CheckpointInvalid(f"{path.name} is a fused CLAP, which hears another input; take an unfused one")
    if "audio_branch.patch_embed.proj.weight" not in state or not any(key.startswith("text_branch.") for key in state):
        raise CheckpointInvalid(
            f"{path.name} is no LAION CLAP with HTSAT and RoBERTa: its first key is {next(iter(state), None)}"
        )
    try:
        config = _config(state)
    except KeyError as error:
        raise CheckpointInvalid(f"{path.name} lacks {error.args[0]}") from error
    with torch.device("meta"):
        model = ClapModel(config)
    model.to_empty(device="cpu")
    model.load_state_dict(_shape_buffers(config), strict=False)
    weights = rename_keys(state)
    expected = {name for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    if missing := sorted(expected - weights.keys()):
        raise CheckpointInvalid(f"{path.name} lacks {len(missing)} weights, {missing[0]} among them")
    if unexpected := sorted(weights.keys() - expected):
        raise CheckpointInvalid(f"{path.name} holds {len(unexpected)} unknown weights, {unexpected[0]} among them")
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CheckpointInvalid(f"{path.name} does not fit together: {str(error).splitlines()[-1].strip()}") from error
    return model


def rename_keys(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return LAION-CLAP's state dict under transformers' names, without what inference does not use."""
    renamed: dict[str, Tensor] = {}
    for key, tensor in state.items():
        if key.startswith(FRONT_END_KEYS + UNUSED_KEYS) or key.endswith(FOLLOWS_FROM_SHAPES):
            continue
        if key.startswith("text_branch."):
            key = key.replace("text_branch.", "text_model.", 1)
        elif key.startswith("audio_branch."):
            for old, new in AUDIO_RENAMES:
                key = key.replace(old, new, 1)
        key = re.sub(r"^(audio|text)_projection\.0\.", r"\1_projection.linear1.", key)
        key = re.sub(r"^(audio|text)_projection\.2\.", r"\1_projection.linear2.", key)
        if ".attention.self.qkv." in key:
            for part, chunk in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                renamed[key.replace(".qkv.", f".{part}.")] = chunk.float()
        else:
            renamed[key] = tensor.float()
    return renamed


def _config(state: dict[str, Tensor]) -> ClapConfig:
    """Read the architecture off the shapes."""
    channels = len(state["audio_branch.patch_embed.proj.weight"])
    depths, heads = [], []
    while f"audio_branch.layers.{len(depths)}.blocks.0.norm1.weight" in state:
        blocks = {key.split(".")[4] for key in state if key.startswith(f"audio_branch.layers.{len(depths)}.blocks.")}
        bias_table = state[f"audio_branch.layers.{len(depths)}.blocks.0.attn.relative_position_bias_table"]
        depths.append(len(blocks))
        heads.append(bias_table.shape[1])
    if not depths:
        raise CheckpointInvalid("the checkpoint holds no Swin stage, audio_branch.layers.0 and so on")
    joint_width = len(state["audio_projection.2.weight"])
    words = state["text_branch.embeddings.word_embeddings.weight"]
    layers = {key.split(".")[3] for key in state if key.startswith("text_branch.encoder.layer.")}
    audio = ClapAudioConfig(
        num_mel_bins=len(state["audio_branch.bn0.weight"]),
        patch_embeds_hidden_size=channels,
        hidden_size=channels * 2 ** (len(depths) - 1),
        depths=depths,
        num_attention_heads=heads,
        window_size=(int(bias_table.shape[0] ** 0.5) + 1) // 2,
        projection_dim=joint_width,
        projection_hidden_act="relu",
        enable_fusion=False,
    )
    text = ClapTextConfig(
        vocab_size=words.shape[0],
        hidden_size=words.shape[1],
        num_hidden_layers=len(layers),
        num_attention_heads=max(1, words.shape[1] // 64),  # RoBERTa's heads are 64 wide at every size
        intermediate_size=len(state["text_branch.encoder.layer.0.intermediate.dense.weight"]),
        max_position_embeddings=len(state["text_branch.embeddings.position_embeddings.weight"]),
        type_vocab_size=len(state["text_branch.embeddings.token_type_embeddings.weight"]),
        layer_norm_eps=1e-5,  # RoBERTa's; transformers' default for CLAP, 1e-12, is not what LAION trained with
        projection_dim=joint_width,
        projection_hidden_act="relu",
    )
    return ClapConfig(text_config=text, audio_config=audio, projection_dim=joint_width)


def _shape_buffers(config: ClapConfig) -> dict[str, Tensor]:
    """Return the buffers that follow from the shapes, which no checkpoint need hold."""
    positions = torch.arange(config.text_config.max_position_embeddings).expand((1, -1))
    window = config.audio_config.window_size
    place = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    apart = place[:, :, None] - place[:, None, :] + window - 1
    buffers = {
        "text_model.embeddings.position_ids": positions,
        "text_model.embeddings.token_type_ids": torch.zeros_like(positions),
        "audio_model.audio_encoder.batch_norm.num_batches_tracked": torch.tensor(0),
    }
    for stage, depth in enumerate(config.audio_config.depths):
        for block in range(depth):
            prefix = f"audio_model.audio_encoder.layers.{stage}.blocks.{block}.attention.self"
            buffers[f"{prefix}.relative_position_index"] = apart[0] * (2 * window - 1) + apart[1]
    return buffers


def _state_dict(content: Any, name: str) -> dict[str, Tensor]:
    state = content.get("state_dict", content) if isinstance(content, dict) else None
    if not isinstance(state, dict) or not state:
        raise CheckpointInvalid(f"{name} holds no state dict but {type(content).__name__}")
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    if strangers := [key for key, value in state.items() if not isinstance(value, Tensor)]:
        raise CheckpointInvalid(f"{name} holds no state dict: {strangers[0]} is not a tensor")
    return state


def _unpickle(path: Path) -> Any:
    restricted = SimpleNamespace(
        __name__="restricted_pickle",
        Unpickler=_RestrictedUnpickler,
        load=lambda file, **settings: _RestrictedUnpickler(file, **settings).load(),
    )
    try:
        return torch.load(path, map_location="cpu", weights_only=False, pickle_module=restricted)
    except CheckpointInvalid:
        raise
    except Exception as error:  # damaged archives raise many kinds
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise CheckpointInvalid(f"{path.name} is not a PyTorch checkpoint: {reason}") from error


def _numpy_scalar(dtype: np.dtype, data: bytes = b"") -> Any:
    if not isinstance(dtype, np.dtype) or dtype.kind not in "biufc" or not isinstance(data, bytes):
        raise CheckpointInvalid("the checkpoint holds a numpy scalar that is not a number")
    return np.frombuffer(data, dtype=dtype, count=1)[0]


def _encode(text: str, encoding: str = "latin1") -> bytes:
    return text.encode("latin1")  # how pickle protocol 2 spells bytes


ADMITTED = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch", "Size"): torch.Size,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "scalar"): _numpy_scalar,
    ("numpy._core.multiarray", "scalar"): _numpy_scalar,
    ("_codecs", "encode"): _encode,
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Admits tensors, numpy scalars and containers; refuses everything else before it is called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ADMITTED:
            return ADMITTED[module, name]
        if module == "torch" and name.endswith("Storage") and isinstance(getattr(torch, name, None), type):
            return getattr(torch, name)
        raise CheckpointInvalid(f"the checkpoint asks for {module}.{name}; only tensors and numbers are read")
