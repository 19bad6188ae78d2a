"""What the edge says to players and caches, how it renews, hands over and limits, and that nothing breaks it."""

import asyncio
import gzip
import random
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from mamkit.clock import utc_now
from mamkit.signing import Grant, UrlSigner
from mamkit.storage import MemoryStore, StorageUnavailableError, Zones
from mamkit_apps.edge.asgi import create_app
from mamkit_apps.edge.policy import refusal
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.limits import MemoryRate, client_address, client_name
from mamkit_apps.settings import SettingsError
from mamkit_apps.zones import open_zones, url_signer
from tests.apps.edge_request import Answer, ask

PREFIX = "previews/a/b/"
SEGMENT, PLAYLIST, ENDED = f"{PREFIX}seg.m4s", f"{PREFIX}index.m3u8", f"{PREFIX}720p/index.m3u8"
LINES = b"#EXTM3U\n" + b"#EXTINF:6,\nsegment.m4s\n" * 100


class Edge:
    """An edge in this process."""

    def __init__(self, data_dir: Path, **settings: Any) -> None:
        self.settings = EdgeSettings.load(data_dir=data_dir, **settings)
        self.app = create_app(self.settings)
        self.signer: UrlSigner = url_signer(self.settings)
        store = open_zones(self.settings).previews
        store.put(SEGMENT, b"0123456789", content_type="video/iso.segment")
        store.put(PLAYLIST, LINES, content_type="application/vnd.apple.mpegurl")
        store.put(ENDED, LINES + b"#EXT-X-ENDLIST\n", content_type="application/vnd.apple.mpegurl")

    def grant(self, seconds: int = 300, **fields: Any) -> Grant:
        return Grant(**{"scope": PREFIX, "expires_at": utc_now() + timedelta(seconds=seconds), **fields})

    def get(self, key: str, *, grant: Grant | None = None, carrier: Any = "path", **how: Any) -> Answer:
        path = self.signer.url("", grant or self.grant(), key, carrier=carrier)
        return asyncio.run(ask(self.app, path.encode(), **how))


def age(answer: Answer) -> int:
    return int(answer.headers["cache-control"].partition("max-age=")[2].partition(",")[0])


def test_a_playlist_is_compressed_for_whom_that_suits(data_dir: Path) -> None:
    edge = Edge(data_dir)
    packed = edge.get(PLAYLIST, headers={"accept-encoding": "gzip, br"})
    plain = edge.get(PLAYLIST)
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body == LINES
    assert len(packed.body) < len(LINES) / 5
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert packed.headers["etag"] != plain.headers["etag"]
    same = edge.get(PLAYLIST, headers={"accept-encoding": "gzip", "if-none-match": packed.headers["etag"]})
    assert (same.status, same.body) == (304, b"")
    assert edge.get(PLAYLIST, headers={"accept-encoding": "gzip", "range": "bytes=0-6"}).body == b"#EXTM3U"
    for refused in ("gzip;q=0", "br, gzip; q=0.0", "identity"):
        assert "content-encoding" not in edge.get(PLAYLIST, headers={"accept-encoding": refused}).headers
    for wanted in ("gzip;q=0.5", "GZIP", "br;q=0, gzip"):
        assert edge.get(PLAYLIST, headers={"accept-encoding": wanted}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in edge.get(SEGMENT, headers={"accept-encoding": "gzip"}).headers


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        ("video/mp4", "inline"),
        ("image/jpeg", "inline"),
        ("text/vtt", "inline"),
        ("text/html", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/dash+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("video/x; charset=text/xml", "attachment"),
    ],
)
def test_a_browser_never_opens_as_a_page_what_somebody_has_uploaded(data_dir: Path, kind: str, shown: str) -> None:
    edge = Edge(data_dir)
    open_zones(edge.settings).staging.put("uploads/u/a/original.mp4", b"<script>", content_type=kind)
    answer = edge.get("uploads/u/a/original.mp4", grant=edge.grant(scope="uploads/u/a/original.mp4"))
    assert (answer.headers["content-disposition"], answer.headers["x-content-type-options"]) == (shown, "nosniff")


