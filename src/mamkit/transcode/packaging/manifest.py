"""The DASH manifest (ISO/IEC 23009-1:2022) of a finished preview, over the same CMAF segments as its HLS playlists."""

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import groupby
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from mamkit.transcode.models import AudioRendition, Plan, Segment, SubtitleRendition, VideoRendition
from mamkit.transcode.packaging._bandwidth import Bandwidth
from mamkit.transcode.packaging.playlists import Track, init_name, rendition_names, segment_name_pattern
from mamkit.transcode.packaging.webvtt import whole_name

__all__ = ["MANIFEST_NAME", "dash_manifest"]

MANIFEST_NAME = "manifest.mpd"
"""Name of the manifest, beside `index.m3u8`."""

_NAMESPACE = "urn:mpeg:dash:schema:mpd:2011"  # section 5.2.1
# Section 8.4 (segments named by a template) and section 8.12 (segments are CMAF's).
_PROFILES = "urn:mpeg:dash:profile:isoff-live:2011,urn:mpeg:dash:profile:cmaf:2019"
_ROLE = "urn:mpeg:dash:role:2011"  # section 5.8.5.5
_CHANNELS = "urn:mpeg:mpegB:cicp:ChannelConfiguration"  # ISO/IEC 23091-3: 1 is mono, 2 is stereo
_COLOURS = "urn:mpeg:mpegB:cicp:"  # ISO/IEC 23091-2; essential, so that who knows no HDR leaves it alone
_TRANSFERS = {"PQ": 16, "HLG": 18}
_BT2020 = 9  # both of the primaries and of the matrix
_REPRESENTATION = "$RepresentationID$"  # section 5.3.9.4.4
_NUMBER = "$Number%05d$"
_WORDS = 256  # bits per second: what speech takes as text; nobody chooses by it


def dash_manifest(plan: Plan, tracks: Iterable[Track]) -> str:
    """Return the static manifest of a preview of which everything is finished.

    The sizes of the picture in one codec are a set to switch within, those in HDR another; so is every sound track.

    Args:
        plan: What the preview is made to.
        tracks: Each rendition with all its segments, in any order.

    Raises:
        ValueError: A rendition of the plan has no track, or not all of its segments; or these are transport streams.
    """
    if plan.container != "fmp4":
        raise ValueError("a manifest names CMAF segments, and this plan has others")
    by_name = {track.rendition: track for track in tracks}
    for name in rendition_names(plan):
        there = len(by_name[name].segments) if name in by_name else 0
        if there != plan.segment_count:
            raise ValueError(f"{name!r} has {there} segments, and its plan {plan.segment_count}")
    longest = max(segment.duration for track in by_name.values() for segment in track.segments)
    manifest = Element(
        "MPD",
        {
            "xmlns": _NAMESPACE,
            "profiles": _PROFILES,
            "type": "static",
            "mediaPresentationDuration": _seconds(plan.duration),
            "maxSegmentDuration": _seconds(longest),
            "minBufferTime": _seconds(longest),  # bandwidths are the peaks over a segment
        },
    )
    period = SubElement(manifest, "Period", {"id": "0", "start": "PT0S"})
    for _, sizes in groupby(plan.video, key=lambda video: (video.codec, video.video_range)):
        _add_pictures(period, plan, list(sizes), by_name)
    for audio in plan.audio:
        _add_sound(period, audio, by_name[audio.name])
    for subtitles in plan.subtitles:
        _add_subtitles(period, subtitles)
    indent(manifest)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(manifest, encoding="unicode") + "\n"


