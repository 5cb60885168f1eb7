"""Where a request comes from: the peer's address, or what a proxy that is trusted says of it."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

from litestar.types import Scope

UNKNOWN = "unknown"
FORWARDED_FOR, FORWARDED_PROTO = b"x-forwarded-for", b"x-forwarded-proto"
# Whoever has an IPv6 address has at least 2**64 of them (RFC 6177): the network is who asks.
IPV6_PREFIX = 64


class Addresses:
    """Tells the address of whoever asks; `X-Forwarded-*` counts from listed proxies alone."""

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        """`proxies` are addresses and networks, such as 10.0.0.0/8."""
        self._proxies = tuple(ip_network(one, strict=False) for one in proxies)

    def of(self, scope: Scope) -> str:
        """Return the nearest address that is not a proxy's, `unknown` where there is none."""
        peer = peer_of(scope)
        if not self._proxies or not self._trusted(peer):
            return peer
        hops = ",".join(values(scope, FORWARDED_FOR)).split(",")
        for hop in reversed([text.strip() for text in hops if text.strip()]):
            found = read(hop)
            if found is None:
                return peer  # a proxy would not have written it
            peer = str(found)
            if not self._trusted(peer):
                break
        return peer

    def secure(self, scope: Scope) -> bool:
        """Tell whether the client spoke TLS: with this server, or with a trusted proxy."""
        if scope.get("scheme") == "https":
            return True
        if not self._proxies or not self._trusted(peer_of(scope)):
            return False
        return values(scope, FORWARDED_PROTO)[-1:] == ["https"]

    def _trusted(self, address: str) -> bool:
        found = read(address)
        return found is not None and any(found in network for network in self._proxies)


def peer_of(scope: Scope) -> str:
    """Return the other end of the connection."""
    client: Any = scope.get("client")
    return str(client[0]) if client else UNKNOWN


def values(scope: Scope, name: bytes) -> list[str]:
    """Return all lines of a header, in order."""
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]


def read(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address; IPv4 within IPv6 is IPv4. None if the text is none."""
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


def network_of(address: str) -> str:
    """Return what is counted together: an IPv4 address, or the /64 of an IPv6 one."""
    found = read(address)
    if isinstance(found, IPv6Address):
        return str(IPv6Network((found, IPV6_PREFIX), strict=False))
    return address if found is None else str(found)
