"""What the spectral stage made of the poor microphone: `python -m benchmarks.esc10_curve`, after `benchmarks.esc10`.

Plots, per mel bin, how far each adapter's spectral stage moves the mean of its clips behind the microphone, less the
same on clean clips where both are known, against the microphone's own response turned over; both about their mean.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

from benchmarks.esc10 import RESULTS, read_rows, response_db

PLOT = RESULTS.with_name("esc10-curve.png")


def curves(rows: list[dict], method: str, audio_prompt: str) -> np.ndarray:
    """Return `[runs, M]` dB, about its mean: what the stage does behind the microphone beyond what it does without."""
    found: dict[bool, dict] = {False: {}, True: {}}
    for row in rows:
        if (row["method"], row["audio_prompt"]) == (method, audio_prompt) and row["spectral_db"]:
            found[row["is_filtered"]][row["fold"], row["seed"]] = np.array(row["spectral_db"])
    shifts = [shift - found[False].get(key, 0.0) for key, shift in found[True].items()]
    return np.array([shift - shift.mean() for shift in shifts])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--method", default="palm")
    parser.add_argument("--audio-prompts", nargs="+", default=["spectral", "aspl", "aspl_star"])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--plot", type=Path, default=PLOT)
    arguments = parser.parse_args()
    last = json.loads(arguments.results.read_text().splitlines()[-1])
    rows = read_rows(arguments.results, {name: last[name] for name in ("model", "preset", "shots")})
    hz, gain_db = response_db()
    wanted = gain_db.mean() - gain_db
    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    axes.plot(hz, wanted, color="black", linewidth=2, label="microphone, turned over")
    for name in arguments.audio_prompts:
        found = curves(rows, arguments.method, name)
        if not len(found):
            print(f"{name}: no run behind the microphone kept a spectral stage")
            continue
        median = np.median(found, 0)
        axes.plot(hz, median, label=f"{name}, median of {len(found)}")
        axes.fill_between(hz, found.min(0), found.max(0), alpha=0.2)
        r, error = np.corrcoef(median, wanted)[0, 1], np.sqrt(np.mean((median - wanted) ** 2))
        print(f"{name}: {len(found)} runs, correlation {r:.2f}, {error:.1f} dB off (root mean square)")
    axes.set(xscale="log", xlabel="mel bin, Hz", ylabel="dB about the mean", title=f"{arguments.method} on ESC-10")
    axes.legend()
    figure.savefig(arguments.plot, dpi=120)
    print(arguments.plot)


if __name__ == "__main__":
    main()
