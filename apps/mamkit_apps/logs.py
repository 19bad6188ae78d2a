"""The services' logs, by structlog: what happened, in which request, for whom, and never a secret.

Everything that is logged through `logging` goes this way, too. What belongs to a request is noted once (`note`) and
stands in each line that is written while the request is served, whichever part writes it.
"""

import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

__all__ = ["configure", "note", "noted", "request_context", "scrub", "trace_with"]

_noted: ContextVar[dict[str, str]] = ContextVar("noted")
_traced: Callable[[], Mapping[str, str]] = dict  # what each line says of the trace that it belongs to

SECRETS = re.compile(
    r"(?P<kept>\b(?:Bearer|Basic)\s+)[\w.~+/=-]+"  # RFC 6750 section 2.1, RFC 7617
    r"|\beyJ[\w-]*\.[\w-]+\.[\w-]*"  # a JWT
    r"|\bmk[a-z]\d_[\w-]+"  # our API keys
    r"|(?P<path>/s/)[\w.~-]+(?=/)"  # a signed URL
    r"|(?P<userinfo>://[^\s:/@]*:)[^\s/@]+(?=@)"  # RFC 3986 section 3.2.1
    r"|(?P<name>(?:X-Amz-Signature|X-Amz-Credential|signature|password|secret|token|ticket|code|state)=)[^\s&#'\"]+",
    re.IGNORECASE,
)
"""What looks like a secret, wherever it stands in a line. Nothing should log one; this is for what does so."""

CHATTY = ("alembic", "botocore", "httpx")
"""Libraries that tell of each of their steps what nobody has asked for."""


@contextmanager
def request_context(request_id: str) -> Iterator[dict[str, str]]:
    """Have each line that is logged in the block say which request it belongs to; give what is noted of it."""
    found = {"request_id": request_id}
    token = _noted.set(found)
    try:
        yield found
    finally:
        _noted.reset(token)


def note(**values: object) -> None:
    """Have the lines of the present request say more about it; outside of one, do nothing.

    Args:
        values: Ids, never secrets.
    """
    found = _noted.get(None)
    if found is not None:
        found.update({name: str(value) for name, value in values.items()})


def noted(name: str) -> str | None:
    """Return what was noted of the present request under a name."""
    return _noted.get({}).get(name)


def trace_with(fields: Callable[[], Mapping[str, str]] | None) -> None:
    """Have each line of this process say which trace it belongs to.

    Args:
        fields: Called for each line, where it is written; None: no line says so any more.
    """
    global _traced  # noqa: PLW0603 - of the process, as its log is
    _traced = fields or dict


def scrub(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Blot out what looks like a secret in every text of a line."""
    return {name: _blotted(value) for name, value in event.items()}


def configure(form: Literal["text", "json"] = "text") -> None:
    """Send this process's log to standard error. For programs, once, at their start.

    Args:
        form: Lines for people, or one JSON object a line.
    """
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_noted,
        structlog.processors.format_exc_info,
        scrub,
    ]
    last: Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def _add_noted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {**event, **_traced(), **_noted.get({})}


def _blotted(value: Any) -> Any:
    if isinstance(value, str):
        return SECRETS.sub(lambda found: "".join(each or "" for each in found.groups()) + "[secret]", value)
    return value
