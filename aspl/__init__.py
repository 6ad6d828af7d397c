"""The method: one frozen CLAP, prompts on its audio and text side, few-shot training, and mixed-adapter inference."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from aspl.adapter import Adapter
    from aspl.channel import recalibrate
    from aspl.features import AudioFeatures
    from aspl.fitting.config import TrainingConfig
    from aspl.fitting.fit import fit
    from aspl.inference import classify
    from aspl.model.clap import FrozenClap
    from aspl.progress import Progress
    from aspl.prompts.audio import AudioPrompts
    from aspl.sound.clip import decode

__all__ = [
    "Adapter",
    "AudioFeatures",
    "AudioPrompts",
    "FrozenClap",
    "Progress",
    "TrainingConfig",
    "classify",
    "decode",
    "fit",
    "recalibrate",
]

_MODULES = {
    "Adapter": "adapter",
    "AudioFeatures": "features",
    "AudioPrompts": "prompts.audio",
    "FrozenClap": "model.clap",
    "Progress": "progress",
    "TrainingConfig": "fitting.config",
    "classify": "inference",
    "decode": "sound.clip",
    "fit": "fitting.fit",
    "recalibrate": "channel",
}


def __getattr__(name: str) -> Any:
    # On demand, because these import torch, which those who need labels or a decoder alone must not wait for.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
