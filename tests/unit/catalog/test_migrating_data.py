# ruff: noqa: S608 - statements are put together of constants
"""Migrations with data in the tables, forward and back, on both databases."""

from pathlib import Path
from typing import Any

import pytest

from mamkit import catalog as db
from mamkit.catalog import sync_engine
from mamkit.catalog.migrate import revisions
from tests.servers.postgres import Postgres

ADA, EVE, FILM, MASTER = ("0190000000007000800000000000000" + digit for digit in "1234")
AT = "'2026-01-01 12:00:00+00:00'"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database, on PostgreSQL of somebody who is no superuser: policies hold while migrating, too."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/catalog.db"
    postgres: Postgres = request.getfixturevalue("postgres")
    return postgres.new_database(role="tenant")


@pytest.fixture
def first(url: str) -> str:
    """The tables of revision 0002, with people, an asset, a version, its preview, a share and a comment."""
    db.upgrade(url, "0002")
    run(
        url,
        *(f"INSERT INTO users VALUES ('{user}', '{user}@b', '', NULL, 'active', 1, {AT}, {AT})" for user in (ADA, EVE)),
        "INSERT INTO assets (id, user_id, title, staging_key, content_type, original_name, created_at)"
        f" VALUES ('{FILM}', '{ADA}', 'Über den Wolken', 'uploads/1', 'video/mp4', 'wolken.mp4', {AT})",
        "INSERT INTO versions (id, asset_id, number, master_key, preview_prefix, metadata, size, sha256, created_at)"
        f" VALUES ('{MASTER}', '{FILM}', 1, 'masters/1', 'previews/1/', {FACTS}, 5, '{'0' * 64}', {AT})",
        "INSERT INTO previews (version_id, status, revision, created_at, updated_at)"
        f" VALUES ('{MASTER}', 'ready', 1, {AT}, {AT})",
        f"INSERT INTO shares VALUES ('{FILM}', '{EVE}', '[\"asset.read\"]', NULL, {AT})",
        "INSERT INTO comments (id, asset_id, user_id, timestamp_sec, content, created_at)"
        f" VALUES ('{EVE}', '{FILM}', '{EVE}', 1.5, 'too dark', {AT})",
    )
    return url


FACTS = (
    """'{"container": "mov", "size": 5, "duration": "1001/30", "video": [{"index": 0, "codec": "h264", "width": 1920,"""
    """ "height": 1080, "rotation": 90, "frame_rate": "25"}], "audio": []}'"""
)


def run(url: str, *statements: str) -> list[list[Any]]:
    """Run statements in one transaction and return the rows of those that have some."""
    engine = sync_engine(url)
    with engine.begin() as connection:
        results = [connection.exec_driver_sql(statement.replace("%", "%%")) for statement in statements]
        rows = [[tuple(row) for row in result] for result in results if result.returns_rows]
    engine.dispose()
    return rows


def hexes(rows: list[Any]) -> list[Any]:
    """Return rows with their ids as SQLite writes them."""
    return [
        tuple(value.hex if hasattr(value, "hex") and not isinstance(value, float) else value for value in row)
        for row in rows
    ]


def check_that_nothing_is_lost(url: str) -> None:
    """Back at 0002 the rows of 0002 are there."""
    db.downgrade(url, "0002")
    tables = ("users", "assets", "versions", "previews", "shares", "comments")
    counts = run(url, *(f"SELECT count(*) FROM {table}" for table in tables))
    assert counts == [[(2,)], [(1,)], [(1,)], [(1,)], [(1,)], [(1,)]]
    assert run(url, "SELECT title, staging_key FROM assets") == [[("Über den Wolken", "uploads/1")]]


def test_everybody_gets_a_workspace_with_their_assets_in_it(first: str) -> None:
    db.upgrade(first)
    [workspaces, members, assets] = run(
        first,
        "SELECT id, kind FROM workspaces ORDER BY id",
        "SELECT workspace_id, user_id, role FROM memberships ORDER BY user_id",
        "SELECT workspace_id, user_id FROM assets",
    )
    assert hexes(workspaces) == [(ADA, "personal"), (EVE, "personal")]
    assert hexes(members) == [(ADA, ADA, "owner"), (EVE, EVE, "owner")]
    assert hexes(assets) == [(ADA, ADA)]
    check_that_nothing_is_lost(first)


def test_what_is_kept_is_counted_and_guests_leave_with_their_links(first: str) -> None:
    """Back at 0007 everything is as it was, but for what guests said."""
    db.upgrade(first, "0007")
    db.upgrade(first)
    [usage] = run(first, "SELECT workspace_id, user_id, assets, trashed, versions, size FROM usage")
    assert hexes(usage) == [(ADA, ADA, 1, 0, 1, 5)]
    run(
        first,
        "INSERT INTO collections (id, workspace_id, user_id, position, name, revision, created_at, updated_at)"
        f" VALUES ('{FILM}', '{ADA}', '{ADA}', 'V', 'Picks', 1, {AT}, {AT})",
        "INSERT INTO collection_items (collection_id, asset_id, position, created_at)"
        f" VALUES ('{FILM}', '{FILM}', 'V', {AT})",
        "INSERT INTO share_links (id, workspace_id, user_id, asset_id, name, digest, rights, revision, created_at)"
        f" VALUES ('{FILM}', '{ADA}', '{ADA}', '{FILM}', '', '0', '[]', 1, {AT})",
        f"INSERT INTO share_uses (id, link_id, action, address, created_at) VALUES ('{FILM}', '{FILM}', 'x', '', {AT})",
        "INSERT INTO comments (id, asset_id, guest_name, share_link_id, content, created_at)"
        f" VALUES ('{MASTER}', '{FILM}', 'Guest', '{FILM}', 'hello', {AT})",
    )
    db.downgrade(first, "0007")
    assert hexes(run(first, "SELECT user_id, content FROM comments")[0]) == [(EVE, "too dark")]
    db.upgrade(first)
    check_that_nothing_is_lost(first)


def test_every_step_goes_back_and_forth(first: str) -> None:
    """One revision at a time, so that none leans on a later one."""
    steps = revisions()
    for revision in reversed(steps[: steps.index("0002")]):
        db.upgrade(first, revision)
    for revision in steps[1 : steps.index("0002") + 1]:
        db.downgrade(first, revision)
    check_that_nothing_is_lost(first)
