"""What a worker makes of the API's answers to its reports: only what says something about a job counts against it."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from uuid import uuid4

import pytest

from mamkit.previews import Ack, ApiUnavailableError, Failed, ReportNotTakenError, StaleReportError
from mamkit.signing import WebhookSigner
from mamkit_apps.worker.main import HttpReporter

REPORT = Failed(version_id=uuid4(), job_id=uuid4(), fence=1, code="x.y", message="no")


class Answers(HTTPServer):
    """Answers every request alike."""

    status = 200
    body = b"{}"
    reporter: HttpReporter


class Handler(BaseHTTPRequestHandler):
    server: Answers

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@pytest.fixture(scope="module")
def api() -> Iterator[Answers]:
    with Answers(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.reporter = HttpReporter(f"http://127.0.0.1:{server.server_port}", WebhookSigner(b"x" * 32))
        yield server
        server.reporter._client.close()
        server.shutdown()
        thread.join()


def tell(api: Answers, status: int, body: bytes = b"{}") -> Ack:
    api.status, api.body = status, body
    return api.reporter(REPORT)


def test_an_answer_says_whether_more_is_wanted(api: Answers) -> None:
    assert tell(api, 201, b'{"wanted": true}').wanted
    assert not tell(api, 200, b'{"wanted": false}').wanted


def test_a_lease_that_is_lost_is_told(api: Answers) -> None:
    with pytest.raises(StaleReportError):
        tell(api, 409)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_what_is_wrong_with_a_report_counts_against_its_job(api: Answers, status: int) -> None:
    with pytest.raises(ReportNotTakenError) as refused:
        tell(api, status)
    assert not isinstance(refused.value, ApiUnavailableError)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 408, 429, 500, 502, 503, 507])
def test_what_is_wrong_with_worker_address_or_api_does_not(api: Answers, status: int) -> None:
    """One worker with a wrong secret or address would else fail every preview that it gets hold of."""
    with pytest.raises(ApiUnavailableError):
        tell(api, status)


@pytest.mark.parametrize("body", [b"", b"<html>Welcome to nginx!</html>", b"{}", b"null"])
def test_a_page_of_somebody_else_is_no_answer(api: Answers, body: bytes) -> None:
    with pytest.raises(ApiUnavailableError):
        tell(api, 200, body)


def test_an_api_of_an_older_version_is_waited_for(api: Answers) -> None:
    with pytest.raises(ApiUnavailableError, match="another version"):
        tell(api, 400, b'{"code": "previews.invalid_message"}')
