"""The rival of a spectral prompt: a model whose batch-norm statistics are those of the clips at hand."""

import copy

from torch import Tensor

from aspl import FrozenClap
from aspl.prompts.audio import Affine
from aspl.prompts.audio_parameters import recentred


def with_adapted_batch_norm(clap: FrozenClap, log_mels: Tensor) -> FrozenClap:
    """Return the model with its batch-norm statistics re-estimated on log-mels `[R, 1, T, M]` (arXiv 1603.04779)."""
    adapted = copy.deepcopy(clap)
    spectrum: Affine = recentred(clap, log_mels)
    std = clap.batch_norm_std / spectrum.gamma
    adapted.batch_norm.running_mean.copy_((clap.batch_norm_mean - spectrum.beta) / spectrum.gamma)
    adapted.batch_norm.running_var.copy_(std.square() - clap.batch_norm.eps)
    return adapted
