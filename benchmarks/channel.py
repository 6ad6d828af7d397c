"""What a channel set from unlabelled clips gives back: `python -m benchmarks.channel DATA`.

A tenant teaches 8 clean clips a label and is then heard behind a random microphone, or behind none; `recalibrate` hears
some live clips without their labels. Beside it stand AdaBN (mean and deviation of 15 live clips brought to those of the
taught ones), the microphone's true response undone, ASPL trained together with a text prompt on the taught clips and
the 15 live ones with their labels, and a microphone that was there at the teaching too (on few draws: both are slow).
Each pair of set and microphone is appended to a file as it comes, and a run that was cut off goes on. `--check` holds
the first pair's answers against those of `classify`.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track

from aspl import Adapter, AudioFeatures, AudioPrompts, FrozenClap, TrainingConfig, classify, fit
from aspl.background import MODELS
from aspl.channel import LEAST_EVIDENCE, MIN_KNOWN, MIN_KNOWN_SHARE, SHARES, find_channel, report_of
from aspl.channel_shift import (
    EDGE_DB,
    EDGE_HZ,
    EVIDENCE_SIZE,
    KNOWN_POWER,
    LABEL_SHARE,
    LEVEL_DB,
    OWN_ALONE,
    OWN_BINS,
    SMOOTH_DB,
    SMOOTH_OCTAVES,
    TILT_DB,
)
from aspl.prompts.audio import Affine
from aspl.prompts.audio_parameters import sounding_frames
from aspl.sound.clip import windows
from aspl.sound.level import HEARD_AT_DB, at_level
from benchmarks.channel_draws import MICROPHONES, LiveDraw, Microphone, live_draw
from benchmarks.channel_table import MIXED, show
from benchmarks.ear import mean_accuracy
from benchmarks.ear_draws import Clips, RecordingSet
from benchmarks.ear_world import load_set
from benchmarks.machine import describe_machine

SETS = ("esc10", "instruments", "foley")
RESULTS = Path(__file__).parent / "results" / "channel.jsonl"
BATCH = 8
JOINT_SEEDS = 2  # of the first, ASPL with labels is trained too
FIXED_SEEDS = 1  # of the first, the microphone is there at the teaching too
Row = dict[str, Any]
Hear = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Listener:
    """The clips of one draw behind one microphone, or none, and how an adapter does on them."""

    clap: FrozenClap
    draw: LiveDraw
    sets: Mapping[str, RecordingSet]
    hear: Hear

    def waveforms(self, clips: Clips) -> list[np.ndarray]:
        """Return what the microphone makes of clips."""
        return [self.hear(self.sets[name].waveforms[row]) for name, row in clips]

    def log_mels(self, clips: Clips) -> torch.Tensor:
        """Return `[n, 1, T, M]`, of the first window of each, which is all of them here, as default adapters hear."""
        levelled = (at_level(waveform, HEARD_AT_DB) for waveform in self.waveforms(clips))
        return torch.cat([self.clap.log_mel(torch.from_numpy(windows(waveform)[0][:1])) for waveform in levelled])

    def measures(self, log_mels: tuple[torch.Tensor, torch.Tensor]) -> Callable[..., Row]:
        """Return what tells accuracy and known rejected of an adapter, and foreign accepted where that is asked for."""

        def measure(adapter: Adapter, prompts: AudioPrompts | None = None, *, with_foreign: bool = False) -> Row:
            prompts = prompts or adapter.heard_under
            guess, known = self._scores(adapter, log_mels[0], prompts)
            bar = None if adapter.known is None else adapter.known.thresholds[0]
            row = {
                "accuracy": mean_accuracy(guess, self.draw.test_classes),
                "rejected": None if bar is None else float((known < bar).mean()),
            }
            if with_foreign and bar is not None:
                row["accepted"] = float((self._scores(adapter, log_mels[1], prompts)[1] >= bar).mean())
            return row

        return measure

    @torch.inference_mode()
    def _scores(self, adapter: Adapter, log_mels: torch.Tensor, prompts: AudioPrompts | None):
        parts = [self.clap.hear(part, prompts, stages=True) for part in log_mels.split(BATCH)]
        scores, background = adapter.scores(AudioFeatures.cat(parts))
        known = None
        if adapter.known is not None:
            rest = None if background is None else background.double().numpy()
            known = adapter.known.scores(scores.double().numpy(), rest)
        return scores.argmax(1).numpy(), known


def adabn(taught: torch.Tensor, live: torch.Tensor) -> AudioPrompts:
    """Return the spectral prompt that brings mean and deviation of the live clips' bins to those of the taught."""
    (mean, std), (live_mean, live_std) = (
        (frames.mean(0), frames.std(0)) for frames in (sounding_frames(taught), sounding_frames(live))
    )
    gamma = std / live_std
    return AudioPrompts(spectral=Affine(gamma, mean - gamma * live_mean))


