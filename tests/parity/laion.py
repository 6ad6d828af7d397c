"""laion-clap 1.1.7's own model, built without the hub and on random weights: what `aspl` must equal.

As it is published, importing it fetches three tokenizers, its constructor fetches roberta-base only to overwrite it,
and it needs torchvision without declaring it. So its inner package is imported on its own, with stand-ins for those
names.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import numpy as np
import torch
from torch import Tensor, nn
from transformers import BartModel, BertModel, RobertaConfig, RobertaModel

# laion-clap names all three from `transformers`, whose lazy imports must not meet the stand-in for torchvision.
assert BartModel and BertModel
ROBERTA_BASE = RobertaConfig(vocab_size=50_265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5)


def import_clap_module() -> ModuleType:
    """Import laion-clap's `clap_module`; raises ImportError where laion-clap is not installed."""
    if "clap_module" in sys.modules:
        return sys.modules["clap_module"]
    spec = importlib.util.find_spec("laion_clap")
    if spec is None:
        raise ImportError("laion-clap is not installed: `make parity` makes an environment that has it")
    sys.path.insert(0, str(Path(spec.origin).parent))
    try:
        with mock.patch.dict(sys.modules, stand_ins()):
            return importlib.import_module("clap_module")
    finally:
        sys.path.pop(0)


def stand_ins(*further: str) -> dict[str, ModuleType]:
    """Modules in place of those that laion-clap imports and does not use for what is asked of it here."""
    names = ("torchvision", "torchvision.transforms", "torchvision.ops", "torchvision.ops.misc", *further)
    modules = {name: mock.MagicMock() for name in names}
    modules["torchvision.ops.misc"].FrozenBatchNorm2d = nn.Identity
    return modules


def build_laion_clap(size: str, *, seed: int = 0) -> nn.Module:
    """Return a full-size unfused laion-clap model (`size`: "tiny" or "base") on random weights, in evaluation mode."""
    factory = import_clap_module().factory
    random_roberta = mock.patch.object(RobertaModel, "from_pretrained", lambda name: RobertaModel(ROBERTA_BASE))
    with random_roberta:
        model, _ = factory.create_model(f"HTSAT-{size}", "roberta", precision="fp32", enable_fusion=False)
    randomise(model, seed)
    return model.eval()


@torch.no_grad()
def randomise(model: nn.Module, seed: int) -> None:
    """Draw every weight and running statistic afresh: at their starting values many of them could be lost unnoticed."""
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        if name.startswith(("audio_branch.spectrogram_extractor.", "audio_branch.logmel_extractor.")):
            continue  # the front end's constants
        if "logit_scale" in name:
            parameter.uniform_(2.0, 4.0, generator=generator)
        elif "relative_position_bias_table" in name:
            parameter.normal_(std=1.0, generator=generator)
        elif "embeddings" in name and parameter.ndim == 2:
            parameter.normal_(std=0.02, generator=generator)  # small: then the layer norm's epsilon tells
        elif parameter.ndim > 1:
            parameter.normal_(std=1.2 * parameter[0].numel() ** -0.5, generator=generator)
        elif name.endswith("weight"):  # of a norm
            parameter.uniform_(0.5, 1.5, generator=generator)
        else:
            parameter.normal_(std=0.2, generator=generator)
    batch_norm = model.audio_branch.bn0
    batch_norm.running_mean.uniform_(-60, -20, generator=generator)
    batch_norm.running_var.uniform_(100, 1_500, generator=generator)


def write_laion_checkpoint(model: nn.Module, path: Path) -> Path:
    """Write what LAION's training wrote: DDP's prefix, position ids, the optimizer's state and numpy scalars."""
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    position_ids = torch.arange(ROBERTA_BASE.max_position_embeddings).expand(1, -1)
    state["module.text_branch.embeddings.position_ids"] = position_ids
    weight = nn.Parameter(torch.ones(3))
    weight.grad = torch.ones(3)
    optimizer = torch.optim.Adam([weight])
    optimizer.step()
    content = {
        "epoch": 45,
        "name": "earshot-parity",
        "state_dict": state,
        "optimizer": optimizer.state_dict(),
        "best_metric": np.float64(0.5),
        "lr": np.float32(1e-4),
    }
    torch.save(content, path, pickle_protocol=4)
    return path


@torch.no_grad()
def log_mel(model: nn.Module, waveforms: Tensor) -> Tensor:
    """Return laion-clap's log-mel in dB `[B, 1, T, M]` of waveforms `[B, 480000]`."""
    branch = model.audio_branch
    return branch.logmel_extractor(branch.spectrogram_extractor(waveforms))


@torch.no_grad()
def embed_audio(model: nn.Module, waveforms: Tensor) -> Tensor:
    """Return laion-clap's audio embeddings `[B, D]` of waveforms `[B, 480000]`, without its rounding to 16 bits."""
    return model.get_audio_embedding([{"waveform": row, "longer": torch.tensor([False])} for row in waveforms])


@torch.no_grad()
def embed_text(model: nn.Module, token_ids: Tensor, mask: Tensor) -> Tensor:
    """Return laion-clap's text embeddings `[K, D]` of token ids and their mask, both `[K, 77]`."""
    return model.get_text_embedding({"input_ids": token_ids, "attention_mask": mask})
