"""The worker's loop, and its reports over HTTP."""

import logging
import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import get_args

import httpx

from mamkit.ids import uuid7
from mamkit.jobs import CanWait, Queue, QueueError
from mamkit.previews import (
    Ack,
    ApiUnavailableError,
    Card,
    Finished,
    InvalidMessageError,
    PreviewWorker,
    Report,
    ReportNotTakenError,
    Room,
    StaleReportError,
)
from mamkit.signing import WebhookSigner
from mamkit.transcode import Codec, ContainmentError, EncodeError, Limits, try_encoder
from mamkit.transcode.machine import at_once, memory, processors
from mamkit_apps.bell import answering
from mamkit_apps.settings import ServiceSettings
from mamkit_apps.tracing import open_tracing
from mamkit_apps.wiring import open_queue
from mamkit_apps.worker.machine import card_slots_of, slots_of
from mamkit_apps.worker.metered import MeteredQueue
from mamkit_apps.worker.monitor import monitor
from mamkit_apps.worker.orders import Orders
from mamkit_apps.worker.settings import WorkerSettings
from mamkit_apps.zones import open_zones

__all__ = ["HttpReporter", "run"]

log = logging.getLogger(__name__)

IDLE = 0.25  # seconds between two looks into an empty queue that cannot tell of a job
LONGEST_REST = 0.5  # seconds; a signal is seen between two of them
UNREACHABLE = 2.0  # seconds between two tries at a queue that does not answer
REPORT_TIMEOUT = 30.0  # seconds; publishing takes a few writes to the store
OF_THE_REPORT = {httpx.codes.BAD_REQUEST, httpx.codes.REQUEST_ENTITY_TOO_LARGE, httpx.codes.UNPROCESSABLE_ENTITY}
"""What an API says of a report that is at fault itself; all else is about who asks, whom, or when."""


class HttpReporter:
    """Delivers reports to the API's callback, signed in the Standard Webhooks form.

    Args:
        api_url: Base URL of the API.
        signer: Holds the callback secret.
        more: Returns headers of a request, beside those that are signed.
    """

    def __init__(self, api_url: str, signer: WebhookSigner, *, more: Callable[[], Mapping[str, str]] = dict) -> None:
        self._url = f"{api_url}/api/preview/callback"
        self._signer = signer
        self._more = more
        self._client = httpx.Client(timeout=REPORT_TIMEOUT)

    def __call__(self, report: Report) -> Ack:
        """Deliver one report; see `mamkit.previews.Reporter`."""
        body = report.model_dump_json().encode()
        headers = {**self._more(), **self._signer.sign(str(uuid7()), body), "content-type": "application/json"}
        try:
            response = self._client.post(self._url, content=body, headers=headers)
        except httpx.TransportError as error:
            raise ApiUnavailableError(f"the API does not answer at {self._url}: {error}") from error
        if response.status_code == httpx.codes.CONFLICT:
            raise StaleReportError(report.job_id, report.fence)
        if response.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
            # So that one worker with a wrong secret does not fail the previews of all the others.
            raise ApiUnavailableError("the API does not believe this worker; see that both have one CALLBACK_SECRET")
        if InvalidMessageError.code in response.text:  # it comes from us, so this worker is of a later version
            raise ApiUnavailableError(f"the API is of another version: {response.text[:200]}")
        if response.status_code in OF_THE_REPORT:
            raise ReportNotTakenError(f"the API answered {response.status_code} to a report: {response.text[:200]}")
        try:
            return Ack.model_validate_json(response.content if response.is_success else b"")
        except ValueError as error:
            said = response.text[:200]
            raise ApiUnavailableError(f"{self._url} answered {response.status_code} to a report: {said}") from error


def run(settings: WorkerSettings, *, listener: socket.socket | None = None) -> None:
    """Work until SIGTERM or SIGINT; what the signals do is told by `Orders`.

    Args:
        settings: Say where everything is.
        listener: Listening socket for `/healthz` and `/metrics`; None answers neither.

    Raises:
        SettingsError: A setting cannot be used.
        UnsupportedServerError: The Redis of the queue answers and cannot keep a queue.
        MissingExtraError: Traces are asked for, and the extra `telemetry` is not installed.
    """
    with Orders(settings.grace) as orders:
        _run(settings, orders, listener)


