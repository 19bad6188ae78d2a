"""Access tokens beside bare PyJWT, refresh rotations on PostgreSQL, logins, and memory under a flood of logins."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import cycle
from pathlib import Path
from uuid import uuid4

import argon2
import jwt
import sqlalchemy as sa

from benchmarks._harness import Row, alternate, main, median, rate, ratio_of_rounds, rounds_of
from mamkit.auth import RFC_9106_LOW_MEMORY, AccessTokens, InvalidCredentialsError, KeyPairs, PasswordHasher, Sessions
from mamkit.auth.sql import SqlSessionStore, sessions_table
from mamkit.signing import KeyRing
from tests.servers import postgres

ISSUER, AUDIENCE, PASSWORD = "https://id.example", "api", "correct horse battery staple"
REQUIRED = ["iss", "aud", "iat", "exp", "jti", "sub", "sid", "azv", "roles"]
FLOOD = 200
MADE = 5_000  # tokens; more than are remembered, so that none is known when its turn comes again


def verify(quick: bool) -> list[Row]:
    """Verify new tokens: ours gives checked, typed claims; bare PyJWT a dictionary, having checked the same claims.

    One thread does it, so that the time is that of the processor: what else the machine does counts for neither side.
    """
    count, runs = (300, 15) if quick else (1_000, 41)
    rows = []
    ring, pairs = KeyRing.generate(), KeyPairs.generate("EdDSA")
    for algorithm, keys, key in (("HS256", ring, ring.current[1]), ("EdDSA", pairs, pairs[pairs.current[0]])):
        tokens = AccessTokens(keys, issuer=ISSUER, audience=AUDIENCE)
        issue = partial(tokens.issue, user_id=uuid4(), session_id=uuid4(), authz_version=1, roles=["editor"])
        made = cycle([issue() for _ in range(MADE)])
        times = count if algorithm == "HS256" else count // 3

        def ours(times: int = times, tokens: AccessTokens = tokens, made: Iterator[str] = made) -> float:
            start = time.process_time()
            for _ in range(times):
                tokens.verify(next(made))
            return times / (time.process_time() - start)

        def bare(
            times: int = times, made: Iterator[str] = made, key: object = key, algorithm: str = algorithm
        ) -> float:
            start = time.process_time()
            for _ in range(times):
                jwt.decode(
                    next(made),
                    key,  # type: ignore[arg-type]
                    algorithms=[algorithm],
                    issuer=ISSUER,
                    audience=AUDIENCE,
                    leeway=5,
                    options={"require": REQUIRED},
                )
            return times / (time.process_time() - start)

        rates = rounds_of({"ours": ours, "bare": bare}, runs)
        rows.append(
            Row(
                name=f"access tokens verified, {algorithm}",
                ours=median(rates["ours"]),
                unit="1/s",
                peer="bare PyJWT",
                peer_value=median(rates["bare"]),
                target=">= 0.9",
                paired=ratio_of_rounds(rates["ours"], rates["bare"]),
            )
        )
    return rows


def rotate(quick: bool) -> list[Row]:
    """Rotate on a PostgreSQL that waits for the disk as in production; its peer is the two statements by themselves."""
    seconds, runs = (1.0, 3) if quick else (2.0, 5)
    threads = 8
    with postgres.running(postgres.LIKE_PRODUCTION) as server:
        engine = sa.create_engine(
            server.new_database().replace("postgresql:", "postgresql+psycopg:"), pool_size=threads, max_overflow=0
        )
        metadata = sa.MetaData()
        table = sessions_table(metadata)
        metadata.create_all(engine)
        sessions = Sessions(SqlSessionStore(engine, table), secret=os.urandom(32))

        def refresh(deadline: float) -> int:
            token, done = sessions.start(uuid4()).refresh_token, 0
            while time.perf_counter() < deadline:
                token = sessions.refresh(token).refresh_token
                done += 1
            return done

        def statements(deadline: float) -> int:
            """Do what a rotation at least does: find, and in one transaction claim and add."""
            digest, done = uuid4().hex * 2, 0
            sessions.start(uuid4())
            update = sa.update(table).where(table.c.refresh_token_hash == digest).values(replaced_at=sa.func.now())
            while time.perf_counter() < deadline:
                jti = uuid4()
                with engine.connect() as connection:
                    connection.execute(sa.select(table).where(table.c.refresh_token_hash == digest)).all()
                digest = uuid4().hex * 2
                with engine.begin() as connection:
                    connection.execute(update)
                    connection.execute(
                        sa.insert(table).values(
                            id=jti, user_id=jti, jti=jti, family=jti, refresh_token_hash=digest,
                            expires_at=sa.func.now(), created_at=sa.func.now(),
                        )
                    )  # fmt: skip
                done += 1
            return done

        def at_once(work: object) -> float:
            deadline = time.perf_counter() + seconds
            with ThreadPoolExecutor(threads) as pool:
                return sum(pool.map(work, [deadline] * threads)) / seconds  # type: ignore[arg-type]

        rates = rounds_of({"ours": lambda: at_once(refresh), "statements": lambda: at_once(statements)}, runs)
        engine.dispose()
    return [
        Row(
            name=f"refresh rotations, PostgreSQL, {threads} threads",
            ours=median(rates["ours"]),
            unit="1/s",
            peer="its statements alone",
            peer_value=median(rates["statements"]),
            paired=ratio_of_rounds(rates["ours"], rates["statements"]),
        )
    ]


def log_in(quick: bool) -> list[Row]:
    """Verify passwords at the default profile, four at once as the hasher allows; its peer is argon2-cffi by itself."""
    count, runs = (4, 3) if quick else (16, 5)
    hasher, bare = PasswordHasher(), argon2.PasswordHasher()
    stored = hasher.hash(PASSWORD)

    def with_four(work: object) -> float:
        with ThreadPoolExecutor(4) as pool:
            return rate(lambda: list(pool.map(work, range(count))) and None, count)  # type: ignore[arg-type]

    mine, theirs = alternate(
        runs,
        lambda: with_four(lambda _: hasher.verify(stored, PASSWORD)),
        lambda: with_four(lambda _: bare.verify(stored, PASSWORD)),
    )
    return [
        Row(
            name="logins at the default profile (64 MiB, t=3, p=4)",
            ours=mine,
            unit="1/s",
            peer="bare argon2-cffi",
            peer_value=theirs,
            target=">= 0.9",
        )
    ]


def flood(quick: bool) -> list[Row]:
    """Let 200 people log in at once, in a process of its own; its peer is what four hashes at once need."""
    passes = "1" if quick else str(RFC_9106_LOW_MEMORY.time_cost)  # memory is the same, however often it is filled
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.auth", "--flood", passes], check=True, capture_output=True, text=True
    )
    grown = float(done.stdout)
    return [
        Row(
            name=f"memory that {FLOOD} parallel logins add at their peak",
            ours=grown,
            unit="MiB",
            peer="four hashes of 64 MiB",
            peer_value=256.0,
            target="<= 1.25",
        )
    ]


def _flood() -> None:
    """Print by how much the peak of this process's memory grows; `VmHWM` is Linux's."""
    hasher = PasswordHasher(replace(RFC_9106_LOW_MEMORY, time_cost=int(sys.argv[-1])))
    together = threading.Barrier(FLOOD)

    def attempt(_: int) -> None:
        together.wait()
        try:
            hasher.verify(None, PASSWORD)
        except InvalidCredentialsError:
            return

    before = _peak("VmRSS")
    with ThreadPoolExecutor(FLOOD) as pool:
        list(pool.map(attempt, range(FLOOD)))
    print((_peak("VmHWM") - before) / 1024)


def _peak(name: str) -> int:
    """Return a figure of this process, KiB."""
    match = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1])


def rows(quick: bool) -> list[Row]:
    """Return everything."""
    return [*verify(quick), *rotate(quick), *log_in(quick), *flood(quick)]


if __name__ == "__main__":
    if "--flood" in sys.argv:
        _flood()
    else:
        main("auth", rows)
