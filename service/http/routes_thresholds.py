"""`PUT /adapters/{name}/thresholds`: a version that differs in nothing but from where on an answer is known."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse

from adapters_store import Taught
from aspl import Adapter
from aspl.known import SENSITIVITIES
from aspl.measure import at_thresholds
from jobs.manifest import adapter_manifest
from service.context import Context
from service.http.dependencies import ServiceContext, Tenant
from service.http.forms import checked_thresholds
from service.http.problems import ServiceError, responses
from service.http.routes_adapters import STORE_ERRORS, summary
from service.http.schemas import AdapterSummary, Thresholds
from service.inference.errors import ThresholdsInvalid

ERRORS = responses(
    "bad_request", "adapter_not_found", "adapter_model_mismatch", "thresholds_unsupported", "thresholds_invalid",
    "labels_invalid", "adapter_invalid", "store_full", "quota_exceeded", *STORE_ERRORS,
)  # fmt: skip
SENSITIVITY = "sensitivity"

router = APIRouter(tags=["adapters"])


@router.put("/adapters/{name}/thresholds", response_model=AdapterSummary, responses=ERRORS)
def set_thresholds(name: str, wanted: Thresholds, tenant: Tenant, context: ServiceContext) -> JSONResponse:
    """Set from which known score on an answer is known, by label, or by how sensitive the adapter is to be.

    The result is a version of the current one or of `name@3` that differs in nothing else but what its report says of
    them; it takes over at once.
    """
    ref = context.store.resolve(tenant, name)
    adapter = Adapter.from_bytes(context.store.read(ref), context.pipeline.clap)
    changed = _changed(adapter, wanted.root, context)
    data = changed.to_bytes()
    description = context.store.manifest(ref).get("description") or ""
    manifest = adapter_manifest(Adapter.read_header(data), description=description)
    reason = f"its thresholds were set; in all else it is version {ref.version}"
    manifest |= {"promoted": {"current": True, "reason": reason}}
    context.jobs.quota.check(context.store, tenant, ref.name, new_bytes=len(data))
    taught = Taught.as_before(context.store.clips(ref))
    published = context.store.publish(tenant, ref.name, data, manifest, taught=taught)
    context.jobs.quota.note(tenant, ref.name, new_bytes=len(data))
    return JSONResponse(summary(context.store, published))


def _changed(adapter: Adapter, wanted: Mapping[str, Any], context: Context) -> Adapter:
    by_label = {label: value for label, value in wanted.items() if label != SENSITIVITY or not isinstance(value, str)}
    if len(by_label) < len(wanted):
        if by_label:
            raise ServiceError("thresholds_invalid", "Give either a sensitivity or thresholds by label.")
        return _at_sensitivity(adapter, wanted[SENSITIVITY])
    by_label = checked_thresholds(by_label, context.settings)
    if not by_label:
        raise ServiceError("thresholds_invalid", 'Send thresholds by label, as {"rain": 0.7}, or a sensitivity.')
    if unheard := [label for label in by_label if label not in adapter.labels]:
        raise ThresholdsInvalid(unheard, adapter.labels)
    if adapter.known is None:
        return replace(adapter, threshold=_common(adapter, by_label))
    return _at(adapter, {**dict(zip(adapter.labels, adapter.known.thresholds, strict=True)), **by_label})


def _at_sensitivity(adapter: Adapter, sensitivity: str) -> Adapter:
    if sensitivity not in SENSITIVITIES:
        raise ServiceError("thresholds_invalid", f"sensitivity: must be one of {', '.join(SENSITIVITIES)}.")
    if adapter.known is None:
        raise _unsupported("so has no sensitivities: teach it again with the same clips")
    return _at(adapter, dict(zip(adapter.labels, adapter.known.sensitivities[sensitivity], strict=True)))


def _at(adapter: Adapter, thresholds: Mapping[str, float]) -> Adapter:
    """The adapter with these thresholds, in the order of its labels; its report tells what is known of them."""
    known = replace(adapter.known, thresholds=tuple(thresholds.values()))
    return replace(adapter, known=known, report=at_thresholds(adapter.report, thresholds))


def _common(adapter: Adapter, by_label: Mapping[str, float]) -> float:
    """The one threshold that an adapter without a rule of its own can have."""
    values = set(by_label.values())
    if len(values) > 1 or by_label.keys() != set(adapter.labels):
        raise _unsupported(
            "so has one threshold for all labels: give every label the same number, "
            "or teach it again with the same clips"
        )
    return values.pop()


def _unsupported(what: str) -> ServiceError:
    return ServiceError("thresholds_unsupported", f"The adapter knows no background, {what}.")
