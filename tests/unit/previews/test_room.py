"""Memory for several jobs on one machine: what fits is let in, what does not waits, and nobody waits for ever."""

import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction

import pytest

from mamkit.previews import NoRoomError, PlanPolicy, Room, memory_of
from mamkit.transcode import UHD_LADDER, AudioStream, MediaInfo, Plan, VideoStream
from mamkit.transcode.containment._process import start_process
from tests.unit.transcode.liveness import is_alive

MIB = 1 << 20
NEVER = threading.Event()


def plan_of(height: int, **policy: object) -> Plan:
    seconds = Fraction(60)
    video = VideoStream(
        index=0, codec="h264", width=height * 16 // 9, height=height, frame_rate=Fraction(25),
        pixel_format="yuv420p", duration=seconds,
    )  # fmt: skip
    audio = AudioStream(index=1, codec="aac", sample_rate=48_000, channels=2, layout="stereo", duration=seconds)
    info = MediaInfo(container="mp4", size=1, duration=seconds, video=(video,), audio=(audio,))
    return PlanPolicy(**policy).plan(info)  # type: ignore[arg-type] # as the caller names it


def need(plan: Plan, kind: str) -> int:
    return memory_of(plan, next(part for part in plan.parts if part.kind == kind))


def test_estimates_are_at_least_what_was_measured() -> None:
    """Resident memory of a child, MiB, on two processors (docs/decisions/0053)."""
    measured = {
        625: plan_of(1080),  # of a source of 2160p
        664: plan_of(1080, codecs=("hevc",)),
        882: plan_of(1080, codecs=("av1",)),
        1463: plan_of(2160, ladder=UHD_LADDER),
    }
    for mebibytes, plan in measured.items():
        assert mebibytes * MIB <= need(plan, "video") < 2 * mebibytes * MIB
    assert memory_of() >= 100 * MIB
    assert need(plan_of(1080), "audio") < need(plan_of(1080), "artwork") < need(plan_of(1080), "video")


def test_what_does_not_fit_beside_the_others_is_not_let_in() -> None:
    room = Room(100)
    with room.take(60):
        with pytest.raises(NoRoomError) as refused, room.take(41):
            pass
        assert refused.value.need == 41
        with room.take(40):
            assert room.taken == 100
    assert room.taken == 0


def test_a_job_that_fits_nowhere_is_done_alone() -> None:
    room = Room(100)
    with room.take(1000), pytest.raises(NoRoomError), room.take(1):
        pass
    with room.take(1), pytest.raises(NoRoomError), room.take(1000):
        pass


def waiting(room: Room, count: int) -> "list[subprocess.Popen[bytes]]":
    """Let children wait for more of their films."""
    found = [start_process(["/bin/sleep", "600"]) for _ in range(count)]
    for number, child in enumerate(found):
        room.children.give_back(child, number)
    return found


def test_children_that_wait_for_their_film_make_way_for_one_that_works() -> None:
    room = Room(4 * memory_of())
    room.join()
    first, second, third = waiting(room, 3)
    with room.take(memory_of()):
        assert all(is_alive(child.pid) for child in (first, second, third))
        with room.take(2 * memory_of()):
            assert [is_alive(child.pid) for child in (first, second, third)] == [False, False, True]
    with room.take(8 * memory_of()):
        assert not is_alive(third.pid)
    room.leave()


def test_children_end_with_the_last_worker_and_not_before() -> None:
    room = Room()
    for _ in range(2):
        room.join()
    [child] = waiting(room, 1)
    room.leave()
    assert is_alive(child.pid)
    room.leave()
    assert not is_alive(child.pid)


def test_no_more_children_wait_than_are_of_use() -> None:
    room = Room()
    room.join()
    children = waiting(room, 6)
    assert [is_alive(child.pid) for child in children] == [False] * 2 + [True] * 4
    room.leave()


def test_without_a_bound_everything_fits() -> None:
    room = Room()
    with room.take(1 << 60), room.take(1 << 60):
        pass


def test_room_is_given_back_when_a_job_fails() -> None:
    room = Room(100)
    with pytest.raises(ZeroDivisionError), room.take(100):
        raise ZeroDivisionError
    assert room.taken == 0


def test_room_is_given_back_when_no_way_can_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(100)

    def fail(_: int) -> None:
        raise PermissionError

    monkeypatch.setattr(room.children, "keep_at_most", fail)
    with pytest.raises(PermissionError), room.take(100):
        pass
    assert room.taken == 0


def test_nobody_passes_by_whoever_waits_for_room() -> None:
    room, order = Room(100), list[str]()

    def begin(act: Callable[[], None], name: str) -> threading.Thread:
        def run() -> None:
            act()
            order.append(name)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    with room.take(60):
        large = begin(lambda: room.wait(50, NEVER), "large")
        while not room.awaited:
            pass
        small = begin(lambda: room.pass_by(NEVER), "small")
        assert order == []
    large.join(20)
    small.join(20)
    assert sorted(order) == ["large", "small"]
    assert not room.awaited


def test_whoever_waits_can_be_stopped() -> None:
    stop, room = threading.Event(), Room(100)
    with room.take(60):
        waiters = [threading.Thread(target=room.wait, args=(50, stop)) for _ in range(2)]
        for waiter in waiters:
            waiter.start()
        stop.set()
        for waiter in waiters:
            waiter.join(20)
            assert not waiter.is_alive()


@pytest.mark.parametrize("memory", [0, -1])
def test_room_is_larger_than_nothing(memory: int) -> None:
    with pytest.raises(ValueError, match="larger than zero"):
        Room(memory)


@pytest.mark.parametrize(
    "wrong", [{"codecs": ()}, {"codecs": ("h265",)}, {"codecs": ("h264", "hevc"), "container": "ts"}]
)
def test_a_policy_that_no_film_could_follow_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"codec|H\.264"):
        PlanPolicy(**wrong)  # type: ignore[arg-type] # wrong on purpose
