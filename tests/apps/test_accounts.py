"""Accounts over HTTP: sessions, mails, second factors, passkeys, API keys, shares, and what is recorded of them."""

import base64
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import jwt
import pytest
import sqlalchemy as sa

from mamkit.auth import PasswordHasher, Totp
from mamkit.catalog import sync_engine
from mamkit.clock import utc_now
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.settings import SettingsError
from tests.apps.people import PASSWORD, QUICK, SITE, Person, Site, open_site
from tests.unit.auth.authenticator import Authenticator

NEW_PASSWORD = "another horse altogether"


@pytest.fixture
def site(data_dir: Path) -> Iterator[Site]:
    with open_site(data_dir) as site:
        yield site


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person("ada@example.org")


def log_in(site: Site, email: str = "ada@example.org", password: str = PASSWORD) -> tuple[int, dict[str, str]]:
    answer = site.call("POST", "/auth/login", {"email": email, "password": password})
    return answer.status_code, answer.json()


def enrol(person: Person) -> None:
    """Give somebody a second factor that is confirmed."""
    totp = Totp(secret_of(person.call("POST", "/auth/second-factor").json()["uri"]))
    answer = person.call("POST", "/auth/second-factor/confirm", {"code": totp.code(utc_now())})
    assert answer.status_code == 200, answer.text


class TestSessions:
    def test_sessions_are_listed_and_ended_one_by_one(self, site: Site, ada: Person) -> None:
        _, second = log_in(site)
        listed = ada.call("GET", "/auth/sessions").json()
        assert len(listed) == 2
        assert ada.call("DELETE", f"/auth/sessions/{listed[0]['id']}").status_code == 204
        assert site.call("POST", "/auth/refresh", {"refresh_token": second["refresh_token"]}).status_code == 401
        assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 200

    def test_nobody_ends_somebody_else_s_session(self, site: Site, ada: Person) -> None:
        eve = site.person()
        [session] = ada.call("GET", "/auth/sessions").json()
        assert eve.call("DELETE", f"/auth/sessions/{session['id']}").status_code == 204
        assert len(ada.call("GET", "/auth/sessions").json()) == 1

    def test_logging_out_everywhere_ends_access_tokens_too(self, site: Site, ada: Person) -> None:
        _, second = log_in(site)
        assert ada.call("POST", "/auth/logout-all").status_code == 204
        assert ada.call("GET", "/auth/me").status_code == 401
        for token in (ada.refresh, second["refresh_token"]):
            assert site.call("POST", "/auth/refresh", {"refresh_token": token}).status_code == 401
        assert log_in(site)[0] == 200

    def test_a_reuse_ends_the_session_and_is_recorded(
        self, site: Site, ada: Person, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        user_id = ada.id
        assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 200
        monkeypatch.setattr(site.parts.sessions, "_clock", lambda: utc_now() + timedelta(seconds=16))
        answer = site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh})
        assert (answer.status_code, answer.json()["code"]) == (401, "auth.session_reused")
        assert site.audit(f"user:{user_id}")[0] == "session.reused"

    def test_a_new_password_ends_all_other_sessions(self, site: Site, ada: Person) -> None:
        body = {"current": PASSWORD, "password": NEW_PASSWORD}
        answer = ada.call("POST", "/auth/password", body)
        assert answer.status_code == 200
        assert ada.call("GET", "/auth/me").status_code == 401
        assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 401
        assert site.call("GET", "/auth/me", token=answer.json()["access_token"]).status_code == 200
        assert log_in(site)[0] == 401
        assert log_in(site, password=NEW_PASSWORD)[0] == 200

    def test_a_hash_is_renewed_at_a_login_unless_the_password_was_changed_meanwhile(
        self, site: Site, ada: Person
    ) -> None:
        engine = sync_engine(site.settings.database)

        def kept() -> str:
            with engine.connect() as connection:
                return str(connection.execute(sa.text("SELECT password_hash FROM users")).scalar_one())

        before = kept()
        object.__setattr__(site.parts, "passwords", PasswordHasher(replace(QUICK, time_cost=2)))
        assert log_in(site)[0] == 200
        renewed = kept()
        assert "t=1" in before
        assert "t=2" in renewed

        class Overtaken(PasswordHasher):
            def needs_rehash(self, stored: str) -> bool:
                with engine.begin() as connection:
                    connection.execute(sa.text("UPDATE users SET password_hash = 'that of a new password'"))
                return True

        object.__setattr__(site.parts, "passwords", Overtaken(QUICK))
        log_in(site)
        assert kept() == "that of a new password"
        assert ada.call("GET", "/auth/me").status_code == 200
        engine.dispose()

    def test_a_wrong_current_password_changes_nothing(self, site: Site, ada: Person) -> None:
        body = {"current": "wrong", "password": NEW_PASSWORD}
        assert ada.call("POST", "/auth/password", body).status_code == 401
        assert log_in(site)[0] == 200


