"""`mamkit db upgrade`, `mamkit user add`: operating an installation."""

import asyncio
import sys
from pathlib import Path

import click

from mamkit_apps.settings import ServiceSettings

__all__ = ["commands", "settings_of"]

DATA_DIR = click.option(
    "--data-dir", type=click.Path(file_okay=False, path_type=Path), default=None, help="Installation; default .mamkit."
)


def settings_of(data_dir: Path | None) -> ServiceSettings:
    """Return the settings of the installation in a folder, or of the environment's."""
    return ServiceSettings.load() if data_dir is None else ServiceSettings.load(data_dir=data_dir)


@click.group("db")
def database() -> None:
    """The database."""


@database.command()
@DATA_DIR
def upgrade(*, data_dir: Path | None) -> None:
    """Bring the tables to the state this version of mamkit needs; safe to repeat."""
    from mamkit_apps.wiring import migrate

    migrate(settings_of(data_dir))


@click.group("user")
def users() -> None:
    """Accounts."""


@users.command()
@click.argument("email")
@click.option(
    "--role", type=click.Choice(["admin", "editor", "reviewer", "viewer"]), default="editor", show_default=True
)
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@DATA_DIR
def add(*, email: str, role: str, password_stdin: bool, data_dir: Path | None) -> None:
    """Make an account."""
    if password_stdin:
        password = sys.stdin.readline().rstrip("\n")
    else:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    asyncio.run(_add_user(settings_of(data_dir), email, role, password))
    click.echo(f"{email} is {role}")


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


commands = [database, users]
