"""What every head can do."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self

from torch import Tensor, nn

from aspl.features import AudioFeatures
from aspl.model.clap import FrozenClap

# B rows, K classes


class Head(Protocol):
    """Turns features into scores; `reads` names the fields of AudioFeatures that it needs."""

    reads: ClassVar[frozenset[str]]

    @classmethod
    def of(cls, prompt: nn.Module) -> Self:
        """Return the head that a trained prompt amounts to, with no gradient."""

    def scores(self, features: AudioFeatures) -> tuple[Tensor, Tensor | None]:
        """Return `[B, K]`, before the adapter's scale and temperature, and `[B]`, how much more each row sounds like
        what was taught than like the background; None where the head hears no background."""

    def reordered(self, places: Sequence[int]) -> Self:
        """Return the head whose k-th label is this one's label `places[k]`."""

    def tensors(self) -> dict[str, Tensor]:
        """Return what the head is made of, by the names in the adapter's file."""

    @classmethod
    def shapes(cls, num_labels: int, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
        """Return the shape of each of `tensors` for so many labels on this model."""

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], labels: Sequence[str], clap: FrozenClap) -> Self:
        """Return the head of `tensors`, whose names, shapes and types have been checked.

        Raises:
            AdapterInvalid: tensors or labels that cannot be right all the same.
        """