class TestMails:
    def test_an_address_is_verified_once(self, site: Site, ada: Person) -> None:
        token = site.outbox.token(ada.email)
        assert site.call("POST", "/auth/verify-email", {"token": token}).status_code == 204
        assert site.call("POST", "/auth/verify-email", {"token": token}).status_code == 401
        sent = len(site.outbox.mails)
        assert ada.call("POST", "/auth/verify-email/send").status_code == 202
        assert len(site.outbox.mails) == sent

    def test_where_addresses_must_be_verified_nobody_logs_in_before(self, data_dir: Path) -> None:
        with open_site(data_dir, email_verification="required") as site:
            body = {"email": "ada@example.org", "password": PASSWORD}
            assert site.call("POST", "/auth/register", body).status_code == 202
            assert log_in(site)[0] == 403
            assert log_in(site, password="wrong")[0] == 401
            site.call("POST", "/auth/verify-email", {"token": site.outbox.token("ada@example.org")})
            assert log_in(site)[0] == 200

    def test_a_forgotten_password_is_replaced_once_and_ends_all_sessions(self, site: Site, ada: Person) -> None:
        assert site.call("POST", "/auth/reset-password/send", {"email": "ADA@example.org"}).status_code == 202
        body = {"token": site.outbox.token(ada.email), "password": NEW_PASSWORD}
        assert site.call("POST", "/auth/reset-password", {**body, "password": "short"}).status_code == 400
        with ThreadPoolExecutor(4) as pool:
            codes = sorted(pool.map(lambda _: site.call("POST", "/auth/reset-password", body).status_code, range(4)))
        assert codes == [204, 401, 401, 401]
        assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 401
        assert log_in(site, password=NEW_PASSWORD)[0] == 200

    def test_attack_account_made_beforehand_with_a_way_back_in(self, site: Site, ada: Person) -> None:
        """Whoever made an account with somebody else's address loses it to whoever gets the mail of a reset."""
        device = Authenticator("video.example.org", SITE)
        begun = ada.call("POST", "/auth/passkeys/begin").json()
        made = {"ticket": begun["ticket"], "name": "left behind", "credential": device.create(begun["options"])}
        assert ada.call("POST", "/auth/passkeys/finish", made).status_code == 201
        key = ada.call("POST", "/auth/api-keys", {"name": "x", "scopes": ["asset.read"]}).json()["api_key"]
        assert site.call("GET", "/api/assets", token=key).status_code == 200
        enrol(ada)
        site.call("POST", "/auth/reset-password/send", {"email": ada.email})
        body = {"token": site.outbox.token(ada.email), "password": NEW_PASSWORD}
        assert site.call("POST", "/auth/reset-password", body).status_code == 204
        asked = site.call("POST", "/auth/passkeys/login/begin").json()
        answer = {"ticket": asked["ticket"], "credential": device.get(asked["options"])}
        refused = site.call("POST", "/auth/passkeys/login/finish", answer)
        assert refused.json()["code"] == "auth.passkey_refused"
        assert site.call("GET", "/api/assets", token=key).status_code == 401
        assert ada.call("GET", "/auth/me").status_code == 401
        assert log_in(site, password=NEW_PASSWORD)[0] == 200  # and no code is asked for

    def test_a_reset_leaves_the_second_factor_of_a_verified_account(self, site: Site, ada: Person) -> None:
        site.call("POST", "/auth/verify-email", {"token": site.outbox.token(ada.email)})
        enrol(ada)
        site.call("POST", "/auth/reset-password/send", {"email": ada.email})
        body = {"token": site.outbox.token(ada.email), "password": NEW_PASSWORD}
        assert site.call("POST", "/auth/reset-password", body).status_code == 204
        assert log_in(site, password=NEW_PASSWORD)[0] == 202

    def test_a_newer_password_makes_older_links_useless(self, site: Site, ada: Person) -> None:
        site.call("POST", "/auth/reset-password/send", {"email": ada.email})
        token = site.outbox.token(ada.email)
        ada.call("POST", "/auth/password", {"current": PASSWORD, "password": NEW_PASSWORD})
        body = {"token": token, "password": "a third horse by itself"}
        assert site.call("POST", "/auth/reset-password", body).status_code == 401

    def test_mailboxes_cannot_be_filled(self, site: Site, ada: Person) -> None:
        codes = [site.call("POST", "/auth/reset-password/send", {"email": ada.email}).status_code for _ in range(25)]
        assert codes[:21] == [202] * 21
        assert 429 in codes[21:]

    def test_the_token_of_one_mail_is_good_for_nothing_else(self, site: Site, ada: Person) -> None:
        body = {"token": site.outbox.token(ada.email), "password": NEW_PASSWORD}
        assert site.call("POST", "/auth/reset-password", body).status_code == 401

    def test_whoever_is_invited_may_register_with_that_address_and_role(self, data_dir: Path) -> None:
        with open_site(data_dir) as site:
            admin = site.admin()
            body = {"email": "Bob@example.org", "role": "viewer"}
            assert admin.call("POST", "/auth/invitations", body).status_code == 202
            assert site.person().call("POST", "/auth/invitations", body).status_code == 403
            token = site.outbox.token("bob@example.org")
        with open_site(data_dir, registration="invitation") as site:
            plain = {"email": "bob@example.org", "password": PASSWORD}
            assert site.call("POST", "/auth/register", plain).status_code == 403
            other = {**plain, "email": "eve@example.org", "invitation": token}
            assert site.call("POST", "/auth/register", other).status_code == 401
            bob = site.person("bob@example.org", invitation=token)
            assert bob.call("GET", "/auth/me").json()["roles"] == ["viewer"]
            assert site.call("POST", "/auth/register", {**plain, "invitation": token}).status_code == 409


