"""What a queue raises."""

from collections.abc import Sequence
from uuid import UUID

from mamkit.errors import MamkitError

__all__ = [
    "DedupeKeyTakenError",
    "InvalidJobError",
    "InvalidPayloadError",
    "JobNotFoundError",
    "LeaseLostError",
    "QueueError",
    "QueueUnavailableError",
    "UnsupportedDatabaseError",
    "UnsupportedServerError",
]

MAX_TOLD = 10  # problems in a message


class QueueError(MamkitError):
    """Base of what `mamkit.jobs` raises."""

    code = "jobs.error"


class LeaseLostError(QueueError):
    """The holder of a lease may change nothing more: the job was claimed by another worker, cancelled or finished.

    Attributes:
        job_id: The job.
        fence: The fence that was shown.
    """

    code = "jobs.lease_lost"

    def __init__(self, job_id: UUID, fence: int) -> None:
        super().__init__(f"lease {fence} of job {job_id} is no longer the newest of a running job; stop working on it")
        self.job_id = job_id
        self.fence = fence


class JobNotFoundError(QueueError, LookupError):
    """No job has this id, or none in a state that the operation is for.

    Attributes:
        job_id: The id that was asked for.
    """

    code = "jobs.not_found"

    def __init__(self, job_id: UUID, wanted: str = "job") -> None:
        super().__init__(f"there is no {wanted} with the id {job_id}")
        self.job_id = job_id


class InvalidJobError(QueueError, ValueError):
    """A job, or an argument of a queue's method, cannot be taken as it is.

    Attributes:
        field: Name of the field or argument.
    """

    code = "jobs.invalid"

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


class InvalidPayloadError(QueueError, ValueError):
    """The payload of a job does not fit the model of its kind.

    Attributes:
        kind: Of the job.
        problems: Where each problem is, and what kind of problem, e.g. `name: missing`; never the value.
    """

    code = "jobs.invalid_payload"

    def __init__(self, kind: str, problems: Sequence[str]) -> None:
        super().__init__(f"the payload of a job of the kind {kind!r} does not fit: {'; '.join(problems[:MAX_TOLD])}")
        self.kind = kind
        self.problems = tuple(problems)


class DedupeKeyTakenError(QueueError):
    """A job cannot wait again, because another one with its dedupe key waits or runs.

    Attributes:
        job_id: The job that was to be requeued.
    """

    code = "jobs.dedupe_key_taken"

    def __init__(self, job_id: UUID) -> None:
        super().__init__(f"job {job_id} cannot wait again while another job with its dedupe key waits or runs")
        self.job_id = job_id


class QueueUnavailableError(QueueError):
    """The queue's database or server did not answer, or stayed locked for too long; what was asked may be asked again.

    When the connection broke in the middle of a commit, the change may have been made all the same.
    """

    code = "jobs.unavailable"


class UnsupportedDatabaseError(QueueError):
    """The engine's database cannot keep a queue.

    Attributes:
        dialect: SQLAlchemy's name of the database.
    """

    code = "jobs.unsupported_database"

    def __init__(self, dialect: str) -> None:
        super().__init__(f"a queue needs PostgreSQL, or SQLite 3.35 or later, and not {dialect!r}")
        self.dialect = dialect


class UnsupportedServerError(QueueError):
    """The Redis server cannot keep a queue: it is too old, or may throw away what it holds.

    Attributes:
        version: What the server says it is.
    """

    code = "jobs.unsupported_server"

    def __init__(self, version: str, problem: str) -> None:
        super().__init__(f"the Redis server ({version}) cannot keep a queue: {problem}")
        self.version = version
