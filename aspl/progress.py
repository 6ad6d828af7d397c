"""How far a fit is, in the words that trainer, job record and HTTP interface share; knows nothing of torch."""

from dataclasses import dataclass, field

CANDIDATES = ("text", "recentred", "joint")
PHASES = (
    "listen",
    "listen_background",
    "train_closed_form",
    *(f"{part}_{candidate}" for part in ("validate", "train") for candidate in CANDIDATES),
)


def _described(description: str, **default: None):
    return field(metadata={"description": description}, **default)


@dataclass(frozen=True)
class Progress:
    """How far a job is.

    After it has listened to the clips, a job tries on held-out clips what suits them (`validate_*`) and then trains
    that on all of them (`train_*`): the text prompt alone (`*_text`), the same behind a spectral prompt computed from
    the clips (`*_recentred`), or text and audio prompt together (`*_joint`). A
    method in closed form has `train_closed_form` alone. `listen_background` counts the clips of the background, which
    a base model hears once, when it is new here.
    """

    phase: str
    epoch: int = _described("Of the phase under way; in a validation it begins anew with every fold.")
    epochs: int = _described(
        "How many the phase has: in `*_joint` what `epochs` asked for, "
        "and in `*_text` too where there is no audio prompt."
    )
    loss: float | None = _described("Of the epoch's clips.", default=None)
    accuracy: float | None = _described("Of the epoch's clips, which are those that it learns from.", default=None)
    eta_s: float | None = _described("Seconds to the end of the job, as far as can be told.", default=None)
