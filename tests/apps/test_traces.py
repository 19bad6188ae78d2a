"""One trace from a request to what comes of it, across processes; and nobody who waits for a receiver of traces."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar.testing import TestClient

from mamkit_apps.api.asgi import create_app, prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.demo.client import Client, sha256_of_file, upload
from mamkit_apps.demo.clip import make_clip
from mamkit_apps.settings import SettingsError
from mamkit_apps.supervisor import Services
from tests.apps.test_up import free_port
from tests.deploy.test_observability import ON_PAGE, families_of, parsed
from tests.redis_server import RedisServer
from tests.servers.otlp import Receiver, Told, receiver

SERVER, CONSUMER = 2, 5  # kinds of spans in the protobuf
STRANGER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def collector() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


@pytest.fixture
def traced(data_dir: Path, collector: Receiver) -> Iterator[TestClient[Any]]:
    settings = ApiSettings.load(
        data_dir=data_dir, registration="open", otel_exporter_otlp_endpoint=collector.url, otel_service_name="films"
    )
    prepare(settings)
    with TestClient(create_app(settings)) as client:
        yield client


def make_preview(api_url: str, folder: Path) -> str:
    """Bring a short film in, and return its version once its preview is ready."""
    film = folder / "film.mp4"
    make_clip(film, seconds=2, size=(320, 180))
    with Client(api_url) as client:
        client.register("ada@example.com", "correct horse battery staple")
        digest = sha256_of_file(film)
        wanted = {"filename": film.name, "size": film.stat().st_size, "content_type": "video/mp4", "sha256": digest}
        presigned = client.post("/api/presign", wanted)
        upload(film, presigned, lambda _: None)
        asset_id = presigned["asset_id"]
        client.post("/api/assets", {"asset_id": asset_id, "filename": film.name, "title": "film"})
        version = client.post("/api/promote", {"asset_id": asset_id, "sha256": digest})
        states = [event["status"] for event in client.events(version["id"]) if event]
    assert states[-1] == "ready"
    return str(version["id"])


@pytest.mark.parametrize("queue", ["sql", "redis"])
def test_a_preview_is_one_trace_from_the_promotion_to_the_published_playlist(
    queue: str, tmp_path: Path, collector: Receiver, request: pytest.FixtureRequest
) -> None:
    settings = {
        "REGISTRATION": "open",
        "LOG_FORMAT": "json",
        "METRICS_PORT": str(free_port()),
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20key",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=tests",
    }
    if queue == "redis":
        own: RedisServer = request.getfixturevalue("own_redis")
        settings["REDIS_URL"] = own.start().url
    logs = tmp_path / "logs"
    with Services(tmp_path / "data", api_port=0, edge_port=0, logs=logs, fresh=True, settings=settings) as services:
        version = make_preview(services.api_url, tmp_path)
        pids = {services.pid(name) for name in ("api", "worker")}
        urls = {
            "api": services.api_url,
            "edge": services.edge_url,
            "worker": f"http://127.0.0.1:{settings['METRICS_PORT']}",
        }
        numbers = {name: parsed(httpx.get(f"{url}/metrics").text) for name, url in urls.items()}
    assert set().union(*map(families_of, numbers.values())) == ON_PAGE, (
        "processes say what alerts and dashboard ask for"
    )
    assert families_of(numbers["api"]) > {"mamkit_queue_oldest_seconds"}, "also where there is no worker"
    # Nothing was waited for: the processes have sent what they had before they ended.
    spans = collector.spans
    [promotion] = [span for span in spans if span.name == "POST /api/promote"]
    trace = {span.id: span for span in spans if span.trace == promotion.trace}
    assert promotion.parent == ""
    assert {int(span.instance.rpartition(":")[2]) for span in trace.values()} == pids
    assert {span.parent for span in trace.values()} - trace.keys() == {""}, "every span has its parent in the trace"

    def line(span: Told) -> list[str]:
        """Return the names from the trace's beginning to a span."""
        names: list[str] = []
        while True:
            names.insert(0, f"{span.service.removeprefix('mamkit-')}: {span.name}")
            if not span.parent:
                return names
            span = trace[span.parent]

    def written(key: str) -> list[Told]:
        named = [each for each in trace.values() if each.name == "storage put"]
        return [each for each in named if str(each.attributes["mamkit.key"]).endswith(key)]

    planned = [
        "api: POST /api/promote",
        "api: send preview.plan",
        "worker: process preview.plan",
    ]
    asked = [*planned, "worker: report planned", "api: POST /api/preview/callback", "api: send preview.part"]
    made = [*asked, "worker: process preview.part"]
    published = [*made, "worker: report finished", "api: POST /api/preview/callback", "api: storage put"]
    assert line(written("/index.m3u8")[-1]) == published
    assert line(written(".m4s")[0]) == [*made, "worker: encode", "worker: storage put"]
    assert [*planned, "worker: probe"] in [line(span) for span in trace.values()]
    jobs = [span for span in trace.values() if span.name.startswith("process ")]
    assert {span.attributes["mamkit.outcome"] for span in jobs} == {"done"}
    assert {span.attributes["mamkit.version_id"] for span in jobs} == {version}
    assert {span.kind for span in jobs} == {CONSUMER}
    assert {line(span)[-2] for span in trace.values() if span.name == "INSERT versions"} == {planned[0]}
    assert not [span for span in trace.values() if span.failed]
    # Progress, of which there is much, is told by nobody.
    callbacks = [span for span in spans if span.name == "POST /api/preview/callback"]
    assert len(callbacks) == len([span for span in trace.values() if span.name.startswith("report ")])
    for span in trace.values():
        above = trace.get(span.parent)
        assert above is None or above.start <= span.start + 5_000_000, (above.name, span.name)  # rounding of details
    # What is said is said with the key, and holds none of ours.
    assert {headers["x-key"] for _, headers, _ in collector.requests} == {"a key"}
    assert {path for path, _, _ in collector.requests} == {"/v1/traces"}
    said = b"".join(body for _, _, body in collector.requests)
    assert b"deployment.environment.name" in said
    for secret in (b"correct horse", b"/s/v1", b"Bearer", b"mkr1", b"eyJ", *secrets_of(tmp_path / "data")):
        assert secret not in said
    lines = [json.loads(text) for text in (logs / "api.log").read_text().splitlines() if text.startswith("{")]
    [told] = [each for each in lines if each.get("route") == "/api/promote"]
    assert (told["trace_id"], told["span_id"]) == (promotion.trace, promotion.id)


