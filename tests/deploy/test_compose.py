import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from deploy.check.compose_file import read_services
from jobs.settings import WorkerSettings
from service.settings import ServiceSettings

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
GPU = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())


def test_the_example_names_every_setting_with_its_default():
    printed = subprocess.run([sys.executable, "-m", "deploy.env_example"], cwd=ROOT, capture_output=True, text=True)
    assert (ROOT / ".env.example").read_text() == printed.stdout, "run `python -m deploy.env_example > .env.example`"


def test_every_setting_that_compose_and_the_image_give_is_one():
    known = {f"EARSHOT_{name.upper()}" for name in ServiceSettings.model_fields | WorkerSettings.model_fields}
    given = set(COMPOSE["services"]["api"]["environment"]) | set(GPU["services"]["api"]["environment"])
    dockerfile = (ROOT / "Dockerfile").read_text()
    given |= {word.partition("=")[0] for word in dockerfile.split() if word.startswith("EARSHOT_")}
    assert {name for name in given if name.startswith("EARSHOT_")} <= known


@pytest.mark.parametrize("files", [["docker-compose.yml"], ["docker-compose.gpu.yml"]])
def test_compose_files_are_valid(files):
    command = [str(Path(sys.executable).with_name("check-jsonschema")), "--builtin-schema", "vendor.compose-spec"]
    assert subprocess.run([*command, *files], cwd=ROOT).returncode == 0


def test_the_example_names_every_variable_of_the_compose_files():
    texts = [(ROOT / name).read_text() for name in ("docker-compose.yml", "docker-compose.gpu.yml")]
    asked = {name for text in texts for name in re.findall(r"(?<!\$)\$\{(\w+)", text)}
    named = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert asked <= named


def test_redis_is_private_and_nothing_is_published_beyond_this_machine_by_default():
    services = COMPOSE["services"]
    assert services["redis"]["networks"] == ["backend"]
    assert COMPOSE["networks"]["backend"]["internal"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert set(published) == {"api", "grafana"}
    assert all(":-127.0.0.1:" in port for ports in published.values() for port in ports)


def test_nobody_but_grafana_reaches_prometheus_from_outside_and_grafana_has_no_default_password():
    prometheus, grafana = COMPOSE["services"]["prometheus"], COMPOSE["services"]["grafana"]
    assert "ports" not in prometheus
    assert grafana["networks"] == ["monitoring"]
    script = grafana["entrypoint"][-1].replace("$$", "$").replace("/run.sh", "echo started")
    for password, started in (("", False), ("secret", True)):
        environment = {"GF_SECURITY_ADMIN_PASSWORD": password, "PATH": os.environ["PATH"]}
        result = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True)
        assert (result.stdout == "started\n") == started
        assert (result.returncode == 0) == started
    assert grafana["environment"]["GF_SECURITY_ADMIN_PASSWORD"] == "${GRAFANA_PASSWORD:-}"


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_the_monitoring_is_confined(name):
    service = COMPOSE["services"][name]
    assert service["profiles"] == ["monitoring"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert "mem_limit" in service


@pytest.mark.parametrize("name", ["redis", "api", "worker"])
def test_services_are_confined(name):
    service = COMPOSE["services"][name]
    assert service["read_only"]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["restart"] == "unless-stopped"
    assert "mem_limit" in service
    assert "healthcheck" in service


def test_a_worker_has_more_time_to_stop_than_a_job_needs_to_step_down():
    services = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": "x"})
    assert services["worker"].stop_grace_s > 2 * WorkerSettings.model_fields["shutdown_grace_s"].default


def test_an_api_has_more_time_to_stop_than_answers_under_way_get():
    api = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": "x"})["api"]
    assert api.stop_grace_s >= int(api.environment["EARSHOT_DRAIN_S"]) + 10


def test_the_gpu_variant_reserves_a_gpu_for_the_full_size_model_and_the_default_is_the_bundled_one_on_the_cpu():
    for name in ("api", "worker"):
        service = GPU["services"][name]
        device = service["deploy"]["resources"]["reservations"]["devices"][0]
        assert device == {"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}
        assert service["environment"]["EARSHOT_MODEL"] == "${EARSHOT_MODEL:-laion/clap-htsat-unfused}"
        assert "EARSHOT_MODEL" not in COMPOSE["services"][name]["environment"]
        assert "deploy" not in COMPOSE["services"][name]
    assert WorkerSettings.model_fields["model"].default == "models/tiny-clap"


def test_workers_do_not_see_the_keys():
    services = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": "x"})
    assert "keys" in services["api"].volumes
    assert "keys" not in services["worker"].volumes


def test_variables_are_filled_in_as_compose_does():
    services = read_services(ROOT / "docker-compose.yml", {"REDIS_PASSWORD": "secret", "EARSHOT_STORE_URL": "s3://b/p"})
    assert services["api"].environment["EARSHOT_REDIS_URL"] == "redis://:secret@redis:6379/0"
    assert services["api"].environment["EARSHOT_STORE_URL"] == "s3://b/p"
    assert services["worker"].environment["EARSHOT_DATA_DIR"] == "/data"
    assert '"$REDIS_PASSWORD"' in services["redis"].command[-1]
    with pytest.raises(ValueError, match="REDIS_PASSWORD"):
        read_services(ROOT / "docker-compose.yml", {})
