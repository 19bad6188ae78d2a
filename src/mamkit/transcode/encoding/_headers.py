"""One initialisation segment for what a card makes of a rendition, and for what the processor makes where it fails."""

from mamkit.transcode.encoding._encoder import Encoder
from mamkit.transcode.errors import EncodeError
from mamkit.transcode.packaging.fmp4 import without_delay
from mamkit.transcode.packaging.parameter_sets import ParameterSets, presentation_delay, with_sets

try:
    import av
except ImportError as error:
    from mamkit.errors import MissingExtraError

    raise MissingExtraError("transcode", package="av") from error

__all__ = ["fitted", "is_shared", "shared"]


def is_shared(header: bytes) -> bool:
    """Return whether an initialisation segment has room for the pictures of two encoders."""
    return b"avcC" in header and len(ParameterSets.of(header).sequence) > 1


def shared(card: "Encoder[av.VideoStream]", stand_in: "Encoder[av.VideoStream]", frame_ticks: int) -> tuple[bytes, int]:
    """Return an initialisation segment for the pictures of both encoders, and the delay in frames that it tells of.

    Args:
        card: An open encoder of H.264.
        stand_in: Another one, whose parameter sets stand under other numbers.
        frame_ticks: Ticks from one frame to the next.

    Raises:
        EncodeError: The parameter sets of both stand under one number.
    """
    ours, theirs = ParameterSets.of(card.plain_header), ParameterSets.of(stand_in.plain_header)
    if {*map(_number, ours.sequence)} & {*map(_number, theirs.sequence)}:
        raise EncodeError(f"{card.name!r} numbers its parameter sets as {stand_in.name!r} does", encoder=card.name)
    delay = max(card.delay, stand_in.delay)
    return without_delay(with_sets(card.plain_header, ours | theirs), delay * frame_ticks), delay


def fitted(encoder: "Encoder[av.VideoStream]", header: bytes, frame_ticks: int) -> int:
    """Return the delay in frames that an initialisation segment tells of, if the pictures of an encoder go with it.

    Raises:
        EncodeError: They do not.
    """
    delay = presentation_delay(header) // frame_ticks
    if not _goes_with(encoder.plain_header, header) or encoder.delay > delay:
        raise EncodeError(
            f"what {encoder.name!r} makes does not go with the header of the parts before", encoder=encoder.name
        )
    return delay


def _goes_with(plain: bytes, header: bytes) -> bool:
    """Return whether a header has the parameter sets of another; those of other codecs than H.264 have no numbers."""
    return b"avcC" in plain and b"avcC" in header and ParameterSets.of(plain) in ParameterSets.of(header)


def _number(sequence: bytes) -> int:
    """Return `seq_parameter_set_id`, behind four bytes of header, profile and level (ITU-T H.264 section 7.3.2.1.1)."""
    bits = f"{int.from_bytes(sequence[4:9]):040b}"
    zeros = bits.index("1")
    return int(bits[zeros : 2 * zeros + 1], 2) - 1  # ue(v), section 9.1
