"""The head of CoCoOp, whose class features depend on the clip: the text encoder runs for every row and label."""

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import ClassVar, Self

import torch
from torch import Tensor

from aspl.errors import AdapterInvalid, AsplError
from aspl.features import AudioFeatures
from aspl.model.clap import FrozenClap
from aspl.prompts.text import NUM_CONTEXT_TOKENS, CoCoOp, meta_net_width

# B rows, K classes


@dataclass(frozen=True, eq=False)
class CoCoOpHead:
    """A trained CoCoOp prompt; its logits are cosines."""

    prompt: CoCoOp
    reads: ClassVar[frozenset[str]] = frozenset({"joint"})

    @classmethod
    def of(cls, prompt: CoCoOp) -> Self:
        """Return the head of a trained prompt, which is trained no further."""
        return cls(prompt.requires_grad_(False))

    def scores(self, features: AudioFeatures) -> tuple[Tensor, None]:
        """Return cosines `[B, K]`, at the cost of B x K text passes; it hears no background."""
        return self.prompt.cosines(features.joint), None

    def reordered(self, places: Sequence[int]) -> Self:
        """Return the head whose prompt has its class names in another order."""
        prompt = copy(self.prompt)
        prompt.slots = self.prompt.slots.reordered(places)
        return type(self)(prompt)

    def tensors(self) -> dict[str, Tensor]:
        """Return the context and the net that moves it."""
        return {name: tensor.detach() for name, tensor in self.prompt.named_parameters()}

    @classmethod
    def shapes(cls, num_labels: int, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
        """Return the shapes, which do not depend on the number of labels."""
        hidden = meta_net_width(clap)
        return {
            "context": (NUM_CONTEXT_TOKENS, clap.text_width),
            "meta_net.0.weight": (hidden, clap.joint_width),
            "meta_net.0.bias": (hidden,),
            "meta_net.2.weight": (clap.text_width, hidden),
            "meta_net.2.bias": (clap.text_width,),
        }

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], labels: Sequence[str], clap: FrozenClap) -> Self:
        """Return the head; raises AdapterInvalid for labels that leave no room for the context."""
        try:
            prompt = CoCoOp(clap, labels, torch.Generator())
        except AsplError as error:
            raise AdapterInvalid(f"the adapter's labels do not fit this model: {error}") from error
        prompt.load_state_dict(dict(tensors))
        return cls.of(prompt)
