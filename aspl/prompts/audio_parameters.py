"""What is trained of an audio prompt: its distance from the identity, in units in which a step means something."""

import torch
from torch import Tensor, nn

from aspl.curves import SILENCE_DB
from aspl.model.clap import FrozenClap
from aspl.prompts.audio import Affine, AudioPrompts
from aspl.prompts.kinds import parse_kind

# M mel bins, C channels of a stage, F frames that sound


class AudioParameters(nn.Module):
    """The trainable gamma and beta of each stage of `kind`, as distances from the identity, which is where they start.

    In batch-norm units the spectral stage is y' = gamma y + beta with y = (x - mu) / sigma and the running statistics
    of the model's batch norm: the same functions as in dB, at a scale where a beta of 1 is some 38 dB and not one.
    """

    def __init__(self, clap: FrozenClap, kind: str, *, spectral_units: str) -> None:
        super().__init__()
        self.gammas, self.betas = nn.ParameterDict(), nn.ParameterDict()
        for stage in parse_kind(kind):
            width = clap.stage_widths[stage]
            self.gammas[stage] = nn.Parameter(torch.zeros(width, device=clap.device))
            self.betas[stage] = nn.Parameter(torch.zeros(width, device=clap.device))
        if spectral_units == "batch_norm":
            self.mean, self.std = clap.batch_norm_mean, clap.batch_norm_std  # [M] dB
        else:
            self.mean, self.std = torch.zeros_like(clap.batch_norm_mean), torch.ones_like(clap.batch_norm_std)

    def prompts(self) -> AudioPrompts:
        """Return the plain gamma and beta that the parameters amount to, with their gradient."""
        stages = {}
        for stage in self.gammas:
            gamma, beta = 1 + self.gammas[stage], self.betas[stage]
            if stage == "spectral":
                beta = self.std * beta - self.mean * self.gammas[stage]
            stages[stage] = Affine(gamma, beta)
        return AudioPrompts(**stages)

    @torch.no_grad()
    def start_from(self, spectral: Affine) -> None:
        """Set the spectral stage to a plain affine in dB."""
        self.gammas["spectral"].copy_(spectral.gamma - 1)
        self.betas["spectral"].copy_((spectral.beta + self.mean * (spectral.gamma - 1)) / self.std)

    def groups(self) -> list[list[nn.Parameter]]:
        """Return the parameters of each stage."""
        return [[self.gammas[stage], self.betas[stage]] for stage in self.gammas]


@torch.no_grad()
def recentred(clap: FrozenClap, log_mels: Tensor) -> Affine:
    """Return the spectral affine that brings these clips' mean and deviation per mel bin to the running statistics.

    It undoes a fixed curve over the mel bins, a microphone's or a room's, without training. Feeding its output to batch
    norm in evaluation mode equals batch-norm statistics re-estimated on the clips (AdaBN, arXiv 1603.04779). Digital
    silence does not count: padding passed through no microphone, and how much there is says nothing of one.

    Args:
        log_mels: `[n, 1, T, M]` in dB.
    """
    sounding = sounding_frames(log_mels).to(clap.device)
    if not len(sounding):
        return Affine(torch.ones_like(clap.batch_norm_mean), torch.zeros_like(clap.batch_norm_mean))
    mean, std = sounding.mean(0), sounding.var(0, correction=0).add(clap.batch_norm.eps).sqrt()
    gamma = clap.batch_norm_std / std
    return Affine(gamma, clap.batch_norm_mean - gamma * mean)


def sounding_frames(log_mels: Tensor) -> Tensor:
    """Return the frames `[F, M]` of log-mels `[n, 1, T, M]` in dB that are not digital silence."""
    frames = log_mels.flatten(0, 2)
    return frames[frames.amax(1) > SILENCE_DB]
