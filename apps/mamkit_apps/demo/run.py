"""The steps of the demo, each timed and each able to fail with one clear line."""

import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

import httpx

from mamkit.clock import utc_now
from mamkit.errors import MamkitError
from mamkit.signing import Grant
from mamkit.transcode import display_size, probe
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.demo.playback import Playback, PlaybackError, check_against, decode, fetch
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.zones import url_signer

__all__ = ["DemoError", "Report", "Show", "Step", "run_demo"]

EMAIL = "demo@example.com"  # RFC 2606 section 3: belongs to nobody
LEAST_ROOM = 1 << 20  # bytes; a database cannot write with less
EXPIRED_SINCE = timedelta(minutes=5)


class DemoError(MamkitError):
    """A step of the demo failed; the message names the step.

    Attributes:
        step: Its name.
    """

    code = "apps.demo"

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step


@dataclass(kw_only=True)
class Step:
    """One row of the table."""

    name: str
    seconds: float = 0.0
    bytes: int | None = None
    note: str = ""


@dataclass(kw_only=True)
class Report:
    """What the demo found out."""

    steps: list[Step] = field(default_factory=list)
    first_playable_s: float | None = None
    """Seconds from promotion until the preview could be played."""
    ready_s: float | None = None
    """Seconds from promotion until all renditions were complete."""
    renditions: list[dict[str, Any]] = field(default_factory=list)
    playback_url: str | None = None
    error: str | None = None

    @property
    def complete(self) -> bool:
        """Whether the demo came to its end."""
        return bool(self.renditions)

    def as_json(self) -> dict[str, Any]:
        """Return what `mamkit demo --json` prints."""
        return {
            "ok": self.complete and self.error is None,
            "error": self.error,
            "steps": [
                {"step": step.name, "seconds": round(step.seconds, 3), "bytes": step.bytes, "note": step.note}
                for step in self.steps
            ],
            "first_playable_s": self.first_playable_s,
            "ready_s": self.ready_s,
            "renditions": self.renditions,
            "playback_url": self.playback_url,
        }


class Show(Protocol):
    """Where progress is shown."""

    def __call__(self, title: str) -> AbstractContextManager[Callable[[float], None]]:
        """Show a bar while the block runs; the function it gives takes how much is done, 0 to 1."""


