"""`mamkit secrets rotate`: what is sealed stays readable, under a new key."""

import base64
import stat
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mamkit.auth import SealedValueError, Totp
from mamkit.clock import utc_now
from mamkit_apps.api.settings import ApiSettings
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