def _run(settings: WorkerSettings, orders: Orders, listener: socket.socket | None) -> None:
    queue = open_queue(settings)
    metered = MeteredQueue(queue)
    tracing = open_tracing(settings, "mamkit-worker")
    deliver = HttpReporter(
        settings.api_url, WebhookSigner(_callback_key(settings)), more=dict if tracing is None else tracing.headers
    )
    room = _room(settings)

    def report(report: Report) -> Ack:
        ack = deliver(report)
        if isinstance(report, Finished):
            metered.made(report)
        return ack

    make: Callable[..., PreviewWorker] = PreviewWorker
    if tracing is not None:
        from mamkit_apps.worker.traced import TracedWorker  # noqa: PLC0415 - of an extra that most do without

        make = partial(TracedWorker, tracing=tracing)
    card_slots = 0 if room.card is None else card_slots_of(room.card.sessions)
    processor_slots = settings.worker_slots or slots_of(processors())
    workers = [
        make(
            f"{socket.gethostname()}:{os.getpid()}:{slot}",
            queue=metered,
            zones=open_zones(settings),
            report=report,
            lease=settings.lease,
            policy=settings.policy,
            room=room,
        )
        for slot in range(processor_slots + card_slots)
    ]
    desk = _Desk(queue, orders, room)
    log.info(
        "a worker with %d slots takes jobs from %s and reports to %s", len(workers), _where(settings), settings.api_url
    )
    with (
        tracing or nullcontext(),
        monitor(metered, listener, room=room, spans=dict if tracing is None else tracing.counts),
        answering(settings.data_dir, desk.ring),
        ThreadPoolExecutor(len(workers), thread_name_prefix="slot") as slots,
    ):
        at_work = {
            slots.submit(desk.serve, worker, card=slot >= processor_slots) for slot, worker in enumerate(workers)
        }
        for slot in at_work:
            slot.add_done_callback(lambda _: orders.rouse())
        while at_work:
            orders.wait()
            ended = {slot for slot in at_work if slot.done()}
            at_work -= ended
            for slot in ended:
                slot.result()


class _Desk:
    """Where the slots of a worker wait for work.

    Args:
        queue: Where jobs come from.
        orders: Of the operator.
        room: What the slots share.
    """

    def __init__(self, queue: Queue, orders: Orders, room: Room) -> None:
        self._queue = queue
        self._orders = orders
        self._room = room
        self._bell = threading.Condition()
        self._rung = 0
        self._trouble = ""

    def serve(self, worker: PreviewWorker, *, card: bool = False) -> None:
        """Take job after job; whatever ends this slot against its will ends the others, too.

        Args:
            worker: Does the jobs.
            card: Whether this is a slot of the machine's card.
        """
        try:
            with closing(worker):
                self._serve(worker, card=card)
        except BaseException:
            self._orders.leaving.set()
            self._orders.stop.set()
            raise

    def _serve(self, worker: PreviewWorker, *, card: bool) -> None:
        orders = self._orders
        while not orders.leaving.is_set():
            if orders.paused:
                orders.leaving.wait(IDLE)
                continue
            if card and self._room.card is not None:
                self._room.card.refresh()
            if not self._room.precedence.insisted:  # else it would take time from a first picture
                worker.prepare()
            rung = self._rung
            try:
                if worker.run_once(orders.stop, card=card):
                    self.ring()  # what is done lets others begin: the parts of a film that was planned
                else:
                    self._rest(rung, worker.kinds(card=card))
                self._note("")
            except QueueError as error:
                self._note(str(error))
                orders.leaving.wait(UNREACHABLE)

    def _note(self, trouble: str) -> None:
        """Say once that the queue cannot be reached, and once that it can again."""
        if trouble != self._trouble:
            self._trouble, before = trouble, self._trouble
            if trouble:
                log.warning("waiting for the queue: %s", trouble)
            elif before:
                log.info("the queue answers again")

    def _rest(self, rung: int, kinds: Sequence[str]) -> None:
        """Wait for a job: until the queue tells of one where it can, and else for a moment or the bell."""
        if self._orders.leaving.is_set():
            return
        # While there are jobs whose turn it is not, the queue would tell of them at once, again and again.
        if kinds and isinstance(self._queue, CanWait) and not self._room.precedence.insisted:
            self._queue.wait(timedelta(seconds=LONGEST_REST), kinds=kinds)
            return
        with self._bell:
            self._bell.wait_for(lambda: self._rung != rung, IDLE)

    def ring(self) -> None:
        """Let those who wait look into the queue."""
        with self._bell:
            self._rung += 1
            self._bell.notify_all()


def _room(settings: WorkerSettings) -> Room:
    total = settings.worker_memory_bytes or memory()
    limits = Limits()
    return Room(
        total,
        limits=limits if total is None else replace(limits, memory=min(limits.memory, total)),
        at_once=at_once(processors()),
        card=None if settings.worker_encoder == "cpu" else _card(settings, limits),
    )


def _card(settings: WorkerSettings, limits: Limits) -> Card | None:
    """Return the card of this machine; None where there is none that encodes."""

    def find() -> Mapping[Codec, str]:
        marks: dict[Codec, str] = {}
        for codec in get_args(Codec):
            try:
                marks[codec] = try_encoder(codec, "nvenc", limits=limits)
            except (EncodeError, ContainmentError) as error:
                if settings.worker_encoder == "nvenc":
                    why = error.detail if isinstance(error, EncodeError) else ""
                    log.warning("the card does not encode %s: %s", codec, f"{error} ({why})" if why else error)
        log.info("the card encodes %s", ", ".join(marks) or "nothing")
        return marks

    card = Card(find, sessions=settings.worker_card_sessions)
    return card if card.devices else None


def _where(settings: ServiceSettings) -> str:
    """Return where the queue is, without its password."""
    if settings.redis_url is not None:
        return "Redis"
    return str(settings.data_dir.absolute()) if settings.database_url is None else "the database"


def _callback_key(settings: ServiceSettings) -> bytes:
    return settings.secret("callback_secret").get_secret_value().encode()