class _Demo:
    def __init__(self, report: Report, show: Show) -> None:
        self.report = report
        self.show = show

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step; whatever goes wrong in it bears its name."""
        step = Step(name=name)
        start = time.perf_counter()
        try:
            yield step
        except (MamkitError, httpx.HTTPError, OSError) as error:
            raise DemoError(name, str(error)) from error
        step.seconds = time.perf_counter() - start
        self.report.steps.append(step)


def run_demo(video: Path, *, data_dir: Path, api_url: str, work: Path, report: Report, show: Show) -> None:
    """Take a film through the whole life of an asset.

    Args:
        video: The film.
        data_dir: The installation; only its signing key is read, to make a token that has expired.
        api_url: Base URL of its API.
        work: Folder for what is fetched.
        report: Filled step by step, so that it tells how far the demo came.
        show: Shows progress.

    Raises:
        DemoError: A step failed.
    """
    demo = _Demo(report, show)
    with demo.step("probe the source") as step:
        info = probe(video)
        size = display_size(info.video[0]) if info.video else (None, None)
        step.bytes = info.size
        step.note = f"{float(info.duration):.2f} s" + (f", {size[0]}x{size[1]}" if info.video else ", no picture")
    with Client(api_url) as client:
        version = _ingest(demo, client, video)
        _build(demo, client, version["id"], data_dir=data_dir)
        with demo.step("sign"):
            answer = client.post("/api/sign-preview", {"version_id": version["id"]})
            url: str = answer["url"]
            report.playback_url = url
    with demo.step("fetch through the edge") as step, show("fetching") as advance:
        playback = fetch(url, work, advance)
        step.bytes = playback.bytes
        step.note = f"{sum(rendition.segments for rendition in playback.renditions)} segments"
    with demo.step("decode and compare") as step, show("decoding") as advance:
        for number, rendition in enumerate(playback.renditions):
            decode(rendition)
            advance((number + 1) / len(playback.renditions))
        check_against(playback, seconds=float(info.duration), width=size[0], height=size[1])
        step.note = f"{sum(rendition.frames for rendition in playback.renditions)} frames"
    _refusals(demo, url, data_dir)
    report.renditions = _renditions(playback)


def _ingest(demo: _Demo, client: Client, video: Path) -> dict[str, Any]:
    """Bring the film in; return the version that came of it."""
    password = secrets.token_urlsafe(16)
    size = video.stat().st_size
    with demo.step("register"):
        client.register(EMAIL, password)
    with demo.step("log in"):
        client.log_in(EMAIL, password)
    with demo.step("hash") as step:
        digest = sha256_of_file(video)
        step.bytes = size
    with demo.step("presign"):
        wanted = {"filename": video.name, "size": size, "content_type": "application/octet-stream", "sha256": digest}
        presigned = client.post("/api/presign", wanted)
    with demo.step("upload to the edge") as step, demo.show("uploading") as advance:
        upload(video, presigned, advance)
        step.bytes = size
    asset_id = presigned["asset_id"]
    with demo.step("record"):
        client.post("/api/assets", {"asset_id": asset_id, "filename": video.name, "title": video.stem or video.name})
    with demo.step("promote") as step:
        version = client.post("/api/promote", {"asset_id": asset_id, "sha256": digest})
        step.bytes = size
    return version


def _build(demo: _Demo, client: Client, version_id: str, *, data_dir: Path) -> None:
    """Follow the preview by its events until it is ready.

    The services wait for room on a full disk for as long as it takes; the demo does not.
    """
    promoted = time.perf_counter()
    with demo.step("build the preview") as step, demo.show("building") as advance:
        last: dict[str, Any] = {}
        for event in client.events(version_id):
            if event is None:
                _check_room(data_dir)
                continue
            last = event
            advance(last["progress"])
            since = round(time.perf_counter() - promoted, 3)
            if last["status"] in {"playable", "ready"} and demo.report.first_playable_s is None:
                demo.report.first_playable_s = since
            if last["status"] == "ready":
                demo.report.ready_s = since
        if last.get("status") == "failed":
            raise PlaybackError(f"{last['failure']} ({last['failure_code']})")
        if last.get("status") != "ready":
            raise PlaybackError("the event stream ended before the preview was ready")
        step.note = f"playable after {demo.report.first_playable_s:.1f} s"


def _check_room(folder: Path) -> None:
    if shutil.disk_usage(folder).free < LEAST_ROOM:
        raise PlaybackError(f"the disk that holds {folder} is full; free some room, or choose another with --data-dir")


def _renditions(playback: Playback) -> list[dict[str, Any]]:
    return [
        {
            "name": rendition.name,
            "kind": rendition.kind,
            "width": rendition.width,
            "height": rendition.height,
            "segments": rendition.segments,
            "bytes": rendition.bytes,
            "seconds": round(rendition.decoded, 3),
            "frames": rendition.frames,
        }
        for rendition in playback.renditions
    ]


def _refusals(demo: _Demo, url: str, data_dir: Path) -> None:
    """Show that nothing but the signed URL itself opens the preview."""
    edge, _, rest = url.partition("/s/")
    token, _, key = rest.partition("/")
    other = "A" if token[-2] != "A" else "B"  # not the last character, of which base64url uses some bits only
    with demo.step("a changed token is refused") as step:
        step.note = _must_refuse(f"{edge}/s/{token[:-2]}{other}{token[-1]}/{key}")
    with demo.step("an expired token is refused") as step:
        # The demo plays the operator here: only who has the key can make a token that is right in all but its time.
        signer = url_signer(ServiceSettings.load(data_dir=data_dir))
        scope = key.rpartition("/")[0] + "/"
        step.note = _must_refuse(signer.url(edge, Grant(scope=scope, expires_at=utc_now() - EXPIRED_SINCE), key))
    with demo.step("another asset's path is refused") as step:
        head, asset, *tail = key.split("/")
        step.note = _must_refuse(f"{edge}/s/{token}/{'/'.join([head, asset[::-1], *tail])}")


def _must_refuse(url: str) -> str:
    response = httpx.get(url, timeout=10)
    if response.status_code != httpx.codes.FORBIDDEN:
        raise PlaybackError(f"the edge answered {response.status_code} where it must refuse with 403")
    return f"403 {response.json()['code']}"
