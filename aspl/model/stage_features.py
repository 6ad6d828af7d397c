"""What a pass gives at the end of each Swin stage, beside the tokens that go on."""

import torch
from torch import Tensor

from aspl.model.swin import SwinStage

# B clips, T tokens of a clip, C channels, S numbers of all stages


class StageFeatures:
    """Collects the statistics `[B, 2C]` of every stage, and the peaks `[B, bands * C]` of those that have them."""

    def __init__(self) -> None:
        self.statistics: list[Tensor] = []
        self.peaks: list[Tensor] = []

    def take(self, tokens: Tensor, stage: SwinStage) -> None:
        """Take what tokens `[B, T, C]` give that leave the blocks of `stage`, before its patch merging."""
        self.statistics.append(token_statistics(tokens))
        if stage.num_bands:
            self.peaks.append(stage.peaks(tokens))

    def joined(self) -> Tensor:
        """Return `[B, S]`, float32, see `aspl.stage_layout`."""
        return torch.cat([*self.statistics, *self.peaks], 1)


def token_statistics(tokens: Tensor) -> Tensor:
    """Return mean and deviation over tokens, float32 `[B, 2C]`, of tokens `[B, T, C]`."""
    tokens = tokens.float()
    mean = tokens.mean(1, keepdim=True)
    deviation = (tokens - mean).square_().mean(1).sqrt()  # torch.var_mean takes eight times as long over this dimension
    return torch.cat([mean.squeeze(1), deviation], 1)
