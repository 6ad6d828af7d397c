"""What is kept of a trial: where it stands, or what it came to."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from aspl.prompts.audio import AudioPrompts

# h held-out clips, K classes


@dataclass(frozen=True)
class Trial:
    """One candidate, trained on all clips but those of `fold`; on all of them where that is None."""

    candidate: str
    fold: int | None


@dataclass(frozen=True, eq=False)
class TrialResult:
    """What a trial came to, on the CPU.

    Attributes:
        parameters: what the candidate's head is made of, by name.
        prompts: the audio prompts that it hears under.
        held_out: logits `[h, K]` of its fold's clips; None for the trial on all clips.
    """

    parameters: Mapping[str, Tensor]
    prompts: AudioPrompts = field(default_factory=AudioPrompts)
    held_out: Tensor | None = None


@dataclass(frozen=True, eq=False)
class LearnerState:
    """Everything that a learner's next epoch depends on, on the CPU: parameters by name, the optimizer's by index."""

    next_epoch: int
    text: Mapping[str, Tensor]
    audio: Mapping[str, Tensor]
    optimizer: Mapping[int, Mapping[str, Tensor]]
