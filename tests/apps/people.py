"""What the tests of accounts share: an API with its mails caught, and people who use it."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

from litestar import Litestar
from litestar.testing import TestClient

from mamkit import catalog as db
from mamkit.auth import PasswordHasher, Profile
from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.mail import Mail
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.api.wiring import Parts

PASSWORD = "correct horse battery staple"
SITE = "https://video.example.org"


QUICK = Profile(time_cost=1, memory_kib=64, parallelism=1)  # a hundred times quicker than the default


class Outbox:
    """Keeps mails instead of sending them."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []

    async def send(self, mail: Mail) -> None:
        self.mails.append(mail)

    def token(self, to: str) -> str:
        """Return the token of the newest mail to somebody."""
        found = [mail for mail in self.mails if mail.to == to]
        match = re.search(r"#\w+=(\S+)", found[-1].text)
        assert match is not None
        return match[1]


class Site:
    """An API and what its tests look at."""

    def __init__(self, client: TestClient[Litestar], settings: ApiSettings) -> None:
        self.client = client
        self.settings = settings
        self.outbox = Outbox()
        self.parts.post._mailer = self.outbox
        object.__setattr__(self.parts, "passwords", PasswordHasher(QUICK))

    @property
    def parts(self) -> Parts:
        parts: Parts = self.client.app.state.parts
        return parts

    def call(self, method: str, path: str, body: object = None, token: str = "", **more: Any) -> Any:
        """Send a request, which means whatever state it meets, and return the answer, once its mails are sent."""
        headers = {"if-match": "*"} | ({"authorization": f"Bearer {token}"} if token else {})
        answer = self.client.request(method, path, json=body, headers=headers, **more)
        assert self.client.blocking_portal is not None
        self.client.blocking_portal.call(self.parts.post.close)  # mails are sent in the background
        return answer

    def person(self, email: str = "", **more: object) -> "Person":
        """Register somebody."""
        email = email or f"person-{uuid4().hex}@example.org"
        answer = self.call("POST", "/auth/register", {"email": email, "password": PASSWORD, **more})
        assert answer.status_code == 201, answer.text
        return Person(self, email, answer.json())

    def admin(self) -> "Person":
        """Register somebody and make them an administrator."""
        person = self.person()

        async def promote() -> None:
            async with self.parts.catalog.begin() as session:
                user = await db.user_by_email(session, person.email)
                assert user is not None
                await db.grant_role(session, user.id, "admin")

        assert self.client.blocking_portal is not None
        self.client.blocking_portal.call(promote)
        answer = self.call("POST", "/auth/refresh", {"refresh_token": person.refresh})
        return Person(self, person.email, answer.json())

    def audit(self, subject: str) -> list[str]:
        """Return what was recorded of a subject, newest first."""

        async def look() -> list[str]:
            async with self.parts.catalog.read() as session:
                return [event.action for event in await db.events_of(session, subject)]

        assert self.client.blocking_portal is not None
        found: list[str] = self.client.blocking_portal.call(look)
        return found


class Person:
    """Somebody who is logged in."""

    def __init__(self, site: Site, email: str, tokens: dict[str, str]) -> None:
        self.site = site
        self.email = email
        self.access = tokens["access_token"]
        self.refresh = tokens["refresh_token"]

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Send a request as this person."""
        return self.site.call(method, path, body, self.access)

    @property
    def id(self) -> str:
        """Their user id."""
        return str(self.call("GET", "/auth/me").json()["id"])


@contextlib.contextmanager
def open_site(data_dir: Path, **settings: object) -> Iterator[Site]:
    """Run an API until the block ends."""
    own = {"data_dir": data_dir, "registration": "open", "public_url": SITE, "api_url": SITE}
    # Tests ask more often than people do; those that are about that say how often.
    unbounded = {f"api_rate_{name}": 0 for name in ("per_user", "per_key", "per_address", "login")}
    # Only tests about imports let a process go and fetch something.
    loaded = ApiSettings.load(**{**own, **unbounded, "import_slots": 0, **settings})
    prepare(loaded)
    with TestClient(create_app(loaded), base_url=SITE) as client:
        yield Site(client, loaded)
