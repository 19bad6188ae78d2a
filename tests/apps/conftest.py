"""The services as their users meet them: applications in this process, or real processes on free ports."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from mamkit_apps.api.asgi import create_app as create_api
from mamkit_apps.api.asgi import prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.asgi import create_app as create_edge
from mamkit_apps.edge.settings import EdgeSettings

PASSWORD = "correct horse battery staple"


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A developer's own settings and data folder change no test."""
    from mamkit_apps.supervisor import SETTINGS

    for name in SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def edge(data_dir: Path) -> Iterator[TestClient[Litestar]]:
    with TestClient(create_edge(EdgeSettings.load(data_dir=data_dir)), base_url="http://edge.test") as client:
        yield client


@pytest.fixture
def api(data_dir: Path) -> Iterator[TestClient[Litestar]]:
    settings = ApiSettings.load(data_dir=data_dir, registration="open", edge_url="http://edge.test")
    prepare(settings)
    with TestClient(create_api(settings)) as client:
        yield client


class User:
    """A logged-in user of the API under test."""

    def __init__(self, api: TestClient[Litestar], email: str) -> None:
        self.api = api
        self.email = email
        answer = api.post("/auth/register", json={"email": email, "password": PASSWORD})
        assert answer.status_code == 201, answer.text
        self.tokens: dict[str, str] = answer.json()
        self.headers = {"authorization": f"Bearer {self.tokens['access_token']}"}

    def post(self, path: str, body: dict[str, object]) -> tuple[int, dict[str, object]]:
        answer = self.api.post(path, json=body, headers=self.headers)
        return answer.status_code, answer.json() if answer.content else {}

    def get(self, path: str, **params: object) -> tuple[int, dict[str, object]]:
        answer = self.api.get(path, params={name: str(value) for name, value in params.items()}, headers=self.headers)
        return answer.status_code, answer.json()


@pytest.fixture
def ada(api: TestClient[Litestar]) -> User:
    return User(api, "ada@example.com")


@pytest.fixture
def eve(api: TestClient[Litestar]) -> User:
    return User(api, "eve@example.com")
