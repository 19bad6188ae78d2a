"""On a line that breaks at any point, a transfer ends whole and verified, or in a named error with nothing to be seen.

200 rounds here; `MAMKIT_FAULT_ROUNDS` asks for more.
"""

import hashlib
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from mamkit.storage import Expected, ObjectNotFoundError, StorageError, StorageUnavailableError, read_ahead
from mamkit.storage.s3 import Patience, S3Store
from tests.s3_servers import options_for, store_on
from tests.unit.storage.fault_proxy import FAULTS, FaultProxy

ROUNDS = int(os.environ.get("MAMKIT_FAULT_ROUNDS", "200"))
PART = 5 * 1024 * 1024
PATIENCE = Patience(connect=1, read=0.3, attempts=4, backoff=0.01, longest=0.05)


@pytest.fixture(scope="module")
def direct(weed: str) -> Iterator[S3Store]:
    with store_on(weed, "faults") as store:
        yield store


@pytest.fixture(scope="module")
def proxy(weed: str) -> Iterator[FaultProxy]:
    with FaultProxy(urlsplit(weed).port or 0, stall=0.6) as proxy:
        yield proxy


def behind(proxy: FaultProxy, direct: S3Store) -> S3Store:
    """Return the store as it is reached through the proxy, with connections of its own."""
    endpoint = f"http://127.0.0.1:{proxy.port}"
    features = replace(direct.features, match_replace="quoted", match_remove=True)
    options = options_for(endpoint, patience=PATIENCE, part_size=PART, features=features)
    return S3Store("faults", options)


def find(store: S3Store, key: str) -> bytes | None:
    try:
        with store.get(key) as body:
            return body.read()
    except ObjectNotFoundError:
        return None


def test_every_transfer_ends_whole_or_in_a_named_error(
    direct: S3Store, proxy: FaultProxy, figure: Callable[[str], None]
) -> None:
    ends: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    given_up: dict[str, str] = {}
    for seed in range(ROUNDS):
        chance = random.Random(seed)
        large = chance.random() < 0.1
        size = chance.randrange(PART, 2 * PART) if large else chance.randrange(1, 200_000)
        data = chance.randbytes(size)
        digest = hashlib.sha256(data).hexdigest()
        key, work = f"{seed}", chance.choice(("put", "if absent", "replace", "swap", "remove", "get", "ahead", "copy"))
        before, etag = None, ""
        if work not in {"put", "if absent"}:
            before = b"old" * 10 if work in {"replace", "swap"} else data
            etag = direct.put(key, before).etag
        proxy.plan(seed, FAULTS, chance.choice((0.4, 0.95)), min(size, 300_000) + 400)
        try:
            with behind(proxy, direct) as store:
                got = transfer(store, work, key, data, etag)
        except StorageError as error:
            ends[error.code] += 1
            got = None
            given_up[f"{key}-copy" if work == "copy" else key] = digest
        else:
            ends["whole"] += 1
            assert got == digest
        faults.update(proxy.made)
        proxy.plan(seed, (), 0, 1)
        there = find(direct, f"{key}-copy" if work == "copy" else key)
        after = None if work == "remove" else data
        assert there in ({after} if got else {None, before, after}), (seed, work)
        for each in (key, f"{key}-copy"):
            direct.delete(each)
    # A server that has all of a request may carry it out after its client gave up, and after we looked and cleaned up.
    late = {info.key: hashlib.sha256(find(direct, info.key) or b"").hexdigest() for info in direct.list()}
    figure(f"{ROUNDS} rounds: {dict(ends)}, of which {len(late)} done late; faults: {dict(faults)}")
    assert set(faults) == set(FAULTS)
    # Our own first attempt, whose answer was lost, is never taken for a stranger's.
    assert set(ends) <= {"whole", "storage.unavailable"}
    assert ends["whole"] > ROUNDS / 2
    assert ends["storage.unavailable"] > 0
    assert late.items() <= given_up.items()


def transfer(store: S3Store, work: str, key: str, data: bytes, etag: str) -> str:
    """Do the work and return the digest of what came of it, as the store tells it."""
    if work == "copy":
        assert store.copy(key, f"{key}-copy").size == len(data)
    elif work == "swap":
        assert store.replace(key, data, if_match=etag).size == len(data)
    elif work == "remove":
        store.remove(key, if_match=etag)
    elif work == "get":
        with store.get(key) as body:
            return hashlib.sha256(body.read()).hexdigest()
    elif work == "ahead":
        blocks = read_ahead(store, store.head(key), threads=2, part_size=100_000)
        return hashlib.sha256(b"".join(blocks)).hexdigest()
    else:
        store.put(key, data, if_absent=work == "if absent")
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("server", ["weed", "ceph"])
def test_a_bit_that_changes_on_the_way_is_found_by_the_server(server: str, request: pytest.FixtureRequest) -> None:
    """Whichever digest it looks at: of an object, of a part, of a part that this process writes for a plan."""
    endpoint = request.getfixturevalue(server)
    small, large = random.Random(1).randbytes(100_000), random.Random(2).randbytes(PART + 1)
    ends: Counter[str] = Counter()
    flipped = 0
    with FaultProxy(urlsplit(endpoint).port or 0, stall=0.6) as proxy, store_on(endpoint, "faults") as direct:
        for turn in range(6):
            data, plan = (small, large, large)[turn % 3], None
            if turn % 3 == 2:
                plan = direct.begin_parts("film", content_type="a/b", expected=Expected(size=PART + 1), part_size=PART)
                direct.put_part(plan, 2, large[PART:])
            proxy.plan(turn, ("flip",), 0.7, len(small))
            try:
                with behind(proxy, direct) as store:
                    if plan is None:
                        store.put("film", data)
                    else:
                        store.put_part(plan, 1, data[:PART])
                        direct.complete_parts(plan)
                ends["whole"] += 1
            except StorageUnavailableError:
                ends["refused"] += 1
            flipped += len(proxy.made)
            assert find(direct, "film") in {data, None}
            direct.delete("film")
            if plan is not None:
                direct.abort_parts(plan)
    assert ends["whole"] > 0
    assert flipped > ends["refused"]
