"""Migrations: they make what the models say, keep what is there, and never meet each other."""

import sqlite3
import subprocess
import sys
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from mamkit import catalog as db
from mamkit.catalog import (
    CatalogUnavailableError,
    SchemaError,
    SchemaOutdatedError,
    SchemaUnknownError,
    User,
    migrate,
    sync_engine,
)
from mamkit.catalog.models import Base
from tests.unit.catalog.declared import declared_as_such


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "50%.db"  # a percent sign means something to Alembic's configuration


@pytest.fixture
def url(path: Path) -> str:
    return f"sqlite:///{path}"


def schema(path: Path) -> dict[str, list[str]]:
    """Return the pieces of each statement, in order: a migration that rebuilds a table lists them in its own."""
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    statements = {name: " ".join(sql.replace('"', "").split()) for name, sql in rows if name != "alembic_version"}
    return {name: sorted(map(str.strip, sql.rpartition(")")[0].split(", "))) for name, sql in statements.items()}


def test_the_migrations_make_what_the_models_say(url: str, path: Path, tmp_path: Path) -> None:
    """To the letter, names of constraints included, which Alembic itself does not compare."""
    db.upgrade(url)
    models = tmp_path / "models.db"
    engine = sa.create_engine(f"sqlite:///{models}")
    Base.metadata.create_all(engine)
    engine.dispose()
    migrated, declared = schema(path), schema(models)
    assert sorted(migrated) == sorted(declared)
    for name, pieces in declared.items():
        assert migrated[name] == pieces, name


def test_alembic_finds_nothing_left_to_do(url: str) -> None:
    db.upgrade(url)
    engine = sync_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "include_object": declared_as_such}
        )
        assert compare_metadata(context, Base.metadata) == []
    engine.dispose()


def test_every_constraint_has_a_name() -> None:
    """What has none cannot be changed by a later migration."""
    for table in Base.metadata.tables.values():
        assert all(constraint.name for constraint in table.constraints)


def test_up_and_down_and_up_again(url: str, path: Path) -> None:
    assert db.current(url) is None
    db.upgrade(url)
    head = db.current(url)
    assert head is not None
    made = schema(path)
    db.downgrade(url, "base")
    assert (db.current(url), schema(path)) == (None, {})
    db.upgrade(url)
    assert (db.current(url), schema(path)) == (head, made)


def test_upgrading_again_keeps_what_is_there(url: str) -> None:
    db.upgrade(url)
    engine = sync_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(User).values(email="a@example.org", display_name="Ada"))
    db.upgrade(url)
    with engine.connect() as connection:
        assert connection.scalars(sa.select(User.email)).all() == ["a@example.org"]
    engine.dispose()


def test_going_back_with_data_in_the_tables(url: str, path: Path) -> None:
    db.upgrade(url)
    engine = sync_engine(url)
    user_id, role_id = "1" * 32, "2" * 32
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "INSERT INTO users VALUES (?, 'a@b', '', NULL, 'active', 1, '2026-01-01', '2026-01-01')", (user_id,)
        )
        connection.exec_driver_sql("INSERT INTO roles VALUES (?, 'viewer', '[]')", (role_id,))
        connection.exec_driver_sql("INSERT INTO user_roles VALUES (?, ?)", (user_id, role_id))
    engine.dispose()
    db.downgrade(url, "base")
    assert schema(path) == {}


def test_the_database_keeps_a_write_ahead_log(url: str, path: Path) -> None:
    db.upgrade(url)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_check_tells_old_and_new_and_right_tables_apart(url: str, path: Path) -> None:
    with pytest.raises(SchemaOutdatedError) as outdated:
        db.check(url)
    assert outdated.value.current is None
    db.upgrade(url)
    db.check(url)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves = '9998'")
    connection.close()
    for use in (db.check, db.upgrade, lambda url: db.downgrade(url, "base")):
        with pytest.raises(SchemaUnknownError) as unknown:
            use(url)
        assert unknown.value.current == "9999"
    assert db.current(url) == "9999"


def columns(url: str) -> dict[str, dict[str, Any]]:
    """Return the columns of each table, by their names."""
    engine = sync_engine(url)
    found = sa.inspect(engine)
    names = [name for name in found.get_table_names() if name != "alembic_version"]
    there = {name: {column["name"]: column for column in found.get_columns(name)} for name in names}
    engine.dispose()
    return there


