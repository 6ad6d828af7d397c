import json
import re
from pathlib import Path

from service.metrics import Metrics

DASHBOARD = Path(__file__).parents[2] / "deploy/monitoring/grafana/dashboards/earshot.json"


def test_the_dashboard_asks_for_metrics_that_the_service_has():
    known = {sample.name for family in Metrics().registry.collect() for sample in family.samples}
    known |= {family.name + suffix for family in Metrics().registry.collect() for suffix in ("", "_total", "_bucket")}
    panels = json.loads(DASHBOARD.read_text())["panels"]
    asked = {name for panel in panels for target in panel["targets"] for name in names(target["expr"])}
    assert asked <= known
    assert len(panels) >= 12


def names(expression: str) -> list[str]:
    return re.findall(r"\bearshot_\w+", expression)
