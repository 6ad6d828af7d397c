"""A tenant of the stack: teaches it two sounds, classifies, and sends again what is refused for now."""

import io
import math
import random
import struct
import time
import wave
from typing import Any

import httpx

RATE_HZ = 16_000
LABELS = ("whistle", "hiss")


class Tenant:
    """Calls one address with one key."""

    def __init__(self, address: str, key: str):
        self._client = httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def wait_until_ready(self, timeout_s: float) -> None:
        """Wait for `/readyz`."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                if self._client.get("/readyz").status_code == 200:
                    return
            except httpx.TransportError:
                pass
            assert time.monotonic() < deadline, f"not ready after {timeout_s} s"
            time.sleep(0.2)

    def adapt(self, name: str, *, audio_prompt: str, num_shots: int, epochs: int) -> str:
        """Send clips of two sounds; returns the job's id."""
        clips = [(label, sound(label, seed)) for label in LABELS for seed in range(num_shots)]
        files = [("clips", (f"{number}.wav", data, "audio/wav")) for number, (_, data) in enumerate(clips)]
        fields = {"name": name, "audio_prompt": audio_prompt, "epochs": str(epochs)}
        fields["labels"] = [label for label, _ in clips]
        answer = self._client.post("/adapt", data=fields, files=files)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        return self._client.get(f"/jobs/{job_id}").raise_for_status().json()

    def wait_for(self, job_id: str, *states: str, epoch: int = 0, timeout_s: float = 300) -> dict[str, Any]:
        """Wait until the job is in one of `states` and has come to `epoch`."""
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.job(job_id)
            if job["state"] in states and (job["progress"]["epoch"] or 0) >= epoch:
                return job
            assert job["state"] in ("queued", "running") and time.monotonic() < deadline, job
            time.sleep(0.1)

    def events(self, job_id: str) -> list[str]:
        """The kinds of lines of the job's event stream, until it ends."""
        with self._client.stream("GET", f"/jobs/{job_id}/events") as answer:
            return [line for line in answer.iter_lines() if line.startswith("data:")]

    def jobs(self) -> list[dict[str, Any]]:
        """The tenant's jobs, the newest page of them."""
        return self._client.get("/jobs").raise_for_status().json()["jobs"]

    def status(self, path: str) -> int:
        """The status that a GET of the path is answered with."""
        return self._client.get(path).status_code

    def classify(self, adapter: str, label: str, seed: int) -> dict[str, Any]:
        """One clip; raises what httpx raises."""
        files = {"audio": ("clip.wav", sound(label, seed), "audio/wav")}
        return self._client.post("/classify", data={"adapter": adapter}, files=files).raise_for_status().json()

    def classify_until_answered(self, adapter: str, label: str, seed: int) -> float:
        """Send a clip again while it is refused; returns how long the answer took, in seconds."""
        started_s = time.monotonic()
        while True:
            try:
                result = self.classify(adapter, label, seed)["results"][0]
                assert "label" in result, result
                return time.monotonic() - started_s
            except httpx.TransportError:
                wait_s = 0.2
            except httpx.HTTPStatusError as error:
                assert error.response.status_code in (429, 503), error.response.text
                wait_s = float(error.response.headers["Retry-After"])
            assert time.monotonic() - started_s < 60, "refused for a minute"
            time.sleep(wait_s)

    def set_current(self, name: str, version: int) -> None:
        """Roll back or promote."""
        self._client.put(f"/adapters/{name}/current", json={"version": version}).raise_for_status()


def sound(label: str, seed: int) -> bytes:
    """A second of a whistle or a hiss, as a WAV file; each seed is another one."""
    noise = random.Random(f"{label} {seed}")
    pitch_hz = noise.uniform(900, 2500)
    samples = [
        math.sin(2 * math.pi * pitch_hz * n / RATE_HZ) if label == "whistle" else noise.uniform(-1, 1)
        for n in range(RATE_HZ)
    ]
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE_HZ)
        wav.writeframes(struct.pack(f"<{RATE_HZ}h", *(round(12_000 * sample) for sample in samples)))
    return file.getvalue()
