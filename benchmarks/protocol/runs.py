"""The rows of the table: which methods, with which audio prompts, are fitted on which shots by which recipe."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass

from aspl.fitting.config import TrainingConfig
from aspl.methods import METHODS
from aspl.prompts.kinds import KINDS
from benchmarks.protocol.layout import AudioSet, Split

ADABN = "adabn"
AUDIO_PROMPTS = ("none", ADABN, "aspl", "aspl_star")
PRESETS = ("palm_paper", "paper", "fast")
PRESETS_OF_LEARNT = ("paper",)  # PALM's recipe knows no audio prompts, and `fast` chooses them on held-out clips


@dataclass(frozen=True)
class Run:
    """One fit; with what came of it, one row of the results.

    Attributes:
        model: the base model's fingerprint, short.
        lists: the digest of the split's lists.
        preset: the recipe; None where nothing is trained.
    """

    model: str
    crop: str
    set: str
    lists: str
    fold: int | None
    shots: int
    seed: int
    method: str
    audio_prompt: str
    preset: str | None

    @property
    def is_learnt(self) -> bool:
        """Whether an audio prompt is learnt, which takes passes through the encoder and back."""
        return self.audio_prompt in KINDS and self.audio_prompt != "none"

    @property
    def draw(self) -> tuple:
        """What fits on the same clips have in common."""
        return self.set, self.fold, self.shots, self.seed, self.crop

    @property
    def kind(self) -> tuple:
        """What a line of the table has in common."""
        return self.set, self.shots, self.crop, self.method, self.audio_prompt, self.preset

    @property
    def config(self) -> TrainingConfig:
        """The settings of the fit."""
        prompt = self.audio_prompt if self.is_learnt else "none"
        preset = {} if self.preset is None else {"preset": self.preset}
        return TrainingConfig(method=self.method, audio_prompt=prompt, seed=self.seed, as_recorded=True, **preset)

    def row(self) -> dict:
        """Return the run's part of its row."""
        return asdict(self)


@dataclass(frozen=True)
class Choice:
    """What was asked for: every combination that there is makes a run."""

    methods: Sequence[str]
    audio_prompts: Sequence[str]
    presets: Sequence[str]
    shots: Sequence[int]
    seeds: Sequence[int]
    crop: str
    learnt_once: bool = False
    """Whether audio prompts are learnt on the first fold and seed alone."""

    def kinds(self) -> Iterator[tuple[str, str, str | None]]:
        """Yield method, audio prompt and preset of each line of the table."""
        for method in self.methods:
            for prompt in self.audio_prompts:
                for preset in presets_for(method, prompt, self.presets):
                    yield method, prompt, preset


def presets_for(method: str, audio_prompt: str, presets: Iterable[str]) -> list[str | None]:
    """Return the recipes by which a method is fitted with an audio prompt: none where there is no such thing."""
    if METHODS[method].is_closed_form:
        return [None] if audio_prompt == "none" else []
    if audio_prompt not in ("none", ADABN):
        return [preset for preset in presets if preset in PRESETS_OF_LEARNT]
    return list(presets) if METHODS[method].is_trained else [None]


def all_runs(sets: Sequence[AudioSet], choice: Choice, *, model: str) -> list[Run]:
    """Return every run that was asked for: without learnt audio prompts first, one draw after the other."""
    runs = [
        Run(model, choice.crop, audio_set.name, split.digest, split.fold, shots, seed, *kind)
        for audio_set in sets
        for shots in choice.shots
        for seed in choice.seeds
        for split in audio_set.splits
        for kind in choice.kinds()
    ]
    return sorted(runs, key=lambda run: run.is_learnt)


def asked_for_now(runs: Sequence[Run], sets: Sequence[AudioSet], choice: Choice) -> list[Run]:
    """Return the runs less those that `learnt_once` leaves out."""
    if not choice.learnt_once:
        return list(runs)
    first = {audio_set.name: audio_set.splits[0].fold for audio_set in sets}
    return [run for run in runs if not run.is_learnt or (run.fold, run.seed) == (first[run.set], choice.seeds[0])]


def split_of(run: Run, sets: Sequence[AudioSet]) -> tuple[AudioSet, Split]:
    """Return the set and the split of a run."""
    audio_set = next(each for each in sets if each.name == run.set)
    return audio_set, next(split for split in audio_set.splits if split.fold == run.fold)
