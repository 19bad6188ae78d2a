"""The requests of the edge below `/s/`: who asks, what they may, who serves it, and what is said and counted of it.

An ASGI application of its own inside the Litestar one (docs/decisions/0011), which some requests never get to (0023).
"""

import logging
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from http import HTTPStatus
from time import monotonic

from litestar.types import Receive, Scope, Send

from mamkit.errors import MamkitError
from mamkit.signing import Carried, Grant, SigningError, UrlSigner, find_token, token_id
from mamkit.storage import AsyncStore, ObjectNotFoundError, ObjectStore, to_async
from mamkit.storage.aio import Threads
from mamkit_apps.edge.cache import Entry, ObjectCache
from mamkit_apps.edge.delivery import Delivery
from mamkit_apps.edge.exchange import UNWATCHED, ClientGoneError, Exchange
from mamkit_apps.edge.limits import Rates, Streams
from mamkit_apps.edge.offload import check_offload
from mamkit_apps.edge.policy import Origins, refusal
from mamkit_apps.edge.renewal import renewed_cookie
from mamkit_apps.edge.request import Answer, Headers, Hold, Request
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.edge.uploads import take_upload
from mamkit_apps.edge.watch import AccessLog, Metrics
from mamkit_apps.limits import LimitReachedError, SharedRate, client_address

__all__ = ["EdgeService"]

log = logging.getLogger(__name__)

THREADS = 16  # calls of the store at once
REMEMBERED = 2048  # tokens and paths whose reading is not done anew; some 2 KiB each
READING = frozenset({"GET", "HEAD"})
GONE = 499  # nginx's number for a client that left before it got an answer; never sent


