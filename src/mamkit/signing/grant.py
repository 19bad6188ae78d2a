"""What a token allows, and the one text that says so."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Self

from mamkit.signing.errors import InvalidGrantError

__all__ = ["ANY_ADDRESS", "Grant", "is_plain_key"]

ANY_ADDRESS = "*"
"""Stands for no bound address in the text of a grant."""

_MAX_KEY_BYTES = 1024  # as an object store has it
_MAX_TEXT_BYTES = 2048  # of a whole grant; its token then has less than 3 KiB, which every proxy takes in a URL
_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f\\\ud800-\udfff]|%[0-9A-Fa-f]{2}")
_METHOD = re.compile(r"[A-Z]{3,16}")  # no registered method is shorter: IANA HTTP Method Registry
_CONDITION = re.compile(r"[a-z][a-z0-9-]{0,31}")
_VALUE = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
_BAD_SEGMENTS = frozenset({"", ".", ".."})
_SECONDS = re.compile(r"0|[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """The right to use some methods on one key, or on all keys below a prefix, until a time.

    Raises:
        InvalidGrantError: A field is not what it is said to be below, or all of them together are longer than 2 KiB.
    """

    scope: str
    """A key, or, if it ends with a slash, the start of all keys that are granted; see `is_plain_key`."""
    expires_at: datetime
    """Aware; kept in UTC and in whole seconds, rounded down."""
    methods: frozenset[str] = frozenset({"GET", "HEAD"})
    """Names of HTTP methods, capital letters."""
    address: IPv4Network | IPv6Network | None = None
    """Where the client must be; None for anywhere."""
    conditions: Mapping[str, str] = field(default_factory=dict)
    """What else the verifier's caller must hold the request against, e.g. `length` and `type` of an upload. A name is a
    lower-case letter and up to 31 letters, digits and hyphens; a value is text without control characters."""
    _text: str = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_plain_key(self.scope.removesuffix("/")):
            raise InvalidGrantError("a scope", "it is no plain key, with or without a slash at its end")
        if self.expires_at.utcoffset() is None:
            raise InvalidGrantError("an expiry", "it has no time zone")
        if not isinstance(self.address, IPv4Network | IPv6Network | None):
            raise InvalidGrantError("an address", "it is no network, such as ipaddress.ip_network('192.0.2.7')")
        methods = frozenset(self.methods)
        seconds = self.expires_at.astimezone(UTC).replace(microsecond=0)
        timestamp = int(seconds.timestamp())
        if timestamp < 0:
            raise InvalidGrantError("an expiry", "it is before 1970")
        text = f"{timestamp}\n{self.scope}\n{_write_methods(methods)}\n{self.address or ANY_ADDRESS}"
        text += self._sort_conditions() if self.conditions else ""
        if len(text.encode()) > _MAX_TEXT_BYTES:
            raise InvalidGrantError("many or long fields", f"the limit is {_MAX_TEXT_BYTES} bytes for all together")
        object.__setattr__(self, "expires_at", seconds)
        object.__setattr__(self, "methods", methods)
        object.__setattr__(self, "_text", text)

    def _sort_conditions(self) -> str:
        for name, value in self.conditions.items():
            if not _CONDITION.fullmatch(name) or not _VALUE.fullmatch(value):
                raise InvalidGrantError(
                    "conditions", f"{name!r:.40} or its value is not as such a name or value must be"
                )
        object.__setattr__(self, "conditions", dict(sorted(self.conditions.items())))
        return "".join(f"\n{name}={value}" for name, value in self.conditions.items())

    def covers(self, key: str) -> bool:
        """Return whether the scope grants a key, which is plain."""
        if not is_plain_key(key):
            return False
        return key.startswith(self.scope) if self.scope.endswith("/") else key == self.scope

    def admits(self, address: str | None) -> bool:
        """Return whether a client at this address may use the grant; where an address is bound, an unknown one may not.

        An IPv4 address in IPv6 clothes (`::ffff:192.0.2.1`, RFC 4291 section 2.5.5.2) counts as what it is.
        """
        if self.address is None:
            return True
        try:
            client = ip_address(address or "")
        except ValueError:
            return False
        return (getattr(client, "ipv4_mapped", None) or client) in self.address

    def text(self) -> str:
        """Return the grant as text, one field a line, the same for equal grants."""
        return self._text

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the grant that a text stands for.

        Raises:
            InvalidGrantError: It is not the text of any grant.
        """
        # Each line is checked to be the one spelling of its field, which is three times as fast as writing it anew.
        try:
            seconds, scope, methods, address, *conditions = text.split("\n")
            if not _SECONDS.fullmatch(seconds) or len(text.encode()) > _MAX_TEXT_BYTES:
                raise InvalidGrantError("an expiry", "it is no number of seconds, or the text is too long")
            if not is_plain_key(scope.removesuffix("/")):
                raise InvalidGrantError("a scope", "it is no plain key, with or without a slash at its end")
            grant, fill = object.__new__(cls), object.__setattr__
            fill(grant, "scope", scope)
            fill(grant, "expires_at", datetime.fromtimestamp(int(seconds), UTC))
            fill(grant, "methods", _read_methods(methods))
            fill(grant, "address", None if address == ANY_ADDRESS else _read_address(address))
            fill(grant, "conditions", _read_conditions(conditions) if conditions else {})
            fill(grant, "_text", text)
        except (ValueError, OverflowError, OSError) as error:
            raise InvalidGrantError("a text", "it does not have the fields of a grant") from error
        return grant


