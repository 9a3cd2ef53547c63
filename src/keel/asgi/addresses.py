"""From which address a request comes, where proxies stand between: what they say counts as far as they are trusted.

`X-Forwarded-For` is read from the right: the last address was written by the proxy next to us, the one before by the
proxy before it, and what stands to the left of the first one that is not trusted anybody can have written.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, Self

from starlette.types import ASGIApp, Receive, Scope, Send

UNIX: Final = "unix"
"""Stands for a peer on a Unix socket, which has no address."""
_HEADER: Final = b"x-forwarded-for"
_MOST_HOPS: Final = 32
_IPV6_BITS: Final = 64
Address = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """Proxies in front of this server: those in `networks`, or else that many `hops`, whatever their addresses."""

    networks: tuple[IPv4Network | IPv6Network, ...] = ()
    hops: int = 0
    by_socket: bool = False

    @classmethod
    def parse(cls, words: Iterable[str]) -> Self:
        """`10.0.0.0/8`, `127.0.0.1`, `unix`, or one number of hops; raises ValueError for anything else."""
        given = list(words)
        if len(given) == 1 and given[0].isdigit():
            hops = int(given[0])
            if hops > _MOST_HOPS:
                raise ValueError(f"{hops} proxies in a row are not believed")
            return cls(hops=hops)
        networks = tuple(ip_network(word) for word in given if word != UNIX)
        return cls(networks, by_socket=UNIX in given)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """The address that is farthest away and still believed.

        `peer` is who is connected (empty on a Unix socket), `forwarded` what `X-Forwarded-For` lists. What is no
        address ends the walk: whoever passed it on is then all that is known.
        """
        if self.hops:
            believed = _first_sound(peer, list(reversed(forwarded))[: self.hops])
            return believed[-1]
        at = peer
        for said in reversed(forwarded):
            if not self._trusts(at) or (address := read_address(said)) is None:
                return at
            at = str(address)
        return at

    def _trusts(self, address: str) -> bool:
        if not address:
            return self.by_socket
        known = read_address(address)
        return known is not None and any(known in network for network in self.networks)


class ClientAddresses:
    """The middleware: everything further in sees in `scope["client"]` who asks, not the proxy."""

    def __init__(self, app: ASGIApp, trusted: TrustedProxies) -> None:
        self._app = app
        self._trusted = trusted
        self._is_needed = trusted != TrustedProxies()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on with the address of who asks."""
        if self._is_needed and scope["type"] != "lifespan":
            scope = seen_through(self._trusted, scope)
        await self._app(scope, receive, send)


def seen_through(trusted: TrustedProxies, scope: Scope) -> Scope:
    """The scope, with the address of who asks."""
    peer = scope.get("client")
    said = [value.decode("latin-1") for name, value in scope["headers"] if name == _HEADER]
    if said:
        forwarded = [each.strip() for each in ",".join(said).split(",")]
        address = trusted.client(peer[0] if peer else "", forwarded)
        if address and (peer is None or address != peer[0]):
            return {**scope, "client": (address, 0)}
    return scope


def read_address(text: str) -> Address | None:
    """An address as proxies write it: plain, `[v6]`, with a port or without; None where it is none."""
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def counted_as(address: str) -> str:
    """Under which name an address is counted: of IPv6 the /64, all of which belongs to one subscriber (RFC 6177)."""
    known = read_address(address)
    if isinstance(known, IPv6Address):
        return f"{ip_network((known, _IPV6_BITS), strict=False)}"
    return str(known or address)


def _first_sound(peer: str, said: Sequence[str]) -> list[str]:
    """The peer and what was said from near to far, up to what is no address."""
    found = [peer]
    for each in said:
        address = read_address(each)
        if address is None:
            break
        found.append(str(address))
    return found
