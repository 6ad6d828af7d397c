from pathlib import Path

import pytest
import yaml

from jobs.settings import WorkerSettings
from service.metrics import Metrics

MANIFESTS = Path(__file__).parents[2] / "deploy/k8s"


def document(name: str) -> dict:
    return yaml.safe_load((MANIFESTS / name).read_text())


def test_the_manifests_are_valid():
    lint_manifests = pytest.importorskip("deploy.lint_manifests", reason="kubernetes-validate is not installed")
    faults = {}
    for path in MANIFESTS.glob("*.yaml"):
        if path.name != "kustomization.yaml":
            for one in yaml.safe_load_all(path.read_text()):
                faults[f"{path.name} {one['kind']}"] = lint_manifests.fault_of(one)
    assert len(faults) >= 10
    assert {name: fault for name, fault in faults.items() if fault} == {}


def test_a_misspelt_field_is_a_fault():
    lint_manifests = pytest.importorskip("deploy.lint_manifests", reason="kubernetes-validate is not installed")
    for name, key in (("worker-scaled-object.yaml", "maxReplicas"), ("api-deployment.yaml", "replica")):
        wrong = document(name)
        wrong["spec"][key] = 3
        assert lint_manifests.fault_of(wrong)


def test_every_manifest_is_applied():
    listed = document("kustomization.yaml")["resources"]
    assert sorted(listed) == sorted(path.name for path in MANIFESTS.glob("*.yaml") if path.name != "kustomization.yaml")


def test_the_workers_scale_on_a_metric_that_the_service_has():
    trigger = document("worker-scaled-object.yaml")["spec"]["triggers"][0]
    assert trigger["metadata"]["valueLocation"] in {family.name for family in Metrics().registry.collect()}


@pytest.mark.parametrize("name", ["api-deployment.yaml", "worker-deployment.yaml"])
def test_pods_are_confined_and_have_time_to_step_down(name):
    pod = document(name)["spec"]["template"]["spec"]
    assert not pod["enableServiceLinks"]
    assert not pod["automountServiceAccountToken"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["terminationGracePeriodSeconds"] > 2 * WorkerSettings.model_fields["shutdown_grace_s"].default
    for container in pod["containers"]:
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["capabilities"]["drop"] == ["ALL"]
        threads = next(entry["value"] for entry in container["env"] if entry["name"] == "OMP_NUM_THREADS")
        assert threads == container["resources"]["requests"]["cpu"]
        assert {"startupProbe", "livenessProbe"} <= set(container)


def test_an_api_pod_is_gone_from_its_service_before_it_stops():
    pod = document("api-deployment.yaml")["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    delay_s = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    drain_s = next(int(entry["value"]) for entry in container["env"] if entry["name"] == "EARSHOT_DRAIN_S")
    assert pod["terminationGracePeriodSeconds"] >= delay_s + drain_s + 10


def test_a_machine_can_be_drained():
    assert document("api-disruption-budget.yaml")["spec"]["maxUnavailable"] == 1
    assert document("api-deployment.yaml")["spec"]["replicas"] > 1


def test_api_and_workers_share_the_uploads_wherever_they_run():
    assert document("uploads.yaml")["spec"]["accessModes"] == ["ReadWriteMany"]
    claim = {"claimName": document("uploads.yaml")["metadata"]["name"]}
    for name in ("api-deployment.yaml", "worker-deployment.yaml"):
        volumes = document(name)["spec"]["template"]["spec"]["volumes"]
        assert claim in [volume.get("persistentVolumeClaim") for volume in volumes]
