"""The request or the job that is being served, below which all else is told."""

from mamkit.errors import MissingExtraError

try:
    from opentelemetry.context import create_key, get_value
    from opentelemetry.trace import Span, StatusCode
except ImportError as error:
    raise MissingExtraError("telemetry", package="opentelemetry-sdk") from error

__all__ = ["ENTRY", "Entry", "current_entry", "mark"]

DETAILS = 300  # spans of statements and objects below one request or job; a part reads and writes some dozens
ENTRY = create_key("mamkit-entry")
"""In the context of OpenTelemetry."""


class Entry:
    """A request or a job that is being served: what happens meanwhile is told below it, up to a bound.

    Args:
        span: Of it.
    """

    def __init__(self, span: Span) -> None:
        self.span = span
        self._details = 0

    def takes_detail(self) -> bool:
        """Count one more thing that happens, and return whether it may have a span."""
        self._details += 1
        return self._details <= DETAILS

    def end_with(self, outcome: str, error: str | None = None) -> None:
        """Note how a job ended.

        Args:
            outcome: `done`, `retried`, `released` or `dead`.
            error: Code or type of what went wrong.
        """
        self.span.set_attribute("mamkit.outcome", outcome)
        if error is not None:
            mark(self.span, error)

    def end(self) -> None:
        """End the span; what happens afterwards, in a stream that goes on, is not told."""
        if self._details > DETAILS and self.span.is_recording():
            self.span.set_attribute("mamkit.spans_left_out", self._details - DETAILS)
        self.span.end()


def current_entry() -> Entry | None:
    """Return the request or job that is being served, if it is sampled and has not ended."""
    entry = get_value(ENTRY)
    return entry if isinstance(entry, Entry) and entry.span.is_recording() else None


def mark(span: Span, error: str) -> None:
    """Note on a span what went wrong, by its code or its type: a text might hold more than is anybody's business."""
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)
