"""What of a preview can be played by now, and the playlists that say so."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from mamkit.previews.errors import InvalidMessageError, PartsDisagreeError
from mamkit.previews.layout import MANIFEST_TYPE, PLAYLIST_TYPE
from mamkit.storage import ObjectWriter
from mamkit.transcode import (
    INDEX_NAME,
    MANIFEST_NAME,
    Init,
    Part,
    PartResult,
    Plan,
    Segment,
    Track,
    dash_manifest,
    iframe_playlist,
    iframe_playlist_name,
    media_playlist,
    media_playlist_name,
    multivariant_playlist,
    rendition_names,
)

__all__ = ["check_result", "is_playable", "tracks_of", "write_playlists"]

AT_ONCE = 8  # playlists on their way into the store


def check_result(plan: Plan, part: Part, result: PartResult) -> None:
    """Refuse what cannot have come of a part: once it were recorded, no playlist could be written any more.

    Raises:
        InvalidMessageError: It has something of a rendition that is not of the plan, or a segment that is not of the
            part or is there twice.
    """
    names = set(rendition_names(plan))
    segments = [(segment.rendition, segment.index) for segment in result.segments]
    strange = [init for init in result.inits if init.rendition not in names]
    astray = [index for name, index in segments if name not in names or not part.start <= index < part.stop]
    if faults := len(strange) + len(astray) + len(segments) - len(set(segments)):
        raise InvalidMessageError("result", faults)


def tracks_of(results: Iterable[PartResult]) -> dict[str, Track]:
    """Return what can be played of each rendition; those of which the first segment is missing are left out.

    Raises:
        PartsDisagreeError: Two parts made different initialisation segments of one rendition.
    """
    inits: dict[str, Init] = {}
    segments: dict[str, list[Segment]] = defaultdict(list)
    for result in results:
        for init in result.inits:
            if inits.setdefault(init.rendition, init).sha256 != init.sha256:
                raise PartsDisagreeError(init.rendition)
        for segment in result.segments:
            segments[segment.rendition].append(segment)
    tracks = {name: Track.of(inits.get(name), found) for name, found in segments.items()}
    return {name: track for name, track in tracks.items() if track.segments}


def is_playable(plan: Plan, tracks: Mapping[str, Track]) -> bool:
    """Return whether the first segment of every rendition is there."""
    return tracks.keys() >= set(rendition_names(plan))


def write_playlists(
    previews: ObjectWriter, prefix: str, plan: Plan, tracks: Mapping[str, Track], *, finished: bool
) -> None:
    """Write all playlists of a preview that is playable, the multivariant one last: it names only what is there.

    Once all is finished there is a DASH manifest, too. Of a still image there are none.

    Args:
        previews: Where to.
        prefix: Of the preview's objects.
        plan: What the preview is made to.
        tracks: What there is of each rendition.
        finished: Whether that is all of it.
    """
    if not tracks:
        return
    pictures = {rendition.name for rendition in plan.video}
    texts = {}
    for name, track in tracks.items():
        texts[media_playlist_name(name)] = media_playlist(track, plan=plan, finished=finished)
        if name in pictures:
            texts[iframe_playlist_name(name)] = iframe_playlist(track, plan=plan, finished=finished)
    index = multivariant_playlist(plan, tracks.values(), finished=finished)
    types = dict.fromkeys(texts, PLAYLIST_TYPE)
    if finished and plan.container == "fmp4":
        texts[MANIFEST_NAME], types[MANIFEST_NAME] = dash_manifest(plan, tracks.values()), MANIFEST_TYPE
    # At once: each is a journey to a store, and a person waits for the first of them.
    with ThreadPoolExecutor(min(AT_ONCE, len(texts))) as threads:
        done = [
            threads.submit(copy_context().run, previews.put, prefix + name, text.encode(), content_type=types[name])
            for name, text in texts.items()
        ]
    for put in done:
        put.result()
    previews.put(prefix + INDEX_NAME, index.encode(), content_type=PLAYLIST_TYPE)
