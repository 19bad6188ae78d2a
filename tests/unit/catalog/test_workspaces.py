"""Workspaces: who works where, and that nobody sees what lies elsewhere, on both databases."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncSession

from mamkit import catalog as db
from mamkit.catalog import (
    Asset,
    AssetNotFoundError,
    Catalog,
    LastOwnerError,
    PersonalWorkspaceError,
    Scope,
    User,
    UserNotFoundError,
    Workspace,
    WorkspaceInUseError,
    WorkspaceNotFoundError,
    sync_engine,
)
from mamkit.catalog.collection_items import put_asset
from mamkit.catalog.collections import create_collection
from mamkit.catalog.event_models import Event, WebhookDelivery, WebhookEndpoint
from mamkit.catalog.imports import add_import
from mamkit.catalog.models import Base
from mamkit.catalog.scope import SCOPED, SETTINGS
from mamkit.catalog.share_links import add_share_link, record_use
from tests.unit.catalog.manual_clock import Clock

pytestmark = pytest.mark.anyio

NOT_OF_A_WORKSPACE = {
    "api_keys": "a user's",
    "asset_texts": "found through assets alone; a policy would keep PostgreSQL from using its index",
    "audit_events": "outlive everything, and are read by permission",
    "email_verifications": "a user's",
    "event_counter": "the installation's",
    "identities": "a user's",
    "incidents": "found through the notifications of those who are told",
    "kept_answers": "of who asked",
    "leftovers": "the installation's",
    "login_attempts": "of no user yet",
    "login_flows": "of no user yet",
    "notification_settings": "a user's",
    "notifications": "a user's",
    "passkeys": "a user's",
    "recovery_codes": "a user's",
    "roles": "the installation's",
    "second_factors": "a user's",
    "sessions": "a user's",
    "shares": "decide themselves who sees an asset",
    "usage": "counts; kept by whoever changes something, read by permission",
    "user_roles": "a user's",
    "users": "the installation's",
}


@dataclass(frozen=True)
class Two:
    """Two people, a shared workspace of the first, and an asset with a version and a comment in it."""

    ada: User
    eve: User
    studio: Workspace
    asset: Asset

    @property
    def scope(self) -> Scope:
        return Scope(actor_id=self.ada.id, workspaces=frozenset({self.ada.id, self.studio.id}))

    @property
    def foreign(self) -> Scope:
        return Scope(actor_id=self.eve.id, workspaces=frozenset({self.eve.id}))


@pytest.fixture
async def two(any_catalog: Catalog) -> Two:
    async with any_catalog.begin() as session:
        ada, eve = [await db.create_user(session, email=f"{name}@example.org") for name in ("ada", "eve")]
        studio = await db.create_workspace(session, name="Studio", owner_id=ada.id)
        asset = await db.create_asset(
            session, user_id=ada.id, workspace_id=studio.id, title="Rushes", staging_key="uploads/rushes.mov"
        )
        session.add(db.AssetTag(asset_id=asset.id, tag="rushes"))
        version = await db.add_version(
            session, asset_id=asset.id, master_key="masters/1", preview_prefix="previews/1/", size=1, sha256="0" * 64
        )
        preview = await db.create_preview(session, version.id)
        await db.start_building(session, preview, plan={"plan": 1}, parts=[(0, "video")])
        session.add(db.Comment(asset_id=asset.id, user_id=ada.id, content="?"))
        endpoint = WebhookEndpoint(workspace_id=studio.id, url="https://example.com", kinds=[], secret="sealed")
        session.add(endpoint)
        await session.flush()
        session.add(WebhookDelivery(endpoint_id=endpoint.id, workspace_id=studio.id, kind="webhook.test", body="{}"))
        collection = await create_collection(session, workspace_id=studio.id, user_id=ada.id, name="Picks")
        await put_asset(session, collection.id, asset.id)
        link = await add_share_link(
            session, id=uuid4(), digest="0" * 64, workspace_id=studio.id, user_id=ada.id, asset_id=asset.id
        )
        await record_use(session, link.id, action="looked", address="192.0.2.1")
        await add_import(
            session, user_id=ada.id, workspace_id=studio.id, kind="url", source="example.com", title="Rushes",
            filename="rushes.mov", origin="0" * 64,
        )  # fmt: skip
    return Two(ada, eve, studio, asset)


def test_every_table_is_of_workspaces_or_says_why_not() -> None:
    scoped = {model.__tablename__ for model in SCOPED}
    assert scoped.isdisjoint(NOT_OF_A_WORKSPACE)
    assert scoped | NOT_OF_A_WORKSPACE.keys() == Base.metadata.tables.keys()


async def test_a_scope_shows_what_is_in_its_workspaces_and_nothing_else(any_catalog: Catalog, two: Two) -> None:
    """By every table, whatever the query asks for, columns alone and counts included."""
    for scope, seen in ((two.scope, True), (two.foreign, False), (None, True)):
        async with any_catalog.read(scope) as session:
            for model in SCOPED:
                query = sa.select(model)
                if model in {Workspace, db.Membership}:
                    query = query.filter_by(**{"id" if model is Workspace else "workspace_id": two.studio.id})
                elif model is Event:
                    query = query.filter_by(kind="version.created")
                assert len((await session.scalars(query)).all()) == seen, model
                assert bool(await session.scalar(sa.select(sa.func.count()).select_from(query.subquery()))) == seen
    async with any_catalog.read(two.foreign) as session:
        with pytest.raises(AssetNotFoundError):
            await db.asset_by_id(session, two.asset.id)
        assert await session.scalar(sa.select(sa.func.max(Asset.title))) is None
        assert await db.versions_of(session, two.asset.id) == []


async def test_a_foreign_row_can_neither_be_changed_nor_deleted(any_catalog: Catalog, two: Two) -> None:
    for statement in (sa.update(Asset).values(title="mine"), sa.delete(db.Comment), sa.delete(db.PreviewPart)):
        async with any_catalog.begin(two.foreign) as session:
            result = await session.execute(statement)
            assert result.rowcount == 0  # type: ignore[attr-defined]
    async with any_catalog.begin(two.scope) as session:
        result = await session.execute(sa.update(Asset).values(title="ours"))
        assert result.rowcount == 1  # type: ignore[attr-defined]


async def test_a_share_shows_one_asset_until_it_ends(any_catalog: Catalog, two: Two, clock: Clock) -> None:
    async with any_catalog.begin() as session:
        await db.share_asset(
            session, two.asset.id, two.eve.id, actions=["asset.read"], expires_at=clock() + timedelta(hours=1)
        )

    async def seen() -> list[UUID]:
        async with any_catalog.read(two.foreign) as session:
            assert len(await db.versions_of(session, two.asset.id)) == len(await db.page_assets(session))
            return [asset.id for asset in await db.page_assets(session)]

    assert await seen() == [two.asset.id]
    clock.advance(timedelta(hours=1))
    assert await seen() == []


async def test_a_scope_of_single_assets_shows_these(any_catalog: Catalog, two: Two) -> None:
    async with any_catalog.read(Scope(assets=frozenset({two.asset.id}))) as session:
        assert (await db.asset_by_id(session, two.asset.id)).title == "Rushes"
        assert await session.scalar(sa.select(Workspace)) is None
    async with any_catalog.read(Scope()) as session:
        assert await db.page_assets(session) == []


async def test_everybody_has_a_personal_workspace_which_stays_and_has_no_other_members(
    any_catalog: Catalog, two: Two
) -> None:
    async with any_catalog.begin() as session:
        assert [(workspace.kind, role) for workspace, role in await db.workspaces_of(session, two.eve.id)] == [
            ("personal", "owner")
        ]
        asset = await db.create_asset(session, user_id=two.eve.id, title="x", staging_key="uploads/x")
        assert asset.workspace_id == two.eve.id
        for attempt in (
            db.set_member(session, two.eve.id, two.ada.id, "viewer"),
            db.remove_member(session, two.eve.id, two.eve.id),
            db.delete_workspace(session, two.eve.id),
        ):
            with pytest.raises(PersonalWorkspaceError):
                await attempt


async def test_members_come_change_and_go(any_catalog: Catalog, two: Two) -> None:
    studio = two.studio.id
    async with any_catalog.begin() as session:
        await db.set_member(session, studio, two.eve.id, "viewer")
        await db.set_member(session, studio, two.eve.id, "editor")
        assert {user.id: role for user, role in await db.members_of(session, studio)} == {
            two.ada.id: "owner",
            two.eve.id: "editor",
        }
        assert await db.memberships_of(session, two.eve.id) == {two.eve.id: "owner", studio: "editor"}
        await db.remove_member(session, studio, two.eve.id)
        await db.remove_member(session, studio, two.eve.id)
        assert studio not in await db.memberships_of(session, two.eve.id)
        with pytest.raises(UserNotFoundError):
            await db.set_member(session, studio, uuid4(), "viewer")
        with pytest.raises(WorkspaceNotFoundError):
            await db.set_member(session, uuid4(), two.eve.id, "viewer")


async def test_a_shared_workspace_keeps_an_owner_even_when_both_leave_at_once(any_catalog: Catalog, two: Two) -> None:
    studio = two.studio.id
    async with any_catalog.begin() as session:
        for leaving in (
            db.set_member(session, studio, two.ada.id, "viewer"),
            db.remove_member(session, studio, two.ada.id),
        ):
            with pytest.raises(LastOwnerError):
                await leaving
        await db.set_member(session, studio, two.eve.id, "owner")

    async def leave(user: User) -> bool:
        try:
            async with any_catalog.begin() as session:
                await db.remove_member(session, studio, user.id)
        except LastOwnerError:
            return False
        return True

    assert sorted(await asyncio.gather(leave(two.ada), leave(two.eve))) == [False, True]


async def test_a_workspace_is_deleted_only_when_it_is_empty(any_catalog: Catalog, two: Two) -> None:
    async with any_catalog.begin() as session:
        with pytest.raises(WorkspaceInUseError):
            await db.delete_workspace(session, two.studio.id)
        empty = await db.create_workspace(session, name="Empty", owner_id=two.ada.id)
        assert (await db.rename_workspace(session, empty.id, "Void")).name == "Void"
        await db.delete_workspace(session, empty.id)
        with pytest.raises(WorkspaceNotFoundError):
            await db.workspace_by_id(session, empty.id)
        with pytest.raises(UserNotFoundError):
            await db.create_workspace(session, name="Nobody's", owner_id=uuid4())


@pytest.mark.parametrize("any_url", ["postgresql"], indirect=True)
class TestPolicies:
    """What PostgreSQL itself shows, to statements that go past the ORM."""

    @staticmethod
    async def counts(session: AsyncSession) -> dict[str, int]:
        return {
            model.__tablename__: await session.scalar(sa.text(f"SELECT count(*) FROM {model.__tablename__}")) or 0  # noqa: S608
            for model in SCOPED
        }

    async def test_raw_statements_see_the_scope_alone(self, any_catalog: Catalog, two: Two) -> None:
        async with any_catalog.read(two.foreign) as session:
            own = {"workspaces": 1, "memberships": 1}
            assert await self.counts(session) == {
                model.__tablename__: own.get(model.__tablename__, 0) for model in SCOPED
            }
        for scope in (two.scope, None):
            async with any_catalog.read(scope) as session:
                assert all((await self.counts(session)).values())

    async def test_a_scope_ends_with_its_transaction(self, any_catalog: Catalog, two: Two) -> None:
        """The next user of a connection gets nothing of it."""
        async with any_catalog.begin(two.foreign):
            pass
        async with any_catalog.begin() as session:
            assert await session.scalar(sa.text("SELECT count(*) FROM assets")) == 1

    async def test_nothing_foreign_can_be_added(self, any_catalog: Catalog, two: Two) -> None:
        with pytest.raises(sa.exc.ProgrammingError, match="row-level security"):
            async with any_catalog.begin(two.foreign) as session:
                await db.create_asset(
                    session, user_id=two.eve.id, workspace_id=two.studio.id, title="x", staging_key="uploads/x"
                )

    async def test_a_connection_that_names_no_scope_sees_nothing(self, any_url: str, two: Two) -> None:
        engine = sync_engine(any_url)
        with engine.connect() as connection:
            assert connection.scalar(sa.text("SELECT count(*) FROM assets")) == 1
            for name in SETTINGS:
                connection.execute(sa.select(sa.func.set_config(name, "", False)))
            assert connection.scalar(sa.text("SELECT count(*) FROM assets")) == 0
        engine.dispose()

    async def test_every_scoped_table_has_its_policy(self, any_catalog: Catalog) -> None:
        async with any_catalog.read() as session:
            query = (
                "SELECT relname FROM pg_policy JOIN pg_class ON pg_class.oid = polrelid"
                " WHERE relrowsecurity AND relforcerowsecurity"
            )
            assert set(await session.scalars(sa.text(query))) == {model.__tablename__ for model in SCOPED}
