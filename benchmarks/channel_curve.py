"""What live clips tell of a channel beside the true filter: `python -m benchmarks.channel_curve`.

To be run after `benchmarks.channel`, whose results it reads.

Plots, for the microphones of a few seeds, the channel that 5 and 15 mixed live clips without labels led to on each
set, all or half of it, beside the microphone's own response turned over; all of them about their mean. Prints how much
of the responses was left, over all pairs; where nothing was changed, all of it was.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from aspl.sound.log_mel import LogMel
from benchmarks.channel import RESULTS
from benchmarks.channel_draws import Microphone

PLOT = RESULTS.with_name("channel-curve.png")
CASES = ("5 mixed", "15 mixed")
MOST_SHOWN = 4


def wanted(seed: int) -> np.ndarray:
    """Return what puts a microphone right, about its mean."""
    response = Microphone.drawn(seed).response_db()
    return response.mean() - response


def found(row: dict[str, Any]) -> np.ndarray:
    """Return what was changed, about its mean."""
    return np.array(row["shift_db"]) - np.mean(row["shift_db"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, default=PLOT)
    arguments = parser.parse_args()
    rows = [json.loads(line) for line in arguments.results.read_text().splitlines()]
    rows = [row for row in rows if row["setting"] == rows[-1]["setting"] and row["microphone"] and row["case"] in CASES]
    seeds = sorted({row["seed"] for row in rows})[:MOST_SHOWN]
    hz = LogMel().centres_hz
    figure, panels = plt.subplots(2, 2, figsize=(10, 7), sharex=True, sharey=True, layout="constrained")
    for seed, axes in zip(seeds, panels.flat, strict=False):
        axes.plot(hz, wanted(seed), color="black", linewidth=2, label="microphone, turned over")
        for row in rows:
            if row["seed"] == seed and row["applied"]:
                style = "-" if row["case"] == "15 mixed" else ":"
                axes.plot(hz, found(row), style, label=f"{row['set']}, {row['case']}")
        axes.set(xscale="log", xlabel="mel bin, Hz", ylabel="dB about the mean", title=f"microphone {seed}")
        axes.legend(fontsize=7)
    for case in CASES:
        left = [
            [(found(row) - wanted(row["seed"])).std(), wanted(row["seed"]).std()] for row in rows if row["case"] == case
        ]
        print("{}: {:.1f} dB left of {:.1f}, mean of {} pairs".format(case, *np.mean(left, 0), len(left)))
    figure.savefig(arguments.plot, dpi=110)
    print(arguments.plot)


if __name__ == "__main__":
    main()