def test_an_unchanged_object_is_not_sent_again_by_its_date_either(data_dir: Path) -> None:
    edge = Edge(data_dir)
    modified = edge.get(SEGMENT).headers["last-modified"]
    assert edge.get(SEGMENT, headers={"if-modified-since": modified}).status == 304
    assert edge.get(SEGMENT, headers={"if-modified-since": "Thu, 01 Jan 1998 00:00:00 GMT"}).status == 200
    assert edge.get(SEGMENT, headers={"if-modified-since": "nonsense"}).status == 200
    assert edge.get(SEGMENT, headers={"range": "bytes=0-1", "if-range": modified}).status == 206


def test_no_shared_cache_keeps_anything_unless_the_operator_says_so(data_dir: Path) -> None:
    edge = Edge(data_dir)
    assert edge.get(SEGMENT).headers["cache-control"].startswith("private")
    assert age(edge.get(PLAYLIST)) == 1
    assert age(edge.get(ENDED)) == 60
    assert age(edge.get(ENDED, grant=edge.grant(10))) <= 10
    assert 290 <= age(edge.get(SEGMENT)) <= 300


def test_a_shared_cache_may_keep_what_carries_its_token_until_that_expires(data_dir: Path) -> None:
    from ipaddress import ip_network

    edge = Edge(data_dir, edge_shared_cache="until-expiry")
    assert edge.get(SEGMENT).headers["cache-control"].startswith("public, max-age=")
    assert age(edge.get(SEGMENT, grant=edge.grant(30))) <= 30
    bound = edge.grant(address=ip_network("192.0.2.0/24"))
    assert edge.get(SEGMENT, grant=bound).headers["cache-control"].startswith("private")
    cookie = {"cookie": edge.signer.cookie("", edge.grant()).partition(";")[0]}
    by_cookie = asyncio.run(ask(edge.app, f"/s/{SEGMENT}".encode(), headers=cookie))
    assert by_cookie.body == b"0123456789"
    assert by_cookie.headers["cache-control"].startswith("private")


def test_a_cdn_that_checks_tokens_may_keep_segments_for_good(data_dir: Path) -> None:
    edge = Edge(data_dir, edge_shared_cache="cdn-checks-tokens")
    assert edge.get(SEGMENT).headers["cache-control"] == "public, max-age=31536000, immutable"
    assert edge.get(PLAYLIST).headers["cache-control"] == "public, max-age=1"


def test_a_page_of_another_origin_may_ask_first(data_dir: Path) -> None:
    anywhere = asyncio.run(
        ask(Edge(data_dir).app, b"/s/x/y", method="OPTIONS", headers={"origin": "https://a.example"})
    )
    assert (anywhere.status, anywhere.headers["access-control-allow-origin"]) == (204, "*")
    assert "range" in anywhere.headers["access-control-allow-headers"]
    edge = Edge(data_dir, edge_origins="https://a.example,https://b.example")
    known = edge.get(SEGMENT, headers={"origin": "https://a.example"})
    assert known.headers["access-control-allow-origin"] == "https://a.example"
    assert known.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in edge.get(SEGMENT, headers={"origin": "https://evil.example"}).headers