def pair(
    clap: FrozenClap, sets: Mapping[str, RecordingSet], name: str, seed: int, *, with_joint: bool, with_fixed: bool
) -> list[Row]:
    """Return the rows of one set and one microphone."""
    drawn, microphone = live_draw(sets, name, seed), Microphone.drawn(seed)
    clean = Listener(clap, drawn, sets, lambda waveform: waveform)
    behind = replace(clean, hear=microphone.through)
    train = drawn.taught.train
    labels = [drawn.taught.taught[k] for k in drawn.taught.train_classes]
    adapter = fit(clap, clean.waveforms(train), labels)
    rows: list[Row] = []
    for is_behind, listener in ((False, clean), (True, behind)):
        measure = listener.measures((listener.log_mels(drawn.test), listener.log_mels(drawn.foreign)))
        unchanged = measure(adapter, with_foreign=True)
        where = {"set": name, "seed": seed, "microphone": is_behind}
        rows.append(where | {"case": "unchanged"} | unchanged)
        for case, clips in drawn.live.items():
            waveforms, with_foreign = listener.waveforms(clips), is_behind and case in MIXED
            found = _recalibrated(clap, adapter, waveforms, measure, unchanged, with_foreign=with_foreign)
            rows.append(where | {"case": case} | found)
        live = listener.log_mels(drawn.live["15 mixed"])
        rows.append(where | {"case": "AdaBN"} | measure(adapter, adabn(clean.log_mels(train), live)))
        if is_behind:
            true = AudioPrompts(spectral=Affine(torch.ones(64), -torch.from_numpy(microphone.response_db()).float()))
            rows.append(where | {"case": "true response undone"} | measure(adapter, true))
        if is_behind and with_fixed:
            rows += [where | row for row in _fixed(clap, listener, labels, measure)]
        if is_behind and with_joint:
            mixed = [drawn.taught.taught[k] for k in drawn.labelled]
            clips = clean.waveforms(train) + behind.waveforms(drawn.live["15 mixed"])
            config = TrainingConfig(method="palm", audio_prompt="aspl", seed=seed)
            rows.append(where | {"case": "ASPL with labels"} | measure(fit(clap, clips, labels + mixed, config=config)))
            plain = TrainingConfig(method="palm", audio_prompt="none", seed=seed)
            rows.append(
                where | {"case": "PALM, clean clips"} | measure(fit(clap, clips[: len(train)], labels, config=plain))
            )
    return rows


def _recalibrated(
    clap: FrozenClap,
    adapter: Adapter,
    live: list[np.ndarray],
    measure: Callable[..., Row],
    unchanged: Row,
    *,
    with_foreign: bool = False,
) -> Row:
    found = find_channel(clap, adapter, live)
    report = report_of(found)
    told = {name: report[name] for name in ("applied", "margin_before", "margin_after", "num_known", "shift_db")}
    measured = measure(found.adapter, with_foreign=with_foreign) if found.is_applied else unchanged
    return measured | told


