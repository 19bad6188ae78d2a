"""`mamkit db …`: the tables of an installation."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mamkit_apps.cli._installation import DATA_DIR, installed, load_settings

if TYPE_CHECKING:
    from mamkit_apps.settings import ServiceSettings

__all__ = ["commands"]


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
    fresh = settings.database_url is None and not (settings.data_dir / "mamkit.db").exists()
    if revision == "head":
        migrate(settings)
    else:
        _known(revision)
        settings.make_data_dir()
        catalog.upgrade(settings.database, revision)
    made = f" (made now, in {settings.data_dir.absolute()})" if fresh else ""
    click.echo(f"at revision {catalog.current(settings.database)}{made}")


@database.command()
@click.argument("revision")
@click.option("--yes", is_flag=True, help="Do not ask.")
@DATA_DIR
def downgrade(*, revision: str, yes: bool, data_dir: Path | None) -> None:
    """Take the tables back to an older REVISION; what only newer ones hold is lost. Make a backup first."""
    from mamkit import catalog

    settings = installed(data_dir)
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


def _found(settings: "ServiceSettings") -> str | None:
    """Return the revision of the tables, without making the file of a database that is not there."""
    from mamkit import catalog

    if settings.database_url is None and not (settings.data_dir / "mamkit.db").exists():
        return None
    return catalog.current(settings.database)


def _known(revision: str) -> None:
    from mamkit.catalog import migrate

    known = ["base", *reversed(migrate.revisions())]
    if revision not in known:
        raise click.UsageError(f"{revision!r} is no revision; there are {', '.join(known)}")


commands = [database]