def secret_of(uri: str) -> bytes:
    text = parse_qs(urlsplit(uri).query)["secret"][0]
    return base64.b32decode(text + "=" * (-len(text) % 8))


class TestSecondFactor:
    @pytest.fixture
    def totp(self, ada: Person) -> Totp:
        return Totp(secret_of(ada.call("POST", "/auth/second-factor").json()["uri"]))

    @pytest.fixture
    def codes(self, ada: Person, totp: Totp) -> list[str]:
        """Recovery codes; the factor is confirmed with the code of now, which is good no more afterwards."""
        code = totp.code(utc_now())
        answer = ada.call("POST", "/auth/second-factor/confirm", {"code": code})
        assert answer.status_code == 200, answer.text
        codes: list[str] = answer.json()["codes"]
        return codes

    def finish(self, site: Site, ticket: str, code: str) -> int:
        answer = site.call("POST", "/auth/login/second-factor", {"ticket": ticket, "code": code})
        return int(answer.status_code)

    def test_it_is_asked_for_once_it_is_confirmed(self, site: Site, totp: Totp, codes: list[str]) -> None:
        status, asked = log_in(site)
        assert (status, "access_token" in asked) == (202, False)
        code = totp.code(utc_now() + timedelta(seconds=30))  # also where the step changes in between
        assert self.finish(site, asked["ticket"], code) == 200
        _, asked = log_in(site)
        assert self.finish(site, asked["ticket"], code) == 401  # a code is good once

    def test_it_is_not_asked_for_before(self, site: Site, totp: Totp) -> None:
        assert log_in(site)[0] == 200

    def test_a_wrong_code_leaves_the_ticket_good_and_many_make_one_wait(
        self, site: Site, totp: Totp, codes: list[str]
    ) -> None:
        now = utc_now()
        site.parts.lockout._clock = lambda: now
        _, asked = log_in(site)
        assert [self.finish(site, asked["ticket"], "000000") for _ in range(7)] == [401] * 6 + [429]

    def test_a_recovery_code_is_good_once(self, site: Site, ada: Person, codes: list[str]) -> None:
        for expected in (200, 401):
            _, asked = log_in(site)
            assert self.finish(site, asked["ticket"], codes[0]) == expected
        assert "second_factor.recovery_code_used" in site.audit(f"user:{ada.id}")

    def test_a_ticket_is_good_once_and_no_access_token(self, site: Site, totp: Totp, codes: list[str]) -> None:
        _, asked = log_in(site)
        assert site.call("GET", "/auth/me", token=asked["ticket"]).status_code == 401
        assert self.finish(site, asked["ticket"], codes[1]) == 200
        assert self.finish(site, asked["ticket"], codes[2]) == 400

    def test_it_cannot_be_replaced_and_removing_it_takes_a_code(
        self, site: Site, ada: Person, totp: Totp, codes: list[str]
    ) -> None:
        assert ada.call("POST", "/auth/second-factor").status_code == 403
        assert ada.call("DELETE", "/auth/second-factor", {"code": "000000"}).status_code == 401
        assert ada.call("DELETE", "/auth/second-factor", {"code": codes[3]}).status_code == 204
        assert log_in(site)[0] == 200

    def test_the_secret_is_sealed_in_the_database(
        self, site: Site, ada: Person, totp: Totp, codes: list[str], data_dir: Path
    ) -> None:
        kept = b"".join(path.read_bytes() for path in data_dir.glob("mamkit.db*"))
        assert b"mks1." in kept
        assert totp._secret not in kept
        assert base64.b32encode(totp._secret) not in kept
        assert all(code.encode() not in kept for code in codes)


