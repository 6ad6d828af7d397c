"""A client of earshot, the few-shot ear: `Client` waits, `AsyncClient` is awaited."""

from earshot_client.adapters import Adapter, KeptClip, Version
from earshot_client.async_client import AsyncClient
from earshot_client.classification import Classified
from earshot_client.client import Client
from earshot_client.clips import Recording
from earshot_client.errors import EarshotError, JobFailed, Unreachable
from earshot_client.fault import Fault
from earshot_client.heard import Heard, Score, Window
from earshot_client.info import Info
from earshot_client.jobs import Job, JobEvent, Progress
from earshot_client.report import Evaluation, Report, Suspect
from earshot_client.version import VERSION as __version__

__all__ = [
    "Adapter", "AsyncClient", "Classified", "Client", "EarshotError", "Evaluation", "Fault", "Heard", "Info", "Job",
    "JobEvent", "JobFailed", "KeptClip", "Progress", "Recording", "Report", "Score", "Suspect", "Unreachable",
    "Version", "Window", "__version__",
]  # fmt: skip
