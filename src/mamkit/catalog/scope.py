"""What a session may see: everything, or what one person's workspaces and shares show them.

A scope is enforced twice. Every ORM statement of a scoped session that reads, changes or deletes rows of a table in
`SCOPED` gets the condition of its scope, on both databases, so that a query that forgets to ask sees nothing foreign.
On PostgreSQL the policies of the tables (migrations 0003, 0008, 0009 and 0011) say the same again, also to statements
that go past the ORM.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, Select, bindparam, exists, or_, select
from sqlalchemy.orm import ORMExecuteState, with_loader_criteria

from mamkit.catalog.collection_models import Collection, CollectionItem
from mamkit.catalog.event_models import Event, WebhookDelivery, WebhookEndpoint
from mamkit.catalog.import_models import Import
from mamkit.catalog.link_models import ShareLink, ShareUse
from mamkit.catalog.login_models import Share
from mamkit.catalog.models import Asset, AssetTag, Base, Comment, Preview, PreviewPart, Version
from mamkit.catalog.workspace_models import Membership, Workspace
from mamkit.clock import Clock

__all__ = ["EVERYTHING", "SCOPED", "SETTINGS", "Scope", "criteria", "narrow"]

SETTINGS = ("mamkit.scope", "mamkit.actor", "mamkit.workspaces", "mamkit.assets", "mamkit.now")
"""The settings of a PostgreSQL session that the policies look at."""

EVERYTHING = "all"
"""What the first of them is where the policies hide nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What a session sees."""

    actor_id: UUID | None = None
    """Whose shares count as well; None: nobody's."""
    workspaces: frozenset[UUID] = frozenset()
    """Everything in them is seen."""
    assets: frozenset[UUID] = frozenset()
    """Single assets, as by a share link."""

    def settings(self, moment: datetime) -> dict[str, str]:
        """Return what the settings of a PostgreSQL session are to be, with the shares in force at a moment."""
        actor = "" if self.actor_id is None else str(self.actor_id)
        values = ("", actor, _list(self.workspaces), _list(self.assets), moment.isoformat())
        return dict(zip(SETTINGS, values, strict=True))


@lru_cache(maxsize=512)
def criteria(scope: Scope, clock: Clock) -> tuple[Any, ...]:
    """Return the options that narrow a statement to a scope, with the shares that are in force when it is executed.

    Kept, some 20 KiB each: building them takes longer than most of the statements that they narrow.
    """
    moment: BindParameter[datetime] = bindparam("moment", callable_=clock, unique=True)
    workspaces = sorted(scope.workspaces)
    asset = _within(scope, moment, Asset.workspace_id, Asset.id)
    of_asset = partial(_of_asset, scope, moment)
    collections = select(Collection.id).where(Collection.workspace_id.in_(workspaces))
    links = select(ShareLink.id).where(ShareLink.workspace_id.in_(workspaces))
    # By their own columns, since the asset may be gone: events of one that was removed are still seen in its workspace.
    events = _within(scope, moment, Event.workspace_id, Event.asset_id)
    seen = _Seen(workspaces, asset, of_asset, partial(_of_version, of_asset), events, collections, links)
    return tuple(with_loader_criteria(model, see(seen), include_aliases=True) for model, see in SCOPED.items())


def narrow(state: ORMExecuteState) -> None:
    """Narrow a statement to the scope of its session, if it has one."""
    options = state.session.info.get("criteria")
    if options and (state.is_select or state.is_update or state.is_delete) and not state.is_column_load:
        state.statement = state.statement.options(*options)


class _Seen(NamedTuple):
    """A scope in SQL, built once for all tables: these conditions stand in every statement."""

    workspaces: list[UUID]
    asset: ColumnElement[bool]
    of_asset: Callable[[Any], ColumnElement[bool]]
    of_version: Callable[[Any], ColumnElement[bool]]
    events: ColumnElement[bool]
    collections: Select[UUID]
    links: Select[UUID]


SCOPED: Mapping[type[Base], Callable[[_Seen], ColumnElement[bool]]] = {
    Workspace: lambda seen: Workspace.id.in_(seen.workspaces),
    Membership: lambda seen: Membership.workspace_id.in_(seen.workspaces),
    Asset: lambda seen: seen.asset,
    AssetTag: lambda seen: seen.of_asset(AssetTag.asset_id),
    Version: lambda seen: seen.of_asset(Version.asset_id),
    Preview: lambda seen: seen.of_version(Preview.version_id),
    PreviewPart: lambda seen: seen.of_version(PreviewPart.version_id),
    Comment: lambda seen: seen.of_asset(Comment.asset_id),
    Event: lambda seen: seen.events,
    WebhookEndpoint: lambda seen: WebhookEndpoint.workspace_id.in_(seen.workspaces),
    WebhookDelivery: lambda seen: WebhookDelivery.workspace_id.in_(seen.workspaces),
    Import: lambda seen: Import.workspace_id.in_(seen.workspaces),
    Collection: lambda seen: Collection.workspace_id.in_(seen.workspaces),
    CollectionItem: lambda seen: CollectionItem.collection_id.in_(seen.collections),
    ShareLink: lambda seen: ShareLink.workspace_id.in_(seen.workspaces),
    ShareUse: lambda seen: ShareUse.link_id.in_(seen.links),
}
"""What a scoped session sees of each table that belongs to workspaces."""


def _of_asset(scope: Scope, moment: BindParameter[datetime], asset_id: Any) -> ColumnElement[bool]:
    """Return the condition that the asset with an id is seen.

    Asked of each row, which costs one look at an index: SQLite would make a list of all assets that are seen of `IN`,
    for whatever few rows it is held against.
    """
    assets = Asset.__table__.alias()
    seen = _within(scope, moment, assets.c.workspace_id, assets.c.id)
    return exists(assets.c.id).where(assets.c.id == asset_id, seen).correlate_except(assets)


def _of_version(of_asset: Callable[[Any], ColumnElement[bool]], version_id: Any) -> ColumnElement[bool]:
    """Return the condition that the version with an id is seen, as that of its asset."""
    versions = Version.__table__.alias()
    seen = of_asset(versions.c.asset_id)
    return exists(versions.c.id).where(versions.c.id == version_id, seen).correlate_except(versions)


def _within(scope: Scope, moment: BindParameter[datetime], workspace_id: Any, asset_id: Any) -> ColumnElement[bool]:
    """Return the condition that a row's workspace is seen, or the asset that it is about."""
    seen: ColumnElement[bool] = workspace_id.in_(sorted(scope.workspaces))
    if scope.assets:
        seen |= asset_id.in_(sorted(scope.assets))
    if scope.actor_id is not None:
        in_force = or_(Share.expires_at.is_(None), Share.expires_at > moment)
        seen |= asset_id.in_(select(Share.asset_id).where(Share.user_id == scope.actor_id, in_force))
    return seen


def _list(ids: Iterable[UUID]) -> str:
    return ",".join(str(each) for each in sorted(ids))
