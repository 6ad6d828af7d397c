"""The method: one frozen CLAP, prompts on its audio and text side, few-shot training, and mixed-adapter inference."""

from aspl.adapter import Adapter
from aspl.audio_prompts import AudioPrompts
from aspl.clap import FrozenClap
from aspl.inference import classify
from aspl.training import Progress, fit
from aspl.training_config import TrainingConfig

__all__ = ["Adapter", "AudioPrompts", "FrozenClap", "Progress", "TrainingConfig", "classify", "fit"]
