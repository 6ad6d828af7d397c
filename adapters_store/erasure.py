"""All that a tenant has in the store, found and removed."""

from collections import Counter

from adapters_store.files import Files
from adapters_store.names import POINTER, tenant_directory

BATCH_FILES = 500


def erase_tenant(files: Files, tenant: str) -> Counter[str]:
    """Remove every file of the tenant, the pointers first: from then on nothing is found by its name.

    Returns how many files of each adapter went.
    """
    directory = tenant_directory(tenant)
    paths = sorted(files.tree(directory), key=lambda path: not path.endswith(f"/{POINTER}"))
    for start in range(0, len(paths), BATCH_FILES):
        files.remove_many([f"{directory}/{path}" for path in paths[start : start + BATCH_FILES]])
    files.prune(directory)
    return Counter(path.partition("/")[0] for path in paths)
