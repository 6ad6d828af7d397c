"""What can go wrong in the store, each with a code that callers may rely on and a sentence for a person."""


class StoreError(Exception):
    """Base of every error that `adapters_store` raises on purpose; `code` is stable across releases."""

    code = "store_error"


class NameInvalid(StoreError):
    """A tenant, an adapter name or a `name@version` that is not spelled as it must be."""

    code = "adapter_name_invalid"


class AdapterNotFound(StoreError):
    """The tenant has no adapter of that name."""

    code = "adapter_not_found"


class VersionNotFound(AdapterNotFound):
    """The adapter is there, but not that version of it."""


class AdapterCorrupt(StoreError):
    """What is stored is not what was published: digest, manifest or pointer is broken."""

    code = "adapter_corrupt"


class StoreUnavailable(StoreError):
    """The store cannot be reached, read or written; the same call may succeed later."""

    code = "store_unavailable"


class StoreFull(StoreError):
    """No space is left for another version."""

    code = "store_full"


class ClipNotFound(StoreError):
    """The adapter was not taught with that clip, or its audio is not there any more."""

    code = "clip_not_found"


class ClipsGone(StoreError):
    """What a version was to go on from was deleted while it was made."""

    code = "base_gone"


def no_adapter(name: str) -> AdapterNotFound:
    """What says that there is no adapter of that name."""
    return AdapterNotFound(f"There is no adapter {name!r}.")


def no_version(name: str, version: int) -> VersionNotFound:
    """What says that there is no such version of an adapter."""
    return VersionNotFound(f"There is no version {version} of adapter {name!r}.")
