# ruff: noqa: S608 - statements are put together of numbers and constants
"""Databases full of assets, filled by the databases themselves."""

from uuid import UUID

import sqlalchemy as sa

from mamkit.catalog import sync_engine
from mamkit.catalog.words import workspace_word

__all__ = ["ADA", "asset_id", "seed", "version_id"]

ADA = UUID("01900000-0000-7000-8000-0000000000ad")
"""Who owns everything, in their personal workspace."""

AT = "'2026-01-01 12:00:00+00:00'"


def asset_id(number: int) -> UUID:
    """Return the id of the asset with a number, from 0; later ones sort later."""
    return UUID(f"0190{number:08x}70008000{number:012x}")


def version_id(number: int) -> UUID:
    """Return the id of its version."""
    return UUID(f"0191{number:08x}70008000{number:012x}")


def seed(url: str, count: int) -> None:
    """Fill a migrated database with assets, each with words, a tag, a version and a preview that is ready.

    Args:
        url: Of the database.
        count: How many assets.
    """
    engine = sync_engine(url)
    statements = _postgresql(count) if engine.dialect.name == "postgresql" else _sqlite(count)
    with engine.begin() as connection:
        ada = ADA.hex
        connection.exec_driver_sql(f"INSERT INTO users VALUES ('{ada}', 'a@b', '', NULL, 'active', 1, {AT}, {AT})")
        connection.exec_driver_sql(f"INSERT INTO workspaces VALUES ('{ada}', 'Personal', 'personal', {AT})")
        connection.exec_driver_sql(f"INSERT INTO memberships VALUES ('{ada}', '{ada}', 'owner', {AT})")
        for statement in statements:
            connection.exec_driver_sql(statement)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        # As autovacuum would have done by then; without it, each search reads GIN's list of what is pending.
        connection.execute(sa.text("ANALYZE" if engine.dialect.name == "sqlite" else "VACUUM (ANALYZE)"))
    engine.dispose()


def _postgresql(count: int) -> list[str]:
    source = f"FROM generate_series(0, {count - 1}) AS i"
    hexes = "lpad(to_hex(i), 8, '0') || '70008000' || lpad(to_hex(i), 12, '0')"
    return [text.format(source=source, **_values(f"({{}} || {hexes})::uuid", cast="::uuid")) for text in INSERTS]


def _sqlite(count: int) -> list[str]:
    source = (
        f"FROM (WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) SELECT i FROM n)"
    )
    return [
        text.format(source=source, **_values("({} || printf('%08x70008000%012x', i, i))", cast="")) for text in INSERTS
    ]


def _values(made_id: str, *, cast: str) -> dict[str, str]:
    return {
        "asset": made_id.format("'0190'"),
        "version": made_id.format("'0191'"),
        "ada": f"'{ADA.hex}'{cast}",
        "nothing": "'{}'" + cast.replace("uuid", "json"),
        "place": workspace_word(ADA),
    }


INSERTS = (
    f"""
    INSERT INTO assets (id, workspace_id, user_id, title, title_key, staging_key, description, fields, kind, status,
        duration_sec, width, height, codec, revision, trashed, purging, created_at, updated_at)
    SELECT {{asset}}, {{ada}}, {{ada}}, 'Take ' || i, 'take ' || i, 'uploads/' || i, '', {{nothing}}, 'video', 'ready',
        i - i / 600 * 600, 1920, 1080, 'h264', 1, false, false, {AT}, {AT} {{source}}
    """,
    """
    INSERT INTO asset_texts (asset_id, words)
    SELECT {asset}, '{place} take h264 number' || i || ' scene' || (i / 1000) {source}
    """,
    "INSERT INTO asset_tags (asset_id, tag) SELECT {asset}, 'reel ' || (i / 100) {source}",
    f"""
    INSERT INTO versions (id, asset_id, number, master_key, preview_prefix, size, sha256, created_at)
    SELECT {{version}}, {{asset}}, 1, 'masters/' || i, 'previews/' || i || '/', 1, '0', {AT} {{source}}
    """,
    f"""
    INSERT INTO previews (version_id, status, revision, created_at, updated_at)
    SELECT {{version}}, 'ready', 1, {AT}, {AT} {{source}}
    """,
)
