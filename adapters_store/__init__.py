"""Adapters at rest: bytes and manifests of every tenant, in a local directory or under any fsspec URL."""

from adapters_store.errors import (
    AdapterCorrupt,
    AdapterNotFound,
    NameInvalid,
    StoreError,
    StoreFull,
    StoreUnavailable,
    VersionNotFound,
)
from adapters_store.location import open_store
from adapters_store.names import Ref, check_name, check_tenant, parse_reference
from adapters_store.store import AdapterStore

__all__ = [
    "AdapterCorrupt",
    "AdapterNotFound",
    "AdapterStore",
    "NameInvalid",
    "Ref",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "VersionNotFound",
    "check_name",
    "check_tenant",
    "open_store",
    "parse_reference",
]
