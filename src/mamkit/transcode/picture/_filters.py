"""Chains of FFmpeg's filters that take pictures of any kind, also when the kind changes in mid-stream."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mamkit.errors import MissingExtraError
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.reading._input import describe

try:
    import av
    from av.filter import Graph
    from av.filter.context import FilterContext
except ImportError as error:
    raise MissingExtraError("transcode", package="av") from error

__all__ = ["Chain", "Filter", "PictureFilter", "kind"]


@dataclass(frozen=True, slots=True)
class Filter:
    """One of FFmpeg's filters.

    Attributes:
        name: FFmpeg's name, e.g. `scale`.
        options: Its options.
        second: A picture for the filter's second input, if it has one; it stands there for good.
    """

    name: str
    options: Mapping[str, str] = field(default_factory=dict)
    second: av.VideoFrame | None = None


def kind(picture: av.VideoFrame) -> tuple[int, int, str, int, int]:
    """Return what must be the same for all pictures that go through one chain."""
    return picture.width, picture.height, picture.format.name, int(picture.colorspace), int(picture.color_range)


class Chain:
    """An open chain for pictures of one kind, with timestamps that rise from 0 or more where a filter looks at them.

    Args:
        like: A picture of the kind.
        filters: What is done to each, in order.
        threads: How many threads a filter may use; 0 for one a core.

    Raises:
        EncodeError: A filter cannot take pictures of this kind.
    """

    def __init__(self, like: av.VideoFrame, filters: Sequence[Filter], *, threads: int = 1) -> None:
        self._graph = Graph()
        self._graph.threads = threads
        self._filters = " > ".join(step.name for step in filters)
        try:
            self._source = last = self._add_source(like)
            for step in filters:
                context = self._graph.add(step.name, **step.options)
                last.link_to(context)
                if step.second is not None:
                    self._add_source(step.second).link_to(context, 0, 1)
                last = context
            self._sink = self._graph.add("buffersink")
            last.link_to(self._sink)
            self._graph.configure()
            self._fill_second_inputs(filters)
        except (av.FFmpegError, ValueError) as error:
            raise self._failed(like, error) from error

    def push(self, picture: av.VideoFrame | None) -> list[av.VideoFrame]:
        """Put in a picture and return what comes out; None empties the chain.

        Raises:
            EncodeError: A filter failed.
        """
        made: list[av.VideoFrame] = []
        try:
            self._source.push(picture)
            while True:
                made.append(self._sink.pull())  # type: ignore[arg-type]  # a buffersink gives pictures
        except (av.BlockingIOError, av.EOFError):
            return made  # nothing more until the next picture
        except av.FFmpegError as error:
            raise self._failed(picture, error) from error

    def _add_source(self, like: av.VideoFrame) -> FilterContext:
        width, height, pixel_format, matrix, extent = kind(like)
        return self._graph.add(
            "buffer",
            video_size=f"{width}x{height}",
            pix_fmt=pixel_format,
            colorspace=str(matrix),
            range=str(extent),
            time_base="1/1000000",  # of no consequence: pictures are numbered, not timed
            pixel_aspect="1/1",
        )

    def _fill_second_inputs(self, filters: Sequence[Filter]) -> None:
        pictures = [step.second for step in filters if step.second is not None]
        for at, picture in enumerate(pictures, 1):  # 0 is the chain's own source
            picture.pts = 0
            self._graph.vpush(picture, at)
            self._graph.vpush(None, at)

    def _failed(self, picture: av.VideoFrame | None, error: Exception) -> EncodeError:
        what = "{}x{} {}".format(*kind(picture)) if picture is not None else "the last"
        detail = describe(error) if isinstance(error, av.FFmpegError) else str(error)
        return EncodeError(f"the filters {self._filters} cannot take {what} pictures: {detail}", detail=detail)


class PictureFilter:
    """Makes one picture of each, with a chain that is made anew when the kind of the pictures changes.

    Args:
        filters: What is done to each picture, in order, or what tells that of the first picture of a kind; none of
            them may hold pictures back.
        threads: How many threads a filter may use; 0 for one a core.
    """

    def __init__(
        self, filters: Sequence[Filter] | Callable[[av.VideoFrame], Sequence[Filter]], *, threads: int = 1
    ) -> None:
        self._filters = filters
        self._threads = threads
        self._chain: Chain | None = None
        self._kind: tuple[int, int, str, int, int] | None = None
        self._last: tuple[av.VideoFrame, av.VideoFrame] | None = None

    def __call__(self, picture: av.VideoFrame) -> av.VideoFrame:
        """Return what the chain makes of a picture; for the same picture as last time, the same again.

        Raises:
            EncodeError: The filters cannot take the picture.
        """
        if self._last is None or self._last[0] is not picture:
            if self._chain is None or self._kind != kind(picture):
                self._kind = kind(picture)
                filters = self._filters(picture) if callable(self._filters) else self._filters
                self._chain = Chain(picture, filters, threads=self._threads)
            (made,) = self._chain.push(picture)
            self._last = picture, made
        return self._last[1]
