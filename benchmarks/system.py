"""Many people upload and watch at once, on two APIs, two edges and two workers over PostgreSQL, Redis and S3.

Some upload: each film is new to the last byte, goes into the bucket by a presigned request, is recorded, promoted and
followed until it is ready. The others watch: they sign, fetch the playlists and segment after segment of a film that is
ready, and pause between two segments as a player does. Everything must succeed, the queue must be empty in the end, and
after the first minute no process may take more memory or more open files.

Ten minutes; `MAMKIT_SYSTEM_SECONDS` asks for another length.
"""

import asyncio
import hashlib
import os
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx

from benchmarks._films import make_film
from benchmarks._harness import Row, main
from benchmarks._system import System, Watch

__all__: list[str] = []

SECONDS, QUICK_SECONDS = 600.0, 20.0  # the rest of a quick run goes into starting and stopping
UPLOADERS, VIEWERS = 4, 40
FIRST_MINUTE = 60.0  # seconds in which caches, pools and allocators may grow
FILM_SECONDS = 6
PAUSE = 0.5  # seconds between two segments of a viewer
PASSWORD = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as the benchmark
DICE = random.Random()  # noqa: S311 - nothing depends on whether somebody can guess them
READY_WITHIN = 300.0  # seconds; longer is a preview that is stuck
# Allocators breathe, and what the edges may keep (`EDGE_CACHE`, and 2,048 tokens and paths of some 2 KiB) is not all
# there after a minute of a slow machine. So many connections more or fewer are open at a moment.
GROWTH = 1.1
GROWTH_FILES = 16


class Failures(Exception):  # noqa: N818 - it is a list, raised once at the end
    """What went wrong."""


class Load:
    """What is asked, how long each answer took, and what failed."""

    def __init__(self, apis: Sequence[str]) -> None:
        self.apis = apis
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.failures: list[str] = []
        self.ready: list[tuple[User, str]] = []
        self.over = False

    def note(self, what: str, began: float) -> None:
        """Keep how long something took."""
        self.seconds[what].append(time.perf_counter() - began)

    def percentile(self, what: str, share: float) -> float:
        """Return the time, in ms, that a share of these requests took at the most."""
        found = sorted(self.seconds[what])
        return found[min(len(found) - 1, int(len(found) * share))] * 1000


