"""The examples of logins run as they stand, in processes of their own, and withstand what they should."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from tests.servers.postgres import free_port

EXAMPLES = Path(__file__).parents[2] / "examples"
PASSWORD = "correct horse battery staple"
PATIENCE = 60  # seconds for a start on a busy machine


@contextlib.contextmanager
def running(folder: str, tmp_path: Path, *command: str, port: int) -> Iterator[str]:
    """Run an example until the block ends; give its URL."""
    url = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, *command, "--port", str(port)],
        cwd=EXAMPLES / folder,
        env={
            **os.environ, "DATABASE": str(tmp_path / "users.db"), "SESSION_SECRET": "s" * 32, "ORIGIN": url,
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                httpx.get(f"{url}/me")
            except httpx.TransportError:
                assert process.poll() is None, "the example did not start"
                assert time.monotonic() < deadline, "the example does not answer"
                time.sleep(0.05)
            else:
                break
        yield url
    finally:
        process.terminate()
        process.wait(PATIENCE)


@pytest.fixture(scope="module")
def fastapi_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("fastapi")
    with running("fastapi_login", folder, "-m", "uvicorn", "app:app", port=free_port()) as url:
        yield url


@pytest.fixture(scope="module")
def flask_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("flask")
    with running("flask_login", folder, "-m", "flask", "--app", "app", "run", port=free_port()) as url:
        yield url


@pytest.fixture
def fastapi(fastapi_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=fastapi_url, timeout=30) as client:
        yield client


@pytest.fixture
def flask(flask_url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=flask_url, timeout=30) as client:
        yield client


@pytest.fixture
def ada() -> dict[str, str]:
    """Somebody who has no account yet."""
    return {"email": f"Ada-{uuid4().hex}@example.org", "password": PASSWORD}


@pytest.mark.parametrize("folder", ["fastapi_login", "flask_login"])
def test_an_example_imports_of_mamkit_what_its_auth_extra_brings(folder: str) -> None:
    text = (EXAMPLES / folder / "app.py").read_text()
    assert set(re.findall(r"^(?:from|import) (mamkit[\w.]*)", text, re.MULTILINE)) <= {
        "mamkit.auth",
        "mamkit.auth.sql",
        "mamkit.auth.sql_logins",
        "mamkit.ids",
    }


def test_fastapi_registers_logs_in_refreshes_and_logs_out(fastapi: httpx.Client, ada: dict[str, str]) -> None:
    assert fastapi.post("/register", json=ada).status_code == 201
    tokens = fastapi.post("/login", json=ada).json()
    me = fastapi.get("/me", headers={"authorization": f"Bearer {tokens['access_token']}"})
    assert me.status_code == 200
    with ThreadPoolExecutor(8) as pool:
        body = {"refresh_token": tokens["refresh_token"]}
        answers = list(pool.map(lambda _: fastapi.post("/refresh", json=body).json(), range(8)))
    assert len({answer["refresh_token"] for answer in answers}) == 1
    body = {"refresh_token": answers[0]["refresh_token"]}
    assert fastapi.post("/logout", json=body).status_code == 204
    assert fastapi.post("/refresh", json=body).json()["code"] == "auth.session_revoked"


def test_fastapi_refuses_what_it_should(fastapi: httpx.Client, ada: dict[str, str]) -> None:
    weak = fastapi.post("/register", json={**ada, "password": "summer2024"})
    assert (weak.status_code, weak.json()["code"]) == (400, "auth.weak_password")
    assert fastapi.post("/register", json=ada).status_code == 201
    wrong = fastapi.post("/login", json={**ada, "password": "wrong"})
    unknown = fastapi.post("/login", json={**ada, "email": f"eve-{uuid4().hex}@example.org"})
    assert (wrong.status_code, wrong.json()) == (unknown.status_code, unknown.json())
    assert wrong.status_code == 401
    assert fastapi.get("/me").status_code == 401
    assert [key["alg"] for key in fastapi.get("/.well-known/jwks.json").json()["keys"]] == ["EdDSA"]
    # Waits double: at some time one is longer than a login takes, however slow the machine.
    statuses = (fastapi.post("/login", json={**ada, "password": "wrong"}).status_code for _ in range(15))
    assert 429 in statuses


def test_flask_logs_in_with_a_cookie_that_no_script_can_read(flask: httpx.Client, ada: dict[str, str]) -> None:
    answer = flask.post("/register", data=ada)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    me = flask.get("/me").json()
    assert flask.post("/logout", headers={"x-csrf-token": me["csrf"]}).status_code == 204
    assert flask.get("/me").status_code == 401


def test_flask_attack_csrf(flask: httpx.Client, ada: dict[str, str]) -> None:
    """No token, a token of the attacker's own session, and a page of another site."""
    flask.post("/register", data=ada)
    with httpx.Client(base_url=flask.base_url, timeout=30) as attacker:
        attacker.post("/register", data={**ada, "email": f"eve-{uuid4().hex}@example.org"})
        theirs = attacker.get("/me").json()["csrf"]
    for headers in ({}, {"x-csrf-token": "x" * 65}, {"x-csrf-token": theirs}):
        assert flask.post("/logout", headers=headers).json()["code"] == "auth.csrf"
    ours = flask.get("/me").json()["csrf"]
    elsewhere = {"x-csrf-token": ours, "origin": "https://evil.example"}
    assert flask.post("/logout", headers=elsewhere).json()["code"] == "auth.csrf"
    assert flask.post("/login", data=ada, headers={"origin": "https://evil.example"}).status_code == 403
    assert flask.get("/me").status_code == 200


def test_flask_attack_session_fixation(flask: httpx.Client, ada: dict[str, str]) -> None:
    """A session that the attacker planted in the browser is not the one that the victim logs in to."""
    flask.post("/register", data=ada)
    planted = flask.cookies["session"]
    flask.post("/login", data=ada)
    assert flask.cookies["session"] != planted
    flask.get("/me")
    with httpx.Client(base_url=flask.base_url, timeout=30, cookies={"session": "mkr1_" + "A" * 43}) as victim:
        victim.post("/login", data=ada)
        assert "mkr1_" + "A" * 43 not in {cookie.value for cookie in victim.cookies.jar if cookie.domain}


def test_flask_attack_open_redirect(flask: httpx.Client, ada: dict[str, str]) -> None:
    flask.post("/register", data=ada)
    places = {"https://evil.example": "/", "//evil.example": "/", "/\\evil.example": "/", "/assets?x=1": "/assets?x=1"}
    for target, place in places.items():
        answer = flask.post("/login", params={"next": target}, data=ada)
        assert (answer.status_code, answer.headers["location"]) == (303, place)
