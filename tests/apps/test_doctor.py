"""`mamkit doctor`: each thing is broken for real, and the line that says so is looked for."""

import json
import os
import resource
import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
from aiosmtpd.controller import Controller

from mamkit.clock import utc_now
from mamkit.jobs.sql import SqlQueue
from mamkit.storage.s3.buckets import init_bucket, plans_for_zones
from mamkit.testing.jobs import claimed, new_job
from mamkit_apps.api.asgi import prepare
from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.doctor import data, machine, network
from mamkit_apps.doctor.examine import CHECKS, examine
from mamkit_apps.doctor.findings import Check, Finding, Patient, clock_finding, ok
from mamkit_apps.zones import open_zones
from tests.apps.test_demo import run
from tests.apps.test_s3 import buckets
from tests.apps.test_up import free_port
from tests.redis_server import RedisServer
from tests.s3_servers import options_for
from tests.servers.otlp import receiver
from tests.servers.postgres import Postgres

STRONG = {
    name: f"{name.lower()}-0123456789-abcdefghijklmnopqrstuvwxyz"
    for name in ("EDGE_SIGNING_KEY", "JWT_SECRET", "SESSION_SECRET", "CALLBACK_SECRET", "SEALING_KEYS")
}

Look = Callable[..., Finding]


@pytest.fixture
def look(monkeypatch: pytest.MonkeyPatch) -> Look:
    """Run one check with these settings in the environment."""

    def examine_one(check: Check, **settings: str) -> Finding:
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        patient = Patient.load()
        return patient.discreet(check(patient))

    return examine_one


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """The data folder of an installation that has been started."""
    settings = ApiSettings.load(data_dir=tmp_path / ".mamkit")
    prepare(settings)
    open_zones(settings)
    return settings.data_dir


@pytest.fixture
def as_nobody() -> Iterator[Callable[[], None]]:
    """Become somebody whom file modes bind, for the rest of the test."""
    yield lambda: os.seteuid(65534)
    os.seteuid(0 if os.getuid() == 0 else os.getuid())