class TestPasskeys:
    def test_a_passkey_logs_in_without_password_or_code(self, site: Site, ada: Person) -> None:
        device = Authenticator("video.example.org", SITE)
        asked = ada.call("POST", "/auth/passkeys/begin").json()
        body = {"ticket": asked["ticket"], "credential": device.create(asked["options"]), "name": "laptop"}
        assert ada.call("POST", "/auth/passkeys/finish", body).status_code == 201
        question = site.call("POST", "/auth/passkeys/login/begin").json()
        answer = {"ticket": question["ticket"], "credential": device.get(question["options"])}
        tokens = site.call("POST", "/auth/passkeys/login/finish", answer)
        assert tokens.status_code == 200, tokens.text
        assert site.call("GET", "/auth/me", token=tokens.json()["access_token"]).json()["email"] == ada.email
        assert site.call("POST", "/auth/passkeys/login/finish", answer).status_code == 400  # a question is good once
        [listed] = ada.call("GET", "/auth/passkeys").json()
        assert (listed["name"], listed["last_used_at"] is None) == ("laptop", False)
        assert ada.call("DELETE", f"/auth/passkeys/{listed['id']}").status_code == 204
        question = site.call("POST", "/auth/passkeys/login/begin").json()
        answer = {"ticket": question["ticket"], "credential": device.get(question["options"])}
        assert site.call("POST", "/auth/passkeys/login/finish", answer).status_code == 401

    def test_nobody_registers_a_passkey_with_somebody_else_s_ticket(self, site: Site, ada: Person) -> None:
        device = Authenticator("video.example.org", SITE)
        asked = ada.call("POST", "/auth/passkeys/begin").json()
        body = {"ticket": asked["ticket"], "credential": device.create(asked["options"])}
        assert site.person().call("POST", "/auth/passkeys/finish", body).status_code == 401


class TestApiKeys:
    def test_a_key_acts_for_its_owner_within_its_scopes_until_it_is_removed(self, site: Site, ada: Person) -> None:
        made = ada.call("POST", "/auth/api-keys", {"name": "backup", "scopes": ["asset.read"]})
        assert made.status_code == 201
        key = made.json()["api_key"]
        assert site.call("GET", "/api/assets", token=key).status_code == 200
        presign = {"filename": "a.mp4", "size": 5}
        assert site.call("POST", "/api/presign", presign, token=key).json()["code"] == "auth.permission_denied"
        [listed] = ada.call("GET", "/auth/api-keys").json()
        assert listed["last_used_at"] is not None
        assert "api_key" not in listed
        assert ada.call("DELETE", f"/auth/api-keys/{listed['id']}").status_code == 204
        assert site.call("GET", "/api/assets", token=key).status_code == 401

    @pytest.mark.parametrize(
        ("method", "path"),
        [
            ("GET", "/auth/me"),
            ("POST", "/auth/api-keys"),
            ("POST", "/auth/logout-all"),
            ("POST", "/auth/second-factor"),
        ],
    )
    def test_a_key_manages_no_account(self, site: Site, method: str, path: str) -> None:
        body = {"name": "x", "scopes": ["user.manage"]}
        key = site.admin().call("POST", "/auth/api-keys", body).json()["api_key"]
        assert site.call(method, path, body, token=key).status_code == 403

    def test_unknown_scopes_are_refused(self, ada: Person) -> None:
        assert ada.call("POST", "/auth/api-keys", {"name": "x", "scopes": ["asset.fly"]}).status_code == 400

    def test_a_banned_owner_s_key_is_no_good(self, site: Site, ada: Person) -> None:
        key = ada.call("POST", "/auth/api-keys", {"name": "x", "scopes": ["asset.read"]}).json()["api_key"]
        path = f"/api/users/{ada.id}/status"
        assert site.admin().call("PUT", path, {"status": "disabled"}).status_code == 204
        assert site.call("GET", "/api/assets", token=key).status_code == 401


