"""In what precision a head is kept: half of it, where that changes no answer to the clips at hand.

A linear head is as large as what it reads; words of few labels are small, and stay whole.
"""

import torch
from torch import Tensor

from aspl.features import AudioFeatures
from aspl.heads.head import Head
from aspl.heads.linear import LinearHead
from aspl.heads.text import TextHead
from aspl.known import KnownRule

# n clips

WHOLE_LABELS = 50  # so many texts keep their full precision


def kept_head(head: Head, num_labels: int, features: AudioFeatures, rule: KnownRule | None = None) -> Head:
    """Return the head as it is to be kept.

    Args:
        features: `[n]`, of the clips that it was taught with.
        rule: what says which of them are known, where the head hears the background.
    """
    is_small = isinstance(head, TextHead) and num_labels <= WHOLE_LABELS
    if is_small or not isinstance(head, LinearHead | TextHead):
        return head
    halved = head.halved()
    whole, half = (_answers(each, features, rule) for each in (head, halved))
    return halved if torch.equal(whole, half) else head


def _answers(head: Head, features: AudioFeatures, rule: KnownRule | None) -> Tensor:
    """Return `[2, n]`: the winning labels, and which clips are known."""
    scores, lead = head.scores(features)
    winner = scores.argmax(1).cpu()
    if rule is None or lead is None:
        return torch.stack([winner, torch.ones_like(winner)])
    known = rule.scores(scores.double().cpu().numpy(), lead.double().cpu().numpy())
    return torch.stack([winner, torch.from_numpy(known).ge(torch.tensor(rule.thresholds)[winner]).long()])