@pytest.fixture
def silent_url() -> Iterator[str]:
    """Where nothing answers, whatever runs on this machine: a port that is held, and that nobody listens at."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_an_installation_that_is_well_has_a_line_for_each_check_and_status_0(
    made: Path, tmp_path: Path, silent_url: str
) -> None:
    """And looking changes nothing."""
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*") if path.suffix not in {".db-shm", ".db-wal"}}
    env = os.environ | {"API_URL": silent_url, "EDGE_URL": silent_url}
    result = run("doctor", "--json", cwd=tmp_path, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    told = json.loads(result.stdout)
    assert told["ok"] is True
    states = {finding["check"]: finding["state"] for finding in told["checks"]}
    assert list(states) == [check.__name__.replace("_", "-") for check in CHECKS]
    for name in (
        "settings",
        "secrets",
        "secret-files",
        "data-dir",
        "encoder",
        "database",
        "schema",
        "queue",
        "staging",
    ):
        assert states[name] == "ok", told
    assert states["api"] == states["edge"] == "warning"  # nobody has started them
    after = {path for path in made.rglob("*") if path.is_file() and path.suffix not in {".db-shm", ".db-wal"}}
    assert after <= before.keys()


def test_a_failure_gives_status_1_and_one_line_with_what_to_do(tmp_path: Path) -> None:
    result = run(
        "doctor", "--min-free", "1e9", cwd=tmp_path, env=os.environ | {"SIGN_MIN_SECONDS": "soon", "DATABASE_URI": "x"}
    )
    assert result.returncode == 1
    lines = result.stdout.splitlines()
    assert len(lines) == len(CHECKS)
    assert lines[0].startswith("failed   settings        SIGN_MIN_SECONDS: ")
    assert "→ correct it" in lines[0]
    assert any(line.startswith("failed   disk ") and "→ free some" in line for line in lines)
    assert not (tmp_path / ".mamkit").exists()


def test_a_misspelt_setting_is_named_with_the_one_that_is_meant(look: Look) -> None:
    finding = look(machine.settings, DATABASE_URI="sqlite:///x.db")
    assert finding.state == "warning"
    assert "DATABASE_URI" in finding.detail
    assert "DATABASE_URL" in finding.remedy


@pytest.mark.parametrize(
    ("change", "state", "named"),
    [
        ({"JWT_SECRET": "short"}, "failed", "JWT_SECRET"),
        ({"JWT_SECRET": "x" * 60}, "failed", "JWT_SECRET"),
        ({"SEALING_KEYS": "a:not-base64!"}, "failed", "SEALING_KEYS"),
        ({"SEALING_KEYS": STRONG["JWT_SECRET"]}, "warning", "SEALING_KEYS"),
        ({}, "ok", "5"),
    ],
)
def test_a_weak_or_repeated_secret_is_named_and_not_shown(
    look: Look, change: dict[str, str], state: str, named: str
) -> None:
    finding = look(machine.secrets, **STRONG | change)
    assert finding.state == state
    assert named in finding.detail
    assert not any(value in finding.detail + finding.remedy for value in (STRONG | change).values())


def test_a_secret_that_is_missing_beside_a_database_elsewhere_is_named(look: Look) -> None:
    finding = look(
        machine.secrets,
        DATABASE_URL="postgresql://db.example.com/mamkit",
        EDGE_SIGNING_KEY="k" * 8 + "0123456789abcdefghijklmnopq",
    )
    assert finding.state == "failed"
    assert "JWT_SECRET" in finding.detail


def test_secrets_that_others_can_read_are_found(look: Look, made: Path) -> None:
    assert look(machine.secret_files).state == "ok"
    key = made / "secrets" / "jwt_secret"
    key.chmod(0o640)
    finding = look(machine.secret_files)
    assert (finding.state, finding.remedy) == ("failed", f"chmod 600 {key.relative_to(made.parent)}")
    key.chmod(0o600)
    made.chmod(0o755)
    assert look(machine.data_dir).state == "warning"


def test_a_folder_that_cannot_be_written_is_found(look: Look, made: Path, as_nobody: Callable[[], None]) -> None:
    assert look(machine.data_dir).state == "ok"
    if os.getuid() == 0:
        made.parent.chmod(0o755)
        made.chmod(0o755)
        for above in made.parents:
            if above.stat().st_mode & 0o005 != 0o005 and str(above).startswith("/tmp/pytest"):
                above.chmod(0o755)
        as_nobody()
    else:
        made.chmod(0o500)
    finding = look(machine.data_dir)
    assert finding.state == "failed", finding
    assert "chown" in finding.remedy


def test_a_disk_that_is_nearly_full_is_found(tmp_path: Path) -> None:
    for check in (machine.disk, machine.scratch):
        assert check(Patient.load(least_room=1 << 20)).state == "ok"
        assert check(Patient.load(least_room=1 << 60)).state == "failed"


def test_a_damaged_and_a_held_database_are_found(look: Look, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(data.database).state == look(data.schema).state == "ok"
    path = made / "mamkit.db"
    monkeypatch.setattr("mamkit_apps.doctor.data.PATIENCE", 0.1)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    assert "locked" in look(data.database).detail
    holder.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.execute("UPDATE alembic_version SET version_num = '9999', serves = '9999'")
    assert look(data.schema).state == "failed"
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    finding = look(data.schema)
    assert (finding.state, finding.remedy) == ("failed", "mamkit db upgrade")
    connection.close()
    path.write_bytes(b"no database at all" * 1000)
    assert look(data.database).state == "failed"


def test_a_postgresql_is_looked_at_closely(look: Look, postgres: Postgres, tmp_path: Path) -> None:
    url = postgres.new_database()
    more = STRONG | {"DATABASE_URL": url}
    finding = look(data.database, **more)
    assert finding.state == "ok", finding
    assert look(data.database_clock).state == "ok"
    assert look(data.schema).remedy == "mamkit db upgrade"
    prepare(ApiSettings.load())
    assert look(data.schema).state == look(data.database).state == look(data.queue).state == "ok"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS weak")
        connection.execute("CREATE ROLE weak LOGIN PASSWORD 'hunter2-and-more'")
    weak = url.replace("mamkit@", "weak:hunter2-and-more@")
    assert "may make no tables" in look(data.database, DATABASE_URL=weak).detail
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("GRANT CREATE, USAGE ON SCHEMA public TO weak")
        finding = look(data.database, DATABASE_URL=weak)
        assert "no right to read and write" in finding.detail
        connection.execute("DROP OWNED BY weak")
        connection.execute("DROP ROLE weak")
    gone = f"postgresql://mamkit:hunter2-and-more@127.0.0.1:{free_port()}/x"
    finding = look(data.database, DATABASE_URL=gone)
    assert finding.state == "failed"
    assert "hunter2" not in str(finding)


def test_a_redis_that_is_gone_is_named_without_its_password(look: Look) -> None:
    gone = look(data.queue, REDIS_URL=f"redis://:hunter2-and-more@127.0.0.1:{free_port()}")
    assert gone.state == "failed"
    assert "hunter2" not in str(gone)


def test_a_redis_is_looked_at_closely(look: Look, redis_server: RedisServer) -> None:
    assert look(data.queue, REDIS_URL=redis_server.url).state == "ok"
    assert look(data.redis_clock).state == "ok"


def test_a_redis_without_append_only_file_is_found(look: Look, own_redis: RedisServer) -> None:
    own_redis.options = ("--appendonly", "no")
    own_redis.start()
    finding = look(data.queue, REDIS_URL=own_redis.url)
    assert finding.state == "warning"
    assert "appendonly yes" in finding.remedy


def test_a_redis_that_would_forget_jobs_or_takes_no_more_is_found(look: Look, own_redis: RedisServer) -> None:
    """As it is set while it runs, too."""
    with redis.Redis.from_url(own_redis.start().url) as client:
        client.config_set("maxmemory", "200mb")
        client.config_set("maxmemory-policy", "allkeys-lru")
        finding = look(data.queue, REDIS_URL=own_redis.url)
        assert (finding.state, "noeviction" in finding.detail) == ("failed", True)
        client.config_set("maxmemory-policy", "noeviction")
        assert look(data.queue, REDIS_URL=own_redis.url).state == "ok"
        facts: Any = client.info()
        client.config_set("maxmemory", facts["used_memory"] * 103 // 100)
        finding = look(data.queue, REDIS_URL=own_redis.url)
        assert (finding.state, "maxmemory" in finding.remedy) == ("warning", True)
        client.config_set("maxmemory-policy", "allkeys-lru")
        assert look(data.queue, REDIS_URL=own_redis.url).state == "failed", "of two troubles, the worse is told"


def test_jobs_that_have_died_are_told(look: Look, made: Path) -> None:
    from mamkit.catalog import sync_engine

    engine = sync_engine(f"sqlite:///{made / 'mamkit.db'}")
    queue = SqlQueue(engine)
    queue.enqueue(new_job())
    queue.bury(claimed(queue), reason="bad")
    engine.dispose()
    finding = look(data.queue)
    assert finding.state == "warning"
    assert "1 dead" in finding.detail


def test_buckets_are_looked_at_closely(look: Look, weed: str) -> None:
    settings = buckets("doctor", weed)
    missing = look(data.masters, **settings)
    assert missing.state == "failed"
    assert "mamkit storage init" in missing.remedy
    for name, plan in zip(("staging", "masters", "previews"), plans_for_zones(), strict=True):
        init_bucket(f"doctor-{name}", plan, options_for(weed))
    for check in (data.staging, data.masters, data.previews, network.s3_clock):
        assert look(check).state == "ok", look(check)
    unlocked = look(data.masters, MASTERS_BUCKET="doctor-previews")  # made without object lock
    assert unlocked.state == "warning"
    assert "object lock" in unlocked.detail
    refused = look(data.staging, AWS_SECRET_ACCESS_KEY="hunter2-and-more")
    assert refused.state == "failed"
    assert "hunter2" not in str(refused)
    gone = look(network.s3_clock, S3_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert gone.state == "failed"


def test_a_store_on_disk_is_written_and_left_as_it_was(look: Look, made: Path) -> None:
    for check in (data.staging, data.masters, data.previews):
        assert look(check).state == "ok"
    assert [path for path in (made / "objects").rglob("*") if path.is_file() and "doctor" in str(path)] == []


@pytest.mark.parametrize(
    ("seconds", "state"), [(0.4, "ok"), (-3, "warning"), (3, "warning"), (6, "failed"), (-900, "failed")]
)
def test_a_clock_that_is_off_is_told_with_its_direction(seconds: float, state: str) -> None:
    now = utc_now()
    finding = clock_finding(now + timedelta(seconds=seconds), before=now, after=now, of="the database's clock")
    assert finding.state == state
    assert ("ahead of" if seconds > 0 else "behind") in finding.detail


def test_an_answer_that_takes_its_time_makes_no_clock_wrong() -> None:
    before = utc_now()
    for seconds in (0, 5, 20):
        theirs = before + timedelta(seconds=seconds)
        assert clock_finding(theirs, before=before, after=before + timedelta(seconds=20), of="it").state == "ok"


def test_a_clock_of_another_is_read(look: Look, tmp_path: Path) -> None:
    """A server whose clock is an hour ahead."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 403 No\r\ndate: Fri, 01 Jan 2100 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
        finding = look(network.s3_clock, **buckets("clock", endpoint))
        thread.join()
    assert finding.state == "failed"
    assert "ahead of" in finding.detail


