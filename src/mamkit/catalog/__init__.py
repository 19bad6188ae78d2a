"""The record of users, assets, versions and previews, in SQLite or PostgreSQL.

    upgrade("sqlite:///mamkit.db")
    catalog = Catalog("sqlite:///mamkit.db")
    async with catalog.begin() as session:
        user = await create_user(session, email="ada@example.org")
        asset = await create_asset(session, user_id=user.id, title="Rushes", staging_key="uploads/…")

Functions take the session of a transaction, so that several of them happen together or not at all. Rows stay readable
after it.
"""

from mamkit.errors import MissingExtraError

try:
    import sqlalchemy.ext.asyncio  # noqa: F401 - what every module here needs
except ImportError as error:
    raise MissingExtraError("catalog", package="sqlalchemy") from error

from mamkit.catalog.assets import (
    MAX_PAGE,
    add_version,
    asset_by_id,
    create_asset,
    latest_version,
    next_version_number,
    page_assets,
    set_facts,
    version_by_id,
    version_of_sha256,
    versions_of,
)
from mamkit.catalog.audit import events_of, record
from mamkit.catalog.engine import Catalog, sync_engine
from mamkit.catalog.errors import (
    AssetConflictError,
    AssetNotFoundError,
    AuditImmutableError,
    CatalogError,
    CatalogUnavailableError,
    DatabaseUrlError,
    EmailTakenError,
    InvalidEmailError,
    InvalidPageError,
    InvalidProgressError,
    InvalidTextError,
    NaiveDatetimeError,
    NotFoundError,
    PartNotFoundError,
    PreviewNotFoundError,
    PreviewStateError,
    ReadOnlyError,
    RoleNotFoundError,
    SchemaError,
    SchemaOutdatedError,
    SchemaUnknownError,
    UserNotFoundError,
    VersionConflictError,
    VersionNotFoundError,
)
from mamkit.catalog.migrate import check, current, downgrade, upgrade
from mamkit.catalog.models import Asset, AuditEvent, Comment, Preview, PreviewPart, Role, User, UserRole, Version
from mamkit.catalog.previews import (
    create_preview,
    part_of,
    parts_of,
    preview_of,
    progress_of,
    record_part,
    revision_of,
    set_status,
    start_building,
    unfinished_previews,
)
from mamkit.catalog.users import (
    bump_authz_version,
    count_users,
    create_user,
    ensure_roles,
    fold_email,
    grant_role,
    revoke_role,
    roles_of,
    set_password_hash,
    set_user_status,
    user_by_email,
    user_by_id,
)

__all__ = [
    "MAX_PAGE",
    "Asset",
    "AssetConflictError",
    "AssetNotFoundError",
    "AuditEvent",
    "AuditImmutableError",
    "Catalog",
    "CatalogError",
    "CatalogUnavailableError",
    "Comment",
    "DatabaseUrlError",
    "EmailTakenError",
    "InvalidEmailError",
    "InvalidPageError",
    "InvalidProgressError",
    "InvalidTextError",
    "NaiveDatetimeError",
    "NotFoundError",
    "PartNotFoundError",
    "Preview",
    "PreviewNotFoundError",
    "PreviewPart",
    "PreviewStateError",
    "ReadOnlyError",
    "Role",
    "RoleNotFoundError",
    "SchemaError",
    "SchemaOutdatedError",
    "SchemaUnknownError",
    "User",
    "UserNotFoundError",
    "UserRole",
    "Version",
    "VersionConflictError",
    "VersionNotFoundError",
    "add_version",
    "asset_by_id",
    "bump_authz_version",
    "check",
    "count_users",
    "create_asset",
    "create_preview",
    "create_user",
    "current",
    "downgrade",
    "ensure_roles",
    "events_of",
    "fold_email",
    "grant_role",
    "latest_version",
    "next_version_number",
    "page_assets",
    "part_of",
    "parts_of",
    "preview_of",
    "progress_of",
    "record",
    "record_part",
    "revision_of",
    "revoke_role",
    "roles_of",
    "set_facts",
    "set_password_hash",
    "set_status",
    "set_user_status",
    "start_building",
    "sync_engine",
    "unfinished_previews",
    "upgrade",
    "user_by_email",
    "user_by_id",
    "version_by_id",
    "version_of_sha256",
    "versions_of",
]