def test_a_grant_in_the_query_becomes_a_cookie_that_is_renewed_while_it_may(data_dir: Path) -> None:
    edge = Edge(data_dir, edge_renew_seconds=60)
    until = str(int(utc_now().timestamp()) + 3600)
    first = edge.get(PLAYLIST, grant=edge.grant(60, conditions={"renew-until": until}), carrier="query")
    cookie = first.headers["set-cookie"]
    assert f"Path=/s/{PREFIX}" in cookie

    def with_cookie(grant: Grant) -> Answer:
        header = {"cookie": edge.signer.cookie("", grant).partition(";")[0]}
        return asyncio.run(ask(edge.app, f"/s/{SEGMENT}".encode(), headers=header))

    young = with_cookie(edge.grant(55, conditions={"renew-until": until}))
    old = with_cookie(edge.grant(20, conditions={"renew-until": until}))
    assert "set-cookie" not in young.headers
    renewed = edge.signer.open(old.headers["set-cookie"].partition("=")[2].partition(";")[0])
    assert 55 <= (renewed.expires_at - utc_now()).total_seconds() <= 60
    assert renewed.conditions == {"renew-until": until}
    last = with_cookie(edge.grant(5, conditions={"renew-until": str(int(utc_now().timestamp()) + 5)}))
    assert (last.status, "set-cookie" in last.headers) == (200, False)
    assert "set-cookie" not in with_cookie(edge.grant(5)).headers
    assert "set-cookie" not in edge.get(SEGMENT, grant=edge.grant(5, conditions={"renew-until": until})).headers
    assert with_cookie(edge.grant(-10, conditions={"renew-until": until})).status == 403


def test_nginx_is_told_where_a_segment_lies_and_playlists_are_sent(data_dir: Path) -> None:
    edge = Edge(data_dir, edge_offload="accel")
    handed = edge.get(SEGMENT)
    assert (handed.status, handed.body) == (200, b"")
    assert handed.headers["x-accel-redirect"] == f"/_objects/{SEGMENT}"
    assert (edge.settings.data_dir / "objects" / SEGMENT).read_bytes() == b"0123456789"
    assert "cache-control" in handed.headers
    assert edge.get(PLAYLIST).body == LINES
    assert edge.get(f"{PREFIX}missing.m4s").status == 404
    assert edge.get(SEGMENT, grant=edge.grant(-10)).status == 403


def test_a_store_that_signs_gets_the_player_sent_to_it_for_a_short_while(data_dir: Path) -> None:
    from mamkit.storage import SignedRequest

    class Remote(MemoryStore):
        """As a store in a cloud, which signs what it serves itself."""

        def sign_get(self, key: str, *, expires_in: timedelta) -> SignedRequest:
            url = f"https://store.example/{quote(key)}?expires={expires_in.total_seconds():.0f}"
            return SignedRequest(method="GET", url=url, headers={}, expires_at=utc_now() + expires_in)

    settings = EdgeSettings.load(data_dir=data_dir, edge_offload="redirect")
    store = Remote()
    store.put(PLAYLIST, LINES)
    app = create_app(settings, zones=Zones(staging=store, masters=store, previews=store))
    signer = url_signer(settings)
    for seconds, shown in ((300, 60), (20, 20)):
        grant = Grant(scope=PREFIX, expires_at=utc_now() + timedelta(seconds=seconds + 1))
        sent = asyncio.run(ask(app, signer.url("", grant, SEGMENT).encode()))
        place, _, lifetime = sent.headers["location"].partition("?expires=")
        assert (sent.status, place) == (302, f"https://store.example/{SEGMENT}")
        assert shown - 1 <= int(lifetime) <= shown + 1
        assert "no-store" in sent.headers["cache-control"]
        assert asyncio.run(ask(app, signer.url("", grant, PLAYLIST).encode())).body == LINES
    with pytest.raises(SettingsError, match="EDGE_OFFLOAD"):
        create_app(EdgeSettings.load(data_dir=data_dir, edge_offload="redirect"))


def test_a_client_or_token_that_asks_too_often_is_told_when_to_come_back(data_dir: Path) -> None:
    edge = Edge(data_dir, edge_rate_per_client=0.5, edge_rate_per_token=100)

    async def round_of(client: str) -> list[Answer]:
        path = edge.signer.url("", edge.grant(), SEGMENT).encode()
        return [await ask(edge.app, path, client=client) for _ in range(7)]

    answers = asyncio.run(round_of("192.0.2.1"))
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    assert 1 <= int(answers[-1].headers["retry-after"]) <= 3
    assert asyncio.run(round_of("192.0.2.2"))[0].status == 200


