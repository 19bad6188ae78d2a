"""What can go wrong in the catalog."""

from typing import ClassVar
from uuid import UUID

from sqlalchemy.exc import DontWrapMixin

from mamkit.errors import MamkitError

__all__ = [
    "AssetConflictError",
    "AssetNotFoundError",
    "AuditImmutableError",
    "CatalogError",
    "CatalogUnavailableError",
    "DatabaseUrlError",
    "EmailTakenError",
    "IdentityTakenError",
    "InvalidEmailError",
    "InvalidPageError",
    "InvalidProgressError",
    "InvalidTextError",
    "NaiveDatetimeError",
    "NotFoundError",
    "PartNotFoundError",
    "PreviewNotFoundError",
    "PreviewStateError",
    "ReadOnlyError",
    "RoleNotFoundError",
    "SchemaError",
    "SchemaOutdatedError",
    "SchemaUnknownError",
    "UserNotFoundError",
    "VersionConflictError",
    "VersionNotFoundError",
]


class CatalogError(MamkitError):
    """Base of the errors of `mamkit.catalog`."""

    code = "catalog.error"


class DatabaseUrlError(CatalogError, ValueError):
    """The URL of the database cannot be used. It is not shown, since it may hold a password."""

    code = "catalog.invalid_url"

    def __init__(self, problem: str) -> None:
        super().__init__(f"the database URL cannot be used: {problem}; give sqlite:///PATH or postgresql://…")


class CatalogUnavailableError(CatalogError):
    """The database did not answer, stayed locked or lacks the tables; the cause is chained.

    Attributes:
        place: Its file, or host, port and name, where these are known; never a password.
    """

    code = "catalog.unavailable"

    def __init__(self, place: str | None = None) -> None:
        named = "the database" if place is None else f"the database {place}"
        super().__init__(f"{named} cannot be used; see that it runs, has room, is not locked and is migrated")
        self.place = place


class ReadOnlyError(CatalogError):
    """Something was changed inside `Catalog.read()`, where nothing is kept; use `Catalog.begin()`."""

    code = "catalog.read_only"

    def __init__(self) -> None:
        super().__init__("nothing can be changed in a session of Catalog.read(); use Catalog.begin()")


class NotFoundError(CatalogError, LookupError):
    """Base of what is not there.

    Attributes:
        kind: What was looked for.
        key: Its id, name or number.
    """

    code = "catalog.not_found"
    kind: ClassVar[str] = "record"

    def __init__(self, key: UUID | str | int) -> None:
        super().__init__(f"there is no {self.kind} {key}")
        self.key = key


class UserNotFoundError(NotFoundError):
    """There is no such user."""

    code = "catalog.user_not_found"
    kind = "user"


class RoleNotFoundError(NotFoundError):
    """There is no such role; `ensure_roles` makes those that a service knows."""

    code = "catalog.role_not_found"
    kind = "role"


class AssetNotFoundError(NotFoundError):
    """There is no such asset."""

    code = "catalog.asset_not_found"
    kind = "asset"


class VersionNotFoundError(NotFoundError):
    """There is no such version."""

    code = "catalog.version_not_found"
    kind = "version"


class PreviewNotFoundError(NotFoundError):
    """The version has no preview, or there is no such version."""

    code = "catalog.preview_not_found"
    kind = "preview of version"


class PartNotFoundError(NotFoundError):
    """The preview has no part with this index."""

    code = "catalog.part_not_found"
    kind = "part"


class EmailTakenError(CatalogError):
    """Another user has this address.

    Attributes:
        email: The address, folded.
    """

    code = "catalog.email_taken"

    def __init__(self, email: str) -> None:
        super().__init__(f"the address {email} has an account already; log in, or use another")
        self.email = email


class IdentityTakenError(CatalogError):
    """A login at another service, or a passkey, belongs to an account already.

    Attributes:
        provider: Which service.
    """

    code = "catalog.identity_taken"

    def __init__(self, provider: str) -> None:
        super().__init__(f"this login with {provider} belongs to an account already")
        self.provider = provider