def _add_pictures(period: Element, plan: Plan, renditions: Sequence[VideoRendition], tracks: dict[str, Track]) -> None:
    rate = plan.frame_rate or Fraction(1)
    group = SubElement(
        period,
        "AdaptationSet",
        {
            "id": str(len(period)),
            "contentType": "video",
            "mimeType": "video/mp4",
            "segmentAlignment": "true",
            "startWithSAP": "1",  # every segment begins with a key frame
            "maxWidth": str(max(video.width for video in renditions)),
            "maxHeight": str(max(video.height for video in renditions)),
            "frameRate": str(rate),
        },
    )
    if (transfer := _TRANSFERS.get(renditions[0].video_range)) is not None:
        for about, value in (
            ("TransferCharacteristics", transfer),
            ("ColourPrimaries", _BT2020),
            ("MatrixCoefficients", _BT2020),
        ):
            SubElement(group, "EssentialProperty", {"schemeIdUri": f"{_COLOURS}{about}", "value": str(value)})
    _add_segments(group, tracks[renditions[0].name].segments, timescale=rate.numerator)
    for video in renditions:
        track = tracks[video.name]
        SubElement(
            group,
            "Representation",
            {
                "id": video.name,
                "codecs": track.codecs,
                "bandwidth": str(Bandwidth.measured(track.segments).peak),
                "width": str(video.width),
                "height": str(video.height),
                "sar": "1:1",
            },
        )


def _add_sound(period: Element, audio: AudioRendition, track: Track) -> None:
    attributes = {
        "id": str(len(period)),
        "contentType": "audio",
        "mimeType": "audio/mp4",
        "segmentAlignment": "true",
        "startWithSAP": "1",
    }
    if audio.language is not None:
        attributes["lang"] = audio.language
    group = SubElement(period, "AdaptationSet", attributes)
    _add_label(group, audio.title)
    SubElement(group, "Role", {"schemeIdUri": _ROLE, "value": "main" if audio.default else "alternate"})
    _add_segments(group, track.segments, timescale=audio.sample_rate)
    shown = SubElement(
        group,
        "Representation",
        {
            "id": audio.name,
            "codecs": track.codecs,
            "bandwidth": str(Bandwidth.measured(track.segments).peak),
            "audioSamplingRate": str(audio.sample_rate),
        },
    )
    SubElement(shown, "AudioChannelConfiguration", {"schemeIdUri": _CHANNELS, "value": str(audio.channels)})


def _add_subtitles(period: Element, subtitles: SubtitleRendition) -> None:
    """Add a track in one file: players take WebVTT for DASH as it is."""
    attributes = {"id": str(len(period)), "contentType": "text", "mimeType": "text/vtt"}
    if subtitles.language is not None:
        attributes["lang"] = subtitles.language
    group = SubElement(period, "AdaptationSet", attributes)
    _add_label(group, subtitles.title)
    role = "forced-subtitle" if subtitles.forced else "subtitle"
    SubElement(group, "Role", {"schemeIdUri": _ROLE, "value": role})
    shown = SubElement(group, "Representation", {"id": subtitles.name, "bandwidth": str(_WORDS)})
    SubElement(shown, "BaseURL").text = whole_name(subtitles.name)


def _add_label(group: Element, title: str) -> None:
    # XML has no way to hold a control character (XML 1.0 section 2.2).
    SubElement(group, "Label").text = "".join(c if c.isprintable() else " " for c in title)


def _add_segments(group: Element, segments: Sequence[Segment], *, timescale: int) -> None:
    """Say how the files are named and how long each lasts, in ticks that leave nothing to round."""
    template = SubElement(
        group,
        "SegmentTemplate",
        {
            "timescale": str(timescale),
            "initialization": init_name(_REPRESENTATION),
            "media": segment_name_pattern(_REPRESENTATION, _NUMBER),
            "startNumber": "0",
        },
    )
    timeline = SubElement(template, "SegmentTimeline")
    for duration, run in groupby(segment.duration * timescale for segment in segments):
        more = len(list(run)) - 1
        place = {"t": "0"} if len(timeline) == 0 else {}
        SubElement(timeline, "S", place | {"d": str(duration)} | ({"r": str(more)} if more else {}))


def _seconds(duration: Fraction) -> str:
    """Return a duration of XML Schema, rounded up to a millisecond so that nothing is cut off."""
    thousandths = math.ceil(duration * 1000)
    return f"PT{thousandths // 1000}.{thousandths % 1000:03d}S"
