"""Payloads that are checked on both sides of a queue: each kind of job has a pydantic model.

queue = CheckedQueue(SqlQueue(engine), {"greet": Greet})
queue.enqueue(queue.job(Greet(name="Ada"), priority=-1))
work = queue.claim("worker-1", lease=timedelta(seconds=30))
if work is not None:
    print("Hello,", work.payload.name)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

from mamkit.errors import MissingExtraError
from mamkit.jobs._check import check_kinds, encode_payload
from mamkit.jobs.errors import InvalidPayloadError, LeaseLostError
from mamkit.jobs.models import Lease, NewJob
from mamkit.jobs.protocol import Queue

try:
    from pydantic import BaseModel, ValidationError
except ImportError as error:
    raise MissingExtraError("jobs", package="pydantic") from error

__all__ = ["CheckedQueue", "Work"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A lease, and what its job is about."""

    lease: Lease
    payload: Any = field(repr=False)
    """Of the model of the job's kind."""


class CheckedQueue:
    """Lets in, and hands out, only jobs whose payload fits the model of their kind.

    Everything else that a queue can do is asked of the queue itself.

    Args:
        queue: Keeps the jobs.
        models: The model of each kind.
    """

    def __init__(self, queue: Queue, models: Mapping[str, type[BaseModel]]) -> None:
        self._queue = queue
        self._models = dict(models)

    def job(self, payload: BaseModel, **more: Any) -> NewJob:
        """Return a job of the kind that has the payload's model.

        Args:
            payload: What the job is about.
            more: Other fields of `NewJob`.

        Raises:
            InvalidPayloadError: No kind, or more than one, has this model.
        """
        kinds = [kind for kind, model in self._models.items() if model is type(payload)]
        if len(kinds) != 1:
            raise InvalidPayloadError(type(payload).__name__, ["it is the model of no kind, or of more than one"])
        return NewJob(kind=kinds[0], payload=json.loads(payload.model_dump_json()), **more)

    def enqueue(self, *jobs: NewJob) -> list[UUID]:
        """Add jobs, all or none; see `Queue.enqueue`.

        Raises:
            InvalidPayloadError: A payload does not fit the model of its kind, or there is no model for the kind.
            InvalidJobError: As for `Queue.enqueue`.
        """
        for job in jobs:
            self._read(job.kind, job.payload)
        return self._queue.enqueue(*jobs)

    def claim(
        self, worker: str, *, kinds: Sequence[str] | None = None, lease: timedelta, before: int | None = None
    ) -> Work | None:
        """Take the most urgent runnable job; see `Queue.claim`.

        A job whose payload does not fit is moved to `dead`, with the reason, and the next one is taken: whoever put it
        in passed the check by, or knew another version of the model.

        Args:
            worker: As for `Queue.claim`.
            kinds: Of those that have a model; None for all of them.
            lease: As for `Queue.claim`.
            before: As for `Queue.claim`.

        Raises:
            InvalidJobError: As for `Queue.claim`.
        """
        check_kinds(kinds)
        wanted = list(self._models) if kinds is None else [kind for kind in kinds if kind in self._models]
        while (found := self._queue.claim(worker, kinds=wanted, lease=lease, before=before)) is not None:
            try:
                return Work(lease=found, payload=self._read(found.job.kind, found.job.payload))
            except InvalidPayloadError as error:
                try:
                    self._queue.bury(found, reason=f"{error.code}: {error}")
                except LeaseLostError:
                    continue  # cancelled, or so slow that it is somebody else's
        return None

    def _read(self, kind: str, payload: Mapping[str, Any]) -> BaseModel:
        if kind not in self._models:
            raise InvalidPayloadError(kind, ["there is no model for this kind"])
        text = encode_payload(payload)
        try:
            return self._models[kind].model_validate_json(text)
        except ValidationError as error:
            raise InvalidPayloadError(kind, [_problem(each) for each in error.errors()]) from error


def _problem(found: Mapping[str, Any]) -> str:
    """Return where and what kind of problem it is, without the value, which may be a secret."""
    return f"{'.'.join(map(str, found['loc'])) or 'payload'}: {found['type']}"
