"""The head that a closed-form fit amounts to: one linear map of everything that is heard, the background's row last."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from aspl.features import AudioFeatures
from aspl.heads.feature_scale import DEVIATION_FLOOR
from aspl.model.clap import FrozenClap
from aspl.stage_layout import StageLayout

# B rows, K labels, S numbers of all stages, D joint width, F = S + D


@dataclass(frozen=True, eq=False)
class LinearHead:
    """`matrix` `[K + 1, F]` and `bias` `[K + 1]` on what the stages give, deviations in logarithms, and the joint
    embedding; of the stages it reads what `layout` has, and nothing beyond."""

    matrix: Tensor
    bias: Tensor
    layout: StageLayout
    reads: ClassVar[frozenset[str]] = frozenset({"joint", "stages"})

    @classmethod
    def of(cls, prompt: nn.Module) -> Self:
        """No prompt is trained for it."""
        raise TypeError("a linear head is fitted, not made of a prompt")

    @classmethod
    def fitted(cls, matrix: np.ndarray, bias: np.ndarray, clap: FrozenClap) -> Self:
        """Return the head of a fit's float64 matrix and bias."""
        tensors = (torch.from_numpy(np.ascontiguousarray(part)).float().to(clap.device) for part in (matrix, bias))
        return cls(*tensors, clap.layout.of_width(matrix.shape[1] - clap.joint_width))

    @cached_property
    def is_deviation(self) -> Tensor:
        """`[S]`, which numbers are deviations."""
        return torch.from_numpy(self.layout.is_deviation).to(self.matrix.device)

    def halved(self) -> Self:
        """Return the same map with its matrix in half precision, in which it is kept too."""
        return type(self)(self.matrix.half(), self.bias, self.layout)

    def scores(self, features: AudioFeatures) -> tuple[Tensor, Tensor]:
        """Return `[B, K]`, and `[B]`, by how much the best label's exceeds the background's."""
        assert features.stages is not None
        stages = features.stages[:, : self.layout.width].to(self.matrix.device)
        logged = torch.where(self.is_deviation, (stages.clamp_min(0) + DEVIATION_FLOOR).log(), stages)
        heard = torch.cat([logged, features.joint.float()], dim=1)  # [B, F]
        scores = heard @ self.matrix.float().T + self.bias  # [B, K + 1]
        return scores[:, :-1], scores[:, :-1].amax(1) - scores[:, -1]

    def reordered(self, places: Sequence[int]) -> Self:
        """Return the head with its labels' rows in another order, the background's last as ever."""
        rows = [*places, len(self.bias) - 1]
        return replace(self, matrix=self.matrix[rows], bias=self.bias[rows])

    def tensors(self) -> dict[str, Tensor]:
        """Return the map."""
        return {"linear.matrix": self.matrix, "linear.bias": self.bias}

    @classmethod
    def shapes(cls, num_labels: int, clap: FrozenClap, layout: StageLayout | None = None) -> dict[str, tuple[int, ...]]:
        """Return `[K + 1, F]` and `[K + 1]` of a head that reads all that `clap` gives, or what `layout` has of it."""
        width = (layout or clap.layout).width + clap.joint_width
        return {"linear.matrix": (num_labels + 1, width), "linear.bias": (num_labels + 1,)}

    @classmethod
    def load(cls, tensors: Mapping[str, Tensor], labels: Sequence[str], clap: FrozenClap) -> Self:
        """Return the head of tensors that have been checked."""
        matrix, bias = tensors["linear.matrix"], tensors["linear.bias"]
        return cls(matrix, bias, clap.layout.of_width(matrix.shape[1] - clap.joint_width))
