"""Whose request it is: the tenant that its API key names."""

from starlette.datastructures import Headers

from service.http.problems import ServiceError
from service.keys import LOCAL_TENANT, KeyFile


class Authentication:
    """Asks for keys; where it is open, and until the first key is made, everybody is the local tenant."""

    def __init__(self, keys: KeyFile, *, is_open: bool):
        self._keys = keys
        self._is_open = is_open

    def is_open(self) -> bool:
        """Whether no key is asked for; once one was, that is over, also where all keys are revoked."""
        self._is_open = self._is_open and not self._keys.exists()
        return self._is_open

    def tenant(self, headers: Headers) -> str:
        """The tenant of a request; raises `ServiceError` where its key is missing or not known, and KeysUnreadable."""
        if self.is_open() and not self._keys.has_keys():
            return LOCAL_TENANT
        scheme, _, key = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            key = headers.get("x-api-key", "")
        tenant = self._keys.tenant_of(key.strip())
        if tenant is None:
            what = "This API key is not known." if key else "This call needs an API key."
            raise ServiceError("unauthenticated", f"{what} Send Authorization: Bearer KEY, or X-API-Key: KEY.")
        return tenant
