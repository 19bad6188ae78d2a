"""Checks of where the data is: database, queue, and the three zones of objects."""

import sqlite3
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mamkit import catalog
from mamkit.catalog import sync_engine
from mamkit.clock import utc_now
from mamkit.errors import MamkitError
from mamkit.jobs import Queue, UnsupportedServerError
from mamkit.storage import LocalStore, ObjectStore, StorageFullError
from mamkit_apps.doctor.findings import Check, Finding, Patient, clock_finding, failed, ok, skipped, warning
from mamkit_apps.settings import ServiceSettings

if TYPE_CHECKING:
    from mamkit.storage.s3 import S3Options

__all__ = ["CHECKS"]

FULL = 0.9  # of a memory
PATIENCE = 5  # seconds for a server to answer
OLDEST_POSTGRES = 130_000  # `server_version_num`; version 12 gets no fixes any more
RIGHTS = "SELECT, INSERT, UPDATE, DELETE"
CLOSED_TABLE = """
    SELECT min(relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND NOT (
        has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE')
    )
"""
NOT_MADE = "there is none yet; the first start makes it"


def database(patient: Patient) -> Finding:
    """The database answers, and may be read and written."""
    url = _url(patient.shared())
    if url.get_backend_name() == "sqlite":
        return _sqlite(Path(str(url.database)))
    try:
        with _connected(patient.shared()) as connection:
            return _postgres(connection)
    except sa.exc.SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error) or type(error).__name__)
        return failed(f"no connection to {url.host}: {reason}", "see that it runs, and what DATABASE_URL says")


def _sqlite(path: Path) -> Finding:
    if not path.exists():
        return skipped(NOT_MADE)
    try:
        with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")  # asks for the right to write, and writes nothing
            connection.execute("ROLLBACK")
            [mode] = connection.execute("PRAGMA journal_mode").fetchone()
            [state] = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        return failed(f"{path}: {error}", f"let this user own {path} and its folder, and see that nothing holds it")
    if state != "ok":
        return failed(f"{path}: {state}", "it is damaged: stop the services and restore a backup")
    if mode != "wal":
        return warning(f"{path} is in mode {mode}", "keep it on a local disk: network file systems take no WAL")
    return ok(f"{path}, sound and writable")


def _postgres(connection: sa.Connection) -> Finding:
    start = time.perf_counter()
    connection.execute(sa.text("SELECT 1"))
    milliseconds = (time.perf_counter() - start) * 1000
    version = int(connection.scalar(sa.text("SHOW server_version_num")) or 0)
    name = f"PostgreSQL {connection.scalar(sa.text('SHOW server_version'))}, {milliseconds:.1f} ms"
    if version < OLDEST_POSTGRES:
        return failed(name, "use PostgreSQL 13 or later")
    if connection.scalar(sa.text("SELECT pg_is_in_recovery()")):
        return failed(f"{name}: it is a standby that only reads", "let DATABASE_URL name the primary")
    if connection.scalar(sa.text("SHOW server_encoding")) != "UTF8":
        return failed(f"{name}: its encoding is not UTF8", "make the database with ENCODING 'UTF8'")
    if not connection.scalar(sa.text("SELECT has_schema_privilege(current_schema(), 'CREATE')")):
        return failed(f"{name}: this user may make no tables", "GRANT CREATE, USAGE ON SCHEMA public TO this user")
    closed = connection.scalar(sa.text(CLOSED_TABLE))
    if closed:
        return failed(f"{name}: no right to read and write {closed}", f"GRANT {RIGHTS} ON {closed} TO it")
    return ok(name)


def schema(patient: Patient) -> Finding:
    """The tables are those that this version of mamkit needs."""
    shared = patient.shared()
    url = _url(shared)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        return skipped(NOT_MADE)
    try:
        catalog.check(shared.database)
    except catalog.SchemaOutdatedError as error:
        return failed(str(error).partition(";")[0], "mamkit db upgrade")
    except catalog.SchemaUnknownError as error:
        return failed(str(error), "install the version of mamkit that made them, or a later one")
    return ok(f"revision {catalog.current(shared.database)}")


