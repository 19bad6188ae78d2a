"""Two films at a time through a distributed installation in which everything fails: each becomes ready, and whole.

`MAMKIT_MIXED_ROUNDS` says how many rounds (100 are run before a release); `MAMKIT_HLS_CHECK` may name a script that
checks a multivariant playlist and all that it names, and ends with another status than 0 if something is wrong.
"""

import asyncio
import hashlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import pytest

from mamkit import catalog as db
from mamkit.catalog import Catalog
from mamkit.jobs import Job
from mamkit.jobs.redis import RedisQueue
from mamkit.transcode import (
    ArtFile,
    Init,
    PartResult,
    Plan,
    Segment,
    encode_part,
    init_name,
    make_plan,
    probe,
    segment_name,
)
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.demo.playback import Playback, Rendition, check_against, decode
from tests.faults.fleet import Fleet
from tests.faults.processes import again, command_of, make_account, parents
from tests.media_factory import make_clip
from tests.redis_server import RedisServer
from tests.servers.postgres import LIKE_PRODUCTION, running

ROUNDS = int(os.environ.get("MAMKIT_MIXED_ROUNDS", "2"))
FIRST_SEED = int(os.environ.get("MAMKIT_MIXED_SEED", "0"))
HLS_CHECK = os.environ.get("MAMKIT_HLS_CHECK")
TROUBLE = 7.0  # seconds of each round in which things go wrong
PATIENCE = 300.0  # seconds for a preview to become ready after that, on a busy machine
WIDTH, HEIGHT = 192, 108


