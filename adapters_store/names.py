"""How tenants, adapters and versions are spelled, and where in the store each lies.

Only what passes here becomes part of a path, so no path leaves a tenant's own directory.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from adapters_store.errors import NameInvalid

TENANT = re.compile(r"[A-Za-z0-9_-]{1,64}")
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
VERSION = re.compile(r"[1-9][0-9]{0,8}")

DIGEST = re.compile(r"[0-9a-f]{64}")

POINTER = "current"
CLAIM, LIST, DATA, MANIFEST = ".claim", ".clips", ".safetensors", ".json"
"""The suffixes of a version's files."""


@dataclass(frozen=True)
class Ref:
    """One version of one tenant's adapter: all that a request needs to remember.

    `version` counts from 1; `digest` is the SHA-256 of the file, in lower-case hex. A `Ref` cannot be made with
    a name that is not path-safe: it raises `NameInvalid`.
    """

    tenant: str
    name: str
    version: int
    digest: str

    def __post_init__(self) -> None:
        check_tenant(self.tenant)
        check_name(self.name)
        check_version(self.version)
        if not (isinstance(self.digest, str) and DIGEST.fullmatch(self.digest)):
            raise NameInvalid("A digest is 64 lower-case hexadecimal digits.")

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


def check_tenant(tenant: str) -> str:
    """Return `tenant` as it is, or raise `NameInvalid`."""
    if not (isinstance(tenant, str) and TENANT.fullmatch(tenant)):
        raise NameInvalid(f"Tenant {_quoted(tenant)} is not 1 to 64 letters, digits, '-' or '_'.")
    return tenant


def check_name(name: str) -> str:
    """Return the adapter `name` as it is, or raise `NameInvalid`."""
    if not (isinstance(name, str) and NAME.fullmatch(name)):
        raise NameInvalid(
            f"Adapter name {_quoted(name)} is not 1 to 64 lower-case letters, digits, '-' or '_', "
            "with a letter or a digit first."
        )
    return name


def check_version(version: int) -> int:
    """Return `version` as it is, or raise `NameInvalid`."""
    if not (type(version) is int and VERSION.fullmatch(str(version))):
        raise NameInvalid(f"Version {_quoted(version)} is not a whole number from 1 to 999999999.")
    return version


def parse_reference(reference: str) -> tuple[str, int | None]:
    """Split `name` or `name@3` into the name and the version, `None` where a bare name means the current one."""
    name, at, version = reference.partition("@") if isinstance(reference, str) else (reference, "", "")
    check_name(name)
    if not at:
        return name, None
    if not VERSION.fullmatch(version):
        raise NameInvalid(f"Adapter {_quoted(reference)} is not spelled as 'name' or 'name@3'.")
    return name, int(version)


def tenant_directory(tenant: str) -> str:
    """The tenant's directory, relative to the store.

    Capitals are spelled `=a`, so that `Acme` and `acme` stay two tenants on a file system that ignores case.
    """
    return re.sub("[A-Z]", lambda capital: "=" + capital[0].lower(), check_tenant(tenant))


TENANT_DIRECTORY = re.compile(r"(?:[a-z0-9_-]|=[a-z]){1,128}")


def tenant_of(directory: str) -> str:
    """The tenant whose directory it is."""
    return re.sub("=([a-z])", lambda capital: capital[1].upper(), directory)


def adapter_directory(tenant: str, name: str) -> str:
    """The directory with the adapter's `current` pointer and its `versions`."""
    return f"{tenant_directory(tenant)}/{check_name(name)}"


def pointer_path(tenant: str, name: str) -> str:
    """The path of the adapter's `current` pointer."""
    return f"{adapter_directory(tenant, name)}/{POINTER}"


def version_path(tenant: str, name: str, version: int) -> str:
    """The path of a version's files, less their suffix."""
    return f"{adapter_directory(tenant, name)}/versions/{check_version(version):06d}"


def numbers_in(children: Iterable[str], suffix: str) -> list[int]:
    """The versions that have a file with this suffix, among the children of `versions`, in ascending order."""
    stems = (child.removesuffix(suffix) for child in children if child.endswith(suffix))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def _quoted(value: object) -> str:
    return repr(value if not isinstance(value, str) or len(value) <= 80 else value[:80] + "…")
