"""The API as processes of their own, for tests that kill one, run two, or send it more than a test client can."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from mamkit import catalog as db
from mamkit.auth import ROLES, PasswordHasher, Profile
from mamkit_apps.api.asgi import prepare
from mamkit_apps.api.settings import ApiSettings
from tests.servers.postgres import free_port

PASSWORD = "correct horse battery staple"
ADMIN = "admin@example.com"
PATIENCE = 60  # seconds for a start on a busy machine
SECRETS = ("EDGE_SIGNING_KEY", "JWT_SECRET", "SESSION_SECRET", "CALLBACK_SECRET", "SEALING_KEYS")


class ApiProcess:
    """One process of the API."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self.url = ""
        self.log = folder / f"api-{free_port()}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> str:
        """Start it and return its URL once it serves."""
        self.spawn()
        return self.wait()

    def spawn(self) -> None:
        """Start it, without waiting until it serves."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mamkit_apps", "api"],
                cwd=self._folder,
                env=os.environ | self._environment | {"PORT": str(port)},
                stdout=log,
                stderr=log,
            )

    def wait(self) -> str:
        """Return its URL once it serves."""
        assert self._process is not None
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with contextlib.suppress(httpx.HTTPError):
                httpx.get(f"{self.url}/healthz").raise_for_status()
                return self.url
            assert self._process.poll() is None, self.log.read_text()
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to end, if it runs."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def stop(self) -> None:
        """End it in good order."""
        self.terminate()
        if self._process is not None:
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Return the environment of an installation in a folder, with its tables made and an administrator in it."""
    given = {"DATA_DIR": str(folder / "data"), "REGISTRATION": "open"} | settings
    if "DATABASE_URL" in given:
        given |= {name: name.lower().ljust(32, ".") for name in SECRETS}
    loaded = ApiSettings.load(**{name.lower(): value for name, value in given.items()})
    prepare(loaded)
    asyncio.run(_administrator(loaded))
    return given


async def _administrator(settings: ApiSettings) -> None:
    catalog = db.Catalog(settings.database)
    quick = PasswordHasher(Profile(time_cost=1, memory_kib=64, parallelism=1))
    async with catalog.begin() as session:
        await db.ensure_roles(session, ROLES)
        user = await db.create_user(session, email=ADMIN, display_name="", password_hash=quick.hash(PASSWORD))
        await db.grant_role(session, user.id, "admin")
    await catalog.close()


@contextlib.contextmanager
def running_api(folder: Path, *, processes: int = 1, **settings: str) -> Iterator[list[ApiProcess]]:
    """Run processes of one installation until the block ends."""
    given = environment(folder, **settings)
    apis = [ApiProcess(given, folder) for _ in range(processes)]
    try:
        for api in apis:
            api.spawn()
        for api in apis:
            api.wait()
        yield apis
    finally:
        for api in apis:
            api.terminate()
        for api in apis:
            api.stop()


def bearer(url: str, email: str = ADMIN) -> dict[str, str]:
    """Log in and return the headers that say so."""
    answer = httpx.post(f"{url}/auth/login", json={"email": email, "password": PASSWORD}, timeout=PATIENCE)
    answer.raise_for_status()
    return {"authorization": f"Bearer {answer.json()['access_token']}"}
