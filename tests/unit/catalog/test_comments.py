"""Comments: threads, times, drawings and what is refused; on both databases."""

import math
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa

from mamkit import catalog as db
from mamkit.catalog import AssetQuery, Catalog, CommentNotFoundError, InvalidCommentError, InvalidPageError, User
from mamkit.catalog.comments import MAX_COMMENT, MAX_DRAWING
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

FILM, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture
async def ada(any_catalog: Catalog) -> User:
    async with any_catalog.begin() as session:
        ada = await db.create_user(session, email="ada@example.org", display_name="Ada")
        for asset_id in (FILM, OTHER):
            await db.create_asset(session, id=asset_id, user_id=ada.id, title="x", staging_key=f"uploads/{asset_id}")
    return ada


async def test_a_thread_lives_and_dies_together(any_catalog: Catalog, ada: User, clock: Clock) -> None:
    async with any_catalog.begin() as session:
        first = await db.add_comment(
            session, asset_id=FILM, user_id=ada.id, content="dark", start=1.5, stop=2.5, drawing={"shapes": [[0.5, 1]]}
        )
        answer = await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="no", parent_id=first.id)
        alone = await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="as a whole")
    async with any_catalog.read() as session:
        found = await db.comments_of(session, FILM)
        assert {(comment.id, author) for comment, author in found} == {(c.id, "Ada") for c in (first, answer, alone)}
        [read] = [comment for comment, _ in found if comment.id == first.id]
        assert (read.timestamp_sec, read.end_sec, read.drawing) == (1.5, 2.5, {"shapes": [[0.5, 1]]})
    clock.advance(timedelta(minutes=1))
    async with any_catalog.begin() as session:
        resolved = await db.resolve_comment(session, first.id, by=ada.id)
        moment = resolved.resolved_at
        clock.advance(timedelta(minutes=1))
        assert (
            (await db.resolve_comment(session, first.id, by=uuid4())).resolved_at
            == moment
            == clock() - timedelta(minutes=1)
        )
        assert (await db.resolve_comment(session, first.id, by=None)).resolved_by is None
        edited = await db.edit_comment(session, alone.id, content="all of it")
        assert (edited.content, edited.edited_at) == ("all of it", clock())
        await db.delete_comment(session, first.id)
    async with any_catalog.read() as session:
        assert [comment.content for comment, _ in await db.comments_of(session, FILM)] == ["all of it"]
        for gone in (first.id, answer.id):
            with pytest.raises(CommentNotFoundError):
                await db.comment_by_id(session, gone)


async def test_what_is_no_comment_is_refused(any_catalog: Catalog, ada: User) -> None:
    deep: dict[str, Any] = {}
    for _ in range(100_000):
        deep = {"a": deep}
    async with any_catalog.begin() as session:
        first = await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="x")
        answer = await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="x", parent_id=first.id)
        refused: list[dict[str, Any]] = [
            {"content": ""},
            {"content": "  "},
            {"content": "x" * (MAX_COMMENT + 1)},
            {"start": -1.0},
            {"start": math.nan},
            {"start": math.inf},
            {"start": 1e10},
            {"stop": 1.0},
            {"start": 2.0, "stop": 2.0},
            {"start": 2.0, "stop": 1.0},
            {"start": 2.0, "stop": math.inf},
            {"start": 2.0, "parent_id": first.id},
            {"parent_id": answer.id},
            {"drawing": {"a": "x" * MAX_DRAWING}},
            {"drawing": {"a": math.nan}},
            {"drawing": {"a": object()}},
            {"drawing": deep},
        ]
        for number, change in enumerate(refused):
            with pytest.raises(InvalidCommentError):
                await db.add_comment(session, **{"asset_id": FILM, "user_id": ada.id, "content": str(number), **change})
        for parent in (uuid4(), first.id):
            with pytest.raises(CommentNotFoundError):
                await db.add_comment(session, asset_id=OTHER, user_id=ada.id, content="x", parent_id=parent)
        with pytest.raises(InvalidCommentError):
            await db.resolve_comment(session, answer.id, by=ada.id)
        with pytest.raises(db.InvalidTextError):
            await db.edit_comment(session, answer.id, content="\0")


async def test_pages_follow_each_other(any_catalog: Catalog, ada: User) -> None:
    async with any_catalog.begin() as session:
        ids = [(await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="x")).id for _ in range(5)]
    async with any_catalog.read() as session:
        seen: list[UUID] = []
        while page := await db.comments_of(session, FILM, after=seen[-1] if seen else None, limit=2):
            seen += [comment.id for comment, _ in page]
        assert seen == sorted(ids)
        with pytest.raises(InvalidPageError):
            await db.comments_of(session, FILM, limit=0)


async def test_an_asset_is_found_by_what_is_said_of_it_now(any_catalog: Catalog, ada: User) -> None:
    async def found(text: str) -> int:
        async with any_catalog.read() as session:
            return len((await db.find_assets(session, AssetQuery(workspace_id=ada.id, text=text))).assets)

    async with any_catalog.begin() as session:
        comment = await db.add_comment(session, asset_id=FILM, user_id=ada.id, content="Nebel")
    assert await found("nebel") == 1
    async with any_catalog.begin() as session:
        await db.edit_comment(session, comment.id, content="Sonne")
    assert (await found("nebel"), await found("sonne")) == (0, 1)
    async with any_catalog.begin() as session:
        await db.delete_comment(session, comment.id)
    assert await found("sonne") == 0
    async with any_catalog.read() as session:
        assert await session.scalar(sa.text("SELECT count(*) FROM comments")) == 0
