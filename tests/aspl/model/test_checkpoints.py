import json
import pickle
import shutil
from collections import OrderedDict

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, ClapModel

from aspl import FrozenClap
from aspl.errors import CheckpointInvalid, CheckpointNotFound
from aspl.model.laion_checkpoint import AUDIO_RENAMES, rename_keys

REVISION = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture(scope="module")
def laion_state(small_clap_directory) -> OrderedDict[str, torch.Tensor]:
    """The small CLAP's weights under LAION-CLAP's names, with what only a training has."""
    state = OrderedDict()
    weights = ClapModel.from_pretrained(small_clap_directory).state_dict()
    for name, value in weights.items():
        if name.endswith(("query.weight", "query.bias")) and name.startswith("audio_model."):
            others = [weights[name.replace("query", part)] for part in ("key", "value")]
            name, value = name.replace("query", "qkv"), torch.cat([value, *others])
        elif name.startswith("audio_model.") and (".key." in name or ".value." in name):
            continue
        if name.startswith("audio_model.audio_encoder."):
            for old, new in AUDIO_RENAMES:
                name = name.replace(new, old, 1)
        name = name.replace("text_model.", "text_branch.", 1)
        for part in ("audio", "text"):
            name = name.replace(f"{part}_projection.linear1", f"{part}_projection.0")
            name = name.replace(f"{part}_projection.linear2", f"{part}_projection.2")
        state[name] = value
    state["audio_branch.spectrogram_extractor.stft.conv_real.weight"] = torch.zeros(4)
    state["audio_branch.tscam_conv.weight"] = torch.zeros(4)
    state["audio_transform.sequential.0.weight"] = torch.zeros(4)
    return state


def write(path, state, **more):
    content = {"epoch": np.int64(7), "state_dict": state, **more}
    torch.save(content, path, pickle_protocol=4)
    return path


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("audio_branch.bn0.running_mean", "audio_model.audio_encoder.batch_norm.running_mean"),
        ("audio_branch.patch_embed.proj.weight", "audio_model.audio_encoder.patch_embed.proj.weight"),
        (
            "audio_branch.layers.2.blocks.5.norm1.weight",
            "audio_model.audio_encoder.layers.2.blocks.5.layernorm_before.weight",
        ),
        (
            "audio_branch.layers.2.blocks.5.norm2.bias",
            "audio_model.audio_encoder.layers.2.blocks.5.layernorm_after.bias",
        ),
        (
            "audio_branch.layers.0.blocks.1.attn.relative_position_bias_table",
            "audio_model.audio_encoder.layers.0.blocks.1.attention.self.relative_position_bias_table",
        ),
        (
            "audio_branch.layers.0.blocks.1.attn.proj.weight",
            "audio_model.audio_encoder.layers.0.blocks.1.attention.output.dense.weight",
        ),
        (
            "audio_branch.layers.0.blocks.1.mlp.fc1.weight",
            "audio_model.audio_encoder.layers.0.blocks.1.intermediate.dense.weight",
        ),
        (
            "audio_branch.layers.0.blocks.1.mlp.fc2.weight",
            "audio_model.audio_encoder.layers.0.blocks.1.output.dense.weight",
        ),
        (
            "audio_branch.layers.0.downsample.reduction.weight",
            "audio_model.audio_encoder.layers.0.downsample.reduction.weight",
        ),
        ("audio_branch.norm.weight", "audio_model.audio_encoder.norm.weight"),
        ("audio_projection.0.weight", "audio_projection.linear1.weight"),
        ("text_projection.2.bias", "text_projection.linear2.bias"),
        (
            "text_branch.encoder.layer.3.attention.self.query.weight",
            "text_model.encoder.layer.3.attention.self.query.weight",
        ),
        ("logit_scale_a", "logit_scale_a"),
    ],
)
def test_laions_names(theirs, ours):
    assert list(rename_keys({theirs: torch.zeros(3)})) == [ours]


def test_a_laion_file_holds_the_same_model(laion_state, small_clap_directory, clap, log_mel, tmp_path):
    parallel = OrderedDict((f"module.{name}", value) for name, value in laion_state.items())
    optimizer = {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1e-4, "params": [0]}]}
    path = write(tmp_path / "best.pt", parallel, optimizer=optimizer, loss=np.float64(0.25), name="HTSAT-tiny")
    loaded = FrozenClap.load(path, tokenizer=small_clap_directory)
    with torch.no_grad():
        assert torch.allclose(loaded.encode_audio(log_mel), clap.encode_audio(log_mel), atol=1e-6)
    assert loaded.name == "best.pt"
    assert loaded.logit_scale == pytest.approx(clap.logit_scale)


def test_a_bare_state_dict_without_position_ids_loads(laion_state, small_clap_directory, tmp_path):
    state = {name: value for name, value in laion_state.items() if not name.endswith("position_ids")}
    torch.save(state, tmp_path / "bare.pt")
    FrozenClap.load(tmp_path / "bare.pt", tokenizer=small_clap_directory)


