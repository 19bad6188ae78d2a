"""`mamkit db` and `mamkit user`, as an operator runs them."""

import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from litestar.testing import TestClient

from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.cli import cli
from mamkit_apps.cli.secrets import RINGS
from tests.apps.conftest import PASSWORD
from tests.apps.test_demo import run

OTHER = "another long walk along the river"
Mamkit = Callable[..., Result]


@pytest.fixture
def mamkit(tmp_path: Path) -> Mamkit:
    """Run a command in this process, in a folder of its own."""
    return lambda *arguments, text=None: CliRunner().invoke(cli, arguments, input=text)


def test_tables_go_up_and_down_and_say_where_they_are(mamkit: Mamkit, tmp_path: Path) -> None:
    assert mamkit("db", "current").output.startswith("none (this version needs 0")
    assert mamkit("db", "check").exit_code == 1
    assert not (tmp_path / ".mamkit").exists()  # looking makes nothing
    made = mamkit("db", "upgrade").output
    newest = made.split()[2]
    assert str(tmp_path / ".mamkit") in made
    assert mamkit("db", "check").exit_code == 0
    assert mamkit("db", "downgrade", "0001", text="n\n").exit_code == 1
    assert mamkit("db", "current").output.startswith(newest)
    assert mamkit("db", "downgrade", "0001", text="y\n").exit_code == 0
    assert mamkit("db", "current").output.startswith("0001 ")
    assert mamkit("db", "check").exit_code == 1
    assert mamkit("db", "upgrade", "0002").output == "at revision 0002\n"
    assert mamkit("db", "downgrade", "base", "--yes").exit_code == 0
    refused = mamkit("db", "upgrade", "9999")
    assert refused.exit_code == 2
    assert "base, 0001" in refused.output
    assert mamkit("db", "upgrade").exit_code == 0


def test_accounts_are_made_changed_and_locked_out(mamkit: Mamkit, tmp_path: Path) -> None:
    settings = ApiSettings.load(data_dir=tmp_path / ".mamkit")
    prepare(settings)
    email = "ada@example.com"
    assert mamkit("user", "add", email, "--password-stdin", text=PASSWORD + "\n").exit_code == 0
    with TestClient(create_app(settings)) as api:

        def login(password: str) -> int:
            status: int = api.post("/auth/login", json={"email": email, "password": password}).status_code
            return status

        tokens = api.post("/auth/login", json={"email": email, "password": PASSWORD}).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        assert mamkit("user", "grant", email, "admin").exit_code == 0
        assert mamkit("user", "revoke", email, "editor").exit_code == 0
        [listed] = json.loads(mamkit("user", "list", "--json").output)
        assert (listed["email"], listed["roles"], listed["status"]) == (email, ["admin"], "active")
        assert email in mamkit("user", "list").output
        assert api.get("/auth/me", headers=bearer).status_code == 401  # their rights have changed
        assert mamkit("user", "disable", email).exit_code == 0
        assert login(PASSWORD) == 401
        assert api.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 401
        assert mamkit("user", "enable", email).exit_code == 0
        assert mamkit("user", "password", email, "--password-stdin", text=OTHER + "\n").exit_code == 0
        assert login(PASSWORD) == 401
        assert login(OTHER) == 200
        tokens = api.post("/auth/login", json={"email": email, "password": OTHER}).json()
        bearer = {"authorization": f"Bearer {tokens['access_token']}"}
        events = api.get("/api/audit", params={"subject": f"user:{listed['id']}"}, headers=bearer).json()
        done = [event["action"] for event in events if event["detail"].get("by") == "command line"]
        assert done == ["user.password", "user.status", "user.status", "role.revoked", "role.granted"]


def test_a_key_acts_for_somebody_within_its_scopes(mamkit: Mamkit, tmp_path: Path) -> None:
    settings = ApiSettings.load(data_dir=tmp_path / ".mamkit")
    prepare(settings)
    email = "ada@example.com"
    assert mamkit("user", "add", email, "--password-stdin", text=PASSWORD + "\n").exit_code == 0
    reads = mamkit("user", "key", email, "--scope", "asset.read").output.strip()
    uploads = mamkit("user", "key", email).output.strip()
    assert mamkit("user", "key", email, "--scope", "asset.write").exit_code == 2
    assert mamkit("user", "key", "eve@example.com").exit_code == 1
    wanted = {"filename": "a.mp4", "size": 10, "content_type": "video/mp4"}
    with TestClient(create_app(settings)) as api:
        for key, status in ((reads, 403), (uploads, 200)):
            bearer = {"authorization": f"Bearer {key}"}
            assert api.get("/api/assets", headers=bearer).status_code == 200
            assert api.post("/api/presign", json=wanted, headers=bearer).status_code == status


def test_where_nobody_can_be_asked_the_answer_is_wanted_beforehand(mamkit: Mamkit, tmp_path: Path) -> None:
    prepare(ApiSettings.load(data_dir=tmp_path / ".mamkit"))
    asked = mamkit("user", "add", "ada@example.com")
    assert (asked.exit_code, "--password-stdin" in asked.output) == (2, True)
    refused = run("db", "downgrade", "0001", cwd=tmp_path)
    assert "there is no terminal to ask at" in refused.stderr


def test_an_unknown_account_and_a_weak_password_are_refused(mamkit: Mamkit, tmp_path: Path) -> None:
    prepare(ApiSettings.load(data_dir=tmp_path / ".mamkit"))
    assert "there is no account" in mamkit("user", "disable", "eve@example.com").output
    assert mamkit("user", "password", "eve@example.com", "--password-stdin", text="12345678\n").exit_code == 1


def test_secrets_are_made_once_and_good_for_every_service(mamkit: Mamkit, tmp_path: Path) -> None:
    lines = dict(line.split("=", 1) for line in mamkit("secrets", "make").output.splitlines())
    settings = ApiSettings.load(
        database_url="postgresql://db.example.com/x", **{k.lower(): v for k, v in lines.items()}
    )
    assert len({settings.secret(name.lower()).get_secret_value() for name in lines}) == len(lines) == 5
    for name in RINGS:
        settings.ring(name)
    folder = tmp_path / "secrets"
    assert mamkit("secrets", "make", str(folder)).output.count("is made") == 5
    before = {path.name: path.read_text() for path in folder.iterdir()}
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert mamkit("secrets", "make", str(folder)).output.count("was there") == 5
    assert {path.name: path.read_text() for path in folder.iterdir()} == before
