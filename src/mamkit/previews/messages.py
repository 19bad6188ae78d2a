"""What travels between the API and its workers: the payloads of jobs, and the reports that come back.

Everything is validated on arrival; a job or a report of another version of mamkit that does not fit is refused whole,
and waits for somebody who understands it.
"""

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, TypeVar
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.previews.errors import InvalidMessageError
from mamkit.transcode import Codec, Part, PartResult, Plan

try:
    from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_serializer
except ImportError as error:
    raise MissingExtraError("previews", package="pydantic") from error

__all__ = [
    "CARD_JOB",
    "PART_JOB",
    "PLAN_JOB",
    "SHARED_JOB",
    "Ack",
    "Failed",
    "Finished",
    "PartJob",
    "PlanJob",
    "Planned",
    "Progress",
    "Report",
    "bound_codecs",
    "card_kind",
    "is_for_card",
    "parse_job",
    "parse_plan",
    "parse_report",
    "parse_result",
    "part_kind",
]

Stored = TypeVar("Stored", Plan, PartResult)

PLAN_JOB = "preview.plan"
"""Kind of the job that probes a master and plans its preview."""
PART_JOB = "preview.part"
"""Kind of the job that encodes one part of a plan, which needs no card."""
SHARED_JOB = "preview.part.shared"
"""Kind of the job that encodes pictures in H.264 which go together whether a card or a processor makes them."""
CARD_JOB = "preview.part.card"
"""What the kinds of those jobs begin with that encode pictures in codecs in which none but cards of one kind go on with
each other: behind it stand the codecs, with the marks of the encoders."""


class Message(BaseModel):
    """Base of the messages: frozen, and strict about names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PlanJob(Message):
    """Probe a master and plan its preview."""

    version_id: UUID
    master_key: str
    by_processor: bool = False
    """Whether no card is to make it."""

    @model_serializer(mode="wrap")
    def _plainly(self, handler: Callable[[object], dict[str, Any]]) -> dict[str, Any]:
        """Leave out what most do not say: versions that know of no cards understand them."""
        return {name: value for name, value in handler(self).items() if value or name != "by_processor"}


class PartJob(Message):
    """Encode one part of a preview; the plan itself lies beside the preview, see `mamkit.previews.layout`."""

    version_id: UUID
    master_key: str
    prefix: str
    """Where the preview's objects lie, ends in `/`."""
    part: Part


class _Report(Message):
    """What every report says: which preview, and by which lease the worker speaks."""

    version_id: UUID
    job_id: UUID
    fence: int
    """`Lease.fence`; a report with an older one than the queue's is refused."""


class Planned(_Report):
    """The master was probed, and this is the plan."""

    type: Literal["planned"] = "planned"
    facts: dict[str, object]
    """The probe's facts as JSON, kept with the version."""
    plan: Plan


class Progress(_Report):
    """A part is being encoded."""

    type: Literal["progress"] = "progress"
    part: int
    done: Annotated[Fraction, Field(ge=0, le=1)]


class Finished(_Report):
    """A part is encoded, and all its segments are in the store."""

    type: Literal["finished"] = "finished"
    result: PartResult


class Failed(_Report):
    """The preview cannot be made: trying again would be no use, or was none."""

    type: Literal["failed"] = "failed"
    code: str
    """Stable code of the error, e.g. `transcode.no_media`."""
    message: str


Report = Annotated[Planned | Progress | Finished | Failed, Field(discriminator="type")]
"""Any report of a worker."""

_REPORT: TypeAdapter[Planned | Progress | Finished | Failed] = TypeAdapter(Report)


_JOBS: Mapping[str, type[PlanJob | PartJob]] = {PLAN_JOB: PlanJob, PART_JOB: PartJob, SHARED_JOB: PartJob}


def part_kind(plan: Plan, part: Part) -> str:
    """Return the kind of the job that encodes a part: it says who can."""
    if part.kind != "video" or not plan.devices:
        return PART_JOB
    bound = bound_codecs(plan.devices)
    return card_kind({codec: plan.marks.get(codec, "") for codec in bound}) if bound else SHARED_JOB


def card_kind(marks: Mapping[Codec, str]) -> str:
    """Return the kind of jobs for cards whose encoders have these marks, as long as a queue's kinds may be."""
    return ".".join([CARD_JOB, *(f"{codec}-{mark}" for codec, mark in sorted(marks.items()))])


def is_for_card(kind: str) -> bool:
    """Return whether none but a card can do the jobs of a kind."""
    return kind.startswith(f"{CARD_JOB}.")


def bound_codecs(devices: Iterable[Codec]) -> frozenset[Codec]:
    """Return those of a plan's codecs that a card makes and no processor can go on with."""
    return frozenset(devices) - {"h264"}


def parse_job(kind: str, payload: Mapping[str, Any]) -> PlanJob | PartJob:
    """Return the job that a queue's payload describes.

    Raises:
        InvalidMessageError: The kind is unknown, or the payload does not fit it.
    """
    model = PartJob if is_for_card(kind) else _JOBS.get(kind)
    if model is None:
        raise InvalidMessageError(kind, 1)
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        raise InvalidMessageError(kind, error.error_count()) from error


def parse_plan(stored: bytes | Mapping[str, Any]) -> Plan:
    """Return the plan that lies beside a preview, as JSON, or in the catalog.

    Raises:
        InvalidMessageError: It is of another version of mamkit.
    """
    return _stored("plan", Plan, stored)


def parse_result(stored: Mapping[str, Any]) -> PartResult:
    """Return what encoding a part has made, as the catalog has it.

    Raises:
        InvalidMessageError: It is of another version of mamkit.
    """
    return _stored("result", PartResult, stored)


def _stored(kind: str, model: type[Stored], stored: bytes | Mapping[str, Any]) -> Stored:
    try:
        return model.model_validate_json(stored) if isinstance(stored, bytes) else model.model_validate(stored)
    except ValidationError as error:
        raise InvalidMessageError(kind, error.error_count()) from error


def parse_report(body: bytes) -> Planned | Progress | Finished | Failed:
    """Return the report that a JSON document holds.

    Raises:
        InvalidMessageError: The document is not a report.
    """
    try:
        return _REPORT.validate_json(body)
    except ValidationError as error:
        raise InvalidMessageError("report", error.error_count()) from error


class Ack(Message):
    """What the API answers to a report it has taken."""

    wanted: bool
    """False when the work is no longer wanted, e.g. because the preview has failed: the worker stops and completes."""
