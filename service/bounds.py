"""How much of each resource the settings give to all tenants, to one of them and to one request."""

from collections.abc import Mapping

from jobs.limits import MIB
from service.inference.account import Bound, Limit, Resource
from service.settings import ServiceSettings

WINDOW_S = 10.0
NUM_LARGEST_BODIES = 8
MAX_BODY_MEMORY = 64 * MIB  # what is beyond goes to the disk, and is refused to nobody


def bounds(settings: ServiceSettings) -> Mapping[Resource, Bound]:
    """The bounds of a service with these settings."""
    largest_body = max(settings.max_upload_bytes, settings.max_request_bytes)
    max_body_bytes = settings.max_body_bytes or NUM_LARGEST_BODIES * largest_body
    return {
        Resource.BODY_BYTES: _shared(settings, "max_body_bytes", max_body_bytes, at_least=largest_body),
        Resource.BODY_MEMORY: _shared(settings, "max_body_bytes", MAX_BODY_MEMORY),
        Resource.WINDOWS: _windows(settings, 1),
        Resource.SECONDS: _windows(settings, WINDOW_S),  # no clip that can be used lasts longer for its windows
        Resource.TEXT_PASSES: _shared(settings, "max_text_passes", settings.max_text_passes),
        Resource.STREAMS: _shared(settings, "max_streams", settings.max_streams),
    }


def _shared(settings: ServiceSettings, name: str, most: float, *, at_least: float = 1) -> Bound:
    share = Limit(min(most, max(settings.tenant_share * most, at_least)), ("tenant_share", settings.tenant_share))
    return Bound(all=Limit(most, (name, most)), tenant=share)


def _windows(settings: ServiceSettings, amount: float) -> Bound:
    limits = [
        Limit(amount * getattr(settings, name), (name, getattr(settings, name)))
        for name in ("max_held_windows", "max_tenant_held_windows", "max_request_windows")
    ]
    return Bound(*limits)
