"""Still images: a preview without anything to play, made by the same workers in the same way."""

import asyncio
from pathlib import Path

import pytest

from mamkit import catalog as db
from mamkit.previews import Ack, Report, memory_of
from mamkit.previews._ordering import FIRST, priority_of
from mamkit.previews._stills import STILL_PLAN
from mamkit.transcode import StillImageError, probe
from tests.unit.previews.bench import bench
from tests.unit.previews.test_worker import Answer, upload, work
from tests.unit.transcode.test_photo import HEIGHT, WIDTH, photo


def test_an_image_becomes_ready_with_its_pictures_and_nothing_to_play(tmp_path: Path) -> None:
    """The camera was held upright: what is wide in the file is high on a page."""
    reports: list[str] = []

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, photo(tmp_path / "in.jpg", orientation=6).read_bytes())

            def watch(report: Report, deliver: Answer) -> Ack:
                reports.append(report.type)
                return deliver(report)

            await work(b, through=watch)
            state = await b.publisher.state(version_id)
            assert (state.preview.status, state.progress) == ("ready", 1.0)
            names = {info.key.rpartition("/")[2] for info in b.zones.previews.list("previews/")}
            assert names == {"plan.json", "poster.jpg", "thumbnail.jpg"}
            assert b.playlists() == {}
            async with b.catalog.read() as session:
                version = await db.version_by_id(session, version_id)
                asset = await db.asset_by_id(session, version.asset_id)
            assert (asset.kind, asset.codec, asset.width, asset.height) == ("image", "jpeg", HEIGHT, WIDTH)
            assert (asset.status, asset.duration_sec) == ("ready", 0.0)
            assert version.facts is not None
            assert version.facts["image"] == {"format": "jpeg", "width": HEIGHT, "height": WIDTH}

    asyncio.run(scenario())
    assert [name for name in reports if name != "progress"] == ["planned", "finished"]


def test_an_image_is_built_anew_beside_the_one_that_is_shown(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, photo(tmp_path / "in.jpg").read_bytes())
            await work(b)
            before = await b.prefix(version_id)
            await b.publisher.rebuild(version_id)
            await work(b)
            assert await b.status(version_id) == "ready"
            assert await b.prefix(version_id) != before

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xff\xd8\xff\xe0" + bytes(200), "transcode.media_unreadable"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "transcode.media_unsupported"),
    ],
)
def test_an_image_that_cannot_be_shown_fails_with_its_reason(tmp_path: Path, data: bytes, code: str) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, data)
            await work(b)
            preview = (await b.publisher.state(version_id)).preview
            assert (preview.status, preview.failure_code) == ("failed", code)

    asyncio.run(scenario())


def test_an_image_whose_pixels_are_broken_is_not_called_ready(tmp_path: Path) -> None:
    """Its header says how large it is, and nothing of it can be decoded; a film's artwork could be done without."""
    whole = photo(tmp_path / "in.jpg").read_bytes()
    start = whole.index(b"\xff\xda")

    async def scenario() -> None:
        async with bench(tmp_path) as b:
            version_id = await upload(b, whole[:start])
            await work(b)
            assert await b.status(version_id) == "failed"

    asyncio.run(scenario())


def test_the_probe_says_what_kind_of_image_and_how_large(tmp_path: Path) -> None:
    with pytest.raises(StillImageError) as found:
        probe(photo(tmp_path / "in.jpg", orientation=8))
    assert (found.value.format, found.value.width, found.value.height) == ("jpeg", HEIGHT, WIDTH)


def test_an_image_is_as_urgent_as_a_first_picture_and_has_room_for_the_largest() -> None:
    [part] = STILL_PLAN.parts
    assert priority_of(part, 0, 1) == FIRST
    assert memory_of(STILL_PLAN, part) > 4 << 26
