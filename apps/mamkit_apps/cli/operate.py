"""`mamkit db …`, `mamkit user …`: the tables and the accounts of an installation."""

import asyncio
import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import click

from mamkit_apps.settings import ServiceSettings

__all__ = ["DATA_DIR", "commands", "load_settings"]

DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Installation; default .mamkit."
)


def load_settings(data_dir: Path | None) -> ServiceSettings:
    """Return the settings of an installation; of the environment's or the default one, if no folder is given."""
    return ServiceSettings.load() if data_dir is None else ServiceSettings.load(data_dir=data_dir)


@click.group("db")
def database() -> None:
    """The database."""


@database.command()
@click.argument("revision", default="head")
@DATA_DIR
def upgrade(*, revision: str, data_dir: Path | None) -> None:
    """Bring the tables to the state this version of mamkit needs, or to REVISION; safe to repeat."""
    from mamkit import catalog
    from mamkit_apps.wiring import migrate

    settings = load_settings(data_dir)
    if revision == "head":
        migrate(settings)
    else:
        _known(revision)
        settings.make_data_dir()
        catalog.upgrade(settings.database, revision)
    click.echo(f"at revision {catalog.current(settings.database)}")


@database.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA_DIR
def downgrade(*, revision: str, yes: bool, data_dir: Path | None) -> None:
    """Take the tables back to an older REVISION; what only newer ones hold is lost. Make a backup first."""
    from mamkit import catalog

    settings = load_settings(data_dir)
    _known(revision)
    if not yes:
        click.confirm(f"What the tables hold beyond revision {revision} is lost. Go on?", abort=True)
    catalog.downgrade(settings.database, revision)
    click.echo(f"at revision {catalog.current(settings.database)}")


@database.command()
@DATA_DIR
def current(*, data_dir: Path | None) -> None:
    """Print the revision of the tables, and the one that this version of mamkit needs."""
    from mamkit.catalog import migrate

    settings = load_settings(data_dir)
    click.echo(f"{_found(settings) or 'none'} (this version needs {migrate.revisions()[0]})")


@database.command()
@DATA_DIR
def check(*, data_dir: Path | None) -> None:
    """End with status 0 if this version of mamkit can use the tables; changes nothing."""
    from mamkit import catalog
    from mamkit.catalog import migrate

    settings = load_settings(data_dir)
    found, needed = _found(settings), migrate.revisions()[0]
    if found is None:
        raise catalog.SchemaOutdatedError(current=None, head=needed)
    catalog.check(settings.database)
    fits = "as this version needs" if found == needed else f"which serves this version, too (it needs {needed})"
    click.echo(f"at revision {found}, {fits}")


def _found(settings: ServiceSettings) -> str | None:
    """Return the revision of the tables, without making the file of a database that is not there."""
    from mamkit import catalog

    if settings.database_url is None and not (settings.data_dir / "mamkit.db").exists():
        return None
    return catalog.current(settings.database)


def _known(revision: str) -> None:
    from mamkit.catalog import migrate

    known = ["base", *reversed(migrate.revisions())]
    if revision not in known:
        raise click.UsageError(f"{revision} is no revision; there are {', '.join(known)}")


ROLES = click.Choice(["admin", "editor", "reviewer", "viewer"])


@click.group("user")
def users() -> None:
    """Accounts."""


@users.command()
@click.argument("email")
@click.option("--role", type=ROLES, default="editor", show_default=True)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@DATA_DIR
def add(*, email: str, role: str, password_stdin: bool, data_dir: Path | None) -> None:
    """Make an account."""
    asyncio.run(_add_user(load_settings(data_dir), email, role, _password(from_stdin=password_stdin)))
    click.echo(f"{email} is {role}")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


async def _add_user(settings: ServiceSettings, email: str, role: str, password: str) -> None:
    from mamkit import catalog as db
    from mamkit.auth import ROLES, PasswordHasher, check_strength
    from mamkit.catalog import Catalog
    from mamkit_apps.wiring import migrate

    check_strength(password)
    await asyncio.to_thread(migrate, settings)
    digest = PasswordHasher().hash(password)
    catalog = Catalog(settings.database)
    try:
        async with catalog.begin() as session:
            await db.ensure_roles(session, ROLES)
            user = await db.create_user(
                session, email=email, display_name=email.partition("@")[0], password_hash=digest
            )
            await db.grant_role(session, user.id, role)
    finally:
        await catalog.close()


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@DATA_DIR
def list_users(*, as_json: bool, data_dir: Path | None) -> None:
    """List the accounts, oldest first, with their roles."""
    found = asyncio.run(_each_user(load_settings(data_dir)))
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    for user in found:
        click.echo(f"{user['id']}  {user['status']:<8}  {', '.join(user['roles']) or '-':<16}  {user['email']}")


