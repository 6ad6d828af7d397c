"""What a run will cost, reckoned before it starts: passes of the encoders, and seconds on this device."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from aspl import AudioPrompts
from aspl.fitting.candidates import JOINT_EPOCH_COST
from aspl.fitting.recipe import recipe_for
from aspl.methods import METHODS
from aspl.sound.clip import windows
from benchmarks.protocol.hearing import PAPER, hear_file
from benchmarks.protocol.layout import AudioSet, Split
from benchmarks.protocol.listener import Listener
from benchmarks.protocol.runs import ADABN, Run, split_of
from benchmarks.protocol.sampling import draw_shots

LISTENING = "listening"
SAMPLED_CLIPS = 6
CLOSED_FORM_S, STEP_S = 0.2, 0.002  # beside the encoders' passes
BACKWARD = JOINT_EPOCH_COST  # a pass with its gradient, in passes without


@dataclass(frozen=True)
class Cost:
    """Passes of the audio encoder over windows, of the text encoder over texts, and seconds; they add up."""

    audio_passes: float = 0.0
    text_passes: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.audio_passes + other.audio_passes,
            self.text_passes + other.text_passes,
            self.seconds + other.seconds,
        )


@dataclass(frozen=True)
class Rates:
    """Seconds on this device: to decode a clip, for a window's pass, for a text's; and the windows of a clip."""

    clip_s: float
    window_s: float
    text_s: float
    windows: float


def measure_rates(listener: Listener, audio_set: AudioSet) -> Rates:
    """Time a few clips of a set and its labels."""
    clap, split = listener.clap, audio_set.splits[0]
    places = np.unique(np.linspace(0, len(split.test) - 1, SAMPLED_CLIPS).round().astype(int))
    started, log_mels = time.perf_counter(), []
    for place in places:
        data = (audio_set.folder / split.test[place].path).read_bytes()
        log_mels.append(clap.log_mel(torch.from_numpy(windows(hear_file(data, listener.crop, seed=0)[0])[0])).cpu())
    clip_s = (time.perf_counter() - started) / len(places)
    with torch.inference_mode():
        part = torch.cat(log_mels)[: listener.micro_batch].to(clap.device)
        window_s = _seconds(lambda: clap.hear(part, AudioPrompts()), clap.device) / len(part)
        texts = [f"{' '.join(['sound'] * 16)} {label}." for label in split.labels]  # as long as CoOp's
        text_s = _seconds(lambda: clap.encode_text(texts), clap.device) / len(texts)
    return Rates(clip_s, window_s, text_s, sum(map(len, log_mels)) / len(log_mels))


def cost_of(run: Run, split: Split, rates: Rates) -> Cost:
    """Return what a fit and its test cost once the clips are heard."""
    num_labels, num_taught = len(split.labels), _num_taught(split, run.shots)
    if METHODS[run.method].is_closed_form:
        return Cost(0.0, num_labels, CLOSED_FORM_S)
    recipe = recipe_for(run.config)
    epochs = recipe.joint_epochs if run.is_learnt else recipe.text_epochs
    steps = epochs * math.ceil(num_taught / recipe.batch_size)
    audio = BACKWARD * epochs * num_taught + len(split.test) * rates.windows if run.is_learnt else 0.0
    text = float(num_labels)
    if run.method == "coop":
        text += BACKWARD * steps * num_labels
    if run.method == "cocoop":
        text += (BACKWARD * epochs * num_taught + len(split.test)) * num_labels
    return Cost(audio, text, audio * rates.window_s + text * rates.text_s + steps * STEP_S)


def listening_cost(runs: Sequence[Run], sets: Sequence[AudioSet], listener: Listener, rates: Rates) -> Cost:
    """Return what it costs to hear the clips of a set's runs, and to hear draws again for AdaBN."""
    unheard: set[tuple[Path, int]] = set()
    cost = Cost()
    for run in {run.draw: run for run in runs}.values():
        audio_set, split = split_of(run, sets)
        taught = [split.train[row] for row in draw_shots(split.train, shots=run.shots, seed=run.seed)]
        if any(other.audio_prompt == ADABN for other in runs if other.draw == run.draw):
            passes = (len(split.test) + len(taught)) * rates.windows
            cost += Cost(passes, 0.0, passes * rates.window_s)
        seed = run.seed if run.crop == PAPER else 0
        unheard |= {(audio_set.folder / clip.path, seed) for clip in (*taught, *split.test)}
    num_unheard = sum(not listener.is_heard(path, seed) for path, seed in unheard)
    passes = num_unheard * rates.windows
    return cost + Cost(passes, 0.0, num_unheard * rates.clip_s + passes * rates.window_s)


def plan_costs(
    runs: Sequence[Run], sets: Sequence[AudioSet], rates: Mapping[str, Rates], listener: Listener
) -> dict[tuple, Cost]:
    """Return the cost of each line of the table by `Run.kind`, and of the hearing under the method "listening"."""
    costs: dict[tuple, Cost] = {}
    for audio_set in sets:
        if own := [run for run in runs if run.set == audio_set.name]:
            key = replace(own[0], method=LISTENING, audio_prompt="", preset=None).kind
            costs[key] = listening_cost(own, sets, listener, rates[audio_set.name])
    for run in runs:
        cost = cost_of(run, split_of(run, sets)[1], rates[run.set])
        costs[run.kind] = costs.get(run.kind, Cost()) + cost
    return costs


def _num_taught(split: Split, shots: int) -> int:
    return sum(min(shots, count) for count in Counter(clip.label for clip in split.train).values())


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """Return the seconds of the quicker of two goes, the first of which may load what is new."""
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return min(taken)
