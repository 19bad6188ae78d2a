"""Two promotions at once, each of which may crash between any two steps: one master, the right one, and nothing lost.

A few rounds here; `MAMKIT_RACE_ROUNDS` asks for more.
"""

import hashlib
import json
import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from mamkit.storage import (
    LocalStore,
    MasterConflictError,
    MasterRecord,
    ObjectNotFoundError,
    ObjectStore,
    Zones,
    clear_staged,
    promote,
)
from mamkit.storage.s3 import S3Store
from tests.s3_servers import options_for, store_on

ROUNDS = int(os.environ.get("MAMKIT_RACE_ROUNDS", "20"))


class Crash(BaseException):
    """The process is gone: nothing after this happens."""


class Mortal:
    """Lets a store's calls be the last ones of a process, before or after they are carried out."""

    def __init__(self, seed: int) -> None:
        chance = random.Random(seed)
        self.left = chance.randrange(14)  # a promotion takes up to eight calls; with more left it survives
        self.after = chance.random() < 0.5

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self.left -= 1
            if self.left == 0 and not self.after:
                raise Crash
            result = call(*args, **kwargs)
            if self.left == 0:
                raise Crash
            return result

        return wrapped


def mortal(store: LocalStore | S3Store, life: Mortal) -> ObjectStore:
    """Make the calls of a store end with a life; the store stays of its own class, so that it copies as ever."""
    for name in ("head", "get", "put", "copy"):
        setattr(store, name, life(getattr(store, name)))
    return store


@pytest.fixture(params=["local", "seaweedfs", "ceph"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], LocalStore | S3Store]:
    """Gives a new store object on the same objects each time, as a new process would have it."""
    if request.param == "local":
        return lambda zone: LocalStore(tmp_path / zone, durable=False)
    endpoint = request.getfixturevalue("weed" if request.param == "seaweedfs" else "ceph")
    features = {zone: store_on(endpoint, f"race-{zone}").features for zone in ("staging", "masters")}
    return lambda zone: S3Store(f"race-{zone}", options_for(endpoint, features=features[zone], connections=2))


def test_one_master_comes_of_racing_and_crashing_promotions(
    opener: Callable[[str], LocalStore | S3Store], request: pytest.FixtureRequest
) -> None:
    staging, masters = opener("staging"), opener("masters")
    rounds = ROUNDS if not isinstance(staging, S3Store) or "ceph" not in request.node.name else ROUNDS // 2
    crashes = 0
    for seed in range(rounds):
        chance = random.Random(seed)
        same = chance.random() < 0.5
        films = [chance.randbytes(2000)] * 2 if same else [chance.randbytes(2000), chance.randbytes(2000)]
        staged = [f"uploads/{seed}/{number}.mp4" for number in range(2)]
        master = f"masters/{seed}/v1/original.mp4"
        for key, film in zip(staged, films, strict=True):
            staging.put(key, film, content_type="video/mp4")
        start = Barrier(2)

        def run(
            number: int,
            seed: int = seed,
            films: list[bytes] = films,
            staged: list[str] = staged,
            master: str = master,
            start: Barrier = start,
        ) -> MasterRecord | str:
            life = Mortal(2 * seed + number)
            zones = Zones(
                staging=mortal(opener("staging"), life),
                masters=mortal(opener("masters"), life),
                previews=staging,
            )
            start.wait()
            try:
                return promote(
                    zones,
                    staged=staged[number],
                    master=master,
                    size=2000,
                    sha256=hashlib.sha256(films[number]).hexdigest(),
                )
            except MasterConflictError:
                return "conflict"
            except Crash:
                return "crash"

        with ThreadPoolExecutor(2) as pool:
            ends = list(pool.map(run, range(2)))
        crashes += ends.count("crash")
        for key, film in zip(staged, films, strict=True):
            assert read(staging, key) == film, "a staged upload went before anybody cleared it"
        check(Zones(staging=staging, masters=masters, previews=staging), films, staged, master, ends)
    assert rounds < 10 or crashes > rounds / 4


def check(zones: Zones, films: list[bytes], staged: list[str], master: str, ends: list[MasterRecord | str]) -> None:
    """Whatever has happened: what stands is one of the uploads, whole, and promoting again says so."""
    try:
        first = read(zones.masters, master)
    except ObjectNotFoundError:
        assert "crash" in ends
        assert all(end in {"crash", "conflict"} for end in ends)
    else:
        assert first in films
    records = set()
    for key, film in zip(staged, films, strict=True):
        digest = hashlib.sha256(film).hexdigest()
        try:
            records.add(promote(zones, staged=key, master=master, size=len(film), sha256=digest))
        except MasterConflictError:
            assert films[0] != films[1]
    assert len(records) == 1
    record = records.pop()
    stands = read(zones.masters, master)
    assert hashlib.sha256(stands).hexdigest() == record.sha256
    assert all(end in {record, "crash", "conflict"} for end in ends)
    facts = json.loads(read(zones.masters, master.replace("original.mp4", "metadata.json")))
    assert facts["sha256"] == record.sha256
    folder = master.removesuffix("original.mp4")
    names = [info.key.removeprefix(folder) for info in zones.masters.list(folder)]
    assert names == ["metadata.json", "original.mp4"]
    for key in staged:
        clear_staged(zones, key)


def read(store: ObjectStore, key: str) -> bytes:
    with store.get(key) as body:
        return body.read()
