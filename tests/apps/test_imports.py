"""Imports from URLs: what a user asks for comes in whole, once, and from nowhere but public addresses."""

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from mamkit.catalog.event_models import Event
from mamkit.catalog.import_models import Import
from mamkit.clock import utc_now
from mamkit.storage import LocalStore, StorageUnavailableError
from mamkit_apps.api.imports import fetching, importer
from mamkit_apps.api.imports.importer import Importer
from tests.apps.people import Person, Site, open_site
from tests.servers.media_host import MediaHost, Request, file, media_host, redirect

BODY = b"\x00\x00\x00\x18ftypisom" + os.urandom(200_000)
PART = 5 << 20  # bytes; no store takes smaller ones
LARGE = b"\x00\x00\x00\x18ftypisom" + os.urandom(11 << 20)  # three parts


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with open_site(folder, import_networks="127.0.0.2/32", max_upload_bytes=32 << 20, import_hours=1) as site:
        site.client.app.state.importer._bringers["url"]._part_size = PART
        yield site


@pytest.fixture
def host() -> Iterator[MediaHost]:
    with media_host() as host:
        yield host


@pytest.fixture
def ada(site: Site) -> Person:
    return site.person()


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failures are made up for at once, and patience is short."""
    monkeypatch.setattr(importer, "FIRST_PAUSE", timedelta(0))
    monkeypatch.setattr(importer, "OUTAGE", timedelta(0))
    monkeypatch.setattr(fetching, "SILENCE", 0.3)
    monkeypatch.setattr(fetching, "HEADERS", 0.5)


def begin(ada: Person, url: str, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = ada.call("POST", "/api/imports", {"url": url, **more})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


def look(ada: Person, begun: dict[str, Any]) -> dict[str, Any]:
    return dict(ada.call("GET", f"/api/imports/{begun['id']}").json())


def work(site: Site) -> None:
    """Work on imports until none is due."""
    working: Importer = site.client.app.state.importer
    assert site.client.blocking_portal is not None
    site.client.blocking_portal.call(working.work_off)


def outcome(site: Site, ada: Person, url: str, **more: Any) -> dict[str, Any]:
    """Import a URL, and return what became of it."""
    begun = begin(ada, url, **more)
    work(site)
    return look(ada, begun)


def objects(site: Site, prefix: str) -> list[str]:
    return [info.key for info in LocalStore(site.settings.data_dir / "objects").list(prefix)]


def bytes_of(site: Site, version: dict[str, Any]) -> bytes:
    key = f"masters/{version['asset_id']}/v{version['number']}/original.mp4"
    with LocalStore(site.settings.data_dir / "objects").get(key) as body:
        return body.read()


def versions(ada: Person, asset_id: str) -> list[dict[str, Any]]:
    return list(ada.call("GET", f"/api/assets/{asset_id}/versions").json())


def rows(site: Site, query: Any) -> list[Any]:
    async def read() -> list[Any]:
        async with site.parts.catalog.read() as session:
            return list(await session.scalars(query))

    assert site.client.blocking_portal is not None
    found: list[Any] = site.client.blocking_portal.call(read)
    return found


def test_a_url_becomes_an_asset(site: Site, ada: Person, host: MediaHost) -> None:
    url = host.put("/films/A%20film.mp4", file(BODY))
    begun = begin(ada, url + "?signature=very-secret")
    assert (begun["state"], begun["source"], begun["filename"]) == ("waiting", "127.0.0.2", "A film.mp4")
    assert "secret" not in str(begun)
    work(site)
    done = look(ada, begun)
    assert (done["state"], done["received"], done["size"], done["failure"]) == ("done", len(BODY), len(BODY), None)
    asset = ada.call("GET", f"/api/assets/{done['asset_id']}").json()
    assert (asset["title"], asset["status"], asset["user_id"]) == ("A film.mp4", "queued", ada.id)
    [version] = versions(ada, done["asset_id"])
    assert version["id"] == done["version_id"]
    assert bytes_of(site, version) == BODY
    assert objects(site, f"uploads/{ada.id}/") == []
    assert site.audit(f"asset:{done['asset_id']}") == ["import.done"]
    assert site.audit(f"import:{done['id']}") == ["import.created"]
    told = rows(site, sa.select(Event.kind).where(Event.workspace_id == Import.workspace_id, Import.id == _id(done)))
    assert [kind for kind in told if kind.startswith("import.")][0::99] == ["import.created"]
    assert {"import.created", "import.progress", "import.done", "asset.created", "version.created"} <= set(told)
    [row] = rows(site, sa.select(Import).where(Import.id == _id(done)))
    assert (row.sealed, row.origin, row.transfer) == (None, None, None)
    [(_, headers)] = host.asked
    assert headers["accept-encoding"] == "identity"
    assert not {"authorization", "cookie", "referer", "range"} & headers.keys()


def _id(done: dict[str, Any]) -> UUID:
    return UUID(done["id"])


def test_a_large_file_comes_in_parts_and_a_break_costs_one(site: Site, ada: Person, host: MediaHost) -> None:
    url = host.put("/large.mp4", file(LARGE, breaks=[6 << 20, 1 << 20, 100, 6 << 20]))
    done = outcome(site, ada, url)
    assert (done["state"], done["attempts"]) == ("done", 0)
    assert bytes_of(site, versions(ada, done["asset_id"])[0]) == LARGE
    ranges = [headers.get("range") for _, headers in host.asked]
    assert ranges == [None, *[f"bytes={PART}-"] * 3, f"bytes={2 * PART}-"]
    assert {headers.get("if-range") for _, headers in host.asked[1:]} == {'"1"'}


def test_what_has_changed_meanwhile_comes_in_anew(site: Site, ada: Person, host: MediaHost) -> None:
    """No two states of a file are mixed."""
    other = b"\x00\x00\x00\x18ftypisom" + os.urandom(len(LARGE) - 12)
    url = host.put("/changing.mp4", file(LARGE, breaks=[6 << 20]))

    def change(request: Request) -> None:
        file(LARGE, breaks=[6 << 20])(request)
        host.put("/changing.mp4", file(other, etag='"2"'))

    host.put("/changing.mp4", change)
    done = outcome(site, ada, url)
    assert bytes_of(site, versions(ada, done["asset_id"])[0]) == other
    assert objects(site, f"uploads/{ada.id}/") == []


@pytest.mark.parametrize("how", ["no ranges", "no etag", "no length", "weak etag", "another range"])
def test_what_cannot_be_gone_on_with_begins_anew(site: Site, ada: Person, host: MediaHost, how: str) -> None:
    broken = [6 << 20]
    whole = {
        "no ranges": file(LARGE, ranges=False, breaks=broken),
        "no etag": file(LARGE, etag="", breaks=broken),
        "weak etag": file(LARGE, etag='W/"1"', breaks=broken),
        "another range": file(LARGE, breaks=broken),
    }

    def chunked(request: Request) -> None:
        request.head(200, transfer_encoding="chunked", content_type="video/mp4")
        most = broken.pop(0) if broken else len(LARGE)
        for start in range(0, most, 1 << 16):
            block = LARGE[start : min(start + (1 << 16), most)]
            request.wfile.write(b"%x\r\n%b\r\n" % (len(block), block))
        if most == len(LARGE):
            request.wfile.write(b"0\r\n\r\n")
        request.close_connection = most < len(LARGE)

    def another(request: Request) -> None:
        if "range" in request.headers and not request.headers["range"].startswith("bytes=0"):
            host.put("/it.mp4", file(LARGE))
            request.answer(206, LARGE[5:], content_range=f"bytes 5-{len(LARGE) - 1}/{len(LARGE)}", etag='"1"')
        else:
            whole["another range"](request)

    url = host.put("/it.mp4", {"no length": chunked, "another range": another}.get(how) or whole[how])
    done = outcome(site, ada, url)
    assert (done["state"], done["size"]) == ("done", len(LARGE))
    assert bytes_of(site, versions(ada, done["asset_id"])[0]) == LARGE


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:3000/", "http://localhost:3000/", "http://[::ffff:127.0.0.1]/", "http://169.254.169.254/latest",
        "file:///etc/passwd", "https://ada:hunter2@media.example.com/", "gopher://example.com/", "http://[::1]:8080/",
        "http://10.0.0.1/", "http://0x7f000001/", "http://2130706433/", "http://127.1/",
    ],
)  # fmt: skip
def test_nobody_makes_us_read_from_inside(site: Site, ada: Person, url: str) -> None:
    answer = ada.call("POST", "/api/imports", {"url": url})
    if answer.status_code == 201:  # a name, however odd, is looked at when it is connected to
        work(site)
        assert look(ada, answer.json())["failure_code"] == "apps.destination_refused"
    else:
        assert answer.status_code == 400
        assert answer.json()["code"] == "apps.destination_refused"
        assert "hunter2" not in answer.text


@pytest.mark.parametrize(
    "location",
    [
        "http://127.0.0.1:{port}/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]:{port}/",
        "http://[::1]:{port}/", "file:///etc/passwd", "http://localhost:{port}/", "http://user:secret@127.0.0.2:{port}/x",
        "//127.0.0.1:{port}/", "http://127.0.0.2:{port}\\@127.0.0.1/", "http://[", "ftp://127.0.0.2/",
    ],
)  # fmt: skip
def test_a_redirect_leads_nowhere_else(site: Site, ada: Person, host: MediaHost, location: str) -> None:
    host.put("/x", file(BODY))
    url = host.put("/moved", redirect(location.format(port=host.url.rpartition(":")[2])))
    found = outcome(site, ada, url)
    assert (found["state"], found["attempts"]) == ("failed", 1), "trying again would be no use"
    assert found["failure_code"] in {"apps.destination_refused", "apps.import_refused"}
    assert "secret" not in found["failure"]
    assert [path for path, _ in host.asked] == ["/moved"]


def test_redirects_are_followed_and_not_for_ever(site: Site, ada: Person, host: MediaHost) -> None:
    host.put("/b", redirect("c.mp4#t=5", 307))
    host.put("/c.mp4", file(BODY))
    assert outcome(site, ada, host.put("/a", redirect("/b")))["filename"] == "a"
    host.asked.clear()
    for number in range(10_000):
        host.pages[f"/{number}"] = redirect(f"/{number + 1}")
    found = outcome(site, ada, host.url + "/0")
    assert (found["state"], found["failure_code"]) == ("failed", "apps.import_refused")
    assert len(host.asked) == 6


def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(
    site: Site, ada: Person, host: MediaHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: what the look-up for the connection says counts, and there is none before."""
    answers = iter([["127.0.0.2"], ["127.0.0.1"]])

    async def resolve(_: str, __: int) -> list[str]:
        return next(answers)

    working: Importer = site.client.app.state.importer
    guard = working._bringers["url"]._fetcher._client._guard  # type: ignore[attr-defined]
    monkeypatch.setattr(guard, "_resolve", resolve)
    port = host.url.rpartition(":")[2]
    host.put("/film.mp4", lambda request: request.answer(503, connection="close"))
    found = outcome(site, ada, f"http://media.example.com:{port}/film.mp4")
    assert (found["state"], found["failure_code"]) == ("failed", "apps.destination_refused")
    assert len(host.asked) == 1
    assert host.asked[0][1]["host"] == f"media.example.com:{port}"