def test_what_answers_in_place_of_a_service_is_found_out(look: Look, weed: str) -> None:
    finding = look(network.api, API_URL=weed)
    assert finding.state == "warning"
    assert "not as mamkit" in finding.detail


def test_an_open_line_is_told(look: Look) -> None:
    assert look(machine.site).state == "ok"
    assert look(machine.site, EDGE_URL="https://edge.example.com", EDGE_COOKIE_SECURE="false").state == "warning"
    assert "PUBLIC_URL" in look(machine.site, PUBLIC_URL="http://video.example.com").detail


def test_mail_is_tried(look: Look) -> None:
    assert look(network.mail).state == "skipped"
    assert look(network.mail, EMAIL_VERIFICATION="required").state == "failed"
    refused = look(network.mail, SMTP_URL=f"smtp://ada:hunter2-and-more@127.0.0.1:{free_port()}")
    assert refused.state == "failed"
    assert "hunter2" not in str(refused)
    controller = Controller(object(), hostname="127.0.0.1", port=free_port())
    controller.start()
    try:
        assert look(network.mail, SMTP_URL=f"smtp://127.0.0.1:{controller.port}").state == "ok"
        assert look(network.mail, SMTP_URL=f"smtp://ada:pass-of-ada@127.0.0.1:{controller.port}").state == "failed"
    finally:
        controller.stop()


