"""In which order the jobs of previews are done, and how they stand in the queue."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mamkit.jobs import NewJob
from mamkit.previews._stills import is_of_still
from mamkit.previews.messages import PartJob, PlanJob, part_kind
from mamkit.transcode import Part, Plan

__all__ = ["LATER", "in_order", "new_job", "part_jobs", "priority_of", "turn", "work_of"]

FIRST = 0  # priority of what a person waits for: the plan, and the parts that make a preview playable
LATER = 100
"""Priority of all others, which come after that; what stands between is for users with several films."""
PASSING = 10  # films of one user that may be made playable before later parts of others, whose players wait for these
LAST = 1 << 30
WEIGHTS = {
    "video": 1.0,
    "audio": 0.02,
    "subtitles": 0.01,
    "artwork": 0.02,
}  # of the work that pictures of the same seconds make


def in_order(parts: Iterable[Part]) -> list[Part]:
    """Return parts in the order in which they are best encoded: artwork in the middle.

    Nobody waits for it, but it takes as long as a large part, and with many workers the last parts must be small.
    """
    played: list[Part] = []
    art: list[Part] = []
    for part in parts:
        (art if part.kind == "artwork" else played).append(part)
    middle = -(-len(played) // 2)
    return [*played[:middle], *art, *played[middle:]]


def turn(films: int) -> int:
    """Return the priority of what makes a film playable, of a user with so many films in the making.

    The first film of one user comes before the second of another. Those after the tenth take turns with the parts of
    others, so that nobody who brings in thousands stops a film that is being watched while it grows.
    """
    before = max(films, 1) - 1
    return FIRST + before if before < PASSING else min(LATER + before - PASSING, LAST)


def priority_of(part: Part, place: int, films: int) -> int:
    """Return the priority of a part that is the n-th of its film to wait, of a user with so many films in the making.

    The films of one user take turns, each with its n-th part, and so do users: with two films, each of them gets half.
    """
    if part.start == 0 and (part.kind != "artwork" or is_of_still(part)):
        return turn(films)
    return min(LATER + place * max(films, 1), LAST)


def work_of(plan: Mapping[str, Any]) -> dict[int, float]:
    """Return what encoding each part of a plan takes, in segments of video, by its index.

    Args:
        plan: As the catalog has it, perhaps by a later version: how far a film is, is for whoever asks for it.
    """
    return {
        part["index"]: max(1, part["stop"] - part["start"]) * WEIGHTS.get(part["kind"], 1.0) for part in plan["parts"]
    }


def new_job(kind: str, payload: PlanJob | PartJob, dedupe_key: str, priority: int) -> NewJob:
    return NewJob(kind=kind, payload=payload.model_dump(mode="json"), dedupe_key=dedupe_key, priority=priority)


def part_jobs(plan: Plan, parts: Iterable[Part], about: PartJob, *, name: str, films: int) -> Iterator[NewJob]:
    """Yield the jobs of some parts of a plan, in the order in which they are best done.

    Args:
        plan: Of the film.
        parts: In the order in which they are best done.
        about: What all of them say, with any part.
        name: Of the preview, in dedupe keys.
        films: How many films the user has in the making.
    """
    for place, part in enumerate(parts):
        job = about.model_copy(update={"part": part})
        yield new_job(part_kind(plan, part), job, f"part:{name}:{part.index}", priority_of(part, place, films))
