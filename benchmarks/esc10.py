"""What the audio prompts bring on ESC-10: `python -m benchmarks.esc10 FOLDER`.

FOLDER holds `clips.csv`, with the columns file, fold and label, and the files in `audio/`. Five folds, the shots drawn
from the other four, every method with every audio prompt on identical clips; once on the clips as they are and once
with all of them behind one fixed poor microphone (`--microphone`). Two controls stand beside the audio prompts:
batch-norm statistics re-estimated on the tenant's clips (`adabn`), and the microphone's response, which no tenant
knows, taken back in each mel bin (`undone`), the most that a spectral stage can do about it. Each result is appended to
a file as it comes; a run that was cut off goes on. `python -m benchmarks.esc10_curve` plots what the spectral stage
made of the microphone.
"""

import argparse
import copy
import csv
import json
import statistics
from collections import defaultdict
from pathlib import Path

import numpy as np
import scipy.signal
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from aspl import Adapter, FrozenClap, TrainingConfig, classify, fit
from aspl.prompts.audio_parameters import sounding_frames
from aspl.sound.clip import SAMPLE_RATE_HZ, decode, windows
from aspl.sound.level import at_level
from aspl.sound.log_mel import LogMel
from benchmarks.adabn import with_adapted_batch_norm
from benchmarks.intervals import mean_and_interval

RESULTS = Path(__file__).parent / "results" / "esc10.jsonl"
METHODS = ["zero_shot", "coop", "cocoop", "palm"]
AUDIO_PROMPTS = ["none", "spectral", "token", "structural", "aspl", "aspl_star"]
FOLDS = [1, 2, 3, 4, 5]
# The poor microphone: gains in dB at these frequencies, straight between them on a logarithmic axis.
MICROPHONE_HZ = [20, 100, 300, 800, 2000, 4000, 7000, 12000, 24000]
MICROPHONE_DB = [-30, -20, 5, 20, 0, 15, -15, -30, -30]


def microphone() -> np.ndarray:
    """Return the poor microphone's impulse response, linear phase, at 48 kHz."""
    grid_hz = np.linspace(0, SAMPLE_RATE_HZ / 2, 513)
    gain_db = np.interp(np.log(np.maximum(grid_hz, 1)), np.log(MICROPHONE_HZ), MICROPHONE_DB)
    return scipy.signal.firwin2(1025, grid_hz, 10 ** (gain_db / 20), fs=SAMPLE_RATE_HZ)


def response_db() -> tuple[np.ndarray, np.ndarray]:
    """Return the mel bins' centres in Hz and the microphone's gain in dB in each, on sound of equal power per Hz."""
    filters = LogMel().filters.double().numpy()  # [F, M]
    hz = np.linspace(0, SAMPLE_RATE_HZ / 2, len(filters))
    power = np.abs(scipy.signal.freqz(microphone(), worN=hz, fs=SAMPLE_RATE_HZ)[1]) ** 2
    weight = filters.sum(0)
    return hz @ filters / weight, 10 * np.log10(power @ filters / weight)


