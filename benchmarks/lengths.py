"""How much it matters how long a clip is and what is around its sound: `python -m benchmarks.lengths DATA`.

Adapters are taught from the clips of a set as they were recorded, and hear others of them as they were recorded, cut,
repeated, or amid the quiet or the noise of a longer recording: the same sound each time, of which the encoder's window
is otherwise full. DATA and draws are those of `benchmarks.ear`; `--without-copies` leaves out what teaching does about
it.
"""

import argparse
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.ndimage import uniform_filter1d

from aspl import FrozenClap
from aspl.background import MODELS
from aspl.fitting.closed_form import Heard
from aspl.fitting.heard_clip import hear_clips
from aspl.fitting.room import pink_noise
from aspl.fitting.speed_copies import MOST_COPIES
from aspl.heads.unknown import raw_known
from aspl.sound.clip import SAMPLE_RATE_HZ
from aspl.sound.level import HEARD_AT_DB
from benchmarks.ear import SETS, Row, area, decided, mean_accuracy, own_threshold, teach
from benchmarks.ear_draws import draw
from benchmarks.ear_world import World, load_world
from benchmarks.figures import keep
from benchmarks.machine import describe_machine

ROOM = 1e-4  # deviation of the noise of a quiet room, 80 dB below full scale
TENTH = SAMPLE_RATE_HZ // 10
AS_RECORDED = "as recorded"


def cut(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Return no more than so much of a clip."""
    return waveform[: round(seconds * SAMPLE_RATE_HZ)]


def repeated(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Return so much of a clip that begins again where it ends."""
    return np.resize(waveform, round(seconds * SAMPLE_RATE_HZ))


def amid_quiet(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Return a recording of so many seconds that begins with the clip and goes on in a quiet room."""
    recording = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
    heard = cut(waveform, seconds)
    recording[: len(heard)] = heard
    return recording + np.random.default_rng(0).normal(0, ROOM, len(recording)).astype(np.float32)


def amid_noise(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Return the same in a room whose noise is 40 dB below the loudest tenth of a second of the clip."""
    recording = amid_quiet(waveform, seconds)
    power = uniform_filter1d(np.square(waveform, dtype=float), TENTH, mode="constant").max()
    noise = pink_noise(len(recording), seed=len(waveform)) * np.sqrt(power) / 100
    return (recording + noise).astype(np.float32)


CHANGES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "cut to 4.99 s": lambda waveform: cut(waveform, 4.99),
    "repeated for 9 s": lambda waveform: repeated(waveform, 9),
    "repeated for 6 s": lambda waveform: repeated(waveform, 6),
    "amid the quiet of 10 s": lambda waveform: amid_quiet(waveform, 10),
    "amid the noise of 10 s": lambda waveform: amid_noise(waveform, 10),
}


def heard_as(
    clap: FrozenClap,
    world: World,
    change: Callable[[np.ndarray], np.ndarray],
    *,
    level_db: float | None = HEARD_AT_DB,
) -> World:
    """Return the world with every clip changed; what is taught is not taken from it."""
    sets = {}
    for name, recordings in world.sets.items():
        heard = Heard.of_clips(list(hear_clips(clap, map(change, recordings.waveforms), level_db=level_db)), clap)
        sets[name] = replace(recordings, joint=heard.joint, stages=heard.stages)
    return replace(world, sets=sets)


def figures(worlds: Mapping[str, World], name: str, shots: int, seed: int) -> dict[str, Row]:
    """Return what one draw makes of its test clips in each of the worlds; it is taught in that as recorded."""
    tenant = teach(worlds[AS_RECORDED], draw(worlds[AS_RECORDED].sets, name, shots, seed))
    drawn, threshold = tenant.draw, own_threshold(tenant.fit)
    rows = {}
    for change, world in worlds.items():
        listening = replace(tenant, world=world)
        scores = listening.scores(drawn.test)
        known, foreign = raw_known(scores), raw_known(listening.scores(drawn.foreign))
        rows[change] = {
            "accuracy": mean_accuracy(scores[:, :-1].argmax(1), drawn.test_classes),
            **decided(known, foreign, threshold),
            "AUROC foreign": area(known, foreign),
        }
    return rows


def table(worlds: Mapping[str, World], shots: int, seeds: Iterable[int]) -> dict[str, Row]:
    """Print and return the means over the draws in %, and of each set how many of the taught sounds are rejected."""
    found = {name: [figures(worlds, name, shots, seed) for seed in seeds] for name in worlds[AS_RECORDED].sets}
    measures = list(found[next(iter(found))][0][AS_RECORDED])
    shown = Table("%", *measures, *(f"rejected, {name}" for name in found), title=f"{shots} shots")
    kept = {}
    for change in worlds:
        means = {m: 100 * np.mean([[row[change][m] for row in rows] for rows in found.values()]) for m in measures}
        rejected = {
            f"rejected, {name}": 100 * np.mean([row[change]["known rejected"] for row in rows])
            for name, rows in found.items()
        }
        kept[change] = {what: round(float(value), 1) for what, value in (means | rejected).items()}
        shown.add_row(change, *(f"{value:.1f}" for value in kept[change].values()))
    Console(width=140).print(shown)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--without-copies", action="store_true", help="hear each taught clip once; nothing is kept")
    arguments = parser.parse_args()
    machine = describe_machine()
    clap = FrozenClap.load(MODELS / "tiny-clap")
    world = load_world(clap, arguments.data, SETS, copies=0 if arguments.without_copies else MOST_COPIES)
    worlds = {AS_RECORDED: world} | {name: heard_as(clap, world, change) for name, change in CHANGES.items()}
    tables = {f"{shots} shots": table(worlds, shots, range(arguments.seeds)) for shots in (5, 16)}
    if not arguments.without_copies:
        keep("lengths", machine=machine, seeds=arguments.seeds, **tables)


if __name__ == "__main__":
    main()
