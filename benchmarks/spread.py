"""One film over many workers: how evenly it spreads, what coordinating it costs, and how soon it can be played.

Three kinds of rows. In the simulation the queue, the catalog and the publisher are real and the encoders sleep, so that
a hundred workers fit on one machine. One kind counts what a film takes of a worker's child processes. The others run
the services and real encoders, each worker on one processor.
"""

import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks._films import make_film, repeat
from benchmarks._harness import Row, alternate, main, median, paired, rounds_of
from benchmarks._installation import Installation
from benchmarks._part_worker import Nowhere
from benchmarks._simulation import Simulation, coordinate, film_of
from mamkit.transcode import Children, Plan, encode_part, make_plan, probe

__all__: list[str] = []

MARGIN = 1.0  # seconds that may go by beside the encoding of the first part


def measure(quick: bool) -> list[Row]:
    """Return all rows."""
    with tempfile.TemporaryDirectory(prefix="mamkit-bench-") as name:
        folder = Path(name)
        return [
            *_simulated(folder, quick=quick),
            _coordination(folder, quick=quick),
            *_first_picture(folder, quick=quick),
            *_one_child(folder, quick=quick),
            *_two_workers(folder, quick=quick),
        ]


def _simulated(folder: Path, *, quick: bool) -> list[Row]:
    """Let 1, 10 and 100 workers share a film of two hours; a segment takes each of them so many seconds."""
    crews = ((100, 1.5),) if quick else ((1, 0.1), (10, 0.5), (100, 5.0))
    rows = []
    for workers, seconds in crews:
        shares = []
        for turn in range(1 if quick else 3):
            with Simulation(folder / f"simulation-{workers}-{turn}", film_of(hours=2)) as simulation:
                shares.append(simulation.work / workers * seconds / simulation.run(workers, seconds))
        rows.append(
            Row(name=f"film of 2 h, {workers} workers, {seconds:g} s a segment", ours=median(shares), unit="of it",
                peer="linear", peer_value=1.0, target=">= 0.9"),
        )  # fmt: skip
    return rows


def _coordination(folder: Path, *, quick: bool) -> Row:
    """Compare what publishing takes of a processor, for each part of a long and of a shorter film."""
    longer, shorter = alternate(
        1 if quick else 5,
        partial(_cost, folder, 2.0),
        partial(_cost, folder, 0.5),
    )
    return Row(name="coordinator's CPU a part, film of 2 h", ours=longer * 1000, unit="ms",
               peer="film of 30 min", peer_value=shorter * 1000, target="<= 1.25")  # fmt: skip


def _cost(folder: Path, hours: float) -> float:
    place = Path(tempfile.mkdtemp(dir=folder))
    return coordinate(place, film_of(hours=hours))


def _first_picture(folder: Path, *, quick: bool) -> list[Row]:
    """Measure from the request to promote until the film can be played, with a worker that has nothing to do."""
    film = make_film(folder / "film.mp4", height=360, seconds=10)
    minutes = 10 if quick else 60
    lengths = {"20 s": 20, f"{minutes} min": minutes * 60}
    films = {name: repeat(film, folder / f"{seconds}.mp4", seconds=seconds) for name, seconds in lengths.items()}
    rows = []
    with Installation(folder / "first", workers=[None]) as site:
        waits: dict[str, list[float]] = {name: [] for name in films}
        owns: dict[str, list[float]] = {name: [] for name in films}
        for _ in range(3 if quick else 5):
            for name, path in films.items():
                owns[name].append(_own(path))
                version_id, began = site.promote(path)
                waits[name].append(site.wait(version_id, {"playable", "ready"}) - began)
                site.cancel(version_id)
        rows += [
            Row(name=f"promote to playable, film of {name}", ours=median(waits[name]), unit="s",
                peer="encoding its first part, + 1 s", peer_value=median(owns[name]) + MARGIN, target="<= 1.0")
            for name in films
        ]  # fmt: skip
        short, long = (median(waits[name]) for name in films)
        rows.append(Row(name=f"promote to playable, film of {minutes} min", ours=long, unit="s",
                        peer="film of 20 s", peer_value=short, target="<= 1.1"))  # fmt: skip
    return rows