def load_clips(folder: Path, *, is_filtered: bool) -> list[tuple[np.ndarray, str, int]]:
    """Return waveform, label and fold of every clip of the set."""
    impulse = microphone()
    clips = []
    with open(folder / "clips.csv", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            waveform = decode((folder / "audio" / row["file"]).read_bytes()).waveform
            if is_filtered:
                waveform = scipy.signal.fftconvolve(waveform, impulse, mode="same").astype(np.float32)
            clips.append((waveform, row["label"], int(row["fold"])))
    return clips


def draw(clips: list[tuple[np.ndarray, str, int]], *, fold: int, shots: int, seed: int) -> tuple[list[int], list[int]]:
    """Return the clips to train on, `shots` a label from outside the fold, and those to test on, all of the fold."""
    generator = np.random.default_rng([seed, fold])
    pool = defaultdict(list)
    for index, (_, label, its_fold) in enumerate(clips):
        if its_fold != fold:
            pool[label].append(index)
    train = [int(i) for members in pool.values() for i in generator.permutation(members)[:shots]]
    return train, [index for index, clip in enumerate(clips) if clip[2] == fold]


def log_mels_of(clap: FrozenClap, waveforms: list[np.ndarray]) -> torch.Tensor:
    """Return the log-mels `[R, 1, T, M]` in dB of all windows of the clips."""
    return torch.cat([clap.log_mel(torch.from_numpy(windows(waveform)[0])) for waveform in waveforms])


def with_adabn(clap: FrozenClap, waveforms: list[np.ndarray]) -> FrozenClap:
    """Return the model with its batch-norm statistics re-estimated on these clips (arXiv 1603.04779)."""
    return with_adapted_batch_norm(clap, log_mels_of(clap, waveforms))


def with_undone(clap: FrozenClap, waveforms: list[np.ndarray]) -> FrozenClap:
    """Return the model as it hears behind the microphone what it would hear without, in the mean of each mel bin."""
    adapted = copy.deepcopy(clap)
    adapted.batch_norm.running_mean += torch.from_numpy(response_db()[1]).float()
    return adapted


CONTROLS = {"adabn": with_adabn, "undone": with_undone}


def accuracy(
    clap: FrozenClap, clips: list, train: list[int], test: list[int], config: TrainingConfig, control: str | None
) -> dict:
    waveforms, labels = [clips[i][0] for i in train], [clips[i][1] for i in train]
    heard = [at_level(waveform, config.level_db) for waveform in waveforms]
    model = CONTROLS[control](clap, heard) if control else clap
    adapter = fit(model, waveforms, labels, config=config)
    answers = classify(model, [clips[i][0] for i in test], [adapter] * len(test))
    hits = [answer.label == clips[i][1] for answer, i in zip(answers, test, strict=True)]
    return {
        "accuracy": statistics.mean(hits),
        "validation": adapter.report.accuracy,
        "kept": adapter.audio_prompt,
        "spectral_db": spectral_shift_db(clap, heard, adapter),
    }


def read_rows(path: Path, setting: dict[str, object]) -> list[dict]:
    """Return the results of one model, preset and number of shots: others are not to be compared with them."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if setting.items() <= row.items()]


def spectral_shift_db(clap: FrozenClap, waveforms: list[np.ndarray], adapter: Adapter) -> list[float] | None:
    """Return how far, per mel bin, the adapter's spectral stage moves the mean of these clips; None if it has none."""
    if adapter.prompts is None or adapter.prompts.spectral is None:
        return None
    mean = sounding_frames(log_mels_of(clap, waveforms)).mean(0)
    return [round(float(shift), 2) for shift in adapter.prompts.spectral(mean) - mean]


def won_back(runs: dict, plain: dict, clean: dict) -> str:
    """Return the share of what the microphone took from the text prompt alone that `runs` have, over equal shots."""
    keys = [key for key in runs if key in plain and key in clean]
    lost, gained = (sum(better[key]["accuracy"] - plain[key]["accuracy"] for key in keys) for better in (clean, runs))
    return f"{100 * gained / lost:.0f} %" if lost > 0 else ""


def show(rows: list[dict]) -> None:
    names = ("clips", "method", "audio prompt", "runs", "accuracy, %", "against none, points", "won back", "kept")
    table = Table(*names)
    cells: dict[tuple, dict] = defaultdict(dict)
    for row in rows:
        cells[row["is_filtered"], row["method"], row["audio_prompt"]][row["fold"], row["seed"]] = row
    for (is_filtered, method, prompt), runs in sorted(cells.items()):
        values = [100 * run["accuracy"] for run in runs.values()]
        deviation = statistics.stdev(values) if len(values) > 1 else float("nan")
        plain = cells.get((is_filtered, method, "none"), {})
        paired = [run["accuracy"] - plain[key]["accuracy"] for key, run in runs.items() if key in plain]
        difference = (
            "{:+.1f} +- {:.1f}".format(*(100 * part for part in mean_and_interval(paired)))
            if paired and prompt != "none"
            else ""
        )
        clean = cells.get((False, method, "none"), {})
        kept = sum(run["kept"] != "none" for run in runs.values())
        name = "microphone" if is_filtered else "clean"
        table.add_row(
            name,
            method,
            prompt,
            str(len(runs)),
            f"{statistics.mean(values):.1f} +- {deviation:.1f}",
            difference,
            won_back(runs, plain, clean) if is_filtered and prompt != "none" else "",
            str(kept),
        )
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="ESC-10: clips.csv and audio/")
    parser.add_argument("--model", default="models/tiny-clap")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    names = [*AUDIO_PROMPTS, *CONTROLS]
    parser.add_argument("--audio-prompts", nargs="+", choices=names, default=names)
    parser.add_argument("--folds", nargs="+", type=int, choices=FOLDS, default=FOLDS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--preset", default="fast")
    parser.add_argument("--microphone", action="store_true", help="put every clip behind the poor microphone")
    parser.add_argument("--results", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    clap = FrozenClap.load(arguments.model, device=arguments.device)
    arguments.results.parent.mkdir(parents=True, exist_ok=True)
    setting = {"model": clap.fingerprint, "preset": arguments.preset, "shots": arguments.shots}
    rows = read_rows(arguments.results, setting) if arguments.results.exists() else []
    runs = [
        setting
        | {"fold": fold, "seed": seed}
        | {"method": method, "audio_prompt": prompt, "is_filtered": arguments.microphone}
        for seed in arguments.seeds
        for fold in arguments.folds
        for method in arguments.methods
        for prompt in arguments.audio_prompts
        if prompt != "undone" or arguments.microphone
    ]
    clips = load_clips(arguments.folder, is_filtered=arguments.microphone)
    done = [{name: row[name] for name in runs[0]} for row in rows]
    for run in track([run for run in runs if run not in done], description="fits", console=Console(stderr=True)):
        train, test = draw(clips, fold=run["fold"], shots=run["shots"], seed=run["seed"])
        control = run["audio_prompt"] if run["audio_prompt"] in CONTROLS else None
        prompt = "none" if control else run["audio_prompt"]
        config = TrainingConfig(method=run["method"], audio_prompt=prompt, preset=run["preset"], seed=run["seed"])
        rows.append(run | accuracy(clap, clips, train, test, config, control))
        with open(arguments.results, "a", encoding="utf-8") as file:
            file.write(json.dumps(rows[-1]) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
