"""What works on several things at once takes no more than it has slots for, and leaves nothing under way behind."""

import asyncio
from contextlib import suppress

from mamkit_apps.api.slots import keep_working


def test_no_more_is_under_way_than_there_are_slots_and_what_ends_makes_room() -> None:
    waiting, done, most = list(range(5)), list[int](), 0

    async def main() -> None:
        under_way = 0
        rests = list[bool]()
        ended = asyncio.Event()

        async def claim() -> int | None:
            return waiting.pop(0) if waiting else None

        async def work(number: int) -> None:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            done.append(number)
            if number == 3:
                raise ValueError  # ends that one alone

        async def rest(full: bool) -> None:
            rests.append(full)
            if len(done) == 5:
                ended.set()
            await asyncio.sleep(0)

        working = asyncio.create_task(keep_working(2, claim, work, rest))
        await ended.wait()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working
        assert {True, False} <= set(rests)

    asyncio.run(main())
    assert (sorted(done), most) == ([0, 1, 2, 3, 4], 2)


def test_the_end_waits_for_what_is_handed_back() -> None:
    handed_back = list[int]()

    async def main() -> None:
        begun = asyncio.Event()

        async def claim() -> int:
            return 1

        async def work(number: int) -> None:
            try:
                begun.set()
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                await asyncio.sleep(0)
                handed_back.append(number)
                raise

        working = asyncio.create_task(keep_working(3, claim, work, lambda _: asyncio.sleep(60)))
        await begun.wait()
        working.cancel()
        with suppress(asyncio.CancelledError):
            await working

    asyncio.run(main())
    assert handed_back == [1, 1, 1]