@lru_cache(maxsize=256)  # a service uses a handful
def _write_methods(methods: frozenset[str]) -> str:
    if not methods or not all(map(_METHOD.fullmatch, methods)):
        raise InvalidGrantError("methods", "they must be a set of names in capital letters, and not empty")
    return ",".join(sorted(methods))


@lru_cache(maxsize=256)
def _read_methods(text: str) -> frozenset[str]:
    """Return the methods of a line.

    Raises:
        ValueError: They are written otherwise than `Grant.text` does.
    """
    names = text.split(",")
    if names != sorted(set(names)) or not all(map(_METHOD.fullmatch, names)):
        raise ValueError("methods are not spelled as they must be")
    return frozenset(names)


@lru_cache(maxsize=1024)
def _read_address(text: str) -> IPv4Network | IPv6Network:
    network = ip_network(text)
    if str(network) != text:
        raise ValueError("the same network is written otherwise")
    return network


def _read_conditions(lines: list[str]) -> dict[str, str]:
    pairs = [(name, value) for name, _, value in (line.partition("=") for line in lines)]
    conditions = dict(pairs)
    if list(conditions) != sorted(conditions) or len(conditions) != len(pairs):
        raise ValueError("conditions are not in order, or one is there twice")
    if not all(_CONDITION.fullmatch(name) and _VALUE.fullmatch(value) for name, value in pairs):
        raise ValueError("a condition is not as it must be")
    return conditions


def is_plain_key(key: object) -> bool:
    """Return whether a key means the same to everybody on the way: client, proxy, verifier and store.

    It is text, relative, has 1 to 1024 bytes of UTF-8 and no empty, "." or ".." segment, no backslash, no control
    character, and nothing like `%2e`, which somebody might decode once more. Keys are compared byte by byte: letters
    that look alike but are encoded otherwise (Unicode's NFC and NFD) are different, and nobody may normalise them.
    """
    if not isinstance(key, str) or _UNSAFE.search(key):
        return False
    if len(key) * 4 > _MAX_KEY_BYTES and len(key.encode()) > _MAX_KEY_BYTES:  # a character has at most 4 bytes
        return False
    return _BAD_SEGMENTS.isdisjoint(key.split("/"))
