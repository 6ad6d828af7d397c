"""Adapters at rest: bytes and manifests of every tenant, in a local directory or under any fsspec URL."""

from adapters_store.clips import KEEPS, Channel, ClipList, Taught, TaughtClip, channel_id, checked_channels
from adapters_store.errors import (
    AdapterCorrupt,
    AdapterNotFound,
    ClipNotFound,
    ClipsGone,
    NameInvalid,
    StoreError,
    StoreFull,
    StoreUnavailable,
    VersionNotFound,
)
from adapters_store.location import open_store
from adapters_store.names import Ref, check_name, check_tenant, parse_reference
from adapters_store.pages import AdapterEntry
from adapters_store.store import AdapterStore
from adapters_store.usage import Usage

__all__ = [
    "KEEPS",
    "AdapterCorrupt",
    "AdapterEntry",
    "AdapterNotFound",
    "AdapterStore",
    "Channel",
    "ClipList",
    "ClipNotFound",
    "ClipsGone",
    "NameInvalid",
    "Ref",
    "StoreError",
    "StoreFull",
    "StoreUnavailable",
    "Taught",
    "TaughtClip",
    "Usage",
    "VersionNotFound",
    "channel_id",
    "check_name",
    "check_tenant",
    "checked_channels",
    "open_store",
    "parse_reference",
]
