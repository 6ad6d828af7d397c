"""What it costs to notice a drift of the channel: `python -m benchmarks.drift`.

The CPU time that a clip's curve and its sums take, against encoding the same clip, in turns; and the memory of the sums
of a thousand adapters of ten labels.
"""

import json
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from adapters_store import Ref
from aspl import Adapter, FrozenClap
from aspl.background import MODELS
from aspl.curves import TaughtCurves, curve_sums
from aspl.inference import Scored, hear_windows
from benchmarks.machine import describe_machine
from service.inference.drift import DriftMonitor
from service.metrics import Metrics

RESULTS = Path(__file__).parent / "results" / "drift.json"
ROUNDS, BATCH, ADAPTERS = 30, 4, 1000
LABELS = [f"sound {number}" for number in range(10)]


def median_ms(seconds: list[float]) -> float:
    """Return the median in ms a clip."""
    return round(1e3 * float(np.median(seconds)) / BATCH, 4)


def main() -> None:
    torch.set_num_threads(1)
    clap = FrozenClap.load(MODELS / "tiny-clap")
    mean = np.zeros((len(LABELS) + 1, clap.mel_bins), np.float32)
    adapter = replace(Adapter.zero_shot(clap, LABELS), taught_curves=TaughtCurves(mean, mean))
    waveforms = torch.randn(BATCH, 480_000, generator=torch.Generator().manual_seed(0)) * 0.1
    scored = Scored(np.full(len(LABELS), 0.1, np.float32), 0.9)
    monitor = DriftMonitor(clap.mel_centres_hz, Metrics())
    encoding, noticing = [], []
    log_mels = clap.log_mel(waveforms)
    for _ in range(ROUNDS):
        started_at = time.process_time()
        hear_windows(clap, waveforms, [None] * BATCH, stages=True)
        encoded_at = time.process_time()
        sums, frames = (part.numpy() for part in curve_sums(log_mels))
        for row in range(BATCH):
            monitor.note(Ref("tenant", "adapter", 1, "0" * 64), adapter, sums[row] / frames[row], scored)
        encoding.append(encoded_at - started_at)
        noticing.append(time.process_time() - encoded_at)
    tracemalloc.start()
    monitor = DriftMonitor(clap.mel_centres_hz, Metrics())
    before = tracemalloc.get_traced_memory()[0]
    for number in range(ADAPTERS):
        monitor.note(Ref("tenant", f"adapter-{number}", 1, "0" * 64), adapter, mean[0], scored)
    held = tracemalloc.get_traced_memory()[0] - before
    figures = {
        "encoding_ms": median_ms(encoding),
        "noticing_ms": median_ms(noticing),
        "share_percent": round(100 * median_ms(noticing) / median_ms(encoding), 2),
        "thousand_adapters_mib": round(held / 2**20, 2),
    }
    RESULTS.write_text(json.dumps({"machine": describe_machine(), "figures": figures}, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