def test_the_revisions_are_those_of_the_files_in_the_order_of_their_names() -> None:
    """So that a service can see without Alembic that there is nothing to do."""
    scripts = ScriptDirectory(str(Path(migrate.__file__).with_name("migrations")))
    assert migrate.revisions() == [script.revision for script in scripts.walk_revisions()]


def test_where_nothing_is_to_be_done_alembic_is_not_loaded(url: str) -> None:
    db.upgrade(url)
    script = (
        "import sys; from mamkit import catalog; "
        "catalog.upgrade(sys.argv[1]); catalog.check(sys.argv[1]); print(catalog.current(sys.argv[1])); "
        "assert 'alembic' not in sys.modules; catalog.downgrade(sys.argv[1], 'base'); assert 'alembic' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script, url], check=True, capture_output=True, text=True)
    assert done.stdout.split() == [migrate.revisions()[0]]


def test_every_migration_says_whether_older_code_can_live_with_it() -> None:
    """From 0006 on: until then no two versions ran side by side."""
    for script in ScriptDirectory(str(Path(migrate.__file__).with_name("migrations"))).walk_revisions("0006", "head"):
        assert isinstance(script.module.expands, bool), script.revision


@pytest.mark.parametrize("revision", [each for each in migrate.revisions() if migrate.serves(each) != each])
def test_a_migration_that_says_so_only_adds(url: str, revision: str) -> None:
    """What older code reads and writes is as it was, and what it does not write needs no value."""
    revisions = migrate.revisions()
    db.upgrade(url, revisions[revisions.index(revision) + 1])
    before = columns(url)
    db.upgrade(url, revision)
    after = columns(url)
    for table, old in before.items():
        assert {name: str(after[table][name]["type"]) for name in old} == {
            name: str(column["type"]) for name, column in old.items()
        }
        assert {name for name, column in old.items() if column["nullable"]} <= {
            name for name, column in after[table].items() if column["nullable"]
        }
        new = [column for name, column in after[table].items() if name not in old]
        assert all(column["nullable"] or column["default"] is not None for column in new)


def test_what_newer_tables_serve_is_written_down(url: str) -> None:
    db.upgrade(url)
    head = migrate.revisions()[0]
    for revision in (head, migrate.revisions()[-1]):
        if revision != head:
            db.downgrade(url, revision)
        engine = sync_engine(url)
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT serves FROM alembic_version").scalar() == migrate.serves(revision)
        engine.dispose()


def test_a_migration_that_fails_leaves_everything_as_it_was(
    url: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: sa.Connection) -> None:
        raise SchemaError("the check at the end fails")

    monkeypatch.setattr(migrate, "_check_foreign_keys", fail)
    with pytest.raises(SchemaError):
        db.upgrade(url)
    assert schema(path) == {}
    monkeypatch.undo()
    db.upgrade(url)
    made = schema(path)
    monkeypatch.setattr(migrate, "_check_foreign_keys", fail)
    with pytest.raises(SchemaError):
        db.downgrade(url, "base")
    assert schema(path) == made


def test_rows_that_refer_to_nothing_stop_a_migration(url: str, path: Path) -> None:
    db.upgrade(url)
    with sqlite3.connect(path) as connection:  # this connection enforces no foreign keys
        connection.execute("INSERT INTO user_roles VALUES ('1', '2')")
    connection.close()
    with pytest.raises(SchemaError, match="user_roles"):
        db.downgrade(url, migrate.revisions()[1])


def test_a_database_that_cannot_be_opened_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(CatalogUnavailableError, match="no/such/folder") as caught:
        db.upgrade(f"sqlite:///{tmp_path}/no/such/folder.db")
    assert caught.value.place == f"{tmp_path}/no/such/folder.db"


def test_a_database_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(CatalogUnavailableError) as caught:
        db.upgrade("postgresql://ada:hunter2@127.0.0.1:1/mamkit?connect_timeout=2")
    assert "127.0.0.1:1/mamkit" in str(caught.value)
    assert "ada" not in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_processes_that_upgrade_at_once_all_succeed(url: str, path: Path) -> None:
    """From nothing, as when a machine starts all its services for the first time."""
    spawn = get_context("spawn")
    processes = [spawn.Process(target=db.upgrade, args=(url,)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0] * 4
    db.check(url)
    assert "users" in schema(path)
