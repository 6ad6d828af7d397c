import json
import re
from pathlib import Path

import pytest
import yaml

from service.metrics import Metrics

MONITORING = Path(__file__).parents[2] / "deploy/monitoring"
PANELS = json.loads((MONITORING / "grafana/dashboards/earshot.json").read_text())["panels"]
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]]
SUBJECTS = [
    "earshot_requests_total",
    "earshot_decode_seconds",
    "earshot_queue_seconds",
    "earshot_batch_seconds",
    "earshot_batch_windows",
    "earshot_queue_windows",
    "earshot_cached_adapters",
    "earshot_jobs",
]


def labels_of_metrics() -> dict[str, set[str]]:
    """The name of each sample that the service may serve -> its labels."""
    metrics = Metrics()
    suffixes = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}
    names = {}
    for collector in set(metrics.registry._names_to_collectors.values()):
        for family in collector.describe():
            for suffix in suffixes.get(family.type, [""]):
                names[family.name + suffix] = {*collector._labelnames, *(["le"] if suffix == "_bucket" else [])}
    return names


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_dashboard_asks_for_metrics_and_labels_that_the_service_has(expression):
    known = labels_of_metrics()
    asked = re.findall(r"\bearshot_\w+", expression)
    assert asked
    assert set(asked) <= set(known)
    for labels in re.findall(r"by \((.*?)\)", expression):
        assert set(labels.split(", ")) <= known[asked[0]] | {"instance"}


def test_the_metrics_of_the_dashboard_are_in_what_the_service_serves():
    served = set(re.findall(r"^# TYPE (\S+)", Metrics().render().decode(), re.M))
    for name in (name for expression in EXPRESSIONS for name in re.findall(r"\bearshot_\w+", expression)):
        assert {name, re.sub(r"_(bucket|sum|count)$", "", name)} & served, name


@pytest.mark.parametrize("subject", SUBJECTS)
def test_the_dashboard_shows(subject):
    assert any(subject in expression for expression in EXPRESSIONS)


def test_grafana_finds_prometheus_and_the_dashboard():
    source = yaml.safe_load((MONITORING / "grafana/provisioning/datasources/prometheus.yaml").read_text())
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["datasources"][0]["uid"]}
    compose = yaml.safe_load((MONITORING.parents[1] / "docker-compose.yml").read_text())["services"]
    assert any(volume.startswith("./deploy/monitoring/grafana/dashboards:") for volume in compose["grafana"]["volumes"])
    jobs = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    assert jobs[0]["dns_sd_configs"][0]["names"] == ["api"]
