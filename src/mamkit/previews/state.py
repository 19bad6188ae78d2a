"""How far a preview is, for whoever asks."""

from dataclasses import dataclass

from mamkit.catalog import Preview
from mamkit.catalog.models import PreviewStatus

__all__ = ["PreviewState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewState:
    """How far a preview is."""

    preview: Preview
    progress: float
    """0 to 1, by the segments that are encoded; of the newest generation, where an earlier one is playing."""

    @property
    def status(self) -> PreviewStatus:
        """What there is for players: one that is built anew stays ready."""
        return "ready" if self.preview.serving else self.preview.status
