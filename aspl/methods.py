"""The registry of methods: what an adapter's head can be and how it comes to be; knows nothing of torch.

A further method is one line here, and one file in `aspl/heads` where its head is of a new kind.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from aspl.errors import LabelsInvalid, TrainingConfigInvalid
from aspl.labels import MAX_LABELS, check_label_list
from aspl.templates import BARE_LABEL, SENTENCE

if TYPE_CHECKING:
    from aspl.heads.head import Head
    from aspl.prompts.text import TextPrompt

MAX_COCOOP_LABELS = 50  # it runs the text encoder for every clip and label


@dataclass(frozen=True)
class Method:
    """One way to an adapter's head.

    Attributes:
        prompt: `module:class` of the text prompt that is trained; its `untrained` makes one.
        prompt: None where the head is fitted in closed form, see `aspl.fitting.closed_form`.
        head: `module:class` of the head that is left of it; its `of` makes one of a trained prompt.
        default_template: the text around a label where none is given; None where that text is learnt.
        fast_epochs: passes over the clips in preset `fast`; 0 where nothing is trained.
        paying_prompt: the audio prompt that is tried where none is asked for: where it was measured to pay.
        epoch_cost: what such a pass costs, in forward passes of its clips; for the remaining time alone.
    """

    name: str
    prompt: str | None
    head: str
    default_template: str | None
    fast_epochs: int
    epoch_cost: float
    max_labels: int = MAX_LABELS
    min_labels: int = 2
    paying_prompt: str = "none"

    @property
    def is_trained(self) -> bool:
        return self.fast_epochs > 0

    @property
    def is_closed_form(self) -> bool:
        return self.prompt is None

    @property
    def head_type(self) -> "type[Head]":
        return _load(self.head)

    def untrained(
        self, clap: Any, labels: Sequence[str], *, template: str | None = None, seed: int = 0
    ) -> "TextPrompt":
        """Return the untrained text prompt for `labels`, on the model's device.

        Args:
            template: the text around a label; None takes the method's own.

        Raises:
            LabelsInvalid, TemplateInvalid: what no text prompt can be made of.
        """
        self.check_labels(labels)
        return _load(self.prompt).untrained(clap, labels, template=template or self.default_template, seed=seed)

    def check_labels(self, labels: Sequence[str]) -> None:
        """Raise LabelsInvalid for too few labels, for too many, or for one that cannot be used or comes twice."""
        if not self.min_labels <= len(labels) <= self.max_labels:
            raise LabelsInvalid(f"{len(labels)} labels; {self.name} takes {self.min_labels} to {self.max_labels}")
        check_label_list(labels)


# CoOp and CoCoOp run the text encoder at every step; their context has few numbers and settles in a few passes.
_ALL = (
    Method("auto", None, "aspl.heads.linear:LinearHead", SENTENCE, 0, 0.0, min_labels=1),
    Method("ridge", None, "aspl.heads.linear:LinearHead", SENTENCE, 0, 0.0, min_labels=1),
    Method("palm", "aspl.prompts.text:Palm", "aspl.heads.text:TextHead", BARE_LABEL, 100, 0.02),
    Method("coop", "aspl.prompts.text:CoOp", "aspl.heads.text:TextHead", None, 20, 2.0),
    Method(
        "cocoop",
        "aspl.prompts.text:CoCoOp",
        "aspl.heads.cocoop:CoCoOpHead",
        None,
        10,
        10.0,
        MAX_COCOOP_LABELS,
        paying_prompt="aspl_star",
    ),
    Method(
        "zero_shot",
        "aspl.prompts.text:ZeroShot",
        "aspl.heads.text:TextHead",
        SENTENCE,
        0,
        0.0,
        paying_prompt="aspl_star",
    ),
)
METHODS = {method.name: method for method in _ALL}
DEFAULT_METHOD = "auto"


def method_named(name: str) -> Method:
    """Return a method of the registry; raises TrainingConfigInvalid where there is none of that name."""
    if name not in METHODS:
        raise TrainingConfigInvalid(f"no method {name!r}: take one of {', '.join(METHODS)}")
    return METHODS[name]


def _load(place: str) -> Any:
    # By name, because these import torch, which those who need the registry alone must not wait for.
    module, name = place.split(":")
    return getattr(import_module(module), name)
