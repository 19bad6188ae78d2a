"""What a store does with what it keeps, beyond reading and writing, one Protocol a capability.

The obligations of `mamkit.storage.protocols` hold here too.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from mamkit.storage.models import ExpiryRule, OriginRule, UnfinishedUpload

__all__ = ["AnswersOrigins", "EncryptsObjects", "ExpiresObjects", "RemovesUnfinished", "RetainsObjects"]


@runtime_checkable
class RetainsObjects(Protocol):
    """A store that keeps objects against everybody until a time, whoever asks for their deletion."""

    def retain(self, key: str, *, until: datetime) -> None:
        """Refuse to replace or delete the object before `until`; a retention is only ever prolonged.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
            UnsupportedOperationError: The place where the objects are was not made for it.
        """

    def retained_until(self, key: str) -> datetime | None:
        """Return until when the object is retained; None if it is not.

        Raises:
            ObjectNotFoundError: Nothing is stored under the key.
        """


@runtime_checkable
class ExpiresObjects(Protocol):
    """A store that removes by itself what is old enough; when it gets to it, is the store's to say."""

    def expiry_rules(self) -> tuple[ExpiryRule, ...]:
        """Return the rules that are in force, as far as an `ExpiryRule` can say them.

        Raises:
            UnsupportedOperationError: The server behind the store knows no such rules.
        """

    def set_expiry_rule(self, rule: ExpiryRule) -> None:
        """Add a rule, in place of the one of its name; others stay.

        Raises:
            UnsupportedOperationError: The server behind the store knows no such rules.
        """


@runtime_checkable
class EncryptsObjects(Protocol):
    """A store that keeps objects encrypted with a key of its own, which readers notice nothing of."""

    def encryption(self) -> str | None:
        """Return the algorithm that new objects are encrypted with by default (`AES256`, …); None for none.

        Raises:
            UnsupportedOperationError: The server behind the store encrypts nothing.
        """

    def set_encryption(self, algorithm: str) -> None:
        """Encrypt new objects by default; those that are there stay as they are.

        Raises:
            UnsupportedOperationError: The server behind the store does not know the algorithm.
        """


@runtime_checkable
class AnswersOrigins(Protocol):
    """A store that pages of other web sites can ask with signed requests (CORS)."""

    def origin_rules(self) -> tuple[OriginRule, ...]:
        """Return the rules that are in force.

        Raises:
            UnsupportedOperationError: The server behind the store knows no such rules.
        """

    def set_origin_rules(self, rules: Sequence[OriginRule]) -> None:
        """Put these rules in place of all others.

        Raises:
            UnsupportedOperationError: The server behind the store knows no such rules.
        """


@runtime_checkable
class RemovesUnfinished(Protocol):
    """A store in which a process that was killed leaves bytes that show under no key and that nobody will finish.

    Nobody can tell them from an upload that is under way but by their age: of this store, of another program in the
    same place, or of somebody with a signed request.
    """

    def unfinished(self, *, older_than: timedelta) -> Iterator[UnfinishedUpload]:
        """Yield what has begun longer ago than that; nothing is changed.

        Raises:
            StorageUnavailableError: The store failed, or refuses access.
        """

    def remove_unfinished(self, *, older_than: timedelta) -> tuple[UnfinishedUpload, ...]:
        """Remove what has begun longer ago than that, and return what it was.

        Args:
            older_than: Age; longer than any upload takes.

        Raises:
            StorageUnavailableError: The store failed, or refuses access.
        """
