"""Print `.env.example`: every setting of the stack, with its default. `python -m deploy.env_example > .env.example`"""

from typing import Any

from jobs.settings import Settings
from service.settings import ServiceSettings
from worker.settings import WorkerSettings

HEAD = """\
# Settings of docker-compose.yml. Copy to .env; what is commented out shows its default.

# Redis asks for it; letters and digits only, for it becomes part of a URL: openssl rand -hex 24
REDIS_PASSWORD=

# Where the API listens on this machine. Anything but loopback belongs behind a proxy that speaks TLS.
#EARSHOT_PUBLISH=127.0.0.1:8000

# PyTorch's index of CPU wheels (its installation page names it) makes the image several gigabytes smaller; the GPU
# variant takes its index from TORCH_GPU_INDEX_URL.
#TORCH_INDEX_URL=
#TORCH_GPU_INDEX_URL=

# Memory limits of one container each.
#API_MEMORY=3g
#WORKER_MEMORY=3g

# `--profile monitoring`: the password of Grafana's user admin, without which it does not start, and where it listens.
#GRAFANA_PASSWORD=
#GRAFANA_PUBLISH=127.0.0.1:3000

# Images, where others than the default ones shall run.
#EARSHOT_IMAGE=earshot:0.3.0
#EARSHOT_GPU_IMAGE=earshot:0.3.0-gpu
#REDIS_IMAGE=redis:7.2-bookworm
#PROMETHEUS_IMAGE=prom/prometheus:v3.5.0
#GRAFANA_IMAGE=grafana/grafana:12.2.0

# For EARSHOT_STORE_URL=s3://bucket/prefix
#AWS_ACCESS_KEY_ID=
#AWS_SECRET_ACCESS_KEY=
#AWS_ENDPOINT_URL=
#AWS_DEFAULT_REGION=
"""
SECTIONS: list[tuple[str, type[Settings], type[Any] | None]] = [
    ("The API and the worker", Settings, None),
    ("The API", ServiceSettings, Settings),
    ("The worker", WorkerSettings, Settings),
]
SET_BY_COMPOSE = {"data_dir", "redis_url", "keys_path", "host", "port", "drain_s"}


def main() -> None:
    """Write the file to standard output."""
    print(HEAD, end="")
    for title, settings, base in SECTIONS:
        print(f"\n# {title}")
        for name, field in settings.model_fields.items():
            if name in SET_BY_COMPOSE or (base and name in base.model_fields):
                continue
            default = "" if field.default in (None, ()) else field.default
            print(f"# {field.description}\n#EARSHOT_{name.upper()}={default}")


if __name__ == "__main__":
    main()