class User:
    """Somebody with an account, who asks either API, whichever comes."""

    def __init__(self, load: Load, http: httpx.AsyncClient, name: str) -> None:
        self._load = load
        self._http = http
        self._email = f"{name}@example.com"
        self._headers: dict[str, str] = {}
        self._renew_at = 0.0

    async def log_in(self, *, new: bool) -> None:
        """Register or log in."""
        what = "register" if new else "login"
        body = {"email": self._email, "password": PASSWORD}
        answer = await self._ask(what, "POST", self._api(f"/auth/{what}"), json=body)
        self._headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
        self._renew_at = time.monotonic() + 300  # seconds, before the token is over

    async def call(self, what: str, path: str, body: dict[str, Any] | None = None, **parameters: str) -> dict[str, Any]:
        """Ask the API."""
        if time.monotonic() > self._renew_at:
            await self.log_in(new=False)
        method = "GET" if body is None else "POST"
        answer = await self._ask(what, method, self._api(path), json=body, params=parameters, headers=self._headers)
        found: dict[str, Any] = answer.json()
        return found

    async def fetch(self, what: str, url: str) -> bytes:
        """Fetch from the edge."""
        return (await self._ask(what, "GET", url)).content

    async def put(self, request: dict[str, Any], data: bytes) -> None:
        """Upload into the bucket."""
        await self._ask("upload", request["method"], request["url"], content=data, headers=request["headers"])

    async def _ask(self, what: str, method: str, url: str, **more: Any) -> httpx.Response:
        began = time.perf_counter()
        try:
            answer = await self._http.request(method, url, **more)
        except httpx.HTTPError as error:
            where, seconds = url.partition("/s/")[0], time.perf_counter() - began
            raise Failures(f"{what}: {where}: {error!r} after {seconds:.2f} s") from error
        self._load.note(what, began)
        if not answer.is_success:
            raise Failures(f"{what}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _api(self, path: str) -> str:
        return DICE.choice(self._load.apis) + path


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    seconds = float(os.environ.get("MAMKIT_SYSTEM_SECONDS", QUICK_SECONDS if quick else SECONDS))
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as name:
        folder = Path(name)
        film = make_film(folder / "film.mp4", height=360, seconds=FILM_SECONDS).read_bytes()
        with System(folder) as system:
            load, watch = asyncio.run(_run(system, film, seconds))
            depth, complaints = system.depth(), system.complaints()
    for line in [*load.failures[:20], *complaints[:20]]:
        print(line, file=sys.stderr)
    return [
        *_rows(load, sum(depth.counts.get(state, 0) for state in ("waiting", "running", "dead")), len(complaints)),
        *_taken(watch, judged=seconds >= 2 * FIRST_MINUTE),
    ]


async def _run(system: System, film: bytes, seconds: float) -> tuple[Load, Watch]:
    load = Load(system.apis)
    watch = Watch(system.processes)
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
    async with httpx.AsyncClient(timeout=60, limits=limits) as http, _running(watch):
        uploaders = [User(load, http, f"uploader-{number}") for number in range(UPLOADERS)]
        await asyncio.gather(*(user.log_in(new=True) for user in uploaders))
        load.ready.append((uploaders[0], await _upload(load, uploaders[0], film)))  # so that there is one to watch
        people = [
            *(_upload_for_ever(load, user, film) for user in uploaders),
            *(_watch_for_ever(load) for _ in range(VIEWERS)),
        ]
        tasks = [asyncio.create_task(each) for each in people]
        await asyncio.sleep(seconds)
        load.over = True  # everybody finishes what they began: that drains the queue
        await asyncio.gather(*tasks)
    return load, watch


@asynccontextmanager
async def _running(watch: Watch) -> AsyncIterator[None]:
    task = asyncio.create_task(watch.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _upload_for_ever(load: Load, user: User, film: bytes) -> None:
    while not load.over:
        try:
            load.ready.append((user, await _upload(load, user, film)))
            await user.call("list", "/api/assets")
        except Failures as error:
            load.failures.append(str(error))
            await asyncio.sleep(1)


async def _upload(load: Load, user: User, film: bytes) -> str:
    """Take a film from the upload until it is ready; return its version."""
    # A box that players pass over (ISO/IEC 14496-12 section 8.1.2) makes each film another one.
    new = film + (8 + 16).to_bytes(4, "big") + b"free" + DICE.randbytes(16)
    digest = hashlib.sha256(new).hexdigest()
    began = time.perf_counter()
    wanted = {"filename": "film.mp4", "size": len(new), "content_type": "video/mp4", "sha256": digest}
    request = await user.call("presign", "/api/presign", wanted)
    await user.put(request, new)
    asset = {"asset_id": request["asset_id"], "filename": "film.mp4", "title": "A film"}
    await user.call("record", "/api/assets", asset)
    version = await user.call("promote", "/api/promote", {"asset_id": request["asset_id"], "sha256": digest})
    promoted, playable = time.perf_counter(), False
    while True:
        state = await user.call("status", "/api/preview/status", version_id=version["id"])
        if state["status"] in {"playable", "ready"} and not playable:
            playable = True
            load.note("from promotion to playable", promoted)
        if state["status"] == "ready":
            load.note("from upload to ready", began)
            return str(version["id"])
        if state["status"] == "failed" or time.perf_counter() - promoted > READY_WITHIN:
            raise Failures(f"the preview is {state}")
        await asyncio.sleep(0.5)


async def _watch_for_ever(load: Load) -> None:
    while not load.over:
        if not load.ready:
            await asyncio.sleep(0.5)
            continue
        # As everywhere, most people watch what is new.
        user, version_id = load.ready[-1 - min(int(DICE.expovariate(0.2)), len(load.ready) - 1)]
        try:
            await _play(load, user, version_id)
        except Failures as error:
            load.failures.append(str(error))
            await asyncio.sleep(1)


async def _play(load: Load, user: User, version_id: str) -> None:
    """Fetch a film as a player does: the playlists, then segment after segment of picture and sound."""
    began = time.perf_counter()
    url = (await user.call("sign", "/api/sign-preview", {"version_id": version_id}))["url"]
    master = (await user.fetch("playlist", url)).decode()
    named = re.findall(r'#EXT-X-MEDIA:TYPE=AUDIO.*?URI="([^"]+)"', master)[:1]
    named += re.findall(r"#EXT-X-STREAM-INF:.*\n(.+)", master)[-1:]
    segments: list[str] = []
    for name in named:
        playlist = urljoin(url, name)
        text = (await user.fetch("playlist", playlist)).decode()
        if "#EXT-X-ENDLIST" not in text:
            raise Failures("the playlist of a film that is ready has no end")
        found = [*re.findall(r'#EXT-X-MAP:URI="([^"]+)"', text), *re.findall(r"#EXTINF:[^\n]*\n([^#\n]+)", text)]
        segments += [urljoin(playlist, each) for each in found]
    for number, segment in enumerate(segments):
        if not await user.fetch("segment", segment):
            raise Failures("a segment is empty")
        if number == 1:
            load.note("from play to first segment", began)
        await asyncio.sleep(PAUSE * DICE.random())


def _rows(load: Load, left: int, complaints: int) -> list[Row]:
    asked = sum(len(times) for times in load.seconds.values())
    made = len(load.seconds["from upload to ready"])
    promoted = len(load.seconds["promote"])
    rows = [
        Row(name="requests that succeeded", ours=asked - len(load.failures), unit="", peer="asked", peer_value=asked,
            target=">= 1"),
        Row(name="films that became ready", ours=made, unit="", peer="promoted", peer_value=promoted, target=">= 1"),
        Row(name="films, beside what is left in the queue", ours=made, unit="", peer="with jobs left or dead",
            peer_value=made + left, target=">= 1"),
        Row(name="requests without a warning in any log", ours=asked - complaints, unit="", peer="asked",
            peer_value=asked, target=">= 1"),
    ]  # fmt: skip
    for what, times in sorted(load.seconds.items()):
        rows.append(Row(name=f"{what}, p95 of {len(times):,}", ours=load.percentile(what, 0.95), unit="ms", peer="p50",
                        peer_value=load.percentile(what, 0.5)))  # fmt: skip
    return rows


def _taken(watch: Watch, *, judged: bool) -> list[Row]:
    """Compare the last quarter with the first one after the first minute; a shorter run is only shown."""
    rows = []
    ends = max(at for samples in watch.samples.values() for at, _ in samples)
    since = FIRST_MINUTE if judged else ends / 2
    peer = "first quarter after a minute" if judged else "third quarter of the run"
    for name in sorted(watch.samples):
        first, last = watch.quarters(name, "memory", since=since)
        rows.append(Row(name=f"{name}: memory at the end", ours=last, unit="MiB", peer=peer, peer_value=first,
                        target=f"<= {GROWTH}" if judged else ""))  # fmt: skip
        first, last = watch.quarters(name, "files", since=since)
        rows.append(Row(name=f"{name}: open files at the end", ours=last, unit="", peer=f"{peer}, and {GROWTH_FILES}",
                        peer_value=first + GROWTH_FILES, target="<= 1" if judged else ""))  # fmt: skip
        first, last = watch.quarters(name, "family", since=since)
        rows.append(Row(name=f"{name}: it and its children", ours=last, unit="", peer=peer, peer_value=first))
    return rows


if __name__ == "__main__":
    main("system", measure)
