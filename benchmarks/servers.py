"""HTTP throughput against other servers: `python -m benchmarks.servers`, on a quiet machine.

earshot, a plain FastAPI handler around laion-clap, and infinity where its environment is there, all with the same
full-size HTSAT-tiny on random weights. 32 clients send the same recordings to each in turn, so that a ratio compares
neighbours in time; of earshot they want scores of an adapter, of the others the embedding alone.
"""

import argparse
import base64
import io
import json
import statistics
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import soundfile
import soxr
from transformers import ClapFeatureExtractor, RobertaTokenizerFast

from aspl.model.laion_checkpoint import read_laion_checkpoint
from benchmarks.crowd import Pass, Request, ask_all
from benchmarks.figures import keep
from benchmarks.machine import describe_machine, has_bfloat16
from benchmarks.served import recordings, served, started
from tests.e2e.stack import ROOT, free_port

PLAIN, INFINITY = "plain handler, laion-clap 1.1.7", "infinity 0.0.78"
PLAIN_TUNED = f"{PLAIN}, no gradients"
OURS = {"bfloat16": "earshot, bfloat16", "float32": "earshot, float32"}
BARS = {PLAIN: 3.0, INFINITY: 2.0}  # of bfloat16
NUM_REQUESTS = 64
RATE_HZ = 48_000
# On a CPU the activations of infinity's 32 leave the cache: with fewer it is faster.
INFINITY_BATCH = 4
OFFLINE = {"HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"}


@dataclass(frozen=True)
class Server:
    """A server that is ready, and how it is asked about a recording."""

    name: str
    address: str
    request: Callable[[bytes], Request]


def start_plain(python: Path, weights: Path, running: ExitStack) -> list[Server]:
    """The plain handler, as it would be written first and without gradients; it writes the weights for the others."""
    port = free_port()
    command = [python, "-m", "benchmarks.plain_handler", port, weights]
    address = running.enter_context(started(command, port, "/openapi.json", **OFFLINE))
    return [
        Server(PLAIN, address, lambda clip: Request.multipart("/embed", "audio", clip)),
        Server(PLAIN_TUNED, address, lambda clip: Request.multipart("/embed_without_gradients", "audio", clip)),
    ]


def start_infinity(python: Path, weights: Path, running: ExitStack) -> Server:
    """infinity on the same weights, as a directory of transformers."""
    model, port = weights / "clap", free_port()
    read_laion_checkpoint(weights / "tiny.pt").save_pretrained(model)
    ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad").save_pretrained(model)
    RobertaTokenizerFast.from_pretrained(weights).save_pretrained(model)
    command = [python.parent / "infinity_emb", "v2", "--model-id", model, "--port", port, "--host", "127.0.0.1"]
    command += ["--engine", "torch", "--device", "cpu", "--batch-size", INFINITY_BATCH, "--no-bettertransformer"]
    command += ["--served-model-name", "clap"]
    address = running.enter_context(started(command, port, "/health", **OFFLINE))
    return Server(INFINITY, address, _ask_infinity)


def start_earshot(dtype: str, weights: Path, running: ExitStack) -> Server:
    """An API with a zero-shot adapter, as it is by default but for the dtype."""
    settings = {"tokenizer": weights, "requests_per_s": 0, "batch_windows": 0, "dtype": dtype}
    stack = running.enter_context(served(weights / "tiny.pt", **settings))
    labels = json.dumps(["dog bark", "rain", "rooster", "helicopter", "person sneeze"])
    return Server(
        OURS[dtype], stack.apis[0].address, lambda clip: Request.multipart("/classify", "audio", clip, labels=labels)
    )


def _ask_infinity(clip: bytes) -> Request:
    """infinity takes no other rate than the model's, and a file as base64 within JSON."""
    samples, rate_hz = soundfile.read(io.BytesIO(clip), dtype="float32", always_2d=True)
    resampled = io.BytesIO()
    soundfile.write(resampled, soxr.resample(samples.mean(1), rate_hz, RATE_HZ), RATE_HZ, format="OGG")
    data = base64.b64encode(resampled.getvalue()).decode()
    body = {"model": "clap", "modality": "audio", "input": [f"data:audio/ogg;base64,{data}"]}
    return Request("/embeddings", json.dumps(body).encode(), "application/json")


def measure(servers: Sequence[Server], clips: Sequence[bytes], num_rounds: int) -> dict[str, list[Pass]]:
    """How fast each server was in each round, the servers in turn; a first round of fewer requests warms up."""
    passes: dict[str, list[Pass]] = {server.name: [] for server in servers}
    for number in range(num_rounds + 1):
        for server in servers:
            requests = [server.request(clip) for clip in clips[: None if number else len(clips) // 4]]
            served = ask_all(server.address, requests)
            passes[server.name] += [served] if number else []
    return passes


def report(passes: dict[str, list[Pass]], machine: dict[str, object]) -> None:
    """Print the table and keep the figures."""
    rows = []
    for name, rounds in passes.items():
        row: dict[str, object] = {"name": name, "clips_per_s": [round(each.requests_per_s, 2) for each in rounds]}
        row["client_cpu_ms"] = round(statistics.median(each.client_cpu_ms for each in rounds), 2)
        for other in [name for name in (PLAIN, PLAIN_TUNED, INFINITY) if name in passes]:
            pairs = zip(rounds, passes[other], strict=True)
            row[f"against {other}"] = round(statistics.median(a.requests_per_s / b.requests_per_s for a, b in pairs), 2)
        rows.append(row)
        rate = statistics.median(row["clips_per_s"])
        ratios = ", ".join(
            f"{value:.2f} x {key.removeprefix('against ')}" for key, value in row.items() if "against" in key
        )
        print(f"{name:<45} {rate:6.2f} clips/s   {ratios}   (client {row['client_cpu_ms']:.1f} ms of CPU)")
    keep("servers", machine=machine, bars_of_bfloat16=BARS, rows=rows)


def main() -> None:
    """Start, measure, print, keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plain", type=Path, default=ROOT / ".venv-parity" / "bin" / "python")
    parser.add_argument("--infinity", type=Path, default=ROOT / ".venv-infinity" / "bin" / "python")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--requests", type=int, default=NUM_REQUESTS)
    arguments = parser.parse_args()
    machine = describe_machine()
    contents = [content for _, content in recordings()]
    clips = [contents[number % len(contents)] for number in range(arguments.requests)]
    with ExitStack() as running:
        weights = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="earshot-weights-")))
        servers = start_plain(arguments.plain, weights, running)
        if arguments.infinity.exists():
            servers.append(start_infinity(arguments.infinity, weights, running))
        servers += [start_earshot(dtype, weights, running) for dtype in OURS if dtype == "float32" or has_bfloat16()]
        passes = measure(servers, clips, arguments.rounds)
    report(passes, machine)


if __name__ == "__main__":
    main()