def test_a_store_that_is_away_is_worth_another_try() -> None:
    found = refusal(StorageUnavailableError("previews/x", "away"))
    assert found is not None
    status, headers, _ = found
    assert (status, dict(headers)[b"retry-after"]) == (503, b"1")


def test_a_rate_lets_as_many_pass_as_it_says() -> None:
    now = [0.0]
    rate = MemoryRate(lambda: now[0])
    assert [rate.take("a", 2.0).wait == 0 for _ in range(25)] == [True] * 20 + [False] * 5
    assert 0 < rate.take("a", 2.0).wait <= 0.5
    now[0] = 1.0
    assert [rate.take("a", 2.0).wait == 0 for _ in range(3)] == [True, True, False]


def test_memory_for_rates_is_bounded() -> None:
    rate = MemoryRate(lambda: 0.0)
    for number in range(70_000):
        rate.take(f"client {number}", 1.0)
    assert len(rate._due) <= 65_536


@pytest.mark.parametrize(
    ("peer", "header", "client"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("192.0.2.9", "203.0.113.5", "192.0.2.9"),
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "6.6.6.6, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("::ffff:10.0.0.1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "nonsense", "nonsense"),
        (None, "203.0.113.5", None),
    ],
)
def test_a_header_is_believed_as_far_as_trusted_proxies_wrote_it(
    peer: str | None, header: str, client: str | None
) -> None:
    from ipaddress import ip_network

    assert client_address(peer, header, (ip_network("10.0.0.0/8"),)) == client


def test_an_ipv6_client_is_its_network() -> None:
    assert client_name("2001:db8::1") == client_name("2001:db8::ffff:1")
    assert client_name("2001:db8::1") != client_name("2001:db8:0:1::1")
    assert client_name("::ffff:192.0.2.1") == "192.0.2.1"
    assert client_name(None) == ""


def test_ten_thousand_bad_requests_are_the_clients_fault(data_dir: Path) -> None:
    """Random and mutated tokens, paths, queries, methods and headers give 4xx, never 5xx and never an object."""
    edge = Edge(data_dir)
    good = edge.signer.url("", edge.grant(), SEGMENT)
    token = good.split("/")[2]
    source = random.Random(7)
    letters = "abcXYZ019-_.~/%?&=+:;,#\\\"'\x01\x7f é\u2028🎬\x00"

    def noise(most: int) -> str:
        return "".join(source.choice(letters) for _ in range(source.randrange(most)))

    def bad() -> tuple[str, str]:
        kind = source.randrange(6)
        at = source.randrange(len(token))
        changed = token[:at] + source.choice("abcXYZ019-_.") + token[at + 1 :]
        if kind == 0:
            return "GET", f"/s/{noise(60)}/{noise(40)}"
        if kind == 1 and changed != token:
            return "GET", f"/s/{changed}/{SEGMENT}"
        if kind == 2:
            return (
                "GET",
                f"/s/{token}/{source.choice(['', '/', '../', 'previews/', 'previews/a/', 'masters/'])}{noise(30)}x",
            )
        if kind == 3:
            return source.choice(["PUT", "POST", "DELETE", "PATCH", "get", "TRACE"]), good
        if kind == 4:
            return (
                "GET",
                f"/s/{token}/{PREFIX}{source.choice(['..', '%2e%2e', '.', '', '%00', '%5c', '%ff'])}/{noise(20)}x",
            )
        return "GET", f"/s/{noise(30)}?grant={noise(80)}"

    async def run() -> dict[int, int]:
        seen: dict[int, int] = {}
        for _ in range(10_000):
            method, path = bad()
            answer = await ask(edge.app, quote(path, safe="/%?&=+:;,~").encode(), method=method)
            assert 400 <= answer.status < 500, (method, path, answer.status)
            assert b"0123456789" not in answer.body
            seen[answer.status] = seen.get(answer.status, 0) + 1
        return seen

    assert sum(asyncio.run(run()).values()) == 10_000