def endless(request: Request) -> None:
    request.head(200, transfer_encoding="chunked", content_type="video/mp4")
    while True:
        request.wfile.write(b"%x\r\n%b\r\n" % (len(BODY), BODY))


def gzipped(request: Request) -> None:
    request.answer(200, b"\x1f\x8b" + bytes(1000), content_encoding="gzip", content_type="video/mp4")


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (endless, "apps.import_too_large"),
        (lambda request: request.head(200, content_length=str(1 << 50)), "apps.import_too_large"),
        (gzipped, "apps.import_refused"),
        (file(b"\x1f\x8b" + bytes(1000)), "apps.import_refused"),
        (file(b"<!DOCTYPE html><title>Log in</title>"), "apps.import_refused"),
        (file(b"<HTML>" + BODY), "apps.import_refused"),
        (file(b'{"error": "no"}'), "apps.import_refused"),
        (file("Grüße".encode() * 1000), "apps.import_refused"),
        (file(b"PK\x03\x04" + BODY), "apps.import_refused"),
        (file(b""), "apps.import_refused"),
        (lambda request: request.answer(404), "apps.import_refused"),
        (lambda request: request.answer(403, b"no"), "apps.import_refused"),
    ],
)
def test_what_is_not_to_be_brought_in_is_given_up_at_once(
    site: Site, ada: Person, host: MediaHost, behaviour: Callable[[Request], None], code: str
) -> None:
    found = outcome(site, ada, host.put("/it.mp4", behaviour))
    assert (found["state"], found["failure_code"], found["attempts"]) == ("failed", code, 1)
    assert objects(site, f"uploads/{ada.id}/") == []
    assert rows(site, sa.select(Import.transfer).where(Import.id == _id(found))) == [None]
    assert ada.call("GET", "/api/assets").json()["items"] == [], "no empty asset is left"