def database_clock(patient: Patient) -> Finding:
    """The database's clock and this machine's agree."""
    if _url(patient.shared()).get_backend_name() == "sqlite":
        return skipped("SQLite goes by this machine's clock")
    with _connected(patient.shared()) as connection:
        before = utc_now()
        theirs = connection.scalar(sa.text("SELECT clock_timestamp()"))
        after = utc_now()
    assert isinstance(theirs, datetime)  # noqa: S101 - that is its type
    return clock_finding(theirs.astimezone(UTC), before=before, after=after, of="the database's clock")


def queue(patient: Patient) -> Finding:
    """The queue answers, keeps what it is given, and nothing in it has died."""
    shared = patient.shared()
    return _queue_in_database(shared) if shared.redis_url is None else _queue_in_redis(shared)


def _queue_in_database(shared: ServiceSettings) -> Finding:
    url = _url(shared)
    is_there = url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()
    if not is_there or catalog.current(shared.database) is None:
        return skipped(NOT_MADE)
    from mamkit_apps.wiring import open_queue  # noqa: PLC0415 - loads what the queue needs

    engine = sync_engine(shared.database)
    try:
        return _depth(open_queue(shared, engine), "in the database")
    finally:
        engine.dispose()


def _queue_in_redis(shared: ServiceSettings) -> Finding:
    from mamkit_apps.wiring import open_queue  # noqa: PLC0415 - as above

    finding = _redis(shared)
    if finding is not None and finding.state == "failed":
        return finding
    try:
        depth = _depth(open_queue(shared), "in Redis")
    except UnsupportedServerError as error:
        return failed(str(error), "give the queue a Redis 6.2 or later, or a Valkey, that forgets nothing")
    return finding or depth


def _depth(queue: Queue, where: str) -> Finding:
    counts = queue.depth().counts
    told = ", ".join(f"{count} {state}" for state, count in counts.items() if count) or "empty"
    if counts.get("dead"):
        return warning(f"{where}: {told}", "mamkit jobs list --state dead says why; `jobs retry` or `jobs drop` them")
    return ok(f"{where}: {told}")


def _redis(shared: ServiceSettings) -> Finding | None:
    """Return what keeps Redis from being a good queue; None if nothing does."""
    from redis import RedisError  # noqa: PLC0415 - of an extra that the embedded default does without

    try:
        with closing(_redis_client(shared)) as client:
            facts: Any = client.info()
            key = f"mamkit:doctor:{uuid.uuid4().hex}"
            client.set(key, "1", ex=PATIENCE)
            client.delete(key)
    except RedisError as error:
        return failed(f"Redis: {type(error).__name__}: {error}", "see that it runs, and what REDIS_URL says")
    if not facts.get("aof_enabled"):
        return warning(
            f"Redis {facts['redis_version']} writes no append-only file: a crash loses jobs",
            "appendonly yes; the API makes lost jobs anew, but only within its next rounds",
        )
    if facts.get("maxmemory", 0) and facts["used_memory"] > FULL * facts["maxmemory"]:
        used, most = (round(facts[name] / 2**20) for name in ("used_memory", "maxmemory"))
        return warning(
            f"Redis {facts['redis_version']} uses {used} of {most} MiB", "more maxmemory; one that is full takes no job"
        )
    return None


def redis_clock(patient: Patient) -> Finding:
    """The clock of Redis, by which leases end, and this machine's agree."""
    if patient.shared().redis_url is None:
        return skipped("REDIS_URL is not set")
    with closing(_redis_client(patient.shared())) as client:
        before = utc_now()
        reply: Any = client.time()
        after = utc_now()
    theirs = datetime.fromtimestamp(reply[0], UTC) + timedelta(microseconds=reply[1])
    return clock_finding(theirs, before=before, after=after, of="the clock of Redis")


def _redis_client(shared: ServiceSettings) -> Any:
    from redis import Redis  # noqa: PLC0415 - as above

    from mamkit.jobs.sentinel import SentinelUrl  # noqa: PLC0415 - as above

    assert shared.redis_url is not None  # noqa: S101 - whoever calls has looked
    url = shared.redis_url.get_secret_value()
    if SentinelUrl.matches(url):
        return SentinelUrl.parse(url).client(socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
    return Redis.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)


def staging(patient: Patient) -> Finding:
    """Uploads can be written, read again and removed."""
    return _zone(patient, "staging", "uploads")


def masters(patient: Patient) -> Finding:
    """Masters can be listed, and in buckets they are kept against deletion."""
    return _zone(patient, "masters", "masters")


