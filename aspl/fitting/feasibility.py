"""What a fit can only fail on, told before a clip is heard."""

from collections.abc import Mapping

from aspl.errors import TrainingDataInvalid
from aspl.fitting.config import TrainingConfig
from aspl.methods import method_named
from aspl.model.clap import FrozenClap
from aspl.prompts.text import NUM_CONTEXT_TOKENS
from aspl.templates import fill_template

MAX_SHOTS = 1000


def check_shots(shots: Mapping[str, int]) -> None:
    """Raise TrainingDataInvalid for a label of more clips than a fit takes, naming it."""
    if most := [label for label, count in shots.items() if count > MAX_SHOTS]:
        raise TrainingDataInvalid(f"{most[0]!r} has {shots[most[0]]} clips; {MAX_SHOTS} a label is the most")


def check_feasible(clap: FrozenClap, config: TrainingConfig, shots: Mapping[str, int]) -> None:
    """Refuse labels that the method, the text encoder or the number of their clips rules out.

    Args:
        shots: the number of clips of each label.

    Raises:
        LabelsInvalid: too few labels for the method, or too many; one that is too long for the text encoder.
        TrainingDataInvalid: as `check_shots`.
    """
    method = method_named(config.chosen_method)
    labels = list(shots)
    method.check_labels(labels)
    check_shots(shots)
    if template := config.template or method.default_template:
        clap.tokenize(fill_template(template, labels))
    else:
        clap.tokenize([f" {label}." for label in labels], reserve=NUM_CONTEXT_TOKENS)