def silent(request: Request) -> None:
    request.head(200, content_length="1000")
    request.server.media_host.over.wait(5)


def mute(request: Request) -> None:
    request.server.media_host.over.wait(5)


def dripping(request: Request) -> None:
    request.head(200, content_length="1000000")
    while not request.server.media_host.over.wait(0.05):
        request.wfile.write(b"\0")


def no_http(request: Request) -> None:
    request.wfile.write(b"SSH-2.0-x\r\n")
    request.close_connection = True


def short(request: Request) -> None:
    request.head(200, content_length="1000", etag='"1"')
    request.wfile.write(BODY[:500])
    request.close_connection = True


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (silent, "apps.import_unavailable"),
        (mute, "apps.import_unavailable"),
        (dripping, "apps.import_unavailable"),
        (short, "apps.no_answer"),
        (no_http, "apps.no_answer"),
        (lambda request: request.answer(500), "apps.import_unavailable"),
        (lambda request: request.answer(429, retry_after="0"), "apps.import_unavailable"),
    ],
)
def test_what_may_go_better_later_is_tried_a_few_times(
    site: Site, ada: Person, host: MediaHost, monkeypatch: pytest.MonkeyPatch,
    behaviour: Callable[[Request], None], code: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(fetching, "WINDOW", 0.2)
    monkeypatch.setattr("mamkit.catalog.import_work.MAX_ATTEMPTS", 3)
    found = outcome(site, ada, host.put("/it.mp4", behaviour))
    assert (found["state"], found["failure_code"], found["attempts"]) == ("failed", code, 3)
    assert len(host.asked) == 3
    assert objects(site, f"uploads/{ada.id}/") == []


def test_a_host_that_asks_to_be_left_alone_is(site: Site, ada: Person, host: MediaHost) -> None:
    begun = begin(ada, host.put("/it.mp4", lambda request: request.answer(503, retry_after="120")))
    before = time.time()
    work(site)
    found = look(ada, begun)
    assert (found["state"], found["failure_code"]) == ("waiting", "apps.import_unavailable")
    [row] = rows(site, sa.select(Import).where(Import.id == _id(begun)))
    assert before + 119 < row.due_at.timestamp() < time.time() + 121
    assert ada.call("POST", f"/api/imports/{begun['id']}/cancel").json()["state"] == "cancelled"


def test_a_url_is_nowhere_to_be_read(
    site: Site, ada: Person, host: MediaHost, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a secret by itself: a signed URL, a token in its path."""
    caplog.set_level(logging.DEBUG)
    url = host.put("/path-token/film.mp4", lambda request: request.answer(500)) + "?sig=query-token"
    begun = begin(ada, url)
    files = [path.read_bytes() for path in Path(site.settings.data_dir).glob("mamkit.db*")]
    work(site)
    look(ada, begun)
    files += [path.read_bytes() for path in Path(site.settings.data_dir).glob("mamkit.db*")]
    for secret in ("path-token", "query-token"):
        assert secret not in caplog.text
        assert not any(secret.encode() in content for content in files)
        assert secret not in str(look(ada, begun))


def test_a_new_version_of_an_asset(site: Site, ada: Person, host: MediaHost) -> None:
    first = outcome(site, ada, host.put("/a.mp4", file(BODY)))
    other = BODY[:-1] + bytes([BODY[-1] ^ 1])
    second = outcome(site, ada, host.put("/b.mp4", file(other)), asset_id=first["asset_id"])
    assert second["asset_id"] == first["asset_id"]
    found = versions(ada, first["asset_id"])
    assert [each["number"] for each in found] == [2, 1]
    assert bytes_of(site, found[0]) == other
    again = outcome(site, ada, host.url + "/b.mp4", asset_id=first["asset_id"])
    assert again["version_id"] == second["version_id"], "the same bytes are the same version, as for uploads"
    eve = site.person()
    assert begin(eve, host.url + "/a.mp4", 404, asset_id=first["asset_id"])["code"] == "catalog.asset_not_found"


def test_two_imports_to_one_asset_do_not_mix(site: Site, ada: Person, host: MediaHost) -> None:
    asset = outcome(site, ada, host.put("/a.mp4", file(BODY)))["asset_id"]
    bodies = [BODY[:-1] + bytes([number]) for number in range(3)]
    begun = [begin(ada, host.put(f"/{number}.mp4", file(body)), asset_id=asset) for number, body in enumerate(bodies)]
    working: Importer = site.client.app.state.importer

    async def together() -> None:
        await asyncio.gather(*(working.work_off() for _ in begun))

    assert site.client.blocking_portal is not None
    site.client.blocking_portal.call(together)
    work(site)
    assert {look(ada, each)["state"] for each in begun} == {"done"}
    made = {each["sha256"] for each in versions(ada, asset)}
    assert made == {hashlib.sha256(body).hexdigest() for body in [BODY, *bodies]}


def test_one_url_is_fetched_once_at_a_time(site: Site, ada: Person, host: MediaHost) -> None:
    url = host.put("/a.mp4", file(BODY))
    first = begin(ada, url)
    assert begin(ada, url, 200)["id"] == first["id"]
    assert begin(site.person(), url)["id"] != first["id"]
    work(site)
    assert begin(ada, url)["id"] != first["id"], "it is over: that is another import"
    work(site)


def test_known_bytes_are_skipped_where_that_is_asked_for(site: Site, ada: Person, host: MediaHost) -> None:
    first = outcome(site, ada, host.put("/a.mp4", file(BODY)))
    again = outcome(site, ada, host.put("/b.mp4", file(BODY)), skip_known=True)
    assert (again["duplicate"], again["version_id"], again["asset_id"]) == (
        True, first["version_id"], first["asset_id"],
    )  # fmt: skip
    assert objects(site, f"uploads/{ada.id}/") == []
    other = outcome(site, ada, host.url + "/b.mp4")
    assert not other["duplicate"]
    assert other["asset_id"] != first["asset_id"]
    assert not outcome(site, site.person(), host.url + "/b.mp4", skip_known=True)["duplicate"]


def test_an_import_that_is_cancelled_leaves_nothing(site: Site, ada: Person, host: MediaHost) -> None:
    begun: dict[str, Any] = {}
    answers: list[Any] = []

    def cancelling(request: Request) -> None:
        request.head(200, content_length=str(len(LARGE)), etag='"1"')
        request.wfile.write(LARGE[: 6 << 20])
        time.sleep(0.1)
        answers.append(ada.call("POST", f"/api/imports/{begun['id']}/cancel"))
        for start in range(6 << 20, len(LARGE), 1 << 20):
            request.wfile.write(LARGE[start : start + (1 << 20)])
            time.sleep(0.2)

    begun |= begin(ada, host.put("/a.mp4", cancelling))
    work(site)
    assert answers[0].json()["state"] == "cancelled"
    assert look(ada, begun)["state"] == "cancelled"
    assert objects(site, f"uploads/{ada.id}/") == []
    assert ada.call("GET", "/api/assets").json()["items"] == []
    assert site.audit(f"import:{begun['id']}") == ["import.cancelled", "import.created"]
    done = outcome(site, ada, host.put("/b.mp4", file(BODY)))
    assert ada.call("POST", f"/api/imports/{done['id']}/cancel").json()["code"] == "catalog.import_state"


def test_who_may_not_any_more_does_not(site: Site, ada: Person, host: MediaHost) -> None:
    """What counts is what its user may when the bytes are stored, not when they asked."""
    admin = site.admin()

    def disabling(request: Request) -> None:
        answer = admin.call("PUT", f"/api/users/{user_id}/status", {"status": "disabled"})
        assert answer.status_code == 204
        file(BODY)(request)

    user_id = ada.id
    begun = begin(ada, host.put("/a.mp4", disabling))
    work(site)
    [row] = rows(site, sa.select(Import).where(Import.id == _id(begun)))
    assert (row.state, row.failure_code) == ("failed", "auth.permission_denied")
    assert objects(site, f"uploads/{user_id}/") == []


def test_a_list_shows_ones_own(site: Site, ada: Person, host: MediaHost) -> None:
    url = host.put("/a.mp4", file(BODY))
    made = [begin(ada, f"{url}?{number}")["id"] for number in range(3)]
    page = ada.call("GET", "/api/imports?limit=2").json()
    assert [each["id"] for each in page["items"]] == made[:0:-1]
    page = ada.call("GET", f"/api/imports?limit=2&after={page['next']}").json()
    assert ([each["id"] for each in page["items"]], page["next"]) == (made[:1], None)
    assert ada.call("GET", "/api/imports?state=done").json()["items"] == []
    for each in made:
        ada.call("POST", f"/api/imports/{each}/cancel")


def test_a_name_is_only_a_name(site: Site, ada: Person, host: MediaHost) -> None:
    for disposition, name in {
        'attachment; filename="../../etc/passwd.mp4"': "passwd.mp4",
        "attachment; filename*=UTF-8''na%C3%AFve%20film.mp4": "naïve film.mp4",
        "attachment; filename*=nobody-knows''film.mp4": "film.mp4",
        'attachment; filename="' + "a" * 1000 + '.mp4"': None,
        "attachment": "it.mp4",
    }.items():
        done = outcome(site, ada, host.put("/it.mp4", file(BODY, content_disposition=disposition)))
        title = ada.call("GET", f"/api/assets/{done['asset_id']}").json()["title"]
        assert title == name if name else len(title) <= 255


def test_an_outage_of_ours_costs_no_attempt(
    site: Site, ada: Person, host: MediaHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store is away for longer than there are attempts."""
    store = site.parts.zones.staging
    outages = iter(range(12))
    upload = LocalStore.put_part

    def away(self: LocalStore, *arguments: Any) -> None:
        if next(outages, None) is not None:
            raise StorageUnavailableError("uploads", "it does not answer")
        upload(self, *arguments)

    assert isinstance(store, LocalStore)
    monkeypatch.setattr(LocalStore, "put_part", away)
    done = outcome(site, ada, host.put("/a.mp4", file(BODY)))
    assert (done["state"], done["attempts"]) == ("done", 0)
    assert len(host.asked) == 13


def test_what_takes_too_long_is_given_up(site: Site, ada: Person, host: MediaHost) -> None:
    begun = begin(ada, host.put("/a.mp4", lambda request: request.answer(503)))

    async def long_ago() -> None:
        async with site.parts.catalog.begin() as session:
            row = await session.get_one(Import, _id(begun))
            row.started_at = utc_now() - timedelta(hours=1)

    assert site.client.blocking_portal is not None
    site.client.blocking_portal.call(long_ago)
    work(site)
    assert look(ada, begun)["failure_code"] == "apps.import_time"
    assert host.asked == []


def test_a_process_that_works_by_itself_is_woken_and_hands_back_what_it_has(tmp_path: Path, host: MediaHost) -> None:
    """An import begins at once, and one that is under way when its process ends is the next one's."""
    settings: dict[str, Any] = {"import_networks": "127.0.0.2/32", "import_slots": 1}
    with open_site(tmp_path, **settings) as site:
        ada = site.person()
        begun = begin(ada, host.put("/a.mp4", silent))
        while not host.asked:
            time.sleep(0.01)
    host.put("/a.mp4", file(BODY))
    with open_site(tmp_path, **settings) as site:
        again = Person(site, ada.email, {"access_token": ada.access, "refresh_token": ada.refresh})
        while (found := look(again, begun))["state"] in {"waiting", "running", "storing"}:
            time.sleep(0.01)
    assert (found["state"], found["attempts"]) == ("done", 0)
