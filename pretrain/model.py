"""The small CLAP: transformers' own, 4.7 million parameters, and a start for its batch norm."""

import torch
from torch import Tensor
from transformers import ClapConfig, ClapModel

from pretrain.vocabulary import MAX_TOKENS

JOINT_WIDTH = 256


def small_clap(vocabulary_size: int) -> ClapModel:
    """Return a CLAP with fresh weights; dropout is left out, a model this small underfits."""
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    text = {
        "vocab_size": vocabulary_size,
        "hidden_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 512,
        "max_position_embeddings": MAX_TOKENS + 3,
        "projection_dim": JOINT_WIDTH,
        **no_dropout,
    }
    audio = {
        # Patches of 8 x 8 and three stages: LAION's first stage, on 4 x 4, would take more than half of the time.
        "patch_size": 8,
        "patch_stride": [8, 8],
        "patch_embeds_hidden_size": 64,
        "hidden_size": 256,
        "depths": [1, 2, 4],
        "num_attention_heads": [2, 4, 8],
        "projection_dim": JOINT_WIDTH,
        "num_mel_bins": 64,
        "spec_size": 256,
        "window_size": 8,
        "enable_fusion": False,
        "drop_path_rate": 0.0,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }
    model = ClapModel(ClapConfig(text_config=text, audio_config=audio, projection_dim=JOINT_WIDTH))
    for module in model.modules():  # transformers' start is made for larger widths
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.trunc_normal_(module.weight, std=min(0.06, module.in_features**-0.5))
    return model


def set_batch_norm(model: ClapModel, log_mel: Tensor) -> None:
    """Set the running statistics of batch norm to those of log-mels `[B, T, M]`; training leaves them there."""
    batch_norm = model.audio_model.audio_encoder.batch_norm
    batch_norm.running_mean.copy_(log_mel.mean((0, 1)))
    batch_norm.running_var.copy_(log_mel.var((0, 1)))
