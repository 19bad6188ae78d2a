"""A card beside processors: one film made by both, in whatever order, whatever fails, with one header a rendition."""

import asyncio
import os
import random
import threading
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from functools import partial
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import av
import pytest

from mamkit.jobs import Job, NewJob
from mamkit.previews import (
    Ack,
    Card,
    CardBusyError,
    Finished,
    InvalidMessageError,
    PlanJob,
    PlanPolicy,
    PreviewWorker,
    Publisher,
    Report,
    ReportNotTakenError,
    Room,
    builder,
)
from mamkit.previews.layout import plan_key
from mamkit.previews.messages import PART_JOB, PLAN_JOB, SHARED_JOB, parse_plan
from mamkit.transcode import (
    DEFAULT_LADDER,
    Children,
    Codec,
    Device,
    Ladder,
    Limits,
    MediaInfo,
    Plan,
    Rung,
    VideoStream,
    make_plan,
    probe,
)
from tests.failing_card import OPENS, makers, use_card
from tests.media_factory import make_clip
from tests.unit.previews.bench import Bench, bench
from tests.unit.previews.test_worker import upload

LADDER = Ladder(
    rungs=(
        Rung(name="36p", short_side=36, bit_rate=60_000, max_bit_rate=90_000),
        Rung(name="72p", short_side=72, bit_rate=120_000, max_bit_rate=180_000),
    )
)
POLICY = PlanPolicy(ladder=LADDER, copy=False)
H264: Mapping[Codec, Device] = {"h264": "nvenc"}
MARK = "0123456789abcdef"
ROUNDS = int(os.environ.get("MAMKIT_CARD_ROUNDS", "1"))


def card(codecs: Iterable[Codec] = ("h264",), *, sessions: int = 6, mark: str = MARK) -> Card:
    return Card(lambda: dict.fromkeys(codecs, mark), sessions=sessions)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return make_clip(tmp_path_factory.mktemp("clip") / "film.mp4", seconds=14, audio=False).read_bytes()