def test_the_receiver_of_traces_is_tried(look: Look) -> None:
    assert look(network.traces).state == "skipped"
    gone = look(network.traces, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{free_port()}")
    assert (gone.state, "ConnectError" in gone.detail) == ("warning", True)
    with receiver() as collector:
        named = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_EXPORTER_OTLP_HEADERS": "X-Key=hunter2%3D"}
        assert look(network.traces, **named).state == "ok"
        [(path, headers, body)] = collector.requests
        assert (path, headers["x-key"], body) == ("/v1/traces", "hunter2=", b"")
        collector.status = 401
        refused = look(network.traces, **named)
    assert (refused.state, "401" in refused.detail, "hunter2" in str(refused)) == ("warning", True, False)


def test_an_issuer_that_is_gone_is_found(look: Look) -> None:
    issuer = f"http://127.0.0.1:{free_port()}"
    providers = [{"name": "here", "issuer": issuer, "client_id": "mamkit", "client_secret": "hunter2-and-more"}]
    finding = look(network.providers, OIDC_PROVIDERS=json.dumps(providers))
    assert finding.state == "failed"
    assert "hunter2" not in str(finding)


def test_an_encoder_that_cannot_start_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A child that may have no memory."""
    monkeypatch.setattr("mamkit.transcode.containment.children.COMMAND", ("/bin/false",))
    [finding] = [each for each in examine(Patient.load()) if each.check == "encoder"]
    assert finding.state == "failed"


@pytest.mark.parametrize(
    ("version", "filters", "state", "said"),
    [
        (1, True, "ok", "no network"),
        (7, False, "warning", "no seccomp"),
        (0, True, "warning", "no Landlock: files"),
        (-1, False, "warning", "memory and time alone"),
    ],
)
def test_a_kernel_that_confines_less_is_told(
    look: Look, version: int, filters: bool, state: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the version of its Landlock, and by whether it filters system calls."""
    monkeypatch.setattr("mamkit.transcode.containment.confinement.landlock_version", lambda: version)
    monkeypatch.setattr("mamkit.transcode.containment.confinement.knows_filters", lambda: filters)
    finding = look(machine.confinement)
    assert finding.state == state
    assert said in finding.detail


def test_a_check_that_hangs_stops_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    def hangs(_: Patient) -> Finding:
        release.wait()
        return ok("late")

    def breaks(_: Patient) -> Finding:
        raise RuntimeError("boom")

    def works(_: Patient) -> Finding:
        return ok("fine")

    monkeypatch.setattr("mamkit_apps.doctor.examine.CHECKS", (hangs, breaks, works))
    found = examine(Patient.load(), time_limit=0.2)
    release.set()
    assert [(each.check, each.state) for each in found] == [("hangs", "failed"), ("breaks", "failed"), ("works", "ok")]
    assert "no answer" in found[0].detail


def test_few_open_files_are_told(look: Look) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        finding = look(machine.open_files)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert finding.state == "warning"
    assert "ulimit -n" in finding.remedy
