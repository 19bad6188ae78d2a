"""The ladder: which picture sizes a preview has, and at which bit rates. Plain data, to be replaced at will.

Video bit rates are those of Apple's "HLS Authoring Specification for Apple Devices", table of H.264 variants at up to
30 frames per second; 480p, which has no line there, lies between its 432p (1,100 kb/s) and its 540p (2,000 kb/s). Its
table of HEVC variants has 4,500 kb/s for 1080p where that of H.264 has 6,000.
"""

import itertools
from dataclasses import dataclass
from fractions import Fraction

from mamkit.transcode.errors import MediaUnsupportedError
from mamkit.transcode.models import Codec, VideoRendition

__all__ = ["DEFAULT_LADDER", "UHD_LADDER", "Ladder", "Rung"]

# Pixels: one macroblock of H.264, and what the encoders of the others take at least.
_SMALLEST_SIDES: dict[Codec, int] = {"h264": 16, "hevc": 32, "av1": 64}
_WORTH_A_RUNG = Fraction(11, 10)  # a picture that is less than a tenth larger than the one below looks the same
_LEAST_BIT_RATE = 64_000  # bits per second: below, headers outweigh pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One size of picture.

    A rung is a box of 16:9, turned upright for upright pictures: 720p holds 1280x720, 1280x544 and 720x1280.
    """

    name: str
    """Folder of the rendition, e.g. `720p`."""
    short_side: int
    """Pixels of the box's short side."""
    bit_rate: int
    """Average bits per second of a picture that fills the box, at up to 30 frames per second."""
    max_bit_rate: int
    """Cap, bits per second; at most twice the average (HLS Authoring Specification, rule 1.30)."""

    @property
    def long_side(self) -> int:
        """Pixels of the box's long side, even."""
        return round(self.short_side * 16 / 9 / 2) * 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The sizes and bit rates that a film is offered in.

    Attributes:
        rungs: Smallest first.
        mono_bit_rate: Bits per second of AAC-LC with one channel.
        stereo_bit_rate: Bits per second of AAC-LC with two channels; the HLS Authoring Specification asks for 32 to
            160 kb/s (table of audio bit rates).
        hevc_share: Bit rate of HEVC over that of H.264.
        av1_share: Bit rate of AV1 over that of H.264.
        hdr_share: Bit rate of HEVC with 10 bits, for HDR, over that of H.264: a fifth more than in SDR, as in the
            specification's two tables of HEVC (1080p at 5,400 kb/s and at 4,500).

    Raises:
        ValueError: There is no rung, they are not in ascending order, or two have one name.
    """

    rungs: tuple[Rung, ...]
    mono_bit_rate: int = 64_000
    stereo_bit_rate: int = 128_000
    hevc_share: Fraction = Fraction(3, 4)
    av1_share: Fraction = Fraction(2, 3)
    hdr_share: Fraction = Fraction(9, 10)

    def __post_init__(self) -> None:
        sides = [rung.short_side for rung in self.rungs]
        if not sides or any(above <= below for below, above in itertools.pairwise(sides)):
            raise ValueError(f"a ladder needs rungs in ascending order of size, not {sides}")
        if len({rung.name for rung in self.rungs}) < len(self.rungs):
            raise ValueError(f"the rungs of a ladder need names of their own, not {[r.name for r in self.rungs]}")

    def renditions(
        self, width: int, height: int, frame_rate: Fraction, codec: Codec = "h264"
    ) -> tuple[VideoRendition, ...]:
        """Return what to encode of a picture, largest first.

        Each rung holds the picture scaled into its box, never enlarged. A rung that would add less than a tenth to the
        width of the one below is left out, so that a picture smaller than every box is encoded once, at its own size.

        Args:
            width: Pixels as shown: square, and upright.
            height: Pixels as shown.
            frame_rate: Frames per second of the output.
            codec: What to encode it in.

        Raises:
            MediaUnsupportedError: The picture is so small, or so narrow, that no rung has 16 pixels each way (HEVC: 32,
                AV1: 64).
        """
        chosen: list[VideoRendition] = []
        for rung in self.rungs:
            size = _fit(width, height, rung)
            if min(size) < _SMALLEST_SIDES[codec] or (chosen and max(size) < _WORTH_A_RUNG * max(_size(chosen[-1]))):
                continue
            share = Fraction(size[0] * size[1], rung.short_side * rung.long_side) * _rate_factor(frame_rate)
            share *= {"h264": Fraction(1), "hevc": self.hevc_share, "av1": self.av1_share}[codec]
            chosen.append(
                VideoRendition(
                    name=rung.name if codec == "h264" else f"{rung.name}-{codec}",
                    codec=codec,
                    width=size[0],
                    height=size[1],
                    bit_rate=max(_LEAST_BIT_RATE, round(rung.bit_rate * share)),
                    max_bit_rate=max(2 * _LEAST_BIT_RATE, round(rung.max_bit_rate * share)),
                )
            )
        if not chosen:
            raise MediaUnsupportedError(
                f"a picture of {width}x{height} leaves no rendition of {_SMALLEST_SIDES[codec]} pixels each way"
            )
        return tuple(reversed(chosen))


def _fit(width: int, height: int, rung: Rung) -> tuple[int, int]:
    """Return the even size of a picture scaled into a rung's box, not enlarged, its shape kept within a pixel."""
    scale = min(
        Fraction(1), Fraction(rung.long_side, max(width, height)), Fraction(rung.short_side, min(width, height))
    )
    return _even(width * scale, at_most=width), _even(height * scale, at_most=height)


def _even(length: Fraction, *, at_most: int) -> int:
    return min(2 * round(length / 2), at_most // 2 * 2)


def _size(rendition: VideoRendition) -> tuple[int, int]:
    return rendition.width, rendition.height


def _rate_factor(frame_rate: Fraction) -> Fraction:
    """Return by how much more bits faster pictures need: 1 up to 30 per second, then rising to 1.5 at 60.

    Not twice as much at twice the rate, because neighbouring pictures differ less; 1.5 is what upload guides of large
    platforms ask of films at 48 to 60 frames per second.
    """
    return 1 + max(Fraction(0), frame_rate - 30) / 60


DEFAULT_LADDER = Ladder(
    rungs=(
        Rung(name="360p", short_side=360, bit_rate=365_000, max_bit_rate=550_000),
        Rung(name="480p", short_side=480, bit_rate=1_400_000, max_bit_rate=2_100_000),
        Rung(name="720p", short_side=720, bit_rate=3_000_000, max_bit_rate=4_500_000),
        Rung(name="1080p", short_side=1080, bit_rate=6_000_000, max_bit_rate=9_000_000),
    )
)
"""360p, 480p, 720p and 1080p."""

UHD_LADDER = Ladder(
    rungs=(
        *DEFAULT_LADDER.rungs,
        Rung(name="1440p", short_side=1440, bit_rate=10_000_000, max_bit_rate=15_000_000),
        Rung(name="2160p", short_side=2160, bit_rate=20_000_000, max_bit_rate=30_000_000),
    )
)
"""The default and, for who opts in, 1440p and 2160p: bit rates of 1080p scaled by pixels to the power of 0.75 or so."""
