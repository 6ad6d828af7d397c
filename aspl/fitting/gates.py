"""How much of each stage of a learnt audio prompt to keep: none, half or all of it, as held-out clips say.

A gate g makes x' = (1 + g (gamma - 1)) x + g beta of a stage. The stages are tried one after the other, the others as
they stand, so that three stages take six hearings of the held-out clips and not twenty-six; the smallest gate wins a
tie.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from aspl.fitting.choice import Choice, choose
from aspl.prompts.audio import Affine, AudioPrompts

# h held-out clips, K classes

GATES = (0.0, 0.5, 1.0)
BARE = "ridge"  # the candidate of a closed form that hears under no prompt


@dataclass(frozen=True, eq=False)
class KeptPrompts:
    """The audio prompts that a closed form keeps.

    Attributes:
        choice: between the candidates.
        gates: of each stage of the one that was chosen; empty where that has none.
    """

    prompts: AudioPrompts
    choice: Choice
    gates: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Gated:
    """The gate of each stage, and the logits `[h, K]` of held-out clips under them."""

    gates: Mapping[str, float]
    logits: np.ndarray


def gated(prompts: AudioPrompts, gates: Mapping[str, float]) -> AudioPrompts:
    """Return the prompts with each stage drawn towards the identity; a stage whose gate is 0 is left out."""
    stages = {
        stage: Affine(1 + gates[stage] * (affine.gamma - 1), gates[stage] * affine.beta)
        for stage, affine in prompts.stages().items()
        if gates[stage] > 0
    }
    return AudioPrompts(**stages)


def find_gates(
    stages: Sequence[str], truth: np.ndarray, whole: np.ndarray, hear: Callable[[Mapping[str, float]], np.ndarray]
) -> Gated:
    """Return the gates of least held-out loss.

    Args:
        stages: those of the prompts.
        truth: `[h]`, the index of each held-out clip's label.
        whole: logits `[h, K]` of held-out clips with every gate at 1.
        hear: the same under other gates.
    """
    best = Gated(dict.fromkeys(stages, 1.0), whole)
    for stage in stages:
        tried = {}
        for gate in GATES:
            gates = {**best.gates, stage: gate}
            tried[f"{gate:g}"] = best if gates == best.gates else Gated(gates, hear(gates))
        logits = {name: each.logits for name, each in tried.items()}
        best = tried[choose(truth, logits, dict.fromkeys(logits, 0.0)).candidate]
    return best