class TestAdministration:
    def test_a_ban_ends_everything_at_once_and_is_recorded(self, site: Site, ada: Person) -> None:
        user_id, admin = ada.id, site.admin()
        assert admin.call("PUT", f"/api/users/{user_id}/status", {"status": "disabled"}).status_code == 204
        assert ada.call("GET", "/auth/me").status_code == 401
        assert site.call("POST", "/auth/refresh", {"refresh_token": ada.refresh}).status_code == 401
        assert log_in(site)[0] == 401
        assert admin.call("PUT", f"/api/users/{user_id}/status", {"status": "active"}).status_code == 204
        assert log_in(site)[0] == 200
        events = admin.call("GET", f"/api/audit?subject=user:{user_id}").json()
        assert [event["action"] for event in events][:3] == ["user.login", "user.status", "user.status"]
        assert ada.call("GET", f"/api/audit?subject=user:{user_id}").status_code == 401

    def test_roles_are_given_and_taken_by_administrators_alone(self, site: Site, ada: Person) -> None:
        path = f"/api/users/{ada.id}/roles/admin"
        assert ada.call("PUT", path).status_code == 403
        admin = site.admin()
        assert admin.call("PUT", path).status_code == 204
        assert ada.call("GET", "/auth/me").status_code == 401  # the token says the old roles
        assert admin.call("DELETE", path).status_code == 204
        assert admin.call("PUT", path.replace("admin", "root")).status_code in {400, 404}

    def test_an_owner_shares_an_asset_and_takes_it_back(self, site: Site, ada: Person) -> None:
        body = {"asset_id": str(uuid4()), "filename": "a.mp4", "title": "A film"}
        presigned = ada.call("POST", "/api/presign", {"filename": "a.mp4", "size": 5}).json()
        asset_id = presigned["asset_id"]
        assert ada.call("POST", "/api/assets", {**body, "asset_id": asset_id}).status_code == 201
        eve = site.person()
        path = f"/api/assets/{asset_id}/shares/{eve.id}"
        promote = {"asset_id": asset_id}
        assert eve.call("PUT", path, {"actions": ["asset.update"]}).status_code == 404
        assert eve.call("POST", "/api/promote", promote).status_code == 404
        assert ada.call("PUT", path, {"actions": ["asset.update"]}).status_code == 204
        assert eve.call("POST", "/api/promote", promote).json()["code"] == "previews.staged_upload_missing"
        [listed] = ada.call("GET", f"/api/assets/{asset_id}/shares").json()
        assert (listed["user_id"], listed["actions"]) == (eve.id, ["asset.update"])
        assert ada.call("DELETE", path).status_code == 204
        assert eve.call("POST", "/api/promote", promote).status_code == 404
        naive = {"actions": ["asset.update"], "expires_at": "2099-01-01T00:00:00"}
        assert ada.call("PUT", path, naive).status_code == 400  # whose midnight?
        past = {"actions": ["asset.update"], "expires_at": (utc_now() - timedelta(seconds=1)).isoformat()}
        assert ada.call("PUT", path, past).status_code == 204
        assert eve.call("POST", "/api/promote", promote).status_code == 404


class TestKeys:
    def test_public_keys_verify_access_tokens(self, data_dir: Path) -> None:
        with open_site(data_dir, access_token_algorithm="EdDSA") as site:
            ada = site.person()
            published = jwt.PyJWKSet.from_dict(site.call("GET", "/.well-known/jwks.json").json())
            key = published[jwt.get_unverified_header(ada.access)["kid"]]
            assert jwt.decode(ada.access, key, algorithms=["EdDSA"], audience="mamkit-api")["sub"] == ada.id
        with open_site(data_dir, access_token_algorithm="EdDSA") as site:  # the key is kept
            assert site.call("GET", "/auth/me", token=ada.access).status_code == 200

    def test_a_shared_secret_publishes_nothing(self, site: Site) -> None:
        assert site.call("GET", "/.well-known/jwks.json").json() == {"keys": []}

    def test_keys_of_another_algorithm_stop_the_start(self, data_dir: Path) -> None:
        ApiSettings.load(data_dir=data_dir, access_token_algorithm="EdDSA").key_pairs()
        with pytest.raises(SettingsError, match="ACCESS_TOKEN_ALGORITHM"):
            ApiSettings.load(data_dir=data_dir, access_token_algorithm="ES256").key_pairs()
        with pytest.raises(SettingsError, match="JWT_KEY_PAIRS"):
            ApiSettings.load(data_dir=data_dir, access_token_algorithm="ES256", jwt_key_pairs="x" * 40).key_pairs()