@pytest.fixture(scope="module")
def plan(clip: bytes, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    path = tmp_path_factory.mktemp("plan") / "film.mp4"
    path.write_bytes(clip)
    return make_plan(probe(path), ladder=LADDER, copy=False)


@contextmanager
def workers(
    b: Bench, *rooms: Room, policy: PlanPolicy = POLICY, luck: random.Random | None = None
) -> Iterator[list[PreviewWorker]]:
    """Give a worker for each machine; with `luck`, every third part is reported in vain, as far as they know."""
    loop = asyncio.get_running_loop()

    def report(report: Report) -> Ack:
        ack = asyncio.run_coroutine_threadsafe(b.publisher.take(report), loop).result()
        if isinstance(report, Finished) and luck is not None and luck.random() < 1 / 3:
            raise ReportNotTakenError("the answer was lost")
        return ack

    found = [
        PreviewWorker(f"w{n}", queue=b.queue, zones=b.zones, report=report, policy=policy, room=room)
        for n, room in enumerate(rooms)
    ]
    yield found
    for worker in found:
        worker.close()


@asynccontextmanager
async def at_work(
    folder: Path, film: bytes, *rooms: Room, policy: PlanPolicy = POLICY, luck: random.Random | None = None
) -> AsyncIterator[tuple[Bench, UUID, list[PreviewWorker]]]:
    """Give a platform with a film that was uploaded, and its `workers`."""
    async with bench(folder) as b:
        version_id = await upload(b, film)
        with workers(b, *rooms, policy=policy, luck=luck) as found:
            yield b, version_id, found


def tree(b: Bench, prefix: str) -> dict[str, tuple[bytes, list[bytes]]]:
    """Return header and segments of each rendition, as the store has them."""
    found: dict[str, tuple[bytes, list[bytes]]] = {}
    objects = {}
    for info in b.zones.previews.list(prefix):
        with b.zones.previews.get(info.key) as body:
            objects[info.key.removeprefix(prefix)] = body.read()
    for name in sorted(objects):
        folder, _, file = name.rpartition("/")
        if file == "init.mp4":
            found[folder] = (objects[name], [])
        elif file.endswith(".m4s"):
            found[folder][1].append(objects[name])
    return found


def whole(header: bytes, segments: list[bytes], frames: int) -> bool:
    """Return whether each frame is there once, at its time."""
    with av.open(BytesIO(header + b"".join(segments)), "r") as film:
        film.streams.video[0].codec_context.options = {"err_detect": "explode"}
        times = [frame.time for frame in film.decode(video=0) if not frame.is_corrupt]
    return times == pytest.approx([n / 25 for n in range(frames)], abs=1e-6)


def parts(b: Bench) -> list[Job]:
    return [job for job in b.queue.list() if job.kind != PLAN_JOB]


def test_machines_with_a_card_and_without_make_one_film(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_card(monkeypatch, fails=-1)

    async def scenario() -> None:
        with_card = Room(card=card())
        async with at_work(tmp_path, clip, with_card, Room()) as (b, version_id, [first, second]):
            assert await asyncio.to_thread(first.run_once, threading.Event())
            assert {job.kind for job in parts(b)} == {SHARED_JOB, PART_JOB}
            for worker in (first, second) * 10:
                await asyncio.to_thread(worker.run_once, threading.Event())
            made = await checked(b, version_id)
            assert all({"card"} in each and {"processor"} in each for each in made)
            assert with_card.card is not None
            assert (with_card.card.made > 0, with_card.card.failed, with_card.card.taken) == (True, 0, 0)

    asyncio.run(scenario())


async def checked(b: Bench, version_id: UUID) -> list[list[set[str]]]:
    """Return who made each segment of each rendition of a film that is ready, and whole, under one header each."""
    assert await b.status(version_id) == "ready"
    found = tree(b, await b.prefix(version_id))
    assert found.keys() >= {"36p", "72p"}
    made = [makers(header, segments) for header, segments in found.values()]
    assert all(len(whose) == 1 for each in made for whose in each)  # no segment is of two
    assert all(whole(header, segments, 350) for header, segments in found.values())
    return made


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_whatever_fails_where_the_film_is_whole(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """MAMKIT_CARD_ROUNDS says how many rounds: machines take turns, cards fail and crash, answers are lost."""
    monkeypatch.setattr(builder, "backoff", lambda _: timedelta(0))
    shuffle = random.Random(seed)

    def change_luck() -> None:
        fails = shuffle.choice([-1, None, shuffle.randrange(350)])
        use_card(monkeypatch, fails=fails, height=shuffle.choice([36, 72]), crash=shuffle.random() < 0.3)

    async def scenario() -> None:
        use_card(monkeypatch, fails=-1)
        rooms = [Room(card=card()), Room(card=card(mark="f" * 16)), Room()]
        async with at_work(tmp_path, clip, *rooms, luck=shuffle) as (b, version_id, machines):
            await asyncio.to_thread(machines[0].run_once, threading.Event())
            for _ in range(100):
                change_luck()
                room = shuffle.randrange(3)
                rooms[room].children.close()  # one that would go on with the luck that it knows
                slot = partial(machines[room].run_once, threading.Event(), card=shuffle.random() < 0.5)
                await asyncio.to_thread(slot)
                if (found := rooms[room].card) is not None:
                    found.refresh()
                if await b.status(version_id) == "ready":
                    break
            await checked(b, version_id)

    asyncio.run(scenario())


def test_a_plan_that_somebody_else_made_for_a_card_too_changes_no_header(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan's job runs twice: the second report finds a plan, and the film keeps the headers of the first."""
    use_card(monkeypatch, fails=-1)

    async def scenario() -> None:
        async with at_work(tmp_path, clip, Room(card=card())) as (b, version_id, [worker]):
            await asyncio.to_thread(worker.run_once, threading.Event())
            [planning] = [job for job in b.queue.list() if job.kind == PLAN_JOB]
            before = await stored_plan(b, version_id)
            b.queue.drop(planning.id)
            again = NewJob(kind=PLAN_JOB, payload=planning.payload, priority=-1)
            b.queue.enqueue(again)
            with workers(b, Room()) as (plain,):  # which would plan it without a card
                await asyncio.to_thread(plain.run_once, threading.Event())
            assert before.devices == H264
            assert before.shared_headers.keys() == {"36p", "72p"}
            assert await stored_plan(b, version_id) == before

    asyncio.run(scenario())


async def stored_plan(b: Bench, version_id: UUID) -> Plan:
    with b.zones.previews.get(plan_key(await b.prefix(version_id))) as body:
        return parse_plan(body.read())


def test_a_card_that_fails_at_work_costs_no_part_and_is_tried_before_it_gets_another(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_card(monkeypatch, fails=-1)
    tried: list[str] = []

    def find() -> Mapping[Codec, str]:
        tried.append("")
        return {"h264": MARK} if len(tried) == 1 else {}

    async def scenario() -> None:
        failing = Card(find, sessions=6)
        room = Room(card=failing)
        async with at_work(tmp_path, clip, room) as (b, version_id, [worker]):
            for _ in ("the plan", "the first part"):
                await asyncio.to_thread(worker.run_once, threading.Event())
            room.children.close()  # one that would go on with the film, and with the card that it knows
            use_card(monkeypatch, fails=None, height=36, how=OPENS)
            while await asyncio.to_thread(worker.run_once, threading.Event()):
                failing.refresh()
            assert await b.status(version_id) == "ready"
            assert {job.attempts for job in b.queue.list()} == {1}
            for header, segments in tree(b, await b.prefix(version_id)).values():
                assert makers(header, segments) == [{"card"}] + [{"processor"}] * (len(segments) - 1)
                assert whole(header, segments, 350)
            assert (failing.made, failing.failed, len(tried), failing.devices) == (1, 2, 2, {})

    asyncio.run(scenario())


def test_a_card_that_failed_is_tried_at_once_and_then_every_five_minutes() -> None:
    now, tried = 1000.0, list[float]()

    def find() -> Mapping[Codec, str]:
        tried.append(now)
        return {"h264": MARK} if now in {1000.0, 1601.0} else {}

    failing = Card(find, sessions=1, clock=lambda: now)
    failing.note(failed=True)
    failing.note(failed=False)  # one that was made stands between
    failing.note(failed=True)
    now = 1001.0
    failing.refresh()
    assert (failing.devices, tried) == (H264, [1000.0])
    failing.note(failed=True)
    assert (failing.devices, failing.kinds) == ({}, ())
    for moment in (1001.0, 1300.0, 1301.0, 1302.0, 1600.0, 1601.0, 2000.0):
        now = moment
        failing.refresh()
    assert (failing.devices, tried) == (H264, [1000.0, 1001.0, 1301.0, 1601.0])


def test_a_planner_whose_card_fails_plans_without_it_and_says_why(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    use_card(monkeypatch, fails=None, how=OPENS)
    with Children(ahead=False) as children:
        made = card().plan(plan, limits=Limits(), cancelled=threading.Event(), children=children)
    assert (made.devices, made.shared_headers) == ({}, {})
    assert "OpenEncodeSessionEx failed" in made.notes[-1]


def test_a_plan_for_no_card_is_written_as_it_was_before_there_were_cards(plan: Plan) -> None:
    assert not {"devices", "shared_headers"} & plan.model_dump(mode="json").keys()
    made = plan.model_copy(update={"devices": dict(H264), "shared_headers": {"72p": b"\0\xff"}})
    assert parse_plan(made.model_dump_json().encode()) == Plan.model_validate(made.model_dump(mode="json")) == made
    with pytest.raises(InvalidMessageError):  # it becomes part of the kind of a job
        parse_plan(made.model_copy(update={"marks": {"h264": "x" * 1000}}).model_dump_json().encode())
    assert "by_processor" not in PlanJob(version_id=uuid4(), master_key="m").model_dump()


def sizes(*codecs: Codec, each: int) -> Plan:
    """Return a plan with so many renditions of each codec."""
    seconds = Fraction(10)
    stream = VideoStream(
        index=0, codec="vp9", width=1920, height=1080, frame_rate=Fraction(25), pixel_format="yuv420p", duration=seconds
    )
    info = MediaInfo(container="mp4", size=1, duration=seconds, video=(stream,))
    rungs = DEFAULT_LADDER.rungs[:each]
    return make_plan(info, ladder=replace(DEFAULT_LADDER, rungs=rungs), codecs=codecs)


def test_the_codecs_that_are_hardest_for_processors_go_to_the_card_as_far_as_its_sessions_reach(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: list[Mapping[Codec, Device]] = []

    def plan_on_card(plan: Plan, devices: Mapping[Codec, Device], **_: object) -> Plan:
        given.append(devices)
        return plan

    monkeypatch.setattr("mamkit.previews.card.plan_on_card", plan_on_card)
    with Children(ahead=False) as children:
        for sessions in (12, 11, 8, 4, 3):
            card(("h264", "hevc", "av1"), sessions=sessions).plan(
                sizes("h264", "hevc", "av1", each=4), limits=Limits(), cancelled=threading.Event(), children=children
            )
    assert [[*each] for each in given] == [["av1", "hevc", "h264"], ["av1", "hevc"], ["av1", "hevc"], ["av1"], []]


def test_sessions_are_counted_and_a_part_that_insists_waits_for_them(plan: Plan) -> None:
    made = plan.model_copy(update={"devices": dict(H264), "marks": {"h264": MARK}})
    machine = card(sessions=3)  # for one part of two sizes, and half of another
    with machine.take(made, insist=True) as devices:
        assert (devices, machine.taken) == (H264, 2)
        with machine.take(made, insist=False) as others:
            assert (others, machine.taken) == ({}, 2)
        with pytest.raises(CardBusyError) as refused, machine.take(made, insist=True):
            pass
        assert refused.value.need == 2
        waiting = threading.Thread(target=machine.wait, args=(2, threading.Event()))
        waiting.start()
    waiting.join(20)
    assert not waiting.is_alive()
    with card(sessions=1).take(made, insist=True) as alone:
        assert alone == H264  # it fits nowhere else, either
    with card(mark="f" * 16).take(made, insist=True) as others:
        assert others == {}  # it writes other headers
    bound = plan.model_copy(update={"devices": {"hevc": "nvenc"}, "marks": {"hevc": MARK}})
    with pytest.raises(CardBusyError), card(("hevc",), mark="f" * 16).take(bound, insist=True):
        pass  # with which no processor goes on


def test_a_slot_of_the_card_takes_nothing_that_the_card_does_not_encode(tmp_path: Path, clip: bytes) -> None:
    async def scenario() -> None:
        async with bench(tmp_path) as b:
            await upload(b, clip)
            for none in (None, card(())):
                with workers(b, Room(card=none)) as (worker,):
                    assert not await asyncio.to_thread(partial(worker.run_once, threading.Event(), card=True))
            with workers(b, Room(card=card())) as (worker,):
                assert not await asyncio.to_thread(partial(worker.run_once, threading.Event(), card=True))
                assert worker.kinds(card=True) == (SHARED_JOB,)
            [waiting] = b.queue.list()
            assert (waiting.kind, waiting.state, waiting.attempts) == (PLAN_JOB, "waiting", 0)

    asyncio.run(scenario())


def test_a_card_without_sessions_is_none() -> None:
    with pytest.raises(ValueError, match="sessions"):
        card(sessions=0)


@pytest.mark.parametrize("fails", [True, False][:ROUNDS])
def test_a_film_in_hevc_is_of_one_card_or_of_none(
    tmp_path: Path, clip: bytes, monkeypatch: pytest.MonkeyPatch, *, fails: bool
) -> None:
    """The card goes away, or fails, in the middle: nothing of what it made is in what is published."""
    use_card(monkeypatch, fails=-1, codec="hevc")
    policy = PlanPolicy(ladder=Ladder(rungs=LADDER.rungs[1:]), codecs=("hevc",))

    async def scenario() -> None:
        stop, ours = threading.Event(), Room(card=card(("hevc",)))
        rooms = (ours, Room(), Room(card=card(("hevc",), mark="f" * 16)))
        async with at_work(tmp_path, clip, *rooms, policy=policy) as (b, version_id, [first, plain, other]):
            b.publisher = Publisher(b.catalog, b.queue, b.zones, card_wait=timedelta(0))
            await asyncio.to_thread(first.run_once, stop)
            while await asyncio.to_thread(plain.run_once, stop):
                assert not await asyncio.to_thread(partial(other.run_once, stop, card=True))
            waiting = {job.kind for job in b.queue.list(state="waiting")}
            assert waiting == {f"preview.part.card.hevc-{MARK}"}  # nobody else can, or may
            assert await asyncio.to_thread(partial(first.run_once, stop, card=True))
            if fails:
                ours.children.close()  # one that would go on with the card that it knows
                use_card(monkeypatch, fails=None, codec="hevc")
                monkeypatch.setattr(builder, "backoff", lambda _: timedelta(0))
                for _ in range(20):
                    await asyncio.to_thread(partial(first.run_once, stop, card=True))
                    if ours.card is not None:
                        ours.card.refresh()
                assert ours.card is not None
                assert ours.card.failed
            else:
                await b.publisher.reconcile()
            assert await b.status(version_id) == "queued"
            while await asyncio.to_thread(plain.run_once, stop):
                pass
            assert await b.status(version_id) == "ready"
            [(header, segments)] = tree(b, await b.prefix(version_id)).values()
            assert len(segments) == 3
            assert whole(header, segments, 350)

    asyncio.run(scenario())