class InvalidEmailError(CatalogError, ValueError):
    """A text is no e-mail address.

    Attributes:
        email: The text, at most its first 100 characters.
    """

    code = "catalog.invalid_email"

    def __init__(self, email: str) -> None:
        super().__init__(f"{email[:100]!r} is no e-mail address; it must look like name@example.org")
        self.email = email[:100]


class AssetConflictError(CatalogError):
    """Another asset has this id or staging key.

    Attributes:
        asset_id: The id that was asked for.
    """

    code = "catalog.asset_conflict"

    def __init__(self, asset_id: UUID) -> None:
        super().__init__(f"asset {asset_id} or its staging key is taken by another upload; presign a new one")
        self.asset_id = asset_id


class VersionConflictError(CatalogError):
    """Another version of the asset has this number, or another version this master key.

    Attributes:
        asset_id: The asset.
        number: The number that was asked for.
    """

    code = "catalog.version_conflict"

    def __init__(self, asset_id: UUID, number: int) -> None:
        super().__init__(f"version {number} of asset {asset_id} is taken by another master; take the next number")
        self.asset_id = asset_id
        self.number = number


class PreviewStateError(CatalogError):
    """A preview cannot go from the state that it is in to the one that was asked for.

    Attributes:
        version_id: Whose preview.
        status: The state it is in.
        wanted: The state that was asked for.
    """

    code = "catalog.preview_state"

    def __init__(self, version_id: UUID, *, status: str, wanted: str) -> None:
        super().__init__(f"the preview of version {version_id} is {status} and cannot become {wanted}")
        self.version_id = version_id
        self.status = status
        self.wanted = wanted


class InvalidProgressError(CatalogError, ValueError):
    """A progress is no number from 0 to 1.

    Attributes:
        progress: The number.
    """

    code = "catalog.invalid_progress"

    def __init__(self, progress: float) -> None:
        super().__init__(f"a progress of {progress} was reported; it must lie between 0 and 1")
        self.progress = progress


class InvalidPageError(CatalogError, ValueError):
    """A page of this size is not given.

    Attributes:
        limit: The size that was asked for.
    """

    code = "catalog.invalid_page"

    def __init__(self, limit: int, *, largest: int) -> None:
        super().__init__(f"a page of {limit} was asked for; it must hold from 1 to {largest}")
        self.limit = limit


class InvalidTextError(CatalogError, ValueError, DontWrapMixin):
    """A text cannot be stored in every database: it holds NUL or half a surrogate pair, or is too long.

    Attributes:
        problem: Which of them.
    """

    code = "catalog.invalid_text"

    def __init__(self, problem: str) -> None:
        super().__init__(f"a text cannot be stored: {problem}")
        self.problem = problem


class NaiveDatetimeError(CatalogError, ValueError, DontWrapMixin):
    """A time without a time zone was to be stored or compared."""

    code = "catalog.naive_datetime"

    def __init__(self) -> None:
        super().__init__("a datetime has no time zone; make it aware, e.g. with datetime.now(UTC)")


class AuditImmutableError(CatalogError):
    """An audit event was to be changed or deleted; they are only ever added.

    Attributes:
        event_id: Which.
    """

    code = "catalog.audit_immutable"

    def __init__(self, event_id: UUID) -> None:
        super().__init__(f"audit event {event_id} cannot be changed or deleted")
        self.event_id = event_id


class SchemaError(CatalogError):
    """Base of the ways in which a database's tables do not fit this version of mamkit."""

    code = "catalog.schema_error"


class SchemaOutdatedError(SchemaError):
    """The tables are older than the code.

    Attributes:
        current: The database's revision; None when it has no tables.
        head: The code's revision.
    """

    code = "catalog.schema_outdated"

    def __init__(self, *, current: str | None, head: str) -> None:
        there = "has no tables yet" if current is None else f"is at revision {current}"
        super().__init__(f"the database {there}, and this version needs revision {head}; run: mamkit db upgrade")
        self.current = current
        self.head = head


class SchemaUnknownError(SchemaError):
    """The tables are of a revision that the code does not know, most likely a newer one.

    Attributes:
        current: The database's revision.
    """

    code = "catalog.schema_unknown"

    def __init__(self, current: str) -> None:
        super().__init__(
            f"the database is at revision {current}, which this version does not know; install a newer one"
        )
        self.current = current
