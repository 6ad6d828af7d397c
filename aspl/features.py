"""What a batch of sounds is heard as: everything that a head may read of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

# B rows (windows or clips), W windows of one clip, D joint width, S numbers of all stages


@dataclass(frozen=True, eq=False)
class AudioFeatures:
    """The features of B rows.

    Attributes:
        joint: `[B, D]` of unit norm, in the space that audio and text share.
        stages: `[B, S]`, float32: mean and deviation over tokens at the end of each Swin stage, then the peaks in bands
            of frequency (see `aspl.stage_layout`); None where they were not asked for.
    """

    joint: Tensor
    stages: Tensor | None = None

    def __len__(self) -> int:
        return len(self.joint)

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Self:
        return type(self)(self.joint[rows], None if self.stages is None else self.stages[rows])

    def split(self, counts: Sequence[int]) -> Iterator[Self]:
        """Yield the next `count` rows for each of `counts`, which add up to B."""
        assert sum(counts) == len(self)
        start = 0
        for count in counts:
            yield self[start : start + count]
            start += count

    @classmethod
    def cat(cls, parts: Sequence["AudioFeatures"]) -> Self:
        """Return the rows of all parts, which agree in what they hold."""
        stages = [part.stages for part in parts if part.stages is not None]
        assert len(stages) in (0, len(parts))
        return cls(torch.cat([part.joint for part in parts]), torch.cat(stages) if stages else None)

    def pool(self) -> Self:
        """Return the one row of a clip whose windows these are: means, and the joint embedding of unit norm again."""
        joint = F.normalize(self.joint.mean(0, keepdim=True), dim=-1)
        return type(self)(joint, None if self.stages is None else self.stages.mean(0, keepdim=True))
