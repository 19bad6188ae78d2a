"""Working on what comes, on several at once."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypeVar

__all__ = ["keep_working"]

T = TypeVar("T")


async def keep_working(
    slots: int,
    claim: Callable[[], Awaitable[T | None]],
    work: Callable[[T], Coroutine[None, None, None]],
    rest: Callable[[bool], Awaitable[None]],
) -> None:
    """Work until cancelled; what is under way then is cancelled, too, and waited for.

    Args:
        slots: How much is worked on at once.
        claim: Returns what is to be done next; None if there is nothing. What it raises ends all.
        work: Does it; what it raises stands in the log of asyncio, and ends nothing else.
        rest: Waits until it is time to look again; told whether all slots are taken.
    """
    working: set[asyncio.Task[None]] = set()
    try:
        while True:
            claimed = await claim() if len(working) < slots else None
            if claimed is None:
                await rest(len(working) >= slots)
                continue
            task = asyncio.create_task(work(claimed))
            working.add(task)
            task.add_done_callback(working.discard)
    finally:
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)
