"""Hot objects: one load for all who want one, a bound that also counts what clients still hold."""

import asyncio
from datetime import UTC, datetime

import pytest

from mamkit.storage import ObjectInfo, StorageUnavailableError
from mamkit_apps.edge.cache import OVERHEAD, Entry, ObjectCache

KIB = 1024


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def entry(key: str, size: int = KIB, *, growing: bool = False) -> Entry:
    info = ObjectInfo(key=key, size=size, etag=key, modified_at=datetime(2026, 3, 1, tzinfo=UTC))
    return Entry(info, b"x" * size, growing=growing)


async def fill(cache: ObjectCache, key: str, size: int = KIB, *, growing: bool = False) -> Entry:
    async def fetch(key: str) -> Entry:
        return entry(key, size, growing=growing)

    loaded = await cache.hold(key, fetch)
    cache.let_go(loaded)
    return loaded


def test_however_many_want_an_object_it_is_fetched_once() -> None:
    async def run() -> tuple[int, int]:
        cache, calls, gate = ObjectCache(1 << 20, seconds=60), 0, asyncio.Event()

        async def fetch(key: str) -> Entry:
            nonlocal calls
            calls += 1
            await gate.wait()
            return entry(key)

        tasks = [asyncio.create_task(cache.hold("a", fetch)) for _ in range(100)]
        await asyncio.sleep(0)
        tasks[0].cancel()  # whoever came first leaves; the others get it all the same
        await asyncio.sleep(0)
        gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return calls, sum(isinstance(each, Entry) for each in found)

    assert asyncio.run(run()) == (1, 99)


def test_a_failed_fetch_is_told_to_all_and_tried_again_by_the_next() -> None:
    async def run() -> None:
        cache = ObjectCache(1 << 20, seconds=60)

        async def fail(key: str) -> Entry:
            raise StorageUnavailableError(key, "away")

        found = await asyncio.gather(*(cache.hold("a", fail) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, StorageUnavailableError) for each in found)
        assert (await fill(cache, "a")).data

    asyncio.run(run())


def test_the_least_recently_used_goes_first_and_the_bound_holds() -> None:
    async def run() -> None:
        cache = ObjectCache(10 * (KIB + OVERHEAD), seconds=60)
        for number in range(10):
            await fill(cache, str(number))
        assert cache.find("0") is not None
        await fill(cache, "new")
        assert cache.find("1") is None
        assert cache.find("0") is not None
        assert cache.used <= 10 * (KIB + OVERHEAD)

    asyncio.run(run())


def test_what_a_client_holds_counts_after_it_was_dropped() -> None:
    async def run() -> None:
        cache = ObjectCache(4 * (KIB + OVERHEAD), seconds=60)
        held = [await fill(cache, str(number)) for number in range(4)]
        for each in held:
            cache.acquire(each)
        assert not cache.admits()
        assert not cache.reserve(KIB)
        cache.drop("0")
        assert cache.used == 4 * (KIB + OVERHEAD)
        cache.let_go(held[0])
        assert cache.used == 3 * (KIB + OVERHEAD)
        assert cache.reserve(KIB)
        for each in held[1:]:
            cache.let_go(each)
            cache.drop(each.info.key)
        cache.release(KIB)
        assert cache.used == 0

    asyncio.run(run())


def test_many_that_come_at_once_hold_no_more_than_the_bound() -> None:
    """What has just been read is held by whoever waits for it, before anybody else asks whether there is room."""

    async def run() -> tuple[int, int]:
        size = 16 * KIB
        cache = ObjectCache(16 * (size + OVERHEAD), seconds=60)
        held: list[Entry] = []

        async def fetch(key: str) -> Entry:
            await asyncio.sleep(0)
            return entry(key, size)

        async def ask(key: str) -> None:
            for _ in range(500):
                if cache.admits():
                    held.append(await cache.hold(key, fetch))
                    return
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(ask(str(number % 40))) for number in range(200)]
        for _ in range(600):
            await asyncio.sleep(0)
            assert cache.used <= 16 * (size + OVERHEAD)
        await asyncio.gather(*tasks)
        kept = len({each.info.key for each in held})
        for each in held:
            cache.let_go(each)
        return kept, cache.used - sum(cache.find(str(number)) is not None for number in range(40)) * (size + OVERHEAD)

    kept, left = asyncio.run(run())
    assert 1 < kept <= 16
    assert left == 0


def test_a_caller_that_leaves_as_its_object_comes_holds_nothing() -> None:
    async def run() -> tuple[int, int]:
        cache, gate = ObjectCache(1 << 20, seconds=60), asyncio.Event()

        async def fetch(key: str) -> Entry:
            await gate.wait()
            return entry(key)

        leaves, stays = asyncio.create_task(cache.hold("a", fetch)), asyncio.create_task(cache.hold("a", fetch))
        await asyncio.sleep(0)
        gate.set()
        for _ in range(10):
            await asyncio.sleep(0)
            if (found := cache.stale("a")) is not None:
                break
        assert found is not None
        leaves.cancel()  # it was handed over, and has not been taken yet
        with pytest.raises(asyncio.CancelledError):
            await leaves
        await stays
        return found.readers, cache.used

    assert asyncio.run(run()) == (1, KIB + OVERHEAD)


@pytest.mark.parametrize(("growing", "seconds"), [(True, 1), (False, 60)])
def test_an_object_is_taken_for_fresh_as_long_as_it_may(growing: bool, seconds: int) -> None:
    async def run() -> None:
        clock = Clock()
        cache = ObjectCache(1 << 20, seconds=60, clock=clock)
        await fill(cache, "a", growing=growing)
        clock.now = seconds
        assert cache.find("a") is not None
        clock.now = seconds + 0.1
        assert cache.find("a") is None
        assert cache.stale("a") is not None

    asyncio.run(run())


def test_whoever_plays_through_a_film_does_not_push_out_what_is_in_use() -> None:
    async def run() -> None:
        clock = Clock()
        cache = ObjectCache(33 * KIB, seconds=600, clock=clock)
        assert not cache.is_crowded()
        for number in range(11):
            await fill(cache, str(number), 1000)
        assert cache.is_crowded()
        clock.now = 11
        assert not cache.is_crowded()  # nobody has asked for them for longer than a segment plays

    asyncio.run(run())
