"""What a check looks at, and what it tells."""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal, TypeVar
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from mamkit_apps.api.settings import ApiSettings
from mamkit_apps.edge.settings import EdgeSettings
from mamkit_apps.settings import ServiceSettings, SettingsError
from mamkit_apps.worker.settings import WorkerSettings

__all__ = ["Check", "Finding", "Patient", "State", "clock_finding", "failed", "ok", "skipped", "warning"]

S = TypeVar("S", bound=ServiceSettings)

State = Literal["ok", "warning", "failed", "skipped"]

# Tokens are taken 5 s around their time (mamkit.auth.tokens), so beyond that logins fail; S3 refuses after 15 minutes.
SKEW_FAILS = timedelta(seconds=5)
SKEW_WARNS = timedelta(seconds=2)  # the Date header of HTTP has whole seconds, so that less may be rounding
SHOWN_FROM = 4  # characters; a shorter "secret" would blot out half of every message


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    check: str = ""
    """The check's stable name."""
    state: State
    detail: str
    """What is so; holds no secret."""
    remedy: str = ""
    """What to do; empty where nothing is."""


@dataclass(frozen=True, kw_only=True)
class Patient:
    """An installation as this process's environment describes it."""

    settings: ServiceSettings | None
    """What all services share; None if that alone cannot be used."""
    api: ApiSettings | None
    edge: EdgeSettings | None
    worker: WorkerSettings | None
    faults: tuple[str, ...] = ()
    """What is wrong with the settings, each fault once."""
    least_room: int = 1 << 30
    """Bytes of disk that must be free."""
    secrets: frozenset[str] = field(default=frozenset(), repr=False)
    """Texts that no finding may show."""

    @classmethod
    def load(cls, data_dir: Path | None = None, *, least_room: int = 1 << 30) -> "Patient":
        """Read the settings of all services; what cannot be used is kept as a fault.

        Args:
            data_dir: The installation; None is the environment's.
            least_room: Bytes of disk that must be free.
        """
        faults: dict[str, None] = {}
        shared = _load(ServiceSettings, data_dir, faults)
        api = _load(ApiSettings, data_dir, faults)
        edge = _load(EdgeSettings, data_dir, faults)
        worker = _load(WorkerSettings, data_dir, faults)
        return cls(
            settings=shared,
            api=api,
            edge=edge,
            worker=worker,
            faults=tuple(faults),
            least_room=least_room,
            secrets=frozenset(_secrets(each for each in (shared, api, edge, worker) if each is not None)),
        )

    def shared(self) -> ServiceSettings:
        """Return what all services share."""
        assert self.settings is not None  # noqa: S101 - without it only checks run that do not ask
        return self.settings

    @property
    def embedded(self) -> bool:
        """Whether everything is on this machine: no setting names a database elsewhere."""
        return self.shared().database_url is None

    def discreet(self, finding: Finding) -> Finding:
        """Return a finding with every secret in it blotted out."""
        detail, remedy = finding.detail, finding.remedy
        for secret in sorted(self.secrets, key=len, reverse=True):
            detail, remedy = detail.replace(secret, "•••"), remedy.replace(secret, "•••")
        return replace(finding, detail=" ".join(detail.split()), remedy=" ".join(remedy.split()))


Check = Callable[[Patient], Finding]
"""Looks at one thing; named by its function. Whatever it raises counts as failed."""


def ok(detail: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(state="ok", detail=detail)


def warning(detail: str, remedy: str) -> Finding:
    """Return that something works and should be different."""
    return Finding(state="warning", detail=detail, remedy=remedy)


def failed(detail: str, remedy: str) -> Finding:
    """Return that something does not work."""
    return Finding(state="failed", detail=detail, remedy=remedy)


def skipped(detail: str) -> Finding:
    """Return that there is nothing to look at."""
    return Finding(state="skipped", detail=detail)


def clock_finding(theirs: datetime, *, before: datetime, after: datetime, of: str) -> Finding:
    """Judge how far another clock is from this machine's, as far as that can be told: an answer may take its time.

    Args:
        theirs: What the other clock said.
        before: This machine's clock when it was asked.
        after: The same, when the answer was there.
        of: Whose the other clock is.
    """
    skew = min(theirs - before, timedelta(0)) + max(theirs - after, timedelta(0))
    seconds = skew.total_seconds()
    detail = f"{of} is {abs(seconds):.1f} s {'ahead of' if seconds >= 0 else 'behind'} this machine"
    remedy = "let both machines keep time by NTP (chrony or systemd-timesyncd)"
    if abs(skew) > SKEW_FAILS:
        return failed(detail, remedy)
    return warning(detail, remedy) if abs(skew) > SKEW_WARNS else ok(detail)


def _load(kind: type[S], data_dir: Path | None, faults: dict[str, None]) -> S | None:
    try:
        return kind.load() if data_dir is None else kind.load(data_dir=data_dir)
    except SettingsError as error:
        faults.update(dict.fromkeys(str(error).split("; ")))
        return None


def _secrets(settings: Iterable[ServiceSettings]) -> Iterator[str]:
    """Yield every secret, the password within it if it is a URL, and those of S3."""
    values = [os.environ.get(name, "") for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")]
    for each in settings:
        values += [value.get_secret_value() for value in dict(each).values() if isinstance(value, SecretStr)]
    for value in values:
        try:
            password = urlsplit(value).password or ""
        except ValueError:
            password = ""
        yield from (text for text in {value, password, unquote(password)} if len(text) >= SHOWN_FROM)
