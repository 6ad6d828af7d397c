"""`POST /classify` with an archive: a folder of files to a job, whose results are fetched when it has succeeded."""

from adapters_store import Ref
from aspl.report import LeftOut
from aspl.templates import check_template
from jobs import kinds
from jobs.findings import Findings
from service.context import Context
from service.http.forms import ClassifyForm, bounded_labels, parsed_thresholds, split_labels
from service.http.problems import ServiceError
from service.http.submission import Submission
from service.inference.classification import check_thresholds
from service.inference.tenant_threads import Check

DEFAULT_TOP_K = 5  # a thousand files of a thousand labels would be a file of a gigabyte


class Batch(Submission):
    """One such request behind its form."""

    kind = kinds.CLASSIFY

    def __init__(self, context: Context, tenant: str, form: ClassifyForm, key: str | None):
        settings = context.settings
        labels = bounded_labels(split_labels(form.labels), settings)
        thresholds = parsed_thresholds(form.thresholds, settings)
        request = {
            "adapter": None,
            "labels": labels,
            "template": check_template(form.template, max_chars=settings.max_template_chars),
            "thresholds": check_thresholds(labels, form.threshold, thresholds) if labels else thresholds,
            "top_k": form.top_k or DEFAULT_TOP_K,
        }
        super().__init__(context, tenant, "", key, request=request)
        self._form = form

    def stage(self, upload_id: str) -> None:
        """Resolve the version, from here on for good, and put the files into the upload."""
        if self._form.adapter is not None:
            ref = self.context.resolved(self.tenant, self._form.adapter)
            self.name, self.request["adapter"] = ref.name, str(ref)
            self.request["thresholds"] = self._thresholds(ref)
        self.uploads.add_files(upload_id, self._form.archive.file)

    def check(self, upload_id: str, still_wanted: Check) -> Findings:
        """Refuse an archive without audio; its files are decoded by the job, each of which may fail alone."""
        files = self.uploads.clips(upload_id)
        left_out = [LeftOut(file.shown_name, None, file.error) for file in files if file.error is not None]
        if len(left_out) == len(files):
            raise ServiceError("archive_invalid", "The archive holds no audio.")
        return Findings.of(left_out, [])

    def _thresholds(self, ref: Ref) -> dict[str, float]:
        labels = tuple(self.context.store.manifest(ref).get("labels") or ())
        return check_thresholds(labels, self._form.threshold, self.request["thresholds"])
