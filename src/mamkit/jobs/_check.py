"""What every backend lets in: the bounds of a job's fields, and payloads that come back as they were put in."""

import json
import re
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from mamkit.jobs.errors import InvalidJobError
from mamkit.jobs.models import NewJob

__all__ = [
    "LEASE_RAN_OUT",
    "check_claim",
    "check_duration",
    "check_job",
    "check_kinds",
    "check_limit",
    "check_name",
    "check_progress",
    "check_replicas",
    "check_watch",
    "clip_reason",
    "encode_payload",
]

MAX_NAME = 200  # characters of a kind or a worker's name
MAX_DEDUPE_KEY = 500  # characters; both bounds keep an index entry well under PostgreSQL's 2704 bytes
MAX_PAYLOAD = 256 * 1024  # bytes of JSON; what is larger belongs into an object store, and its key into the job
MAX_REASON = 2000  # characters; the end is what a traceback says last, so that the beginning is cut
MAX_DURATION = timedelta(days=3660)  # ten years: any sum with the present still is a datetime
MAX_INTEGER = 2**31 - 1  # PostgreSQL's integer
TRACEPARENT = re.compile("[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")  # W3C Trace Context, section 3.2.2
MAX_WATCHED = 1000  # jobs of one subscription, which are looked up by their ids

LEASE_RAN_OUT = "the lease of the last attempt ran out"


def check_job(job: NewJob) -> str:
    """Return the payload of a job as JSON text, once all its fields are in bounds.

    Raises:
        InvalidJobError: A field is of a wrong type or out of bounds, or the payload is not JSON.
    """
    check_name("kind", job.kind)
    if job.dedupe_key is not None:
        check_name("dedupe_key", job.dedupe_key, longest=MAX_DEDUPE_KEY)
    _check_integer("priority", job.priority, smallest=-MAX_INTEGER)
    _check_integer("max_attempts", job.max_attempts, smallest=1)
    check_duration("delay", job.delay)
    _check_traceparent(job.traceparent)
    return encode_payload(job.payload)


def encode_payload(payload: Mapping[str, Any]) -> str:
    """Return a payload as JSON text in ASCII.

    Raises:
        InvalidJobError: It is no mapping, would not come back from JSON equal to itself (tuples, keys that are not
            strings, NaN), or takes more than `MAX_PAYLOAD` bytes.
    """
    if not isinstance(payload, Mapping):
        raise InvalidJobError("payload", f"must be a mapping, not {type(payload).__name__}")
    plain = dict(payload)
    try:
        text = json.dumps(plain, allow_nan=False, separators=(",", ":"))
        unchanged = json.loads(text) == plain
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidJobError("payload", f"is not JSON ({type(error).__name__})") from error
    if not unchanged:
        raise InvalidJobError("payload", "would not come back from JSON as it is; use strings as keys, and lists")
    if len(text) > MAX_PAYLOAD:
        raise InvalidJobError("payload", f"takes {len(text)} bytes as JSON; at most {MAX_PAYLOAD} are allowed")
    return text


def check_name(field: str, value: object, *, longest: int = MAX_NAME) -> None:
    """Refuse what is not 1 to `longest` characters that every database can store.

    Raises:
        InvalidJobError: As said.
    """
    if not isinstance(value, str) or not 0 < len(value) <= longest:
        raise InvalidJobError(field, f"must be a string of 1 to {longest} characters")
    if value != _storable(value):
        raise InvalidJobError(field, "must not hold NUL or a lone surrogate")


def check_duration(field: str, value: object, *, positive: bool = False) -> None:
    """Refuse what is not a `timedelta` from 0 (with `positive`: from 1 µs) to ten years.

    Raises:
        InvalidJobError: As said.
    """
    smallest = timedelta(microseconds=1) if positive else timedelta(0)
    if not isinstance(value, timedelta) or not smallest <= value <= MAX_DURATION:
        raise InvalidJobError(
            field, f"must be a timedelta of {'more than' if positive else 'at least'} 0, in ten years"
        )


def check_kinds(kinds: object) -> None:
    """Refuse a lone string, which is a sequence of strings too.

    Raises:
        InvalidJobError: As said.
    """
    if isinstance(kinds, str):
        raise InvalidJobError("kinds", "must be a sequence of kinds, not one string")


def check_claim(worker: object, limit: object, *, kinds: object, lease: object, before: object) -> None:
    """Refuse what nothing can be claimed with.

    Raises:
        InvalidJobError: As for `CanBatch.claim_many`.
    """
    check_name("worker", worker)
    check_limit(limit)
    check_kinds(kinds)
    check_duration("lease", lease, positive=True)
    if before is not None:
        _check_integer("before", before, smallest=-MAX_INTEGER)


def check_limit(value: object) -> None:
    """Refuse a page of no or of more than a thousand jobs.

    Raises:
        InvalidJobError: As said.
    """
    _check_integer("limit", value, smallest=1, largest=1000)


def check_progress(value: object) -> None:
    """Refuse what is no number from 0 to 1.

    Raises:
        InvalidJobError: As said.
    """
    if not isinstance(value, int | float) or not 0 <= value <= 1:  # NaN compares as false
        raise InvalidJobError("progress", "must be a number from 0 to 1")


def check_replicas(value: object) -> None:
    """Refuse what is no number of replicas to wait for.

    Raises:
        InvalidJobError: As said.
    """
    _check_integer("replicas", value, smallest=0, largest=100)


def check_watch(jobs: Collection[UUID] | None, since: datetime | None) -> None:
    """Refuse a subscription that cannot be kept.

    Raises:
        InvalidJobError: There are too many jobs, or `since` stands beside `jobs` or has no time zone.
    """
    if jobs is not None and len(jobs) > MAX_WATCHED:
        raise InvalidJobError("jobs", f"must be at most {MAX_WATCHED} to be watched one by one")
    if since is not None and jobs is not None:
        raise InvalidJobError("since", "is for all jobs; how named ones stand is told in any case")
    if since is not None and since.tzinfo is None:
        raise InvalidJobError("since", "must have a time zone")


def clip_reason(reason: str) -> str:
    """Return the end of a reason, storable in every database; it is often somebody else's output and never refused."""
    return _storable(reason[-MAX_REASON:])


def _check_integer(field: str, value: object, *, smallest: int, largest: int = MAX_INTEGER) -> None:
    if not isinstance(value, int) or not smallest <= value <= largest:
        raise InvalidJobError(field, f"must be an integer from {smallest} to {largest}")


def _check_traceparent(value: object) -> None:
    if value is not None and not (isinstance(value, str) and TRACEPARENT.fullmatch(value)):
        raise InvalidJobError("traceparent", "must be written as W3C Trace Context does")


def _storable(text: str) -> str:
    """Return text with NUL (which PostgreSQL refuses) and lone surrogates (which UTF-8 has no form for) replaced."""
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
