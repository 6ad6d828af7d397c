"""The same decoding and encoding behind the least that FastAPI can be: `python -m benchmarks.bare_handler PORT MODEL`.

No keys, rates, accounts, queues, adapters, metrics or log: what is above decoding and encoding here is FastAPI's own.
"""

import sys
import time
from pathlib import Path
from typing import Annotated

import uvicorn
from fastapi import FastAPI, Form, UploadFile

from aspl import FrozenClap
from aspl.inference import hear_windows
from aspl.sound.clip import decode, windows
from service.inference.engine import noise_windows


def create_app(clap: FrozenClap) -> FastAPI:
    """One route, which answers with its own times in ms as the service does."""
    app = FastAPI()

    @app.post("/classify")
    def classify(audio: UploadFile, adapter: Annotated[str, Form()]) -> dict[str, dict[str, float]]:
        times = [time.perf_counter()]
        cut, _ = windows(decode(audio.file.read()).waveform)
        times.append(time.perf_counter())
        hear_windows(clap, cut, [None] * len(cut)).joint.tolist()
        times.append(time.perf_counter())
        return {"timing_ms": {"decode": (times[1] - times[0]) * 1e3, "encode": (times[2] - times[1]) * 1e3}}

    return app


def main() -> None:
    """Load, serve until told to end."""
    clap = FrozenClap.load(Path(sys.argv[2]))
    hear_windows(clap, noise_windows(1), [None])
    uvicorn.run(create_app(clap), host="127.0.0.1", port=int(sys.argv[1]), access_log=False, log_level="warning")


if __name__ == "__main__":
    main()
