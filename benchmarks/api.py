"""The API on databases with few and with many assets, and beside a bare handler with one query.

Requests go to the applications in this process, without a socket: what is measured is the work behind one. Times are
those of one request at a time, in turns between the databases; the 95th percentile of a round counts.

`MAMKIT_API_ROWS` names what is measured, with commas between: `bare`, `growth` (PostgreSQL), `sqlite`, `load`; all of
it takes some six minutes, of which a million assets take one, and `bare` alone takes seconds.
"""

import asyncio
import base64
import json
import logging
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast
from uuid import UUID, uuid4

import sqlalchemy as sa
from litestar import Litestar, get
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import create_async_engine

from benchmarks._harness import Row, main, median, ratio_of_rounds
from benchmarks._seed import ADA, asset_id, seed, version_id
from mamkit import catalog as db
from mamkit_apps import logs
from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.settings import ApiSettings
from tests.servers import postgres

ROWS = ("bare", "growth", "sqlite", "load")
GROWTH = "<= 1.3"  # of the 95th percentile from the small database to the large one
TOKEN_AGE = 300.0  # seconds after which a new one is made
WARM_UP = 10  # requests of each kind before any counts


@dataclass(frozen=True)
class Site:
    """A running application over a database of so many assets."""

    app: Any
    count: int
    new_token: Callable[[], str] = str
    """Access tokens last 15 minutes, and a run may be longer."""

    async def send(self, method: str, path: str, body: object = None) -> bytes:
        """Send a request as the owner of everything, and return the body of its answer."""
        url, _, query = path.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        headers = [(b"host", b"bench"), (b"authorization", f"Bearer {self.new_token()}".encode())]
        if body is not None:
            headers += [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        scope: dict[str, Any] = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
            "path": url, "raw_path": url.encode(), "query_string": query.encode(), "root_path": "", "headers": headers,
            "client": ("127.0.0.1", 1), "server": ("bench", 80), "state": {},
        }  # fmt: skip
        answer: list[bytes] = []
        status = 0

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def take(message: Mapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            answer.append(message.get("body", b""))

        await self.app(scope, receive, take)
        if status >= 300:
            raise AssertionError(f"{method} {path}: {status} {b''.join(answer)[:300]!r}")
        return b"".join(answer)


Request = Callable[[Site], Awaitable[bytes]]


def _any(site: Site) -> int:
    return random.randrange(site.count)  # noqa: S311 - no secret


async def _list(site: Site) -> bytes:
    return await site.send("GET", f"/api/assets?limit=50&after={_cursor(_any(site))}")


async def _search(site: Site) -> bytes:
    return await site.send("GET", f"/api/assets?limit=50&q=number{_any(site)}%20h264")


async def _search_common(site: Site) -> bytes:
    return await site.send("GET", "/api/assets?limit=50&q=take%20h2")


async def _get(site: Site) -> bytes:
    return await site.send("GET", f"/api/assets/{asset_id(_any(site))}")


async def _comment(site: Site) -> bytes:
    return await site.send(
        "POST", f"/api/assets/{asset_id(_any(site))}/comments", {"content": "dark", "start_seconds": 1}
    )


async def _sign(site: Site) -> bytes:
    return await site.send("POST", "/api/sign-preview", {"version_id": str(version_id(_any(site)))})


REQUESTS: dict[str, Request] = {
    "list, a page from anywhere": _list,
    "search, a word of one asset": _search,
    "search, words of all": _search_common,
    "get": _get,
    "comment": _comment,
    "sign": _sign,
}


def _cursor(number: int) -> str:
    """Return what the page that ends with an asset says (`Page.next`)."""
    return base64.urlsafe_b64encode(json.dumps(["newest", None, asset_id(number).hex]).encode()).decode().rstrip("=")


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    logs.configure("json")  # a line for each request, as a server writes it, to where nobody reads it
    with Path(os.devnull).open("w") as nowhere:
        for handler in logging.getLogger().handlers:
            cast("logging.StreamHandler[TextIO]", handler).setStream(nowhere)
        return asyncio.run(_measure(quick))


async def _measure(quick: bool) -> list[Row]:
    small, large, embedded = (1_000, 20_000, 5_000) if quick else (10_000, 1_000_000, 100_000)
    rounds, times = (3, 20) if quick else (5, 100)
    wanted = os.environ.get("MAMKIT_API_ROWS", ",".join(ROWS)).split(",")
    if not set(ROWS) >= set(wanted):
        raise SystemExit(f"MAMKIT_API_ROWS: any of {', '.join(ROWS)}")
    rows = []
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mamkit-bench-")))
        server = stack.enter_context(postgres.running())

        async def on_postgresql(count: int) -> tuple[Site, str]:
            # Of somebody who is no superuser: the policies of rows are part of the work.
            url = server.new_database(role="tenant")
            return await stack.enter_async_context(_site(folder, url, count)), url

        few, url = await on_postgresql(small)
        if "bare" in wanted:
            bare = await stack.enter_async_context(_bare(url, small))
            rows.append(await _beside_bare(few, bare, rounds * 5, times // 5))
        if "growth" in wanted or "load" in wanted:
            many, _ = await on_postgresql(large)
        if "growth" in wanted:
            for name, request in REQUESTS.items():
                rows.append(await _growth(f"PostgreSQL: {name}", request, (few, many), rounds=rounds, times=times))
        if "load" in wanted:
            rows += await _under_load(many, seconds=3.0 if quick else 15.0)
        if "sqlite" in wanted:  # last, since an application that is open looks around now and then
            pair = [
                await stack.enter_async_context(_site(folder, f"sqlite:///{folder}/{count}.db", count))
                for count in (small, embedded)
            ]
            for name, request in REQUESTS.items():
                rows.append(await _growth(f"SQLite: {name}", request, (pair[0], pair[1]), rounds=rounds, times=times))
    return rows


async def _growth(name: str, request: Request, sites: tuple[Site, Site], *, rounds: int, times: int) -> Row:
    small, large = sites
    taken: dict[int, list[float]] = {small.count: [], large.count: []}
    for site in (small, large):
        await _seconds(request, site, WARM_UP)
    for _ in range(rounds):
        found: dict[int, list[float]] = {small.count: [], large.count: []}
        for turn in range(times):  # request by request, so that whatever disturbs one disturbs the other
            for site in (small, large) if turn % 2 else (large, small):
                found[site.count] += await _seconds(request, site, 1)
        for count, seconds in found.items():
            taken[count].append(_late(seconds))
    return Row(
        name=f"{name}, {large.count:,} assets",
        ours=median(taken[large.count]) * 1000,
        unit="ms p95",
        peer=f"{small.count:,} assets",
        peer_value=median(taken[small.count]) * 1000,
        target=GROWTH,
        paired=ratio_of_rounds(taken[large.count], taken[small.count]),
    )


async def _seconds(request: Request, site: Site, times: int) -> list[float]:
    """Return how long each of some requests takes."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        await request(site)
        found.append(time.perf_counter() - start)
    return found


def _late(seconds: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(seconds)[int(len(seconds) * 0.95)]


async def _beside_bare(ours: Site, bare: Site, rounds: int, times: int) -> Row:
    rates: dict[bool, list[float]] = {True: [], False: []}
    for site in (ours, bare):
        await _seconds(_get, site, WARM_UP)
    for turn in range(rounds):
        for site in (ours, bare) if turn % 2 else (bare, ours):
            rates[site is ours].append(times / sum(await _seconds(_get, site, times)))
    return Row(
        name="PostgreSQL: get, one client",
        ours=median(rates[True]),
        unit="1/s",
        peer="bare Litestar handler, one query",
        peer_value=median(rates[False]),
        target=">= 0.5",
        paired=ratio_of_rounds(rates[True], rates[False]),
    )


MIX = ("list, a page from anywhere", "search, a word of one asset", "get", "get", "get", "sign", "comment")
"""What is asked for under load, in turn."""
CLIENTS = 32
BOUND = 100.0  # milliseconds of the 95th percentile, at half of the load that saturates


async def _under_load(site: Site, *, seconds: float) -> list[Row]:
    """Return how many requests a second one process answers at most, and how long they take at half of that."""
    kinds = [REQUESTS[name] for name in MIX]
    served = 0
    until = time.perf_counter() + seconds

    async def client(first: int) -> None:
        nonlocal served
        while time.perf_counter() < until:
            await kinds[(first + served) % len(kinds)](site)
            served += 1

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    saturating = served / seconds
    taken: list[float] = []

    async def one(kind: Request, due: float) -> None:
        await kind(site)
        taken.append(time.perf_counter() - due)  # from when it was due: who comes late has waited, too

    async with asyncio.TaskGroup() as tasks:
        due = time.perf_counter()
        for number in range(int(saturating / 2 * seconds)):
            due += random.expovariate(saturating / 2)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.create_task(one(kinds[number % len(kinds)], due))
    late = _late(taken) * 1000
    return [
        Row(
            name=f"PostgreSQL: a mix by {CLIENTS} clients at once, {site.count:,} assets",
            ours=saturating,
            unit="1/s",
            peer="",
        ),
        Row(
            name=f"PostgreSQL: half of that, arriving at random, {site.count:,} assets",
            ours=late,
            unit="ms p95",
            peer="bound",
            peer_value=BOUND,
            target="<= 1.0",
        ),
    ]


@asynccontextmanager
async def _site(folder: Path, url: str, count: int) -> AsyncIterator[Site]:
    secrets = ("edge_signing_key", "jwt_secret", "session_secret", "callback_secret", "sealing_keys")
    settings = ApiSettings.load(
        data_dir=folder, database_url=url, api_rate_per_user=100_000, **{name: name.ljust(64, "x") for name in secrets}
    )
    prepare(settings)
    start = time.perf_counter()
    await asyncio.to_thread(seed, url, count)
    print(f"{count:,} assets in {time.perf_counter() - start:.0f} s", file=sys.stderr)
    app = create_app(settings)
    async with app.lifespan():
        parts = app.state.parts
        async with parts.catalog.begin() as session:
            await db.grant_role(session, ADA, "editor")
            user = await db.user_by_id(session, ADA)
        claims = {"user_id": ADA, "session_id": uuid4(), "authz_version": user.authz_version, "roles": ["editor"]}
        made = (time.monotonic(), parts.tokens.issue(**claims))

        def token() -> str:
            nonlocal made
            if time.monotonic() - made[0] > TOKEN_AGE:
                made = (time.monotonic(), parts.tokens.issue(**claims))
            return str(made[1])

        yield Site(app, count, token)


@asynccontextmanager
async def _bare(url: str, count: int) -> AsyncIterator[Site]:
    """Run what anybody would write first: no login, no permissions, one query by the primary key."""
    engine = create_async_engine(
        url.replace("postgresql:", "postgresql+psycopg:"), connect_args={"options": "-c mamkit.scope=all"}
    )
    table = sa.table("assets", sa.column("id", sa.Uuid), sa.column("title"), sa.column("created_at"))

    @get("/api/assets/{found:uuid}")
    async def one(found: FromPath[UUID]) -> dict[str, Any]:
        async with engine.connect() as connection:
            row = (await connection.execute(sa.select(table).where(table.c.id == found))).one()
        return dict(row._mapping)

    app = Litestar([one], openapi_config=None, logging_config=None)
    async with app.lifespan():
        yield Site(app, count)
    await engine.dispose()


if __name__ == "__main__":
    main("api", measure)
