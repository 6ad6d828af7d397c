"""The head that a static text prompt amounts to once it is trained: cosines with one feature a class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from torch import Tensor

from aspl.errors import AdapterInvalid
from aspl.features import AudioFeatures
from aspl.model.clap import FrozenClap
from aspl.prompts.text import StaticPrompt

# B rows, K classes, D joint width


@dataclass(frozen=True, eq=False)
class TextHead:
    """The class features `[K, D]` of unit norm; its logits are cosines with them."""

    class_features: Tensor
    reads: ClassVar[frozenset[str]] = frozenset({"joint"})

    @classmethod
    @torch.no_grad()
    def of(cls, prompt: StaticPrompt) -> Self:
        """Return the head of a trained static prompt."""
        return cls(prompt.class_features())

    def scores(self, features: AudioFeatures) -> tuple[Tensor, None]:
        """Return cosines `[B, K]`; it hears no background."""
        return features.joint @ self.class_features.float().T, None

    def halved(self) -> Self:
        """Return the same head with its class features in half precision, in which they are kept too."""
        return type(self)(self.class_features.half())

    def reordered(self, places: Sequence[int]) -> Self:
        """Return the head with its class features in another order."""
        return replace(self, class_features=self.class_features[list(places)])

    def tensors(self) -> dict[str, Tensor]:
        """Return the class features."""
        return {"class_features": self.class_features}

    @classmethod
    def shapes(cls, num_labels: int, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
        """Return `[K, D]`."""
        return {"class_features": (num_labels, clap.joint_width)}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], labels: Sequence[str], clap: FrozenClap) -> Self:
        """Return the head; raises AdapterInvalid for class features that are not of unit norm."""
        norms = tensors["class_features"].float().norm(dim=1)
        if not torch.allclose(norms, torch.ones_like(norms), atol=1e-3):
            raise AdapterInvalid("class_features are not of unit norm")
        return cls(tensors["class_features"])