def previews(patient: Patient) -> Finding:
    """Previews can be written, read again and removed."""
    return _zone(patient, "previews", "previews")


def _zone(patient: Patient, zone: str, prefix: str) -> Finding:
    shared = patient.shared()
    bucket: str | None = getattr(shared, f"{zone}_bucket")
    remedy = f"see {zone.upper()}_BUCKET, S3_ENDPOINT and the credentials; `mamkit storage init` makes the buckets"
    if bucket is None:
        if not (shared.data_dir / "objects").exists():
            return skipped(NOT_MADE)
        remedy = f"let this user own {shared.data_dir / 'objects'} and all in it"
    try:
        store = _store(shared, bucket)
        next(iter(store.list(f"{prefix}/")), None)
        # An object in a bucket with object lock could not be removed again.
        milliseconds = None if zone == "masters" and bucket else _round_trip(store, f"{prefix}/mamkit-doctor/")
        findings = [] if bucket is None else _bucket(shared, zone, bucket)
    except StorageFullError:
        return failed("there is no room for an object", "free some, or move it to a larger disk")
    except MamkitError as error:
        return failed(str(error), remedy)
    differing = [f"{name}: {detail}" for name, state, detail in findings if state == "differs"]
    where = f"bucket {bucket}" if bucket else str(shared.data_dir / "objects")
    if differing:
        return warning(f"{where}: {'; '.join(differing)}", "mamkit storage init sets what can be set")
    return ok(where + ("" if milliseconds is None else f", written and read in {milliseconds:.0f} ms"))


def _store(shared: ServiceSettings, bucket: str | None) -> ObjectStore:
    if bucket is None:
        return LocalStore(shared.data_dir / "objects")
    from mamkit.storage.s3 import S3Store  # noqa: PLC0415 - needs boto3

    return S3Store(bucket, _options(shared))


def _options(shared: ServiceSettings) -> "S3Options":
    """Return how buckets are reached, by somebody who would rather hear soon that they are not."""
    from mamkit.storage.s3 import Patience  # noqa: PLC0415 - as above
    from mamkit_apps.zones import s3_options  # noqa: PLC0415 - as above

    return replace(s3_options(shared), patience=Patience(connect=PATIENCE, read=PATIENCE, attempts=2, backoff=0.1))


def _round_trip(store: ObjectStore, prefix: str) -> float:
    """Write, read and remove an object, and return how many milliseconds it took."""
    key, data = f"{prefix}{uuid.uuid4().hex}", uuid.uuid4().bytes
    start = time.perf_counter()
    try:
        store.put(key, data, content_type="application/octet-stream")
        with store.get(key) as body:
            if body.read() != data:
                raise DifferentBytesError(key)
    finally:
        store.delete(key)
    return (time.perf_counter() - start) * 1000


class DifferentBytesError(MamkitError):
    """A store gave back other bytes than it was given."""

    code = "apps.different_bytes"

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} was read with other bytes than were written")


def _bucket(shared: ServiceSettings, zone: str, bucket: str) -> list[tuple[str, str, str]]:
    """Return how the settings of a bucket stand: name, state and detail of each."""
    from mamkit.storage.s3.buckets import check_bucket, plans_for_zones  # noqa: PLC0415 - needs boto3

    # How long, and which web sites, is the operator's to say; that there is a lock at all is ours.
    plans = dict(zip(("staging", "masters", "previews"), plans_for_zones(lock_days=1), strict=True))
    found = check_bucket(bucket, plans[zone], _options(shared))
    return [(each.setting, each.state, each.detail) for each in found if each.setting != "CORS"]


def _url(shared: ServiceSettings) -> sa.URL:
    sync_engine(shared.database).dispose()  # raises where it cannot be used, without showing it
    return sa.make_url(shared.database)


@contextmanager
def _connected(shared: ServiceSettings) -> Iterator[sa.Connection]:
    """Give a connection, for which nobody waits longer than a few seconds."""
    url = sa.make_url(shared.database).update_query_dict({"connect_timeout": str(PATIENCE)})
    engine = sync_engine(url.render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


CHECKS: Sequence[Check] = (database, schema, database_clock, queue, redis_clock, staging, masters, previews)
"""The checks of this module, in the order in which they are told."""
