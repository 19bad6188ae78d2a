"""The workflow that makes the parts a video platform: stage → promote → plan → encode parts → publish.

The one package of the library that uses the others. `Ingest` and `Publisher` belong into an API process,
`PreviewWorker` into any number of worker processes; between them lie a queue, a store, and reports as plain messages.
"""

from mamkit.previews.builder import PreviewWorker, Reporter
from mamkit.previews.card import Card, CardBusyError
from mamkit.previews.errors import (
    ApiUnavailableError,
    InvalidMessageError,
    PartsDisagreeError,
    PreviewError,
    ReportNotTakenError,
    StagedUploadMissingError,
    StaleReportError,
)
from mamkit.previews.ingest import Ingest, PresignedUpload
from mamkit.previews.janitor import Orphan, find_orphans, remove_orphan
from mamkit.previews.messages import Ack, Failed, Finished, PartJob, PlanJob, Planned, Progress, Report, parse_report
from mamkit.previews.policy import PlanPolicy
from mamkit.previews.publisher import Publisher
from mamkit.previews.room import NoRoomError, Room, memory_of
from mamkit.previews.state import PreviewState
from mamkit.previews.trash import Trash

__all__ = [
    "Ack",
    "ApiUnavailableError",
    "Card",
    "CardBusyError",
    "Failed",
    "Finished",
    "Ingest",
    "InvalidMessageError",
    "NoRoomError",
    "Orphan",
    "PartJob",
    "PartsDisagreeError",
    "PlanJob",
    "PlanPolicy",
    "Planned",
    "PresignedUpload",
    "PreviewError",
    "PreviewState",
    "PreviewWorker",
    "Progress",
    "Publisher",
    "Report",
    "ReportNotTakenError",
    "Reporter",
    "Room",
    "StagedUploadMissingError",
    "StaleReportError",
    "Trash",
    "find_orphans",
    "memory_of",
    "parse_report",
    "remove_orphan",
]
