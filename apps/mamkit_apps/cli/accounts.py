"""`mamkit user …`: the accounts of an installation."""

import json
import secrets
import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from mamkit.clock import utc_now
from mamkit_apps.cli._installation import DATA_DIR, installed

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]

UPLOADING = ("asset.create", "asset.read", "asset.update", "preview.create", "preview.read")
"""What `mamkit upload`, `import`, `ls` and `open` do."""

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
    import asyncio

    settings = installed(data_dir)  # before anybody is asked for a password
    asyncio.run(_add_user(settings, email, role, _password(from_stdin=password_stdin)))
    click.echo(f"{email} is {role}")


def _password(*, from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask at; give --password-stdin")
    password: str = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


async def _add_user(settings: "ServiceSettings", email: str, role: str, password: str) -> None:
    import asyncio

    from mamkit.auth import ROLES, PasswordHasher, check_strength
    from mamkit_apps.wiring import migrate

    check_strength(password)
    await asyncio.to_thread(migrate, settings)
    digest = PasswordHasher().hash(password)
    catalog = db()
    async with catalog.Catalog(settings.database) as opened, opened.begin() as session:
        await catalog.ensure_roles(session, ROLES)
        name = email.partition("@")[0]
        user = await catalog.create_user(session, email=email, display_name=name, password_hash=digest)
        await catalog.grant_role(session, user.id, role)


@users.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
@DATA_DIR
def list_users(*, as_json: bool, data_dir: Path | None) -> None:
    """List the accounts, oldest first, with their roles."""
    import asyncio

    found = asyncio.run(_each_user(installed(data_dir)))
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


@users.command()
@click.argument("email")
@click.option("--name", default="command line", show_default=True, help="What the list of keys shows.")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    default=UPLOADING,
    show_default=True,
    help="An action that it may do; may be given several times.",
)
@click.option("--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="When it ends.")
@DATA_DIR
def key(*, email: str, name: str, scopes: tuple[str, ...], days: int, data_dir: Path | None) -> None:
    """Print a new API key, with which `mamkit upload` and programs act for somebody. It is shown this once."""
    from mamkit.auth import ACTIONS, new_api_key

    if unknown := set(scopes) - ACTIONS:
        known = ", ".join(sorted(ACTIONS))
        raise click.UsageError(f"no action is called {' or '.join(map(repr, sorted(unknown)))}; there are {known}")
    made: list[str] = []

    async def add_key(session: Any, user_id: UUID) -> None:
        new = new_api_key(user_id, name=name, scopes=scopes, expires_at=utc_now() + timedelta(days=days))
        record = new.record
        await db().add_api_key(
            session, key_id=record.id, user_id=user_id, name=name, digest=record.digest, scopes=record.scopes,
            expires_at=record.expires_at,
        )  # fmt: skip
        made.append(new.key)

    _change(data_dir, email, "api_key.added", {"scopes": " ".join(sorted(scopes))}, add_key)
    click.echo(made[0])


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
    import asyncio

    settings = installed(data_dir)
    user_id = asyncio.run(_changed(settings, email, action, detail, change))
    if end_sessions:
        _end_sessions(settings, user_id)


async def _changed(
    settings: "ServiceSettings",
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
            raise click.ClickException(f"there is no account of {email!r}; `mamkit user list` shows all")
        await change(session, user.id)
        subject, done = f"user:{user.id}", detail | {"by": "command line"}
        await catalog.record(session, actor_id=None, action=action, subject=subject, detail=done)
        user_id: UUID = user.id
        return user_id


def _end_sessions(settings: "ServiceSettings", user_id: UUID) -> None:
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


async def _each_user(settings: "ServiceSettings") -> list[dict[str, Any]]:
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


commands = [users]
