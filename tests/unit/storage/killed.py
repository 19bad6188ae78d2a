"""Do something to a local store in children that are killed before their 1st, 2nd, … file operation.

Run as a program, in a process of its own: `killed.py SCENARIO ROOT`. After each kill the store must be in one of the
states that the scenario allows; when no kill comes any more, the last child has done its work. Prints how many were
killed.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from mamkit.storage import LocalStore, ObjectNotFoundError, Zones, promote

EVENTS = {"open", "os.link", "os.mkdir", "os.remove", "os.rename", "os.rmdir", "fcntl.flock"}
OLD, NEW = b"old" * 1000, b"new bytes" * 1000


def killed(count: int, work: Callable[[], object]) -> bool:
    """Do the work in a child that is killed before file operation `count`; return whether it came to that."""
    child = os.fork()
    if child == 0:
        left = count

        def hook(event: str, _: object) -> None:
            nonlocal left
            if event in EVENTS:
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the work failed"
    return os.WIFSIGNALED(status)


def state(store: LocalStore, key: str) -> bytes | None:
    """Return the bytes of an object that is whole and has its own facts; None if there is none."""
    try:
        info = store.head(key)
    except ObjectNotFoundError:
        assert key not in {found.key for found in store.list()}
        return None
    with store.get(key) as body:
        data = body.read()
    assert body.info == info
    assert info in list(store.list())
    assert info.metadata == {"size": str(len(data))}, "facts of other bytes, or none"
    assert info.sha256 is not None
    return data


def put(store: LocalStore, key: str, data: bytes, *, if_absent: bool = False) -> None:
    blocks = [data[: len(data) // 2], data[len(data) // 2 :]]
    store.put(key, blocks, metadata={"size": str(len(data))}, if_absent=if_absent)


def put_new(store: LocalStore) -> None:
    put(store, "deep/er/a.mp4", NEW)


def put_if_absent(store: LocalStore) -> None:
    put(store, "deep/er/a.mp4", NEW, if_absent=True)


def copy(store: LocalStore) -> None:
    store.copy("source", "deep/er/a.mp4")


def delete(store: LocalStore) -> None:
    store.delete("deep/er/a.mp4")


SCENARIOS: dict[str, tuple[Callable[[LocalStore], None], bytes | None, bytes | None]] = {
    "put": (put_new, None, NEW),
    "replace": (put_new, OLD, NEW),
    "if_absent": (put_if_absent, None, NEW),
    "copy": (copy, None, NEW),
    "copy_over": (copy, OLD, NEW),
    "delete": (delete, OLD, None),
}
"""The work, and what is there before and after it."""


def run(scenario: str, root: Path) -> int:
    work, before, after = SCENARIOS[scenario]
    for count in range(1000):
        store = LocalStore(root / str(count), durable=False)
        put(store, "source", NEW)
        put(store, "deep/er/neighbour.mp4", OLD)
        if before is not None:
            put(store, "deep/er/a.mp4", before)
        was_killed = killed(count, lambda store=store: work(store))  # type: ignore[misc]
        found = state(store, "deep/er/a.mp4")
        assert found in ({before, after} if was_killed else {after}), (count, found)
        if not was_killed:
            return count
        # Whoever comes next finds the store tidy, and can do the work.
        store = LocalStore(root / str(count), durable=False)
        assert list((root / str(count) / ".scratch").iterdir()) == []
        if found != after or scenario != "if_absent":
            work(store)
        assert state(store, "deep/er/a.mp4") == after
        assert state(store, "deep/er/neighbour.mp4") == OLD
    raise AssertionError("killed a thousand times")


def run_promote(root: Path) -> int:
    for count in range(1000):
        staging, masters = LocalStore(root / f"{count}s", durable=False), LocalStore(root / f"{count}m", durable=False)
        zones = Zones(staging=staging, masters=masters, previews=masters)
        staged = staging.put("uploads/a.mp4", NEW, metadata={"size": str(len(NEW))})

        def work(zones: Zones = zones, digest: str = staged.sha256 or "") -> object:
            return promote(zones, staged="uploads/a.mp4", master="masters/a/v1/a.mp4", size=len(NEW), sha256=digest)

        was_killed = killed(count, work)
        assert state(staging, "uploads/a.mp4") == NEW
        assert state(masters, "masters/a/v1/a.mp4") in ({None, NEW} if was_killed else {NEW})
        if not was_killed:
            return count
        assert work() == work()
        assert state(masters, "masters/a/v1/a.mp4") == NEW
        assert masters.head("masters/a/v1/metadata.json").size > 0
    raise AssertionError("killed a thousand times")


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    kills = run_promote(folder) if sys.argv[1] == "promote" else run(sys.argv[1], folder)
    print(kills)  # noqa: T201 - to the test
