"""Encoding one part in this process.

Use it for files that you trust; `mamkit.transcode.encode_part` does the same in a child process for all others.
"""

from collections.abc import Mapping
from contextlib import closing

from mamkit.transcode._events import EncodedArt, EncodedInit, EncodedSegment
from mamkit.transcode.artwork._make import encode_artwork
from mamkit.transcode.encoding._audio import encode_audio
from mamkit.transcode.encoding._subtitles import encode_subtitles
from mamkit.transcode.encoding._video import encode_video
from mamkit.transcode.models import ArtFile, Codec, Device, Init, Part, PartResult, Plan, Segment
from mamkit.transcode.reading._joined import joined
from mamkit.transcode.reading.source import Source
from mamkit.transcode.sink import Sink

__all__ = ["encode_part_here"]


_MAKERS = {"audio": encode_audio, "subtitles": encode_subtitles, "artwork": encode_artwork}


def encode_part_here(
    source: Source,
    plan: Plan,
    part: Part,
    sink: Sink,
    *,
    devices: Mapping[Codec, Device] | None = None,
    headers: Mapping[str, bytes] | None = None,
) -> PartResult:
    """Encode one part of a plan, and hand everything over as soon as it is finished.

    Parts may be encoded in any order, by any process, and more than once: their segments join without a seam, and the
    same part of the same file comes out the same with the same version of the encoders on the same kind of processor.

    A source that ends before the plan does is held: its last picture stands, and its sound is silence.

    Args:
        source: The file that the plan was made for.
        plan: What the whole film becomes.
        part: One of `plan.parts`.
        sink: Takes what is made; called from this thread only. What it raises ends the encoding.
        devices: What encodes each codec; the processor where nothing is named.
        headers: Initialisation segments of renditions that other parts have made already: these are kept to, and those
            of the plan.

    Raises:
        MediaUnreadableError: The part is of pictures, and not one of the source can be decoded.
        MediaError: The file cannot be opened.
        EncodeError: An encoder or a filter refused its input or failed, or makes what does not go with `headers`.
    """
    source = joined(source, plan.joins)
    inits: list[Init] = []
    segments: list[Segment] = []
    art: list[ArtFile] = []
    if part.kind == "video":
        made = encode_video(source, plan, part, devices or {}, {**plan.shared_headers, **(headers or {})})
    else:
        made = _MAKERS[part.kind](source, plan, part)
    with closing(made) as events:
        for event in events:
            if isinstance(event, EncodedInit):
                inits.append(event.facts)
                sink.init(event.facts, event.data)
            elif isinstance(event, EncodedSegment):
                segments.append(event.facts)
                sink.segment(event.facts, event.data)
            elif isinstance(event, EncodedArt):
                art.append(event.facts)
                sink.art(event.facts, event.data)
            else:
                sink.progress(event)
    order = list(dict.fromkeys([*(init.rendition for init in inits), *(segment.rendition for segment in segments)]))
    segments.sort(key=lambda segment: (order.index(segment.rendition), segment.index))
    return PartResult(part=part.index, inits=tuple(inits), segments=tuple(segments), art=tuple(art))
