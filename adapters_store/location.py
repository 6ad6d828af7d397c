"""From a path or URL to the store that lies there."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from adapters_store.errors import StoreUnavailable
from adapters_store.local_files import LocalFiles
from adapters_store.store import AdapterStore


def open_store(url: str | Path) -> AdapterStore:
    """Open the adapter store at `url`, making it where it is a directory that is not there yet.

    Args:
        url: a local path, `file:///path`, `memory://name`, `s3://bucket/prefix`, or any other URL that fsspec knows
            (its package must be installed). Credentials and endpoint come from the environment, as `AWS_ACCESS_KEY_ID`,
            `AWS_SECRET_ACCESS_KEY` and `AWS_ENDPOINT_URL`, never from the URL.

    Raises:
        StoreUnavailable: nothing can be opened there.
    """
    if isinstance(url, Path) or "://" not in url:
        return AdapterStore(LocalFiles(Path(url)))
    if url.startswith("file://"):
        return AdapterStore(LocalFiles(Path(unquote(urlsplit(url).path))))
    try:
        from adapters_store.object_files import ObjectFiles

        return AdapterStore(ObjectFiles(url))
    except (ImportError, ValueError) as error:
        raise StoreUnavailable(f"The adapter store {url} cannot be opened: {error}.") from error