def secrets_of(data_dir: Path) -> list[bytes]:
    return [path.read_bytes().strip() for path in (data_dir / "secrets").iterdir()]


def test_a_request_is_told_by_its_route_and_nothing_of_its_client_s(
    traced: TestClient[Any], collector: Receiver
) -> None:
    headers = {"traceparent": STRANGER, "authorization": "Bearer nobody"}
    assert traced.get("/api/assets?token=hunter2", headers=headers).status_code == 401
    assert traced.get("/api/share-links/hunter2/none", headers=headers).status_code == 404
    assert traced.request("BREW", "/hunter2", headers=headers).status_code in {404, 405}
    assert traced.get("/healthz").status_code == 200
    spans = collector.until(lambda found: len([s for s in found if s.kind == SERVER]) == 3, "three requests")
    served = [span for span in spans if span.kind == SERVER]
    assert [span.name for span in served] == ["GET /api/assets", "GET", "_OTHER"]
    assert [span.attributes["http.response.status_code"] for span in served][:2] == [401, 404]
    assert not any(span.failed for span in served), "what a client does wrong is no error of ours"
    assert {span.service for span in spans} == {"films"}
    assert not [span for span in spans if span.trace == STRANGER[3:35]], "anybody could have said so"
    assert not any(b"hunter2" in body for _, _, body in collector.requests)


def test_a_report_goes_on_with_a_trace_only_if_it_is_signed(traced: TestClient[Any], collector: Receiver) -> None:
    traced.post("/api/preview/callback", json={}, headers={"traceparent": STRANGER})
    spans = collector.until(lambda found: any(span.kind == SERVER for span in found), "the request")
    assert [(span.name, span.parent) for span in spans if span.kind == SERVER] == [("POST /api/preview/callback", "")]


def test_a_trace_is_followed_where_the_operator_says_that_a_proxy_names_it(data_dir: Path, collector: Receiver) -> None:
    settings = ApiSettings.load(
        data_dir=data_dir,
        otel_exporter_otlp_endpoint=collector.url,
        otel_traces_sampler_arg=0,
        trace_incoming=True,
    )
    prepare(settings)
    with TestClient(create_app(settings)) as api:
        for sent in (STRANGER, STRANGER[:-2] + "00", "00-zero-01", ""):
            api.get("/api/health", headers={"traceparent": sent} if sent else {})
    served = [span for span in collector.spans if span.kind == SERVER]
    assert [(span.trace, span.parent) for span in served] == [(STRANGER[3:35], STRANGER[36:52])]


def test_an_error_of_ours_is_marked_and_its_text_stays_here(
    traced: TestClient[Any], collector: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("hunter2")

    monkeypatch.setattr(traced.app.state["parts"].tokens, "verify", broken)
    assert traced.get("/auth/me", headers={"authorization": "Bearer eyJ.eyJ.x"}).status_code == 500
    spans = collector.until(lambda found: any(span.kind == SERVER for span in found), "the request")
    [served] = [span for span in spans if span.kind == SERVER]
    assert (served.name, served.failed, served.attributes["error.type"]) == ("GET /auth/me", True, "500")
    assert not any(b"hunter2" in body for _, _, body in collector.requests)


def test_a_stream_of_events_is_told_up_to_its_head(traced: TestClient[Any], collector: Receiver) -> None:
    answer = traced.post(
        "/auth/register", json={"email": "ada@example.com", "password": "correct horse battery staple"}
    )
    headers = {"authorization": f"Bearer {answer.json()['access_token']}"}
    assert traced.get("/api/events?follow=false", headers=headers).status_code == 200
    spans = collector.until(lambda found: any(s.name == "GET /api/events" for s in found), "the stream")
    [stream] = [span for span in spans if span.name == "GET /api/events"]
    late = [span for span in collector.spans if span.parent == stream.id and span.start > stream.end]
    assert late == []


def test_an_endpoint_with_a_password_is_refused_without_showing_it() -> None:
    with pytest.raises(SettingsError) as caught:
        ApiSettings.load(otel_exporter_otlp_endpoint="http://ada:hunter2@localhost")
    assert caught.value.names == ("OTEL_EXPORTER_OTLP_ENDPOINT",)
    assert "hunter2" not in str(caught.value)


def test_without_an_endpoint_nothing_is_made(data_dir: Path) -> None:
    prepare(ApiSettings.load(data_dir=data_dir))
    for settings in (
        ApiSettings.load(data_dir=data_dir),
        ApiSettings.load(data_dir=data_dir, otel_exporter_otlp_endpoint="http://localhost:1", otel_sdk_disabled=True),
    ):
        app = create_app(settings)
        assert app.state.tracing is None
        with TestClient(app) as api:
            assert 'mamkit_traces_spans_total{outcome="sent"}' not in api.get("/metrics").text
