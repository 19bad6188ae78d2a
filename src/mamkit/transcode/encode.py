"""Encoding one part in this process.

Use it for files that you trust; `mamkit.transcode.contain` does the same in a child process for all others.
"""

from contextlib import closing

from mamkit.transcode._artwork import encode_artwork
from mamkit.transcode._audio import encode_audio
from mamkit.transcode._events import EncodedArt, EncodedInit, EncodedSegment
from mamkit.transcode._video import encode_video
from mamkit.transcode.models import ArtFile, Init, Part, PartResult, Plan, Segment
from mamkit.transcode.sink import Sink
from mamkit.transcode.source import AnySource

__all__ = ["encode_part_here"]

_ENCODERS = {"video": encode_video, "audio": encode_audio, "artwork": encode_artwork}


def encode_part_here(source: AnySource, plan: Plan, part: Part, sink: Sink) -> PartResult:
    """Encode one part of a plan, and hand everything over as soon as it is finished.

    Parts may be encoded in any order, by any process, and more than once: their segments join without a seam, and the
    same part of the same file comes out the same with the same version of the encoders on the same kind of processor.

    A source that ends before the plan does is held: its last picture stands, and its sound is silence.

    Args:
        source: The file that the plan was made for.
        plan: What the whole film becomes.
        part: One of `plan.parts`.
        sink: Takes what is made; called from this thread only. What it raises ends the encoding.

    Raises:
        MediaUnreadableError: The part is of pictures, and not one of the source can be decoded.
        MediaError: The file cannot be opened.
        EncodeError: An encoder or a filter refused its input or failed.
    """
    inits: list[Init] = []
    segments: list[Segment] = []
    art: list[ArtFile] = []
    encode = _ENCODERS[part.kind]
    with closing(encode(source, plan, part)) as events:
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
    order = [init.rendition for init in inits]
    segments.sort(key=lambda segment: (order.index(segment.rendition), segment.index))
    return PartResult(part=part.index, inits=tuple(inits), segments=tuple(segments), art=tuple(art))
