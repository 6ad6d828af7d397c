"""Check `deploy/k8s` against the schemas of Kubernetes and of KEDA. `python -m deploy.lint_manifests`"""

import sys
from pathlib import Path

import kubernetes_validate
import yaml
from cloudcoil.models.keda import v1alpha1 as keda
from pydantic import ValidationError

MANIFESTS = Path(__file__).parent / "k8s"


def main() -> int:
    """Print one line for each document; return 1 where one is invalid."""
    has_failed = False
    for path in sorted(MANIFESTS.glob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        for document in yaml.safe_load_all(path.read_text()):
            fault = fault_of(document)
            has_failed |= fault is not None
            print(f"{path.name}: {document['kind']} {document['metadata']['name']}: {fault or 'ok'}")
    return int(has_failed)


def fault_of(document: dict) -> str | None:
    """What the schema has against the document, `None` where nothing."""
    try:
        if document["apiVersion"].startswith("keda.sh/"):
            model = getattr(keda, document["kind"])
            parsed = model.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
            # The model passes over fields that it does not know.
            return None if parsed == document else f"has fields that KEDA does not know: {parsed} != {document}"
        kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)
    except (ValidationError, kubernetes_validate.ValidationError) as error:
        return str(error)
    return None


if __name__ == "__main__":
    sys.exit(main())
