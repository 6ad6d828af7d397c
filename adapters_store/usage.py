"""What a tenant has stored, counted from the files that are there: nothing to drift, whatever crashed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from adapters_store.files import Files
from adapters_store.names import MANIFEST, NAME, tenant_directory


@dataclass(frozen=True)
class Usage:
    """Attributes:
    stored_bytes: of all files of the tenant; a clip counts once an adapter, however many versions name it.
    versions: how many versions each adapter has.
    """

    stored_bytes: int = 0
    versions: Mapping[str, int] = field(default_factory=dict)

    @property
    def num_adapters(self) -> int:
        return len(self.versions)


def count_usage(files: Files, tenant: str) -> Usage:
    """Count the tenant's files; on an object store a request for every thousand of them."""
    stored_bytes, versions = 0, dict[str, int]()
    for path, entry in files.tree(tenant_directory(tenant)).items():
        stored_bytes += entry.size_bytes
        name, _, rest = path.partition("/")
        if NAME.fullmatch(name) and rest.startswith("versions/") and rest.endswith(MANIFEST):
            versions[name] = versions.get(name, 0) + 1
    return Usage(stored_bytes, versions)
