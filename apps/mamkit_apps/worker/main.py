"""The worker's loop, and its reports over HTTP."""

import logging
import os
import socket
from contextlib import closing
from datetime import timedelta

import httpx

from mamkit.ids import uuid7
from mamkit.jobs import CanWait, Queue, QueueError
from mamkit.previews import (
    Ack,
    ApiUnavailableError,
    InvalidMessageError,
    PreviewWorker,
    Report,
    ReportNotTakenError,
    StaleReportError,
)
from mamkit.previews.messages import PART_JOB, PLAN_JOB
from mamkit.signing import WebhookSigner
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.wiring import open_queue, open_zones
from mamkit_apps.worker.metered import MeteredQueue
from mamkit_apps.worker.monitor import monitor
from mamkit_apps.worker.orders import Orders
from mamkit_apps.worker.settings import WorkerSettings

__all__ = ["HttpReporter", "run"]

log = logging.getLogger(__name__)

WORK = (PLAN_JOB, PART_JOB)
IDLE = 0.25  # seconds between two looks into an empty queue that cannot tell of a job
LONGEST_REST = 0.5  # seconds; a signal is seen between two of them
UNREACHABLE = 2.0  # seconds between two tries at a queue that does not answer
REPORT_TIMEOUT = 30.0  # seconds; publishing takes a few writes to the store


class HttpReporter:
    """Delivers reports to the API's callback, signed in the Standard Webhooks form.

    Args:
        api_url: Base URL of the API.
        signer: Holds the callback secret.
    """

    def __init__(self, api_url: str, signer: WebhookSigner) -> None:
        self._url = f"{api_url}/api/preview/callback"
        self._signer = signer
        self._client = httpx.Client(timeout=REPORT_TIMEOUT)

    def __call__(self, report: Report) -> Ack:
        """Deliver one report; see `mamkit.previews.Reporter`."""
        body = report.model_dump_json().encode()
        headers = self._signer.sign(str(uuid7()), body) | {"content-type": "application/json"}
        try:
            response = self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise ApiUnavailableError(f"the API does not answer at {self._url}: {error}") from error
        if response.status_code == httpx.codes.CONFLICT:
            raise StaleReportError(report.job_id, report.fence)
        if response.is_server_error:
            raise ApiUnavailableError(f"the API answered {response.status_code} to a report: {response.text[:200]}")
        if InvalidMessageError.code in response.text:  # it comes from us, so this worker is of a later version
            raise ApiUnavailableError(f"the API is of another version: {response.text[:200]}")
        if not response.is_success:
            raise ReportNotTakenError(f"the API answered {response.status_code} to a report: {response.text[:200]}")
        return Ack.model_validate_json(response.content)


def run(settings: WorkerSettings, *, listener: socket.socket | None = None) -> None:
    """Work until SIGTERM or SIGINT; what the signals do is told by `Orders`.

    Args:
        settings: Say where everything is.
        listener: Listening socket for `/healthz` and `/metrics`; None answers neither.

    Raises:
        SettingsError: A setting cannot be used.
        UnsupportedServerError: The Redis of the queue answers and cannot keep a queue.
    """
    orders = Orders(settings.grace)
    queue = open_queue(settings)
    metered = MeteredQueue(queue)
    worker = PreviewWorker(
        f"{socket.gethostname()}:{os.getpid()}",
        queue=metered,
        zones=open_zones(settings),
        report=HttpReporter(settings.api_url, WebhookSigner(_callback_key(settings))),
        lease=settings.lease,
    )
    with monitor(metered, listener), closing(worker):
        _work(worker, queue, orders)


def _work(worker: PreviewWorker, queue: Queue, orders: Orders) -> None:
    """Take job after job; say once that the queue cannot be reached, and once that it can again."""
    trouble = ""
    while not orders.leaving.is_set():
        if orders.paused:
            orders.leaving.wait(IDLE)
            continue
        worker.prepare()
        try:
            if not worker.run_once(orders.stop):
                _rest(queue, orders)
            if trouble:
                log.info("the queue answers again")
                trouble = ""
        except QueueError as error:
            if str(error) != trouble:
                trouble = str(error)
                log.warning("waiting for the queue: %s", error)
            orders.leaving.wait(UNREACHABLE)


def _rest(queue: Queue, orders: Orders) -> None:
    """Wait for a job: until the queue tells of one where it can, and else for a moment."""
    if orders.leaving.is_set():
        return
    if isinstance(queue, CanWait):
        queue.wait(timedelta(seconds=LONGEST_REST), kinds=WORK)
    else:
        orders.leaving.wait(IDLE)


def _callback_key(settings: ServiceSettings) -> bytes:
    return settings.secret("callback_secret").get_secret_value().encode()