class Harmful:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return (open, (str(self.marker), "w"))


@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("is_zip", [True, False])
def test_a_pickle_that_would_run_code_is_refused_before_it_runs(laion_state, tmp_path, protocol, is_zip):
    marker = tmp_path / "was-here"
    content = {"state_dict": laion_state, "surprise": Harmful(marker)}
    options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": is_zip}
    torch.save(content, tmp_path / "harmful.pt", **options)
    with pytest.raises(CheckpointInvalid, match=r"asks for (io|_io|builtins)\.open"):
        FrozenClap.load(tmp_path / "harmful.pt", tokenizer=tmp_path)
    assert not marker.exists()


def test_a_numpy_scalar_that_is_an_object_is_refused(laion_state, tmp_path):
    torch.save({"state_dict": laion_state, "x": np.array([{}], dtype=object)}, tmp_path / "x.pt")
    with pytest.raises(CheckpointInvalid):
        FrozenClap.load(tmp_path / "x.pt", tokenizer=tmp_path)


def without(state, part):
    return OrderedDict((name, value) for name, value in state.items() if part not in name)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda state: {**state, "audio_branch.patch_embed.fusion_model.x": torch.zeros(1)}, "fused"),
        (
            lambda state: without(state, "text_branch.encoder.layer.1.output"),
            "lacks 4 weights, text_model",
        ),
        (lambda state: without(state, "audio_projection.2"), "lacks audio_projection.2.weight"),
        (lambda state: without(state, "text_branch."), "no LAION CLAP"),
        (lambda state: {**state, "audio_branch.extra.weight": torch.zeros(1)}, "1 unknown weights"),
        (lambda state: {**state, "audio_projection.2.bias": torch.zeros(3)}, "does not fit together"),
        (lambda state: {"conv1.weight": torch.zeros(3)}, "no LAION CLAP"),
        (lambda state: {"weights": [1, 2]}, "not a tensor"),
        (lambda state: {}, "no state dict"),
    ],
)
def test_laion_files_that_cannot_be_used_say_why(laion_state, tmp_path, change, match):
    path = write(tmp_path / "odd.pt", change(laion_state))
    with pytest.raises(CheckpointInvalid, match=match):
        FrozenClap.load(path, tokenizer=tmp_path)


@pytest.mark.parametrize("data", [b"", b"not a checkpoint", pickle.dumps({"state_dict": 1}), b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path, data):
    (tmp_path / "odd.pt").write_bytes(data)
    with pytest.raises(CheckpointInvalid):
        FrozenClap.load(tmp_path / "odd.pt", tokenizer=tmp_path)


def test_a_laion_file_needs_a_tokenizer(laion_state, tmp_path):
    with pytest.raises(CheckpointInvalid, match="holds no tokenizer"):
        FrozenClap.load(write(tmp_path / "best.pt", laion_state))


def test_nothing_under_that_name(tmp_path):
    with pytest.raises(CheckpointNotFound):
        FrozenClap.load(tmp_path / "nothing.pt")


def test_a_hub_name_loads_offline_from_the_hubs_cache(small_clap_directory, tmp_path, monkeypatch, clap):
    folder = tmp_path / "models--tenant--small-clap"
    shutil.copytree(small_clap_directory, folder / "snapshots" / REVISION)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(REVISION)
    (folder / "snapshots" / REVISION / "README.md").write_text("---\nlicense: apache-2.0\n---\n")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    loaded = FrozenClap.load("tenant/small-clap")
    assert (loaded.fingerprint, loaded.name, loaded.licence) == (clap.fingerprint, "tenant/small-clap", "apache-2.0")
    assert FrozenClap.load("tenant/small-clap", revision=REVISION).fingerprint == clap.fingerprint
    with pytest.raises(CheckpointNotFound):
        FrozenClap.load("tenant/other-clap")


def test_directories_that_cannot_be_used_say_why(small_clap_directory, tmp_path):
    fused = json.loads((small_clap_directory / "config.json").read_text())
    fused["audio_config"]["enable_fusion"] = True
    shutil.copytree(small_clap_directory, tmp_path / "fused")
    (tmp_path / "fused" / "config.json").write_text(json.dumps(fused))
    with pytest.raises(CheckpointInvalid, match="fused"):
        FrozenClap.load(tmp_path / "fused")
    BertModel(BertConfig(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)).save_pretrained(tmp_path / "bert")
    with pytest.raises(CheckpointInvalid, match="type bert"):
        FrozenClap.load(tmp_path / "bert")
    shutil.copytree(small_clap_directory, tmp_path / "broken")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"broken")
    with pytest.raises(CheckpointInvalid, match="cannot be read"):
        FrozenClap.load(tmp_path / "broken")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointInvalid, match="not a CLAP model"):
        FrozenClap.load(tmp_path / "empty")
