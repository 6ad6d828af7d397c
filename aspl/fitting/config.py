"""What a fit is asked to do. Every training option is declared here once; knows nothing of torch.

The form of `POST /adapt`, its documentation and the job's message are made from `OPTIONS`.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from aspl.errors import TrainingConfigInvalid
from aspl.methods import DEFAULT_METHOD, METHODS
from aspl.prompts.kinds import parse_kind
from aspl.sound.level import HEARD_AT_DB
from aspl.templates import check_template

PRESETS = ("fast", "paper", "palm_paper")
MAX_EPOCHS = 1000
MAX_LEARNING_RATE = 10
MAX_BATCH_SIZE = 1024


@dataclass(frozen=True)
class Option:
    """One training option, as whoever asks for it sees it.

    Attributes:
        type: of its value; None is a value too where it is the default.
        lowest, above, highest: the range of a number; `above` itself is outside of it.
        choices: what a text may be; empty where it may be more.
    """

    type: type
    description: str
    lowest: float | None = None
    above: float | None = None
    highest: float | None = None
    choices: tuple[str, ...] = ()

    def allows(self, value: Any) -> bool:
        """Say whether a value other than None may be asked for."""
        if self.type is str:
            return isinstance(value, str) and (not self.choices or value in self.choices)
        least = -math.inf if self.lowest is None else self.lowest
        most = math.inf if self.highest is None else self.highest
        return least <= value <= most and (self.above is None or value > self.above)

    @property
    def range(self) -> str:
        """What a value must be, as a sentence goes on after the option's name."""
        if self.choices:
            return f"one of {', '.join(self.choices)}"
        if self.above is not None:
            return f"above {self.above:g} and at most {self.highest:g}"
        return "text" if self.lowest is None else f"{self.lowest} to {self.highest}"


def _option(default: Any, kind: type, description: str, **limits: Any) -> Any:
    return field(default=default, metadata={"option": Option(kind, description, **limits)})


@dataclass(frozen=True)
class TrainingConfig:
    """The settings of a fit; `OPTIONS` describes them. None takes the preset's value.

    Attributes:
        cache_embeddings: keep the embeddings of clips under no audio prompt; the result is the same without, later.
        as_recorded: hear clips as loud as they were recorded, and not at one level; presets of the papers always do.

    Raises:
        TrainingConfigInvalid, AudioPromptInvalid, TemplateInvalid: a value outside of its range.
    """

    method: str = _option(DEFAULT_METHOD, str, "What the labels are taught with.", choices=tuple(METHODS))
    template: str | None = _option(None, str, "The sentence around each label, with one `{}`.")
    audio_prompt: str = _option(
        "auto",
        str,
        "`aspl_star`, `aspl`, `none`, or stages joined by `+`, as `spectral+structural`; `auto` tries one where the "
        "method was measured to gain by it.",
    )
    preset: str = _option(
        "fast",
        str,
        "`fast`, or `paper` for the recipe of arXiv 2606.15751, its code's faults mended, or `palm_paper` for that of "
        "arXiv 2409.19806.",
        choices=PRESETS,
    )
    epochs: int | None = _option(
        None,
        int,
        "Passes over the clips: of text and audio prompt together, or of the text prompt where there is no audio "
        "prompt. Without one, the preset's.",
        lowest=1,
        highest=MAX_EPOCHS,
    )
    learning_rate: float | None = _option(
        None,
        float,
        "Of the text prompt, and in `paper` and `palm_paper` of the audio prompt too.",
        above=0,
        highest=MAX_LEARNING_RATE,
    )
    batch_size: int | None = _option(None, int, "Clips in a step.", lowest=1, highest=MAX_BATCH_SIZE)
    seed: int = _option(0, int, "The same seed, clips and options give the same adapter.", lowest=0, highest=2**31 - 1)
    cache_embeddings: bool = True
    as_recorded: bool = False

    def __post_init__(self) -> None:
        for name, option in OPTIONS.items():
            value = getattr(self, name)
            if value is not None and not option.allows(value):
                raise TrainingConfigInvalid(f"{name} must be {option.range}")
        if self.audio_prompt != "auto":
            parse_kind(self.audio_prompt)
        if self.template is not None:
            check_template(self.template)

    @property
    def chosen_method(self) -> str:
        """The method that `auto` stands for: PALM where something is asked for that only a trained prompt has."""
        trained = (self.epochs, self.learning_rate, self.batch_size)
        is_for_training = self.preset != "fast" or any(value is not None for value in trained)
        return "palm" if self.method == "auto" and is_for_training else self.method

    @property
    def chosen_audio_prompt(self) -> str:
        """The kind that is asked for; in place of `auto` the one that was measured to pay for the method."""
        return METHODS[self.chosen_method].paying_prompt if self.audio_prompt == "auto" else self.audio_prompt

    @property
    def level_db(self) -> float | None:
        """The level that clips are brought to before they are heard; None for as they were recorded."""
        return None if self.as_recorded or self.preset != "fast" else HEARD_AT_DB

    @property
    def needs_audio(self) -> bool:
        """Whether something is learnt by gradients, for which what a clip was heard as does not do."""
        return not METHODS[self.chosen_method].is_closed_form or self.chosen_audio_prompt != "none"

    @classmethod
    def from_options(cls, values: Mapping[str, Any]) -> Self:
        """Return the config of the options in `values`; those that are None or no options are left out."""
        return cls(**{name: values[name] for name in OPTIONS if values.get(name) is not None})

    def options(self) -> dict[str, Any]:
        """Return the options that are not None, as a job is told of them."""
        values = {name: getattr(self, name) for name in OPTIONS}
        return {name: value for name, value in values.items() if value is not None}


OPTIONS: dict[str, Option] = {
    field.name: field.metadata["option"] for field in fields(TrainingConfig) if "option" in field.metadata
}