@users.command()
@click.argument("email")
@click.argument("role", type=ROLES)
@DATA_DIR
def grant(*, email: str, role: str, data_dir: Path | None) -> None:
    """Give somebody a role; their access tokens are then out of date."""
    _change(data_dir, email, "role.granted", {"role": role}, lambda session, user: db().grant_role(session, user, role))
    click.echo(f"{email} has the role {role}")


@users.command()
@click.argument("email")
@click.argument("role", type=ROLES)
@DATA_DIR
def revoke(*, email: str, role: str, data_dir: Path | None) -> None:
    """Take a role from somebody; their access tokens are then out of date."""
    _change(
        data_dir, email, "role.revoked", {"role": role}, lambda session, user: db().revoke_role(session, user, role)
    )
    click.echo(f"{email} has the role {role} no more")


@users.command()
@click.argument("email")
@DATA_DIR
def disable(*, email: str, data_dir: Path | None) -> None:
    """Let somebody in no more, and end their sessions at once."""
    _change(
        data_dir, email, "user.status", {"status": "disabled"},
        lambda session, user: db().set_user_status(session, user, "disabled"), end_sessions=True,
    )  # fmt: skip
    click.echo(f"{email} is disabled")


@users.command()
@click.argument("email")
@DATA_DIR
def enable(*, email: str, data_dir: Path | None) -> None:
    """Let somebody in again."""
    _change(
        data_dir, email, "user.status", {"status": "active"},
        lambda session, user: db().set_user_status(session, user, "active"),
    )  # fmt: skip
    click.echo(f"{email} is active")


@users.command()
@click.argument("email")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@DATA_DIR
def password(*, email: str, password_stdin: bool, data_dir: Path | None) -> None:
    """Set somebody's password, and end their sessions."""
    from mamkit.auth import PasswordHasher, check_strength

    chosen = _password(from_stdin=password_stdin)
    check_strength(chosen)
    digest = PasswordHasher().hash(chosen)

    async def replace(session: Any, user_id: UUID) -> None:
        known = await db().user_by_id(session, user_id)
        await db().replace_password_hash(session, user_id, old=known.password_hash, new=digest)

    _change(data_dir, email, "user.password", {}, replace, end_sessions=True)
    click.echo(f"{email} has a new password, and no sessions")


def db() -> Any:
    """Return the catalog's queries, which are loaded when a command needs them."""
    from mamkit import catalog

    return catalog


def _change(
    data_dir: Path | None,
    email: str,
    action: str,
    detail: dict[str, str],
    change: Callable[[Any, UUID], Awaitable[object]],
    *,
    end_sessions: bool = False,
) -> None:
    """Change an account, and write down that it was done from the command line."""
    settings = load_settings(data_dir)
    user_id = asyncio.run(_changed(settings, email, action, detail, change))
    if end_sessions:
        _end_sessions(settings, user_id)


async def _changed(
    settings: ServiceSettings,
    email: str,
    action: str,
    detail: dict[str, str],
    change: Callable[[Any, UUID], Awaitable[object]],
) -> UUID:
    from mamkit.auth import ROLES as PERMISSIONS

    catalog = db()
    async with catalog.Catalog(settings.database) as opened, opened.begin() as session:
        await catalog.ensure_roles(session, PERMISSIONS)
        user = await catalog.user_by_email(session, email)
        if user is None:
            raise click.ClickException(f"there is no account of {email}; `mamkit user list` shows all")
        await change(session, user.id)
        subject, done = f"user:{user.id}", detail | {"by": "command line"}
        await catalog.record(session, actor_id=None, action=action, subject=subject, detail=done)
        user_id: UUID = user.id
        return user_id


def _end_sessions(settings: ServiceSettings, user_id: UUID) -> None:
    from mamkit.auth import Sessions
    from mamkit.auth.sql import SqlSessionStore
    from mamkit.catalog import sync_engine
    from mamkit.catalog.models import SESSIONS

    engine = sync_engine(settings.database)
    try:
        # Ending sessions derives nothing, so that any secret will do.
        Sessions(SqlSessionStore(engine, SESSIONS), secret=secrets.token_bytes(32)).revoke_all(user_id)
    finally:
        engine.dispose()


async def _each_user(settings: ServiceSettings) -> list[dict[str, Any]]:
    from sqlalchemy import select

    from mamkit.catalog import Catalog, User, roles_of

    async with Catalog(settings.database) as catalog, catalog.read() as session:
        users = list(await session.scalars(select(User).order_by(User.id)))
        return [
            {
                "id": str(user.id),
                "email": user.email,
                "display_name": user.display_name,
                "status": user.status,
                "roles": await roles_of(session, user.id),
                "created_at": user.created_at.isoformat(),
            }
            for user in users
        ]


commands = [database, users]
