"""Whose request it is: the tenant that its API key names."""

from starlette.datastructures import Headers

from service.http.problems import ServiceError
from service.keys import LOCAL_TENANT, KeyFile


class Authentication:
    """Without any key made, and on a loopback address alone, everybody is the local tenant."""

    def __init__(self, keys: KeyFile, *, is_loopback: bool):
        self._keys = keys
        self._is_loopback = is_loopback

    @property
    def needs_key(self) -> bool:
        """Whether a call that is a tenant's own needs a key."""
        return not self._is_loopback or self._keys.has_keys()

    def tenant(self, headers: Headers) -> str:
        """The tenant of a request; raises `ServiceError` where its key is missing or not known, and KeysUnreadable."""
        if not self.needs_key:
            return LOCAL_TENANT
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key", "")
        tenant = self._keys.tenant_of(key.strip()) if key else None
        if tenant is None:
            what = "This API key is not known." if key else "This call needs an API key."
            raise ServiceError("unauthenticated", f"{what} Send Authorization: Bearer KEY, or X-API-Key: KEY.")
        return tenant
