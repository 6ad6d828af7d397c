"""A head that answers from words, and a linear one beside it that hears whether a sound was taught at all.

In the space that audio and text share, what was never taught lies among what was: see `aspl.heads.words_unknown`. The
linear head is fitted to the same clips against the background, as one that answers by itself would be.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from aspl.features import AudioFeatures
from aspl.heads.head import Head
from aspl.heads.linear import LinearHead
from aspl.model.clap import FrozenClap

# B rows, K classes


@dataclass(frozen=True, eq=False)
class GuardedHead:
    """`answering` gives the scores of the labels, `hearing` the lead over the background."""

    answering: Head
    hearing: LinearHead
    reads: ClassVar[frozenset[str]] = frozenset({"joint", "stages"})

    def scores(self, features: AudioFeatures) -> tuple[Tensor, Tensor | None]:
        """Return `[B, K]`, and `[B]`, by how much the linear head's best label exceeds the background; None where the
        stages were not heard, for the labels can do without."""
        lead = None if features.stages is None else self.hearing.scores(features)[1]
        return self.answering.scores(features)[0], lead

    def reordered(self, places: Sequence[int]) -> "GuardedHead":
        """Return the head with its labels in another order."""
        return type(self)(self.answering.reordered(places), self.hearing.reordered(places))

    def tensors(self) -> dict[str, Tensor]:
        """Return those of both."""
        return {**self.answering.tensors(), **self.hearing.tensors()}

    @staticmethod
    def shapes(answering: type[Head], num_labels: int, clap: FrozenClap) -> dict[str, tuple[int, ...]]:
        """Return the shapes of both."""
        return {**answering.shapes(num_labels, clap), **LinearHead.shapes(num_labels, clap)}

    @classmethod
    def load(
        cls, answering: type[Head], tensors: Mapping[str, Tensor], labels: tuple[str, ...], clap: FrozenClap
    ) -> "GuardedHead":
        """Return the head of tensors that have been checked; raises what `answering.load` raises."""
        hearing = {name: tensors[name] for name in LinearHead.shapes(len(labels), clap)}
        rest = {name: tensor for name, tensor in tensors.items() if name not in hearing}
        return cls(answering.load(rest, labels, clap), LinearHead.load(hearing, labels, clap))
