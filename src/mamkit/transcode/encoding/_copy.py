"""A rendition that is made of the source's own packets: nothing is decoded and nothing encoded."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from io import BytesIO
from typing import Any

from mamkit.errors import MissingExtraError
from mamkit.transcode._events import EncodedInit, EncodedSegment
from mamkit.transcode.encoding._encoder import MUXER, facts_of
from mamkit.transcode.encoding._segments import Clock, SegmentWriter
from mamkit.transcode.errors import MediaUnreadableError
from mamkit.transcode.models import Plan, VideoRendition
from mamkit.transcode.packaging.fmp4 import without_delay
from mamkit.transcode.planning.plan import frame_range
from mamkit.transcode.reading._decode import decodable, seek
from mamkit.transcode.reading._input import open_source, packets
from mamkit.transcode.reading._packets import header_units, splitter
from mamkit.transcode.reading.source import Source, name_of

try:
    import av
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["PacketSegments"]

# ITU-T H.264 table 7-1. Slices and parameter sets are kept. Messages (SEI) are left out, with whatever cameras and
# encoders write there: nothing of them is needed to show a picture, and some say who made it, where and with what.
_KEPT = {1, 2, 3, 4, 5, 7, 8}
_IDR = 5
_LEAD = 8  # frames before the wanted one to seek to, and the delay: indices are in decode times, which are earlier


class PacketSegments:
    """Copies the packets of a part for one rendition; `close` it in the end.

    The file is opened once: of a long film in MP4 it takes a while to read the index.

    Args:
        source: The file.
        plan: What the whole film becomes; its largest rendition is copied.
        rendition: The rendition to make.
        segments: Which segments, a run.

    Attributes:
        init: The initialisation segment.

    Raises:
        MediaUnreadableError: The stream is not there.
        MediaError: The file cannot be opened.
    """

    def __init__(self, source: Source, plan: Plan, rendition: VideoRendition, segments: range) -> None:
        if plan.frame_rate is None or plan.video_stream is None:
            raise ValueError("the plan has no video")
        self._plan = plan
        self._rate = plan.frame_rate
        self._frames = range(frame_range(plan, segments.start).start, frame_range(plan, segments.stop - 1).stop)
        self._cuts = frozenset(plan.cuts)
        self._lead = _LEAD + rendition.copy_delay
        clock = Clock(plan.frame_rate)
        self._container = open_source(source)
        try:
            self._stream = self._chosen(source, plan.video_stream)
            headers = bytes(self._stream.codec_context.extradata or b"")
            self._units, self._headers = splitter(headers), header_units(headers)
            made = without_delay(self._header(clock), rendition.copy_delay * clock.frame)
        except BaseException:
            self._container.close()
            raise
        self.init = EncodedInit(facts_of(rendition.name, made), made)
        self._writer = SegmentWriter(
            plan, rendition.name, segments, maker="the source", delay=rendition.copy_delay, header=made
        )

    def copy(self) -> Generator[EncodedSegment | int, None, None]:
        """Yield the segments, and after each group how many frames that were.

        Raises:
            EncodeError: The packets are not what they were when the film was probed.
        """
        group: list[tuple[int, bytes]] = []
        for number, sample, is_idr in self._samples():
            if is_idr and group:
                yield from self._write(group)
                group = []
            if number >= self._frames.stop and is_idr:
                break
            if group or (is_idr and number == self._frames.start) or self._writer.next > self._frames.start:
                group.append((number, sample))
        if group:
            yield from self._write(group)
        self._writer.check_complete()

    def _write(self, group: list[tuple[int, bytes]]) -> Iterator[EncodedSegment | int]:
        yield from self._writer.write(group)
        yield len(group)

    def close(self) -> None:
        """Close the file."""
        self._container.close()

    def _header(self, clock: Clock) -> bytes:
        """Return an initialisation segment for the stream as it is."""
        header = BytesIO()
        timescale = {"video_track_timescale": str(clock.timescale)}
        with av.open(header, "w", format="mp4", options=MUXER | timescale) as muxer:
            muxer.add_stream_from_template(self._stream, opaque=True)
            muxer.start_encoding()
            return header.getvalue()

    def _samples(self) -> Iterator[tuple[int, bytes, bool]]:
        """Yield the packets from before the wanted frames on: number of the frame, bytes, whether a group begins."""
        unit = self._stream.time_base or Fraction(1)
        if self._frames.start:
            seek(self._container, self._stream, self._plan.origin + (self._frames.start - self._lead) / self._rate)
        for packet in packets(self._container, self._stream):
            if packet.size and packet.pts is not None:
                number = round((packet.pts * unit - self._plan.origin) * self._rate)
                sample, is_idr = self._kept(packet)
                # A cut was a closed group by its times, whatever kind of key frame it begins with.
                yield number, sample, is_idr or (packet.is_keyframe and number in self._cuts)

    def _kept(self, packet: "av.Packet[Any]") -> tuple[bytes, bool]:
        # Of an `avc1` track the header has the parameter sets: ISO/IEC 14496-15 section 5.4.2.1.
        units = [unit for unit in self._units(bytes(packet)) if unit[0] & 31 in _KEPT and unit not in self._headers]
        return b"".join(len(unit).to_bytes(4) + unit for unit in units), any(unit[0] & 31 == _IDR for unit in units)

    def _chosen(self, source: Source, index: int) -> av.VideoStream:
        for stream in decodable(self._container, [index]):
            if isinstance(stream, av.VideoStream):
                return stream
        raise MediaUnreadableError(f"{name_of(source)!r} has no picture in stream {index}")
