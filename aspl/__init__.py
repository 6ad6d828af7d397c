"""The method: one frozen CLAP, prompts on its audio and text side, few-shot training, and mixed-adapter inference."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aspl.adapter import Adapter
    from aspl.audio_prompts import AudioPrompts
    from aspl.clap import FrozenClap
    from aspl.inference import classify
    from aspl.training import Progress, fit
    from aspl.training_config import TrainingConfig

__all__ = ["Adapter", "AudioPrompts", "FrozenClap", "Progress", "TrainingConfig", "classify", "fit"]

_MODULES = {
    "Adapter": "adapter",
    "AudioPrompts": "audio_prompts",
    "FrozenClap": "clap",
    "Progress": "training",
    "TrainingConfig": "training_config",
    "classify": "inference",
    "fit": "training",
}


def __getattr__(name: str) -> Any:
    # On demand, because these import torch, which those who need labels or a decoder alone must not wait for.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