class EdgeService:
    """Serves `/s/…`.

    Args:
        settings: Of the edge.
        signer: Verifies tokens.
        zones: Stores by the first segment of their keys.
        shared: Limits that count for several processes.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        *,
        signer: UrlSigner,
        zones: Mapping[str, ObjectStore],
        shared: SharedRate | None = None,
    ) -> None:
        check_offload(settings, list(zones.values()))
        self._settings = settings
        self._signer = signer
        self._threads = Threads(THREADS)
        self._stores: dict[str, AsyncStore] = {name: to_async(store) for name, store in zones.items()}
        self._cache = ObjectCache(settings.edge_cache_bytes, seconds=settings.edge_cache_seconds)
        self._delivery = Delivery(settings, signer=signer, zones=zones, threads=self._threads, cache=self._cache)
        self._origins = Origins(settings.edge_origins)
        self._rates = Rates(
            per_client=settings.edge_rate_per_client, per_token=settings.edge_rate_per_token, shared=shared
        )
        self._streams = Streams(most=settings.edge_streams, per_client=settings.edge_streams_per_client)
        self._metrics = Metrics()
        self._log = AccessLog(settings.edge_access_log) if settings.edge_access_log else None
        self._open: set[Exchange] = set()
        # What a signature is good for never changes, so a token is opened once; each request is still held against it.
        self._grant = lru_cache(maxsize=REMEMBERED)(signer.open)
        self._in_path = lru_cache(maxsize=REMEMBERED)(find_token)
        self._token_id = lru_cache(maxsize=REMEMBERED)(token_id)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        exchange = Exchange(
            scope, receive, send, patience=self._settings.edge_send_timeout, min_rate=self._settings.edge_min_rate
        )
        self._find_client(exchange)
        self._open.add(exchange)
        try:
            await self._serve(exchange)
        except ClientGoneError:
            exchange.status = exchange.status or GONE
            await exchange.leave()
        except MamkitError as error:
            await self._refuse(exchange, error)
        finally:
            self._open.discard(exchange)
            self._note(exchange)

    def answer_at_once(self, request: Request, *, most: int) -> Answer | None:
        """Return the answer to a request without a body, if it is known without waiting; else None, and it is served.

        Args:
            request: What is asked.
            most: Bytes of a body that the caller can send so.
        """
        if request.method not in READING or self._rates.shared or self._streams.full:
            return None
        self._find_client(request)
        try:
            carried, grant = self._authorize(request)
            found = self._delivery.find_answer(request, carried, grant, self._renew(carried, grant))
            if found is None or found[0].size > most:
                return None
            self._rates.check_here(request.client, request.token)
            answer: Answer | None = self._hold(request, *found)
        except (SigningError, LimitReachedError) as error:
            answer = self._refusal(request, error)
        except MamkitError:  # too rare to be worth a second way
            return None
        if answer is not None:
            request.status = answer.status
            request.answered = monotonic()
            if answer.hold is None:
                request.sent = answer.size
                self._note(request)
        return answer

    def _hold(self, request: Request, answer: Answer, entry: Entry | None) -> Answer:
        """Return an answer that counts as a stream, and its bytes as held, until it is taken, if it is large enough."""
        size = answer.size
        if entry is None or size <= UNWATCHED:
            return answer
        self._streams.begin(request.client)
        self._cache.acquire(entry)

        def release(sent: int, outcome: str) -> None:
            self._cache.let_go(entry)
            self._streams.end(request.client)
            request.sent, request.outcome = sent, outcome or request.outcome
            self._note(request)

        seconds = self._settings.edge_send_timeout + size / self._settings.edge_min_rate
        return answer._replace(hold=Hold(seconds, release))

    def _find_client(self, request: Request) -> None:
        if self._settings.trusted_proxies:
            request.client = client_address(
                request.client, request.header(b"x-forwarded-for"), self._settings.trusted_proxies
            )

    def _note(self, request: Request) -> None:
        """Count and log a request that is over."""
        now = monotonic()
        self._metrics.count(request, (request.answered or now) - request.started)
        if self._log is not None:
            self._log.note(request, now - request.started)

    async def _serve(self, exchange: Exchange) -> None:
        if exchange.method == "OPTIONS":
            await exchange.answer(HTTPStatus.NO_CONTENT, self._origins.preflight(exchange.fields))
            return
        carried, grant = self._authorize(exchange)
        await self._rates.check(exchange.client, exchange.token)
        self._streams.begin(exchange.client)
        try:
            more = self._renew(carried, grant)
            if exchange.method in READING:
                await self._delivery.deliver(exchange, carried, grant, more)
            else:
                store = self._stores.get(carried.key.partition("/")[0])
                if store is None:
                    raise ObjectNotFoundError(carried.key)
                headers = [*self._origins.headers(exchange.fields), *more]
                await take_upload(exchange, carried.key, grant, store, headers)
        finally:
            self._streams.end(exchange.client)

    def _authorize(self, request: Request) -> tuple[Carried, Grant]:
        """Return what a request asks for, and the grant that allows it.

        Raises:
            SigningError: There is none: no token is ours, or it has expired, or grants something else.
        """
        if request.path.startswith("/s/v1."):
            carried = self._in_path(request.path)
        else:
            carried = find_token(request.path, query=request.query, cookie=request.header(b"cookie"))
        request.key = carried.key
        refused: SigningError | None = None
        for token in carried.tokens:
            request.token = self._token_id(token)
            try:
                grant = self._grant(token)
                self._signer.check(grant, key=carried.key, method=request.method, address=request.client)
            except SigningError as error:
                refused = refused or error
            else:
                return carried, grant
        assert refused is not None  # noqa: S101 - there is at least one token, and none was good
        raise refused

    def _renew(self, carried: Carried, grant: Grant) -> Headers:
        """Return the header that prolongs a session of playback, if there is one to be prolonged."""
        if not self._settings.edge_renew_seconds or carried.by == "path":
            return []
        lifetime = timedelta(seconds=self._settings.edge_renew_seconds)
        cookie = renewed_cookie(
            self._signer, carried, grant, lifetime=lifetime, secure=self._settings.edge_cookie_secure
        )
        return [] if cookie is None else [(b"set-cookie", cookie.encode("ascii"))]

    def _refusal(self, request: Request, error: MamkitError) -> Answer | None:
        """Return and count the answer to a request that is not served; None if the fault is ours."""
        found = refusal(error)
        if found is None:
            return None
        self._metrics.refuse(error.code)
        request.outcome = "refused"
        status, headers, body = found
        close = [] if request.method in READING else [(b"connection", b"close")]  # what it still sends is not read
        said = [*headers, (b"content-length", b"%d" % len(body)), *close, *self._origins.headers(request.fields)]
        return Answer(status, said, () if request.method == "HEAD" else (body,))

    async def _refuse(self, exchange: Exchange, error: MamkitError) -> None:
        """Say why a request is not served; a fault of ours goes to whoever called, who logs it."""
        answer = self._refusal(exchange, error)
        if exchange.status:  # half of an answer is out: the client sees that the rest is missing
            log.warning("an answer broke off: %s", error.code)
            await exchange.leave()
            return
        if answer is None:
            raise error
        try:
            await exchange.reply(answer)
        except ClientGoneError:
            exchange.status = GONE

    def sweep(self, now: float) -> None:
        """Cut off who is too slow, and write what the log holds back.

        Args:
            now: Monotonic time, seconds.
        """
        for exchange in [exchange for exchange in self._open if exchange.deadline < now]:
            exchange.expire()
        if self._log is not None:
            self._log.flush()

    def metrics(self) -> str:
        """Return counts for Prometheus."""
        return self._metrics.text(
            streams=self._streams.open, cache_bytes=self._cache.used, cache_objects=len(self._cache)
        )

    def close(self) -> None:
        """End the threads, and write what the log holds back."""
        self._delivery.close()
        self._threads.close()
        for store in self._stores.values():
            store.close()
        if self._log is not None:
            self._log.close()
