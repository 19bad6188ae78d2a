"""`mamkit secrets rotate`: what is sealed stays readable, under a new key."""

import base64
import re
import sqlite3
import stat
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.auth import SealedValueError, Totp, Vault
from mamkit.catalog.event_models import WebhookEndpoint
from mamkit.catalog.import_models import Import
from mamkit.clock import utc_now
from mamkit.signing import KeyRing
from mamkit_apps import sealed
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.sealed import SEALED
from tests.apps.people import PASSWORD, open_site
from tests.apps.test_demo import run


def ring_ids(data_dir: Path) -> list[str]:
    return list(ApiSettings.load(data_dir=data_dir).ring("sealing_keys"))


def test_a_second_factor_works_before_between_and_after_a_change_of_keys(data_dir: Path, tmp_path: Path) -> None:
    with open_site(data_dir) as site:
        ada = site.person("ada@example.org")
        uri = ada.call("POST", "/auth/second-factor").json()["uri"]
        key = parse_qs(urlsplit(uri).query)["secret"][0]
        totp = Totp(base64.b32decode(key + "=" * (-len(key) % 8)))
        assert ada.call("POST", "/auth/second-factor/confirm", {"code": totp.code(utc_now())}).status_code == 200
        sealed = site.parts.vault.seal(b"old", where="x")
    [old] = ring_ids(data_dir)

    rotated = run("secrets", "rotate", "--data-dir", str(data_dir), cwd=tmp_path)
    assert rotated.returncode == 0, rotated.stderr
    assert "1 values" in rotated.stdout
    new, kept = ring_ids(data_dir)
    assert kept == old
    assert stat.S_IMODE((data_dir / "secrets" / "sealing_keys").stat().st_mode) == 0o600

    retired = run("secrets", "rotate", "--retire", "--data-dir", str(data_dir), cwd=tmp_path)
    assert retired.returncode == 0, retired.stderr
    assert "0 values" in retired.stdout
    assert ring_ids(data_dir) == [new]

    with open_site(data_dir) as site:
        asked = site.call("POST", "/auth/login", {"email": "ada@example.org", "password": PASSWORD}).json()
        another = totp.code(utc_now() + timedelta(seconds=30))  # a code is good once; this one is good already
        body = {"ticket": asked["ticket"], "code": another}
        assert site.call("POST", "/auth/login/second-factor", body).status_code == 200
        with pytest.raises(SealedValueError, match=old):
            site.parts.vault.open(sealed, where="x")


def sealed_with(data_dir: Path) -> dict[str, set[str]]:
    """Return which keys the values of each table are sealed with."""
    found: dict[str, set[str]] = {}
    with closing(sqlite3.connect(data_dir / "mamkit.db")) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):  # noqa: S608 - a name of the database's own
                for kid in re.findall(r"mks1\.([\w-]+)\.", " ".join(map(str, row))):
                    found.setdefault(table, set()).add(kid)
    return found


def test_everything_sealed_in_the_database_survives_the_old_key(data_dir: Path, tmp_path: Path) -> None:
    once = {"idempotency-key": "webhook-1", "if-match": "*"}
    with open_site(data_dir) as site:
        ada = site.person("ada@example.org")
        ada.call("POST", "/auth/second-factor")
        [workspace] = ada.call("GET", "/api/workspaces").json()
        webhooks, new = f"/api/workspaces/{workspace['id']}/webhooks", {"url": "https://example.org/told"}
        headers = once | {"authorization": f"Bearer {ada.access}"}
        made = site.client.post(webhooks, json=new, headers=headers)
        changed = ada.call("POST", f"{webhooks}/{made.json()['id']}/secret")
        begun = ada.call("POST", "/api/imports", {"url": "https://example.org/a.mp4"})
        assert [made.status_code, changed.status_code, begun.status_code] == [201, 200, 201]
    [old] = ring_ids(data_dir)
    tables = {sealed.table.__tablename__ for sealed in SEALED}
    assert sealed_with(data_dir) == {table: {old} for table in tables}

    done = run("secrets", "rotate", "--data-dir", str(data_dir), cwd=tmp_path)
    assert "5 values" in done.stdout, done
    new_kid = ring_ids(data_dir)[0]
    assert sealed_with(data_dir) == {table: {new_kid} for table in tables}
    assert run("secrets", "rotate", "--retire", "--data-dir", str(data_dir), cwd=tmp_path).returncode == 0

    with open_site(data_dir) as site:
        again = site.client.post(webhooks, json=new, headers=headers)
        assert (again.json(), again.headers["idempotent-replayed"]) == (made.json(), "true")
        vault, secret = site.parts.vault, changed.json()["secret"]
        endpoint_id, import_id = made.json()["id"], begun.json()["id"]

        async def read() -> tuple[WebhookEndpoint | None, Import | None]:
            async with site.parts.catalog.read() as session:
                endpoint = await session.get(WebhookEndpoint, UUID(endpoint_id))
                return endpoint, await session.get(Import, UUID(import_id))

        assert site.client.blocking_portal is not None
        endpoint, begun_row = site.client.blocking_portal.call(read)
        assert endpoint is not None
        assert begun_row is not None
        assert vault.open(endpoint.secret, where=f"webhook:{endpoint_id}").decode() == secret
        assert vault.open(begun_row.sealed or "", where=f"import:{import_id}") == b"https://example.org/a.mp4"


@pytest.mark.anyio
async def test_a_value_whose_key_is_gone_does_not_keep_the_others_from_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are taken a page at a time, each in a transaction of its own."""
    monkeypatch.setattr(sealed, "PAGE", 2)
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    db.upgrade(url)
    gone, old = KeyRing.generate(), KeyRing.generate()
    new = old.rotated()
    async with db.Catalog(url) as catalog:
        users = []
        for number in range(5):
            async with catalog.begin() as session:
                user = await db.create_user(session, email=f"{number}@example.org")
                where = sealed.SECOND_FACTORS.where(user.id)
                value = Vault(gone if number == 1 else old).seal(b"secret", where=where)
                await db.set_second_factor(session, user.id, value)
                users.append(user.id)
        assert await sealed.reseal(catalog, Vault(new)) == (4, 1)
        assert await sealed.reseal(catalog, Vault(new)) == (0, 1)
        only = Vault(new.retired(old.current[0]))
        async with catalog.read() as session:
            for number, user_id in enumerate(users):
                factor = await db.second_factor_of(session, user_id)
                assert factor is not None
                if number != 1:
                    assert only.open(factor.sealed_secret, where=f"totp:{user_id}") == b"secret"
