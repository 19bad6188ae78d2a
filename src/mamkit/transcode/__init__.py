"""From a film in any form to HLS and DASH that every player understands: probe, plan, encode, playlists.

    from mamkit.transcode import transcode

    report = transcode("holiday.mov", "holiday")
    print(report.playlist, report.plan.duration)

Or step by step, each part by whoever has time for it:

    info = probe("holiday.mov")
    plan = make_plan(info)
    results = [encode_part("holiday.mov", plan, part, sink) for part in plan.parts]

Files are opened in a child process that can do no harm. The modules `probing` and `encode` do the same in this process,
for files that are trusted; they are not imported from here, so that a service that only reads plans loads no FFmpeg.

The folders follow the way of a film: `reading` it, `planning` what becomes of it, its `picture`, `encoding` in parts,
`artwork`, and `packaging` for players; `containment` is the child process in which all of that happens.
"""

from mamkit.transcode.artwork.files import (
    POSTER_NAME,
    STORYBOARD_NAME,
    THUMBNAIL_NAME,
    WAVEFORM_IMAGE_NAME,
    WAVEFORM_NAME,
    Storyboard,
    poster_size,
    sheet_name,
    storyboard,
    storyboard_vtt,
    waveform_json,
)
from mamkit.transcode.containment.cards import choose_devices, plan_on_card, try_encoder
from mamkit.transcode.containment.children import Children
from mamkit.transcode.containment.contain import (
    Cancellation,
    encode_part,
    make_thumbnails,
    probe,
)
from mamkit.transcode.encoding.encoders import on_card
from mamkit.transcode.errors import (
    ChildCrashedError,
    ChildMemoryError,
    ChildProtocolError,
    ChildTimedOutError,
    ContainmentError,
    DestinationNotEmptyError,
    EmptyFileError,
    EncodeError,
    MediaEncryptedError,
    MediaError,
    MediaTooLargeError,
    MediaUnreadableError,
    MediaUnsupportedError,
    NoMediaError,
    SourceUnavailableError,
    StillImageError,
    TranscodeError,
    TranscodeInterruptedError,
)
from mamkit.transcode.limits import Limits
from mamkit.transcode.local import Report, thumbnails, transcode
from mamkit.transcode.models import (
    ArtFile,
    AudioRendition,
    AudioStream,
    Codec,
    Container,
    Copyable,
    Device,
    HdrMetadata,
    Init,
    Join,
    KeyFrame,
    MasteringDisplay,
    MediaInfo,
    Part,
    PartResult,
    Plan,
    Segment,
    SegmentFile,
    SubtitleRendition,
    SubtitleStream,
    VideoRange,
    VideoRendition,
    VideoStream,
)
from mamkit.transcode.packaging.manifest import MANIFEST_NAME, dash_manifest
from mamkit.transcode.packaging.playlists import (
    INDEX_NAME,
    Track,
    iframe_playlist,
    iframe_playlist_name,
    init_name,
    media_playlist,
    media_playlist_name,
    multivariant_playlist,
    rendition_names,
    segment_name,
)
from mamkit.transcode.planning.ladder import DEFAULT_LADDER, UHD_LADDER, Ladder, Rung
from mamkit.transcode.planning.plan import audio_frame_range, display_size, frame_range, make_plan
from mamkit.transcode.reading.source import RangeReader, ReadsMany, Source, size_of
from mamkit.transcode.sink import Sink

__all__ = [
    "DEFAULT_LADDER",
    "INDEX_NAME",
    "MANIFEST_NAME",
    "POSTER_NAME",
    "STORYBOARD_NAME",
    "THUMBNAIL_NAME",
    "UHD_LADDER",
    "WAVEFORM_IMAGE_NAME",
    "WAVEFORM_NAME",
    "ArtFile",
    "AudioRendition",
    "AudioStream",
    "Cancellation",
    "ChildCrashedError",
    "ChildMemoryError",
    "ChildProtocolError",
    "ChildTimedOutError",
    "Children",
    "Codec",
    "Container",
    "ContainmentError",
    "Copyable",
    "DestinationNotEmptyError",
    "Device",
    "EmptyFileError",
    "EncodeError",
    "HdrMetadata",
    "Init",
    "Join",
    "KeyFrame",
    "Ladder",
    "Limits",
    "MasteringDisplay",
    "MediaEncryptedError",
    "MediaError",
    "MediaInfo",
    "MediaTooLargeError",
    "MediaUnreadableError",
    "MediaUnsupportedError",
    "NoMediaError",
    "Part",
    "PartResult",
    "Plan",
    "RangeReader",
    "ReadsMany",
    "Report",
    "Rung",
    "Segment",
    "SegmentFile",
    "Sink",
    "Source",
    "SourceUnavailableError",
    "StillImageError",
    "Storyboard",
    "SubtitleRendition",
    "SubtitleStream",
    "Track",
    "TranscodeError",
    "TranscodeInterruptedError",
    "VideoRange",
    "VideoRendition",
    "VideoStream",
    "audio_frame_range",
    "choose_devices",
    "dash_manifest",
    "display_size",
    "encode_part",
    "frame_range",
    "iframe_playlist",
    "iframe_playlist_name",
    "init_name",
    "make_plan",
    "make_thumbnails",
    "media_playlist",
    "media_playlist_name",
    "multivariant_playlist",
    "on_card",
    "plan_on_card",
    "poster_size",
    "probe",
    "rendition_names",
    "segment_name",
    "sheet_name",
    "size_of",
    "storyboard",
    "storyboard_vtt",
    "thumbnails",
    "transcode",
    "try_encoder",
    "waveform_json",
]
