"""What a family of sounds is: names that a person would use for it, and a function that draws one."""

from collections.abc import Callable
from dataclasses import dataclass

from pretrain.signals import Rng, Wave

Drawn = tuple[Wave, tuple[str, ...]]


@dataclass(frozen=True)
class Family:
    """One family of sounds.

    Arguments:
        key: a stable name, the class of the auxiliary head.
        names: noun phrases for captions, the plainest first.
        draw: makes one sound from a generator and a length in samples; also returns words that describe it
            ("high", "slow"; an empty word says nothing).
        is_event: whether it happens and is over, so that silence may follow.
        weight: how often it is drawn, 1 being usual.
    """

    key: str
    names: tuple[str, ...]
    draw: Callable[[Rng, int], Drawn]
    is_event: bool = False
    weight: float = 1.0
