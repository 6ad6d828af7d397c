"""How much it matters how far a recorder is turned up: `python -m benchmarks.levels DATA`.

Adapters are taught from the clips of a set as they were recorded, and hear others of them through a device that is
quieter or louder, in 16 bits; and the noise of rooms and mains, which nobody taught, from 75 to 35 dB below full scale.
DATA and draws are those of `benchmarks.ear`; beside it stands what would be without the level that clips are brought to
(`aspl.sound.level`).
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from aspl import FrozenClap
from aspl.background import MODELS
from aspl.fitting.closed_form import Heard
from aspl.fitting.heard_clip import hear_clips
from aspl.fitting.room import LOWEST_HZ, pink_noise
from aspl.heads.unknown import raw_known
from aspl.sound.clip import SAMPLE_RATE_HZ, WINDOW_SAMPLES
from aspl.sound.level import HEARD_AT_DB
from benchmarks.ear import SETS, Row, own_threshold, teach
from benchmarks.ear_draws import draw
from benchmarks.ear_world import World, load_world
from benchmarks.figures import keep
from benchmarks.lengths import AS_RECORDED, figures, heard_as
from benchmarks.machine import describe_machine

GAINS_DB = (-20, -10, 10)
NOISE_DB = (-75, -65, -55, -45, -35)
STEPS = 2**15  # of 16 bits
MAINS_HZ, HARMONICS = 50, (1, 2, 3, 5, 7)
WAYS = {"at one level": HEARD_AT_DB, "as recorded": None}


def turned(waveform: np.ndarray, gain_db: float) -> np.ndarray:
    """Return a clip as a device that is louder by so many dB would keep it, in 16 bits."""
    louder = np.clip(waveform * 10 ** (gain_db / 20), -1, 1)
    return (np.round(louder * STEPS) / STEPS).astype(np.float32)


def noises() -> dict[str, np.ndarray]:
    """Return ten seconds each of noises of deviation 1: white, pink, brown, and a hum of the mains in some hiss."""
    white = np.random.default_rng(0).normal(size=WINDOW_SAMPLES)
    hz = np.maximum(np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE_HZ), LOWEST_HZ)
    brown = np.fft.irfft(np.fft.rfft(white) / hz, WINDOW_SAMPLES)
    phase = 2 * np.pi * MAINS_HZ * np.arange(WINDOW_SAMPLES) / SAMPLE_RATE_HZ
    hum = sum(np.sin(number * (phase + 1)) / number for number in HARMONICS) + 0.2 * white
    made = {"white": white, "pink": pink_noise(WINDOW_SAMPLES), "brown": brown, "hum": hum}
    return {name: noise / noise.std() for name, noise in made.items()}


def worlds_of(clap: FrozenClap, data: Path, level_db: float | None) -> Mapping[str, World]:
    """Return the sets as they were recorded and through each device, heard at a level."""
    world = load_world(clap, data, SETS, level_db=level_db)
    changes: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        f"{gain_db:+d} dB": partial(turned, gain_db=gain_db) for gain_db in GAINS_DB
    }
    changed = {name: heard_as(clap, world, change, level_db=level_db) for name, change in changes.items()}
    return {AS_RECORDED: world} | changed


def heard_noises(clap: FrozenClap, level_db: float | None) -> Heard:
    """Return the features of all noises at all of `NOISE_DB`."""
    clips = (turned(noise, below_db) for noise in noises().values() for below_db in NOISE_DB)
    return Heard.of_clips(list(hear_clips(clap, clips, level_db=level_db)), clap)


def noise_accepted(world: World, noise: Heard, name: str, shots: int, seed: int) -> float:
    """Return the share of the noises that one draw takes for known."""
    tenant = teach(world, draw(world.sets, name, shots, seed))
    scores = tenant.fit.head.scores(world.bank.scale.logged(noise.stages, noise.joint))
    return float((raw_known(scores) >= own_threshold(tenant.fit)).mean())


def measured(worlds: Mapping[str, World], noise: Heard, shots: int, seeds: Sequence[int]) -> dict[str, Row]:
    """Return the means over the draws of all sets, in %, of each device, and of the noises."""
    world = worlds[AS_RECORDED]
    drawn = [(name, seed) for name in world.sets for seed in seeds]
    found = [figures(worlds, name, shots, seed) for name, seed in drawn]
    rows = {
        device: {
            what: round(100 * float(np.mean([row[device][what] for row in found])), 1) for what in found[0][device]
        }
        for device in worlds
    }
    accepted = np.mean([noise_accepted(world, noise, name, shots, seed) for name, seed in drawn])
    return rows | {"noise alone": {"foreign accepted": round(100 * float(accepted), 1)}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seeds", type=int, default=10)
    arguments = parser.parse_args()
    machine = describe_machine()
    clap = FrozenClap.load(MODELS / "tiny-clap")
    tables: dict[str, dict[str, Row]] = {}
    for way, level_db in WAYS.items():
        worlds, noise = worlds_of(clap, arguments.data, level_db), heard_noises(clap, level_db)
        for shots in (5, 16):
            rows = measured(worlds, noise, shots, range(arguments.seeds))
            tables[f"heard {way}, {shots} shots"] = rows
            measures = list(rows[AS_RECORDED])
            shown = Table("%", *measures, title=f"heard {way}, {shots} shots")
            for device, row in rows.items():
                shown.add_row(device, *(str(row.get(measure, "")) for measure in measures))
            Console(width=140).print(shown)
    keep("levels", machine=machine, seeds=arguments.seeds, **tables)


if __name__ == "__main__":
    main()