def _fixed(clap: FrozenClap, listener: Listener, labels: list[str], measure) -> Iterable[Row]:
    """The microphone is there at the teaching too: there is nothing to put right."""
    adapter = fit(clap, listener.waveforms(listener.draw.taught.train), labels)
    before = measure(adapter)
    yield {"case": "taught behind it, unchanged"} | before
    live = listener.waveforms(listener.draw.live["15 mixed"])
    yield {"case": "taught behind it, 15 mixed"} | _recalibrated(clap, adapter, live, measure, before)


def check(clap: FrozenClap, sets: Mapping[str, RecordingSet], name: str, seed: int) -> None:
    """Raise AssertionError unless `classify` answers as the benchmark's own scores do."""
    drawn, microphone = live_draw(sets, name, seed), Microphone.drawn(seed)
    listener = Listener(clap, drawn, sets, microphone.through)
    clean = replace(listener, hear=lambda waveform: waveform)
    labels = [drawn.taught.taught[k] for k in drawn.taught.train_classes]
    adapter = fit(clap, clean.waveforms(drawn.taught.train), labels)
    adapter = find_channel(clap, adapter, listener.waveforms(drawn.live["15 mixed"])).adapter
    answers = classify(clap, listener.waveforms(drawn.test), [adapter] * len(drawn.test))
    guess = np.array([adapter.labels.index(answer.label) for answer in answers])
    measure = listener.measures((listener.log_mels(drawn.test), listener.log_mels(drawn.foreign)))
    said, ours = mean_accuracy(guess, drawn.test_classes), measure(adapter)["accuracy"]
    rejected = float(np.mean([answer.is_unknown for answer in answers]))
    assert abs(said - ours) < 0.01 and abs(rejected - measure(adapter)["rejected"]) < 0.02, (said, ours)
    print(f"classify answers as the benchmark does: {name}, {len(answers)} clips, accuracy {said:.3f}")


def read_rows(path: Path, setting: Row) -> list[Row]:
    """Return the results of this setting: others are not to be compared with them."""
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return [row for row in rows if row["setting"] == setting]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default=str(MODELS / "tiny-clap"))
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--sets", nargs="+", default=SETS)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=MICROPHONES)
    parser.add_argument("--joint", type=int, default=JOINT_SEEDS, help="seeds on which ASPL with labels is trained")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    clap = FrozenClap.load(arguments.model)
    constants = [EVIDENCE_SIZE, LEVEL_DB, SMOOTH_DB, SMOOTH_OCTAVES, OWN_BINS, OWN_ALONE, LABEL_SHARE, KNOWN_POWER]
    constants += [TILT_DB, EDGE_HZ, EDGE_DB, LEAST_EVIDENCE, MIN_KNOWN, MIN_KNOWN_SHARE, *SHARES, HEARD_AT_DB]
    setting = {"model": clap.fingerprint, "constants": constants}
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    rows = read_rows(arguments.results, setting)
    done = {(row["set"], row["seed"]) for row in rows}
    wanted = [(name, seed) for seed in seeds for name in arguments.sets if (name, seed) not in done]
    print(json.dumps(describe_machine()))
    if wanted or arguments.check:
        sets = {name: load_set(None, arguments.data / name) for name in arguments.sets}
    if arguments.check:
        check(clap, sets, arguments.sets[0], seeds[0])
    for name, seed in track(wanted, description="pairs", console=Console(stderr=True)):
        place = seed - arguments.first_seed
        beside = {"with_joint": place < arguments.joint, "with_fixed": place < FIXED_SEEDS}
        found = [{"setting": setting} | row for row in pair(clap, sets, name, seed, **beside)]
        rows += found
        with arguments.results.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in found)
    show([row for row in rows if row["seed"] in seeds and row["set"] in arguments.sets])


if __name__ == "__main__":
    main()
