"""What is known of an adapter's worth: one typed report, of every method, from held-out clips or from others.

Names, types and defaults here are those of the JSON in an adapter's file and in answers; knows nothing of torch.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from aspl.typed_json import plain, read_typed

MAX_MATRIX_LABELS = 50  # of more the pairs that are confused most stand for the matrix
MAX_ROWS = 100  # of suspects, findings, pairs of labels and points of a curve
AXES = "rows: true label, columns: answer, both in the order of the labels"


def _told(description: str, *, default: Any = None, most: int | None = None) -> Any:
    return field(default=default, metadata={"description": description} | ({} if most is None else {"most": most}))


@dataclass(frozen=True)
class LabelReport:
    """How one label did."""

    num_clips: int
    precision: float
    recall: float
    f1: float
    threshold: float | None = _told("Of the known score, from which on an answer of this label is known.")
    shots: int | None = _told("Clips that it was taught from.")
    misses_per_hundred: float | None = _told("Of a hundred of its clips: other answers, and unknown.")
    false_alarms_per_hour: float | None = _told("Of background that is answered with this label, and known.")


@dataclass(frozen=True)
class ConfusedPair:
    """A label that is taken for another."""

    label: str
    answer: str
    num_clips: int


@dataclass(frozen=True)
class BackgroundReport:
    """How what was taught stands apart from what was not."""

    num_clips: int | None = _told("Of the background: the bank's and the tenant's own, each scored without itself.")
    auroc: float | None = _told("The chance that a known clip has a higher known score than one of the background.")
    false_acceptance: float | None = _told("The share of the background that is not unknown at the thresholds.")
    rejected: float | None = _told("The share of known clips that is unknown at the thresholds.")
    threshold: float | None = _told("Of the known score; the mean of the labels'.")
    false_alarms_per_hour: float | None = _told("Background clips that are not unknown, by the hour of background.")


@dataclass(frozen=True)
class CurvePoint:
    """What a threshold of the known score would come to."""

    threshold: float
    rejected: float = field(metadata={"description": "The share of known clips that would be unknown."})
    accepted: float = field(metadata={"description": "The share of the background that would not be."})


@dataclass(frozen=True)
class CandidateReport:
    """One of those that competed on held-out clips."""

    name: str
    loss: float | None = _told("Mean cross-entropy of held-out clips, calibrated; the lower the better.")
    accuracy: float | None = None
    kept: bool = False
    reason: str = _told("Why it was kept or not.", default="")


@dataclass(frozen=True)
class AudioPromptReport:
    """What became of the audio prompt."""

    requested: str
    kept: str
    reason: str
    held_out_loss: Mapping[str, float] = field(default_factory=dict)
    gates: Mapping[str, float] = field(
        default_factory=dict, metadata={"description": "How much of each stage held-out clips asked for, 0 to 1."}
    )


@dataclass(frozen=True)
class Suspect:
    """A clip that may be labelled wrong, or is of no use."""

    clip: int = field(metadata={"description": "Its number in the upload, from 0."})
    label: str
    id: str | None = _told("SHA-256 of its bytes.")
    file: str | None = None
    sounds_like: str | None = _told("The likeliest other label, where it sounds like one.")
    reasons: tuple[str, ...] = _told(
        "Of `other_label`, `unlike_its_label`, `silent`, `clipped`, `repeated`.", most=10, default=("other_label",)
    )
    margin: float | None = _told("How much likelier its own label is than any other, in nats; null if not held out.")


@dataclass(frozen=True)
class LeftOut:
    """A file that is not trained on: its name, its label if it has one, and why, as `{"code", "detail"}`."""

    file: str
    label: str | None
    error: Mapping[str, str]


@dataclass(frozen=True)
class ClipWarning:
    """A clip that is used although something about it is odd; `code` is stable across releases."""

    code: str
    file: str
    label: str
    detail: str


@dataclass(frozen=True)
class Report:
    """How an adapter did on clips that it had not heard.

    Every field has a default: files of earlier releases lack some, and where nothing was held out most say nothing.
    """

    num_clips: int = _told("Clips that the figures stand on.", default=0)
    num_folds: int = _told("Parts that were held out in turn; 0 where the clips were never taught.", default=0)
    accuracy: float | None = None
    accuracy_interval: tuple[float, float] | None = _told("It holds the accuracy on unseen clips 95 times in 100.")
    macro_f1: float | None = None
    macro_f1_interval: tuple[float, float] | None = _told("As of the accuracy.")
    per_label: Mapping[str, LabelReport] = field(default_factory=dict)
    confusion: tuple[tuple[int, ...], ...] | None = _told("Counts; null beyond 50 labels.", most=MAX_MATRIX_LABELS)
    confusion_axes: str = AXES
    most_confused: tuple[ConfusedPair, ...] = _told("The worst first.", most=MAX_ROWS, default=())
    background: BackgroundReport | None = None
    threshold_curve: tuple[CurvePoint, ...] = _told("To choose one.", most=MAX_ROWS, default=())
    candidates: tuple[CandidateReport, ...] = _told("The simplest first.", most=MAX_ROWS, default=())
    suspects: tuple[Suspect, ...] = _told("Clips to listen to, the worst first.", most=MAX_ROWS, default=())
    optimism: tuple[str, ...] = _told("What makes the figures better than the truth.", most=MAX_ROWS, default=())
    unvalidated_labels: tuple[str, ...] = _told("Labels of one clip, which is never held out.", default=())
    left_out: tuple[LeftOut, ...] = _told("Files that are not trained on.", most=MAX_ROWS, default=())
    num_left_out: int = 0
    warnings: tuple[ClipWarning, ...] = _told("Clips that are used although they are odd.", most=MAX_ROWS, default=())
    num_warnings: int = 0
    reason: str | None = _told("Why a figure is missing.")
    audio_prompt: AudioPromptReport | None = None
    text_weight: float | None = _told("Of the label's words beside what its clips sound like.")
    num_background: int | None = _told("The tenant's own background clips.")
    temperature: float | None = _told("That the scores are calibrated with.")
    threshold: float | None = _told("Of the best score, where the adapter knows no background.")
    set_for_rejection_rate: float | None = None
    rejection_rate: float | None = _told("Of held-out clips, at that threshold.")

    def __getitem__(self, name: str) -> Any:
        """Return a field in JSON's terms, by the names of the first release too."""
        return self.to_json()[EARLIER_NAMES.get(name, name)]

    def to_json(self) -> dict[str, Any]:
        """Return the report in JSON's terms."""
        return plain(asdict(self))

    @classmethod
    def from_json(cls, facts: Any) -> Self:
        """Return the report that JSON tells of, of this release or an earlier one; what is unknown is left out.

        Raises:
            ValueError: for what cannot be one, or is too long.
        """
        if not isinstance(facts, dict):
            raise ValueError("it is no object")
        known = {EARLIER_NAMES.get(name, name): value for name, value in facts.items()}
        return read_typed(cls, known | _unknown_of_0_2(known))


EARLIER_NAMES = {"per_class": "per_label"}  # the first release's


def _unknown_of_0_2(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what 0.2.0 kept under `unknown`, by its names of today."""
    unknown = facts.get("unknown")
    if not isinstance(unknown, dict) or facts.get("background") is not None:
        return {}
    names = {"threshold": "threshold", "taught_rejected": "rejected", "background_accepted": "false_acceptance"}
    return {"background": {new: unknown.get(old) for old, new in {**names, "auroc": "auroc"}.items()}}
