"""Which addresses of other people's choosing the services may connect to: public ones.

A URL that a user gives makes us ask in their place, from inside of a network that they cannot reach themselves (server
side request forgery). A look at the name beforehand helps nothing: the name can lead elsewhere a moment later. So the
address is looked at that a name was resolved to, and that very address is connected to; see
`mamkit_apps.outgoing.GuardedClient`.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

from mamkit.errors import MamkitError

__all__ = ["AddressGuard", "DestinationRefusedError", "Resolver"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a name and a port, as text; raises `OSError` if there are none."""

MAX_URL = 2048  # characters
WEB_PORTS = frozenset({80, 443, 8080, 8443})  # IANA's http, https, http-alt and what many use beside 443

# Everything but these is refused in IPv6: RFC 4291 section 2.4, the only global unicast addresses that IANA has given.
GLOBAL_IPV6 = IPv6Network("2000::/3")

# "Globally Reachable: False" in IANA's special-purpose registries (RFC 6890), and what leads to other addresses.
SPECIAL: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",  # metadata services of clouds answer here
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "168.63.129.16/32",  # a public address that Azure answers inside of its networks alone
        "2001::/23",  # Teredo, ORCHID and other assignments of protocols
        "2001:db8::/32",
        "2002::/16",  # 6to4 holds an IPv4 address
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
# Where a network has no IPv4, its resolver gives these for hosts that have nothing else (RFC 6052): the address that
# one holds counts. All other ways to write an IPv4 address in an IPv6 one are outside of 2000::/3, or above.
NAT64 = IPv6Network("64:ff9b::/96")


class DestinationRefusedError(MamkitError):
    """A URL leads to where the services do not go; the message says why, and no address that a name was resolved to.

    Attributes:
        host: Of the URL; empty if it has none.
    """

    code = "apps.destination_refused"

    def __init__(self, reason: str, *, host: str = "") -> None:
        super().__init__(f"the URL is refused: {reason}")
        self.host = host


async def _resolve(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class AddressGuard:
    """Says where the services may go on behalf of somebody.

    Args:
        allowed: Networks that are not public and still may be gone to, at any port and without TLS.
        resolve: Resolves names; the system's own way if it is not given.
    """

    def __init__(self, allowed: Iterable[Network] = (), *, resolve: Resolver = _resolve) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve

    def check_url(self, url: str) -> SplitResult:
        """Return the parts of a URL that may be used; where its name leads is looked at when it is connected to.

        Args:
            url: `https://host[:port]/…`; `http` is for public addresses too, since nothing secret has to be in it.

        Raises:
            DestinationRefusedError: It is no such URL, holds a user or a password or what ends a header, is longer than
                2048 characters, or names an address or a port that is refused.
        """
        if len(url) > MAX_URL or not url.isascii() or any(character <= " " or character == "\x7f" for character in url):
            raise DestinationRefusedError("it is too long, or holds blanks or what is not ASCII")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise DestinationRefusedError("it is malformed") from None
        host = parts.hostname or ""
        if parts.scheme not in {"http", "https"} or not host or "\\" in url or "%" in host:
            raise DestinationRefusedError("it is no http or https URL with a host")
        if "@" in parts.netloc or parts.fragment:
            raise DestinationRefusedError("it holds a user, a password or a fragment", host=host)
        literal = _literal(host)
        if literal is not None:
            self.check(literal, port or _default_port(parts.scheme), host=host)
        elif port is not None and port not in WEB_PORTS and not self._allowed:
            raise DestinationRefusedError(f"port {port} is none of the web's", host=host)
        return parts

    def check(self, address: Address, port: int, *, host: str = "") -> None:
        """Return if an address may be connected to.

        Args:
            address: Where to.
            port: 1 to 65535.
            host: As the URL names it; for the error.

        Raises:
            DestinationRefusedError: It is not public and not allowed, or the port is none of the web's.
        """
        plain = _plain(address)
        if any(each in network for network in self._allowed for each in (address, plain)):
            return
        # The address as it is written: a mapped one is not global, whatever it holds.
        if not _is_public(address):
            raise DestinationRefusedError("its host leads to no public address", host=host)
        if port not in WEB_PORTS:
            raise DestinationRefusedError(f"port {port} is none of the web's", host=host)

    async def addresses(self, host: str, port: int) -> list[Address]:
        """Return the addresses of a name, each of which may be connected to, in the resolver's order.

        Names that lead to a public address *and* to another are refused as a whole: nobody needs them but attackers.

        Raises:
            DestinationRefusedError: One of them may not be connected to, or there are none.
        """
        try:
            found = [ip_address(text) for text in await self._resolve(host, port)]
        except (OSError, ValueError, UnicodeError):
            found = []
        if not found:  # not told apart, so that nobody learns which names there are inside
            raise DestinationRefusedError("its host leads to no public address", host=host)
        for address in found:
            self.check(address, port, host=host)
        return found


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _plain(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 one holds, as the system would connect to it."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in NAT64:
            return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        if address in NAT64:
            return _is_public(_plain(address))
        if address.scope_id is not None or address not in GLOBAL_IPV6:
            return False
    return not any(address in network for network in SPECIAL)
