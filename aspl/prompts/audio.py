"""ASPL and ASPL*: an affine per channel at up to three places of the audio encoder (arXiv 2606.15751, section 3).

    stage        where                                                     numbers
    spectral     on the log-mel in dB, before batch norm                   2 per mel bin
    token        on the patch embedding's output, before stage 1           2 per channel
    structural   on the output of stage 1, before stage 2                  2 per channel

A prompt is plain data: what is trained, and in which units, is `aspl.prompts.audio_parameters`' business.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, Self

import torch
from torch import Tensor

from aspl.prompts.kinds import KINDS, STAGES, parse_kind

# B clips, C channels or mel bins of a stage


class HasStageWidths(Protocol):
    """What of a model the prompts must fit: the number of channels at each stage, and where its numbers live."""

    stage_widths: Mapping[str, int]

    @property
    def device(self) -> torch.device: ...


@dataclass(frozen=True)
class Affine:
    """x' = gamma * x + beta; gamma and beta are `[C]` for all clips of a batch, or `[B, C]`, a row a clip."""

    gamma: Tensor
    beta: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Modulate `x`, `[B, ..., C]`, channel by channel."""
        gamma, beta = self.gamma.to(x.dtype), self.beta.to(x.dtype)
        if gamma.ndim == 2:
            shape = (len(gamma), *([1] * (x.ndim - 2)), gamma.shape[1])
            gamma, beta = gamma.view(shape), beta.view(shape)
        return torch.addcmul(beta, x, gamma)


@dataclass(frozen=True)
class AudioPrompts:
    """The audio side of one adapter, or of one row a clip after `stack`. A stage that is None is the identity."""

    spectral: Affine | None = None
    token: Affine | None = None
    structural: Affine | None = None

    @classmethod
    def identity(cls, model: HasStageWidths, kind: str) -> Self:
        """Return the prompts that change nothing, gamma 1 and beta 0, of `kind`: see `parse_kind`."""

        def identity_of(stage: str) -> Affine:
            width = model.stage_widths[stage]
            return Affine(torch.ones(width, device=model.device), torch.zeros(width, device=model.device))

        return cls(**{stage: identity_of(stage) for stage in parse_kind(kind)})

    @classmethod
    def stack(cls, prompts: Sequence["AudioPrompts | None"]) -> Self:
        """Return one batch of prompts, a row for each of the B given; None is the identity.

        Each distinct prompt takes one slot, slot 0 is the identity, and the rows gather theirs by slot: the cost does
        not depend on how many adapters share the batch. Stages that no row prompts stay None and cost nothing.
        """
        distinct = {id(prompt): prompt for prompt in prompts if prompt is not None}
        slot_of = {key: slot for slot, key in enumerate(distinct, start=1)}
        slots = torch.tensor([0 if prompt is None else slot_of[id(prompt)] for prompt in prompts])
        stages = {}
        for stage in STAGES:
            affines = [getattr(prompt, stage) for prompt in distinct.values()]
            sample = next((affine for affine in affines if affine is not None), None)
            if sample is None:
                continue
            one, zero = torch.ones_like(sample.gamma), torch.zeros_like(sample.beta)
            gammas = torch.stack([one, *(one if affine is None else affine.gamma for affine in affines)])  # [slots, C]
            betas = torch.stack([zero, *(zero if affine is None else affine.beta for affine in affines)])
            rows = slots.to(gammas.device)
            stages[stage] = Affine(gammas[rows], betas[rows])
        return cls(**stages)

    def behind(self, shift: Tensor) -> Self:
        """Return these prompts on sound to whose log-mel `shift` `[M]` dB was added first: one spectral affine."""
        learnt = self.spectral or Affine(torch.ones_like(shift), torch.zeros_like(shift))
        return replace(self, spectral=Affine(learnt.gamma, learnt.gamma * shift + learnt.beta))

    @property
    def kind(self) -> str:
        """The name of the set of stages: `none`, `aspl`, `aspl_star`, or the stages joined by `+`."""
        stages = tuple(self.stages())
        return next((kind for kind, members in KINDS.items() if members == stages), "+".join(stages))

    @property
    def num_parameters(self) -> int:
        return sum(affine.gamma.numel() + affine.beta.numel() for affine in self.stages().values())

    def stages(self) -> dict[str, Affine]:
        """Return the stages that are prompted, in the order in which the sound passes them."""
        return {stage: getattr(self, stage) for stage in STAGES if getattr(self, stage) is not None}

    def to(self, device: torch.device | str) -> Self:
        return type(self)(
            **{
                stage: Affine(affine.gamma.to(device), affine.beta.to(device))
                for stage, affine in self.stages().items()
            }
        )

    def detach(self) -> Self:
        """Return the same numbers without a gradient."""
        return type(self)(
            **{stage: Affine(affine.gamma.detach(), affine.beta.detach()) for stage, affine in self.stages().items()}
        )
