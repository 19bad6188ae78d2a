"""What an operator decides about previews, before any film is known."""

from dataclasses import dataclass

from mamkit.transcode import DEFAULT_LADDER, Codec, Container, Ladder, MediaInfo, Plan, make_plan
from mamkit.transcode.planning.plan import check_formats

__all__ = ["PlanPolicy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanPolicy:
    """How plans are made. The worker that plans a film decides for all of its parts.

    Raises:
        ValueError: As for `mamkit.transcode.planning.plan.check_formats`.
    """

    ladder: Ladder = DEFAULT_LADDER
    """Which sizes and bit rates there are."""
    codecs: tuple[Codec, ...] = ("h264",)
    """What pictures are encoded in; each codec has all sizes."""
    container: Container = "fmp4"
    """What everything is packed in; `ts` is for players that know nothing else."""
    hdr: bool = False
    """Whether a film in HDR10 or HLG is offered as such, too, in HEVC, beside what every screen shows."""
    copy: bool = True
    """Whether a source that already is what the largest rendition would be is copied instead of encoded."""

    def __post_init__(self) -> None:
        check_formats(self.codecs, self.container, hdr=self.hdr)

    def plan(self, info: MediaInfo) -> Plan:
        """Return the plan for a source.

        Raises:
            MediaUnsupportedError: As for `make_plan`.
        """
        return make_plan(
            info, ladder=self.ladder, codecs=self.codecs, container=self.container, copy=self.copy, hdr=self.hdr
        )
