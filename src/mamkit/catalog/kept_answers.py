"""Answers kept under a client's key, so that a request sent again does nothing again.

Of requests with one key, one at a time is at work; when it has answered, the others get its answer. One that never
answers, because its process died, gives its place up after a while, so that the client's next try does the work.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, Text, delete, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from mamkit.catalog._rows import add, is_duplicate
from mamkit.catalog.engine import now
from mamkit.catalog.errors import CatalogError
from mamkit.catalog.models import Base
from mamkit.catalog.types import PlainText
from mamkit.ids import uuid7

__all__ = [
    "KeptAnswer",
    "KeyReusedError",
    "RequestInProgressError",
    "claim_answer",
    "keep_answer",
    "purge_answers",
    "release_answer",
]


class KeyReusedError(CatalogError):
    """A client's key was used before, with another request."""

    code = "catalog.idempotency_key_reused"

    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used with another request; make a new one for each request")


class RequestInProgressError(CatalogError):
    """A request with the same key is at work at this moment."""

    code = "catalog.request_in_progress"
    retry_after = timedelta(seconds=1)

    def __init__(self) -> None:
        super().__init__("the same request is being answered; wait for a second and send it again")


class KeptAnswer(Base):
    """A request, and what was answered to it."""

    __tablename__ = "kept_answers"

    owner: Mapped[str] = mapped_column(PlainText(80), primary_key=True)
    """Who sent it; keys of different clients have nothing to do with each other."""
    key: Mapped[str] = mapped_column(PlainText(255), primary_key=True)
    """As the client made it up."""
    fingerprint: Mapped[str] = mapped_column(PlainText(64))
    """SHA-256 of the request, hexadecimal."""
    holder: Mapped[UUID]
    """Changes with each try, so that a late one does not overwrite the answer of the one that took its place."""
    held_until: Mapped[datetime]
    """When a try that has not answered is taken for dead."""
    status: Mapped[int | None]
    """None until there is an answer."""
    content: Mapped[str | None] = mapped_column(Text)
    """The answer, sealed by the caller: it may hold a secret."""
    expires_at: Mapped[datetime] = mapped_column(index=True)


async def claim_answer(
    session: AsyncSession, owner: str, key: str, fingerprint: str, *, hold: timedelta, keep: timedelta
) -> KeptAnswer:
    """Return the answer kept under a key, or a place for it whose `status` is None: then it is the caller's turn.

    Args:
        session: In a transaction that commits before the work begins.
        owner: Who sent the request.
        key: As the client made it up.
        fingerprint: SHA-256 of the request, hexadecimal.
        hold: After which a try without an answer is taken for dead; longer than any request takes.
        keep: How long the answer is kept.

    Raises:
        KeyReusedError: The key was used with another request.
        RequestInProgressError: Another try is at work.
    """
    moment = now(session)
    row = await session.get(KeptAnswer, (owner, key), with_for_update=True, populate_existing=True)
    if row is not None and row.expires_at <= moment:
        await session.delete(row)
        await session.flush()
        row = None
    if row is None:
        try:
            return await add(
                session,
                KeptAnswer,
                owner=owner,
                key=key,
                fingerprint=fingerprint,
                holder=uuid7(),
                held_until=moment + hold,
                expires_at=moment + keep,
            )
        except IntegrityError as error:
            if is_duplicate(error):  # its twin came first, this moment
                raise RequestInProgressError from error
            raise
    if row.fingerprint != fingerprint:
        raise KeyReusedError
    if row.status is None:
        if row.held_until > moment:
            raise RequestInProgressError
        row.holder, row.held_until = uuid7(), moment + hold
    return row


async def keep_answer(session: AsyncSession, place: KeptAnswer, *, status: int, content: str) -> bool:
    """Keep the answer of the try that holds a place; return False if another try has taken it since."""
    changing = update(KeptAnswer).where(*_held(place)).values(status=status, content=content)
    result = await session.execute(changing)
    return isinstance(result, CursorResult) and result.rowcount > 0


async def release_answer(session: AsyncSession, place: KeptAnswer) -> None:
    """Give a place up: nothing was done, and the next try with the same key does it."""
    await session.execute(delete(KeptAnswer).where(*_held(place)))


async def purge_answers(session: AsyncSession) -> int:
    """Forget the answers that have expired, and return how many."""
    moment = now(session)
    result = await session.execute(delete(KeptAnswer).where(KeptAnswer.expires_at <= moment))
    return result.rowcount if isinstance(result, CursorResult) else 0


def _held(place: KeptAnswer) -> tuple[ColumnElement[bool], ...]:
    return (
        KeptAnswer.owner == place.owner,
        KeptAnswer.key == place.key,
        KeptAnswer.holder == place.holder,
        KeptAnswer.status.is_(None),
    )
