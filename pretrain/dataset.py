"""The clips of all finished shards, drawn at random while more are being made."""

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pretrain.families import FAMILIES
from pretrain.generate import Shard, shards

NUM_FAMILIES = len(FAMILIES)
_WORDS = (
    "low high slow fast large small harsh loud light heavy gentle howling near distant busy dry roaring sudden "
    "regular continuous steady noisy rough tonal metallic hard muffled echoing breathy crowded dull"
)
ATTRIBUTES = tuple(_WORDS.split())


class Clips:
    """Clips for training, or those held out."""

    def __init__(self, data: Path, *, held_out: bool = False) -> None:
        self._data, self._held_out = data, held_out
        self._shards: list[Shard] = []
        self.refresh()

    def __len__(self) -> int:
        return int(self._ends[-1])

    def refresh(self) -> None:
        """Take in the shards that have been finished since."""
        self._shards = list(shards(self._data, held_out=self._held_out))
        if not self._shards:
            raise FileNotFoundError(f"no finished shard in {self._data}: run `python -m pretrain generate` first")
        self._ends = np.cumsum([len(shard.family) for shard in self._shards])

    def take(self, rows: np.ndarray) -> tuple[Tensor, Tensor, list[list[str]]]:
        """Return log-mels `[B, T, M]` float32 in dB, families `[B]` and words of the clips at `rows`."""
        which = np.searchsorted(self._ends, rows, side="right")
        starts = np.concatenate([[0], self._ends])
        log_mel, family, words = [], [], []
        for shard, row in zip(which, rows - starts[which], strict=True):
            log_mel.append(torch.from_numpy(np.array(self._shards[shard].log_mel[row])))
            family.append(int(self._shards[shard].family[row]))
            words.append(self._shards[shard].words[row])
        return torch.stack(log_mel).float(), torch.tensor(family), words


def attributes(words: list[list[str]]) -> Tensor:
    """Return `[B, A]`, one where a clip has the attribute."""
    return torch.tensor([[float(name in heard) for name in ATTRIBUTES] for heard in words])
