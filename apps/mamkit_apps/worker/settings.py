"""Settings of the worker."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from pydantic import Field, SecretStr, field_validator, model_validator

from mamkit.transcode import DEFAULT_LADDER, UHD_LADDER, Codec, Container
from mamkit_apps.settings import HttpUrl, Names, ServiceSettings

if TYPE_CHECKING:
    from mamkit.previews import PlanPolicy

__all__ = ["WorkerSettings"]

LADDERS = {"default": DEFAULT_LADDER, "uhd": UHD_LADDER}


class WorkerSettings(ServiceSettings):
    """What a worker needs to know."""

    api_url: HttpUrl = "http://127.0.0.1:3000"
    """Base URL of the API, to which the worker reports."""
    callback_secret: SecretStr | None = None
    """Key with which workers sign their reports; None is made in `DATA_DIR`."""
    lease_seconds: Annotated[int, Field(ge=3)] = 30
    """How long a job stays a silent worker's: a job of a dead worker is taken up again after so long."""
    grace_seconds: Annotated[int, Field(ge=0)] = 0
    """How long the job in hand may go on after SIGTERM before it is handed back."""
    worker_slots: Annotated[int, Field(ge=0, le=256)] = 0
    """Jobs that are done at once; 0: one for every two processors, and two where there are two or three."""
    worker_memory_bytes: Annotated[int, Field(ge=0)] = 0
    """Memory that all child processes together may take; 0: three quarters of the machine's, or of the container's."""
    worker_encoder: Literal["auto", "cpu", "nvenc"] = "cpu"
    """What pictures are encoded with: `auto` uses an NVIDIA card for what it proves to encode when the worker starts,
    `nvenc` does the same and warns where it cannot, `cpu` is the processors alone."""
    worker_card_sessions: Annotated[int, Field(ge=1, le=256)] = 6
    """Renditions that the card encodes at once for parts; one more is opened for a moment where a film is planned."""
    preview_codecs: Names = ("h264",)
    """What pictures are encoded in, with commas: `h264`, `hevc`, `av1`. Each has all sizes; old players need H.264."""
    preview_container: Container = "fmp4"
    """What segments are packed in; `ts` is for players that know nothing else, and holds H.264 alone."""
    preview_copy: bool = True
    """Whether a film that already is what the largest rendition would be is copied instead of encoded."""
    preview_hdr: bool = False
    """Whether films in HDR10 or HLG are offered as such, too, in HEVC, beside what every screen shows."""
    preview_ladder: Literal["default", "uhd"] = "default"
    """Sizes: `default` is up to 1080p, `uhd` up to 2160p."""
    metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """Port of `/healthz` and `/metrics`; None answers neither."""
    metrics_host: str = "127.0.0.1"
    """Address of `/healthz` and `/metrics`."""

    @field_validator("preview_codecs")
    @classmethod
    def _known_codecs(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        known = get_args(Codec)
        if not names or set(names) - set(known) or len(set(names)) < len(names):
            raise ValueError(f"must name some of {', '.join(known)}, each once, with commas")
        return names

    @model_validator(mode="after")
    def _codecs_fit_the_container(self) -> Self:
        if self.preview_container == "ts" and self.preview_codecs != ("h264",):
            raise ValueError("PREVIEW_CONTAINER=ts holds h264 alone, and PREVIEW_CODECS names others")
        if self.preview_container == "ts" and self.preview_hdr:
            raise ValueError("PREVIEW_CONTAINER=ts holds h264 alone, and PREVIEW_HDR is encoded in hevc")
        return self

    @property
    def policy(self) -> "PlanPolicy":
        """How plans are made."""
        from mamkit.previews import PlanPolicy  # noqa: PLC0415 - brings all of a worker, which most readers are not

        codecs: tuple[Codec, ...] = tuple(codec for codec in get_args(Codec) if codec in self.preview_codecs)
        return PlanPolicy(
            ladder=LADDERS[self.preview_ladder],
            codecs=codecs,
            container=self.preview_container,
            copy=self.preview_copy,
            hdr=self.preview_hdr,
        )

    @property
    def lease(self) -> timedelta:
        """How long a job stays a silent worker's."""
        return timedelta(seconds=self.lease_seconds)

    @property
    def grace(self) -> timedelta:
        """How long the job in hand may go on after SIGTERM."""
        return timedelta(seconds=self.grace_seconds)