@dataclass(frozen=True)
class Film:
    """A film, and what comes of it where nothing fails."""

    path: Path
    seconds: int
    made: dict[str, str]
    """SHA-256 of each initialisation segment and segment, by its name."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[Film]:
    """Two films, each part also encoded in peace: parts come out the same whoever makes them, and how often."""
    found = []
    for seconds in (13, 27):
        folder = tmp_path_factory.mktemp("film")
        path = make_clip(folder / "film.mp4", seconds=seconds, width=WIDTH, height=HEIGHT, b_frames=2)
        made = _Made()
        plan = make_plan(probe(path), artwork=False)
        for part in plan.parts:
            encode_part(path, plan, part, made)
        found.append(Film(path, seconds, made.digests))
    return found


class _Made:
    """A sink that remembers what it was given."""

    def __init__(self) -> None:
        self.digests: dict[str, str] = {}

    def init(self, init: Init, data: bytes) -> None:
        self.digests[init_name(init.rendition)] = hashlib.sha256(data).hexdigest()

    def segment(self, segment: Segment, data: bytes) -> None:
        self.digests[segment_name(segment.rendition, segment.index)] = hashlib.sha256(data).hexdigest()

    def art(self, file: ArtFile, data: bytes) -> None:
        raise AssertionError(f"there is no {file.name} of a part without artwork")

    def progress(self, done: Fraction) -> None:
        """Nobody looks."""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory, weed: str, redis_server: RedisServer) -> Iterator[Fleet]:
    del redis_server  # skips where there is none
    folder = tmp_path_factory.mktemp("fleet")
    with (
        running(LIKE_PRODUCTION) as postgres,
        RedisServer(folder / "redis") as redis,
        Fleet(folder, postgres, redis, weed) as fleet,
        Client(fleet.api_url) as client,
    ):
        make_account(client)
        yield fleet


def test_no_preview_is_lost_whatever_fails(
    fleet: Fleet, films: list[Film], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    losses: list[str] = []
    for seed in range(FIRST_SEED, FIRST_SEED + ROUNDS):
        began = time.monotonic()
        lost = one_round(fleet, films, tmp_path / str(seed), seed)
        losses += [f"round {seed}: {loss}" for loss in lost]
        faults = ", ".join(f"{name} {count}" for name, count in sorted(Counter(fleet.happened).items()))
        took = time.monotonic() - began
        say(capsys, f"round {seed}: {len(lost)} losses, {took:.0f} s; {faults}", *lost)
    say(capsys, f"{ROUNDS} rounds of mixed faults, {len(losses)} losses")
    assert not losses


def say(capsys: pytest.CaptureFixture[str], *lines: str) -> None:
    """Show lines although the test holds: how often nothing was lost is what it is for."""
    with capsys.disabled():
        sys.stdout.write("\n".join(("", *lines, "")))
        sys.stdout.flush()


def one_round(fleet: Fleet, films: list[Film], folder: Path, seed: int) -> list[str]:
    """Take the films in while things go wrong, wait until they are ready, and return all that is not as it must be."""
    with fleet.trouble(seed, TROUBLE), ThreadPoolExecutor(len(films)) as pool:
        versions = list(pool.map(lambda film: take_in(fleet, film), films))
    losses = []
    for film, version_id in zip(films, versions, strict=True):
        status = settled(fleet, version_id)
        if status == "ready":
            losses += check(fleet, film, version_id, folder / version_id)
        else:
            losses.append(f"{version_id} is {status}")
    return losses + unclean(fleet, versions)


def take_in(fleet: Fleet, film: Film) -> str:
    """Upload and promote a film, twice, as a client does who gets no answer; return its version."""
    with Client(fleet.api_url) as client:
        again(lambda: client.log_in("ada@example.com", "correct horse battery staple"))
        digest = sha256_of_file(film.path)
        wanted = {"filename": film.path.name, "size": film.path.stat().st_size, "sha256": digest}
        presigned = again(lambda: client.post("/api/presign", wanted))
        again(lambda: upload(film.path, presigned, lambda _: None))
        asset = {"asset_id": presigned["asset_id"], "filename": film.path.name, "title": "A film"}
        again(lambda: client.post("/api/assets", asset))
        promotion = {"asset_id": presigned["asset_id"], "sha256": digest}
        [version_id] = {str(again(lambda: client.post("/api/promote", promotion))["id"]) for _ in range(2)}
        return version_id


def settled(fleet: Fleet, version_id: str) -> str:
    """Return the state of a preview once it is ready or has failed, or when patience ends, with its reason."""
    deadline = time.monotonic() + PATIENCE
    with Client(fleet.api_url) as client:
        again(lambda: client.log_in("ada@example.com", "correct horse battery staple"))
        while True:
            view = again(lambda: client.get("/api/preview/status", version_id=version_id))
            if view["status"] in {"ready", "failed"} or time.monotonic() > deadline:
                return str(view["status"] if view["status"] == "ready" else view)
            time.sleep(0.2)


def check(fleet: Fleet, film: Film, version_id: str, folder: Path) -> list[str]:
    """Return what is wrong with a preview that is said to be ready."""
    prefix, plan, results = asyncio.run(recorded(fleet, version_id))
    found = {info.key.removeprefix(prefix): info for info in fleet.previews.list(prefix)}
    losses = []
    for name in found:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with fleet.previews.get(prefix + name) as body:
            path.write_bytes(body.read())
    media = {name for name in found if name.endswith((".m4s", "init.mp4"))}
    promised = {init_name(init.rendition) for result in results for init in result.inits}
    promised |= {segment_name(s.rendition, s.index) for result in results for s in result.segments}
    if not media == promised == film.made.keys():
        losses.append(f"{version_id}: segments missing or too many: {media ^ promised ^ film.made.keys()}")
    losses += [
        f"{version_id}: {name} is not what the film gives"
        for name in media & film.made.keys()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != film.made[name]
    ]
    art = {file.name for result in results for file in result.art}
    if art - found.keys() or not art:
        losses.append(f"{version_id}: artwork is missing: {art - found.keys()}")
    if len(results) != len(plan.parts):
        losses.append(f"{version_id}: {len(results)} of {len(plan.parts)} parts are recorded")
    losses += [f"{version_id}: {loss}" for loss in play(film, plan, folder)]
    if HLS_CHECK:
        command = [sys.executable, HLS_CHECK, str(folder / "index.m3u8"), "--source", str(film.path)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            losses.append(f"{version_id}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return losses


def play(film: Film, plan: Plan, folder: Path) -> list[str]:
    """Return what a player would find wrong that follows the playlists."""
    renditions = [
        Rendition(name=video.name, kind="video", width=video.width, height=video.height, path=folder / "v.mp4")
        for video in plan.video
    ]
    renditions += [Rendition(name=audio.name, kind="audio", path=folder / "a.mp4") for audio in plan.audio]
    for rendition in renditions:
        text = (folder / rendition.name / "index.m3u8").read_text()
        named = re.findall(r"#EXTINF:([\d.]+),\n(segment_\d+\.m4s)", text)
        if "#EXT-X-ENDLIST" not in text or len(named) != plan.segment_count:
            return [f"the playlist of {rendition.name} names {len(named)} of {plan.segment_count} segments"]
        files = [folder / rendition.name / name for name in ("init.mp4", *(name for _, name in named))]
        rendition.path.write_bytes(b"".join(file.read_bytes() for file in files))
        rendition.declared = sum(float(seconds) for seconds, _ in named)
        decode(rendition)
        if rendition.kind == "video" and rendition.frames != plan.frame_count:
            return [f"{rendition.name} has {rendition.frames} of {plan.frame_count} pictures"]
    check_against(Playback(renditions=tuple(renditions), bytes=0), seconds=film.seconds, width=WIDTH, height=HEIGHT)
    return []


async def recorded(fleet: Fleet, version_id: str) -> tuple[str, Plan, list[PartResult]]:
    """Return where a preview lies, its plan, and what is recorded of its parts."""
    catalog = Catalog(fleet.database)
    try:
        async with catalog.read() as session:
            version = await db.version_by_id(session, UUID(version_id))
            preview = await db.preview_of(session, version.id)
            parts = await db.parts_of(session, version.id)
    finally:
        await catalog.close()
    done = [PartResult.model_validate(part.result) for part in parts if part.status == "done"]
    return version.preview_prefix, Plan.model_validate(preview.plan), done


def unclean(fleet: Fleet, versions: list[str]) -> list[str]:
    """Return what was published twice, and what is left in the queue, on disk and among the processes."""
    losses = []
    log = (fleet.folder / "api.log").read_text()
    said = Counter(re.findall(r"preview (?:\S+ is ready|\S+: part \d+ is published)", log))
    losses += [f"published {count} times: {what}" for what, count in said.items() if count > 1]
    # A part may have had a second job, which found it done: see decision 7. Published it is once.
    losses += [f"a job is {job.state}: {job}" for job in left_in_queue(fleet, versions) if job.state != "done"]
    deadline = time.monotonic() + 10
    while (left := [*scratch(fleet), *orphans()]) and time.monotonic() < deadline:
        time.sleep(0.2)
    return losses + left


def left_in_queue(fleet: Fleet, versions: list[str]) -> list[Job]:
    """Return the jobs of previews, once none of them waits or runs, or patience ends."""
    queue = RedisQueue.from_url(fleet.redis.url)
    deadline = time.monotonic() + 40
    try:
        while True:
            jobs = [job for job in queue.list(limit=1000) if job.payload["version_id"] in versions]
            if not {job.state for job in jobs} & {"waiting", "running"} or time.monotonic() > deadline:
                return jobs
            time.sleep(0.2)
    finally:
        queue.close()


def scratch(fleet: Fleet) -> list[str]:
    """Return the files that workers have left behind."""
    return [f"left on disk: {path.name}" for path in fleet.scratch.iterdir()]


def orphans() -> list[str]:
    """Return the children of workers that are gone."""
    alive = parents()
    ours = [
        pid for pid in alive if command_of(pid)[:1] == [sys.executable] and any("_child" in w for w in command_of(pid))
    ]
    return [f"process {pid} has lost its worker" for pid in ours if alive[pid] == 1 or alive[pid] not in alive]
