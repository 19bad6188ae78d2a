"""What can go wrong between a worker and the API that publishes its work."""

from uuid import UUID

from mamkit.errors import MamkitError

__all__ = [
    "ApiUnavailableError",
    "InvalidMessageError",
    "PartsDisagreeError",
    "PreviewError",
    "ReportNotTakenError",
    "StagedUploadMissingError",
    "StaleReportError",
]


class PreviewError(MamkitError):
    """Base of the errors of the workflow."""

    code = "previews.error"


class InvalidMessageError(PreviewError, ValueError):
    """A job or a report is not what this version of mamkit understands; nothing of it was done.

    Attributes:
        kind: What it was to be.
        faults: How many members are missing, unknown or wrong.
    """

    code = "previews.invalid_message"

    def __init__(self, kind: str, faults: int) -> None:
        super().__init__(f"this is no {kind}: {faults} of its members are missing, unknown or wrong")
        self.kind = kind
        self.faults = faults


class PartsDisagreeError(PreviewError):
    """Parts of one preview were encoded by encoders that differ, so that they do not join.

    Attributes:
        rendition: Whose initialisation segments differ.
    """

    code = "previews.parts_disagree"

    def __init__(self, rendition: str) -> None:
        super().__init__(
            f"the parts of {rendition!r} were encoded by different versions and do not join; "
            "bring all workers to one version, then build the preview again"
        )
        self.rendition = rendition


class StaleReportError(PreviewError):
    """A report came under a lease that is no longer the newest: its sender has lost the job and changed nothing.

    Attributes:
        job_id: The job.
        fence: The fence that the report showed.
    """

    code = "previews.stale_report"

    def __init__(self, job_id: UUID, fence: int) -> None:
        super().__init__(f"the lease {fence} of job {job_id} is not the newest; the job has gone to another worker")
        self.job_id = job_id
        self.fence = fence


class ReportNotTakenError(PreviewError):
    """A report was not taken; the job is worth another try."""

    code = "previews.report_not_taken"


class ApiUnavailableError(ReportNotTakenError):
    """Nobody is there to take a report just now."""

    code = "previews.api_unavailable"


class StagedUploadMissingError(PreviewError):
    """There is nothing under the staging key: the upload did not finish, or expired after 7 days.

    Attributes:
        key: The staging key.
    """

    code = "previews.staged_upload_missing"

    def __init__(self, key: str) -> None:
        super().__init__(f"no upload lies under {key!r}; send the file to the presigned URL first, then promote")
        self.key = key