def _own(path: Path) -> float:
    """Return how long the first part of a film takes a child that is ready."""
    plan = make_plan(probe(path))
    with Children() as children:
        time.sleep(1.0)  # until it is
        start = time.perf_counter()
        encode_part(path, plan, plan.parts[0], Nowhere(), children=children)
        return time.perf_counter() - start


def _one_child(folder: Path, *, quick: bool) -> list[Row]:
    """Compare a child that goes on with its film, as a worker lets it, with one for each part."""
    film = repeat(folder / "film.mp4", folder / "parts.mp4", seconds=24 if quick else 120)
    parts = len(make_plan(probe(film)).parts)
    started: dict[int, int] = {}

    def make(keep: int) -> Callable[[], float]:
        def once() -> float:
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            with Counted(ahead=False, keep=keep) as children:
                plan = make_plan(probe(film, children=children))
                for part in plan.parts:
                    encode_part(film, plan, part, Nowhere(), children=children)
            started[keep] = len(children.pids)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / parts

        return once

    kept, alone = alternate(1 if quick else 5, make(1), make(0))
    name = f"film of {parts} parts in 360p"
    return [
        Row(name=f"{name}, child processes", ours=started[1], unit="", peer="a child a part", peer_value=started[0],
            target="<= 0.5"),
        Row(name=f"{name}, CPU a part", ours=kept, unit="s", peer="a child a part", peer_value=alone, target="<= 1.0"),
    ]  # fmt: skip


class Counted(Children):
    """Child processes, and how many there were."""

    def __init__(self, *, ahead: bool, keep: int) -> None:
        super().__init__(ahead=ahead, keep=keep)
        self.pids: set[int] = set()

    def take(self, bounds: object = None) -> "subprocess.Popen[bytes]":
        """See `Children.take`."""
        taken = super().take(bounds)
        self.pids.add(taken.pid)
        return taken


def _two_workers(folder: Path, *, quick: bool) -> list[Row]:
    """Compare one worker with two, each on a processor of its own, from promote to ready; and their parts alone.

    That the same parts take two bare threads more than half of the time is what the processors share, not what the
    services do. Each ratio is the median of those of each round: a machine that is slow for a while is so for both.
    """
    cpus = sorted(os.sched_getaffinity(0))[:2] if hasattr(os, "sched_getaffinity") else []
    name, peer, target = "one film, 2 workers of one thread", "1 worker of one thread", "<= 0.55"
    if len(cpus) < 2:
        return [Row(name=name, ours=None, unit="s", peer="needs two processors", target=target)]
    film = repeat(folder / "film.mp4", folder / "shared.mp4", seconds=60 if quick else 600)
    plan = make_plan(probe(film))
    sides = {
        "two": partial(_through_services, folder, film, cpus),
        "one": partial(_through_services, folder, film, cpus[:1]),
        "two, bare": partial(_bare, film, plan, cpus),
        "one, bare": partial(_bare, film, plan, cpus[:1]),
    }
    found = rounds_of(sides, 1 if quick else 3)
    return [
        paired(name, found["two"], found["one"], peer=peer, target=target),
        paired("its parts without services, 2 threads", found["two, bare"], found["one, bare"], peer="1 thread"),
    ]


def _through_services(folder: Path, film: Path, cpus: Sequence[int]) -> float:
    """Return the seconds from promote to ready with a worker on each of these processors."""
    with Installation(Path(tempfile.mkdtemp(dir=folder)), workers=cpus) as site:
        version_id, began = site.promote(film)
        return site.wait(version_id, {"ready"}) - began


def _bare(film: Path, plan: Plan, cpus: Sequence[int]) -> float:
    """Return the seconds that threads on these processors take for all parts, each with a child process of its own."""
    parts = iter(plan.parts)  # of all of them, so that none waits for another one

    def work(cpu: int) -> None:
        os.sched_setaffinity(0, {cpu})  # of this thread, and of the children that it starts
        with Children(ahead=False, keep=1) as children:
            for part in parts:
                encode_part(film, plan, part, Nowhere(), children=children)

    start = time.perf_counter()
    with ThreadPoolExecutor(len(cpus)) as pool:
        list(pool.map(work, cpus))
    return time.perf_counter() - start


if __name__ == "__main__":
    main("spread", measure)
