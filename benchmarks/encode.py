"""Waveform -> embedding on a CPU, full-size HTSAT-tiny: `aspl` against laion-clap 1.1.7, transformers and the floor.

Run as `python -m benchmarks.encode` in the environment of `make parity`, on a quiet machine, or on a busy one with one
thread and `--clock cpu`. All contestants hold the same random weights, get the same eight waveforms, keep no gradients
and take turns, so that a ratio compares neighbours in time.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from transformers import ClapModel

from aspl.model.clap import FrozenClap
from aspl.model.frozen_linear import frozen_linear
from aspl.model.laion_checkpoint import read_laion_checkpoint
from benchmarks.figures import keep
from benchmarks.machine import describe_machine, has_bfloat16
from tests.parity import laion
from tests.parity.test_laion_clap import write_tokenizer

NUM_CLIPS = 8
GFLOP_PER_CLIP = 11.98  # the products of HTSAT-tiny's encoder and projection, at two operations each
FLOOR_SIDE = 1_024
BASELINE = "laion-clap 1.1.7, float32"
FLOOR = "floor: the same products as a large one, {}"
BARS = {"float32": 1.5, "bfloat16": 3.0}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
Encode = Callable[[Tensor], Tensor]
Clock = Callable[[], float]


def contestants(directory: Path, dtypes: list[torch.dtype]) -> dict[str, Encode]:
    """Return what turns waveforms `[B, 480000]` into embeddings `[B, D]`, by name."""
    theirs = laion.build_laion_clap("tiny")
    checkpoint = laion.write_laion_checkpoint(theirs, directory / "tiny.pt")
    tokenizer = write_tokenizer(directory)
    encoders: dict[str, Encode] = {BASELINE: lambda waveforms: laion.embed_audio(theirs, waveforms)}
    for dtype in dtypes:
        suffix = _name(dtype)
        ours = FrozenClap.load(checkpoint, dtype=dtype, tokenizer=tokenizer)
        reference = read_laion_checkpoint(checkpoint).eval().to(dtype)
        encoders[f"transformers 5.23, our log-mel, {suffix}"] = _through_transformers(reference, ours)
        encoders[f"aspl, {suffix}"] = lambda waveforms, ours=ours: ours.encode_audio(ours.log_mel(waveforms))
    return encoders


def _through_transformers(model: ClapModel, ours: FrozenClap) -> Encode:
    dtype = next(model.parameters()).dtype

    def encode(waveforms: Tensor) -> Tensor:
        is_longer = torch.zeros(len(waveforms), 1, dtype=torch.bool)
        return model.get_audio_features(ours.log_mel(waveforms).to(dtype), is_longer=is_longer).pooler_output

    return encode


@torch.inference_mode()
def measure(
    encoders: dict[str, Encode], dtypes: list[torch.dtype], *, clock: Clock, rounds: int, passes: tuple[int, ...]
) -> dict[str, list[float]]:
    """Return clips/s of each contestant and number of clips a pass in each round, and of the floor."""
    waveforms = 0.1 * torch.randn(NUM_CLIPS, 480_000, generator=torch.Generator().manual_seed(0))
    rates: dict[str, list[float]] = {}
    for index in range(rounds + 1):
        seen = {FLOOR.format(_name(dtype)): products_gflop_s(dtype, clock) / GFLOP_PER_CLIP for dtype in dtypes}
        for name, encode in encoders.items():
            for size in passes:
                start = clock()
                for part in waveforms.split(size):
                    encode(part)
                seen[f"{name}, {size} a pass"] = NUM_CLIPS / (clock() - start)
        if index:  # the first round warms up
            for name, rate in seen.items():
                rates.setdefault(name, []).append(rate)
    return rates


def products_gflop_s(dtype: torch.dtype, clock: Clock, *, repeats: int = 3) -> float:
    """Return the rate of the best of a few square products, by the kernel that `aspl` uses."""
    a, b = (torch.randn(FLOOR_SIDE, FLOOR_SIDE).to(dtype) for _ in range(2))
    bias = torch.zeros(FLOOR_SIDE, dtype=dtype)
    seconds = []
    for _ in range(repeats):
        start = clock()
        frozen_linear(a, b, bias)
        seconds.append(clock() - start)
    return 2 * FLOOR_SIDE**3 / min(seconds) / 1e9


def summarise(rates: dict[str, list[float]], passes: tuple[int, ...]) -> list[dict[str, object]]:
    """Return a row a contestant: its median clips/s, and the median over rounds of its ratios to laion-clap's."""
    at_eight = rates[f"{BASELINE}, {NUM_CLIPS} a pass"]
    best = [max(rates[f"{BASELINE}, {size} a pass"][index] for size in passes) for index in range(len(at_eight))]
    return [
        {
            "name": name,
            "clips_s": round(statistics.median(seen), 2),
            "against_laion_clap_at_8": round(_median_ratio(seen, at_eight), 2),
            "against_laion_clap_at_its_best": round(_median_ratio(seen, best), 2),
            "against_floor": round(_median_ratio(seen, rates[FLOOR.format(_dtype_of(name))]), 2),
        }
        for name, seen in rates.items()
    ]


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _dtype_of(name: str) -> str:
    return next(dtype for dtype in BARS if dtype in name)


def _median_ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=5)
    arguments.add_argument("--passes", type=int, nargs="+", default=[1, 8], help="clips a pass, 8 among them")
    arguments.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: for one thread on a busy machine")
    options = arguments.parse_args()
    passes = tuple(sorted({*options.passes, NUM_CLIPS}))
    machine = describe_machine()
    dtypes = [torch.float32, torch.bfloat16] if has_bfloat16() else [torch.float32]
    with tempfile.TemporaryDirectory() as directory:
        encoders = contestants(Path(directory), dtypes)
        rates = measure(encoders, dtypes, clock=CLOCKS[options.clock], rounds=options.rounds, passes=passes)
    rows = summarise(rates, passes)
    keep("encode", machine=machine, clock=options.clock, rounds=options.rounds, bars=BARS, rows=rows, clips_s=rates)
    print(machine)
    print(f"{'':58}{'clips/s':>9}{'x laion-clap at 8':>19}{'x its best':>12}{'x floor':>9}")
    for row in rows:
        ratios = (
            f"{row['against_laion_clap_at_8']:19}{row['against_laion_clap_at_its_best']:12}{row['against_floor']:9}"
        )
        print(f"{row['name']:58}{row['clips_s']:9}{ratios}")


if __name__ == "__main__":
    main()
