"""Which servers there are behind a URL, and which of them serves which hash slots."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hiredis import ReplyError
from redis.crc import REDIS_CLUSTER_HASH_SLOTS

from keel.redis.connections import Opener
from keel.redis.contract import RedisUnavailable
from keel.redis.link import Link
from keel.redis.urls import Address, Kind, Target

SLOTS: Final = REDIS_CLUSTER_HASH_SLOTS
_ASK_S: Final = 1.0
"""How long one server is given to say where the others are."""
_PERIOD_S: Final = 1.0


@dataclass(frozen=True, slots=True, order=True)
class Range:
    """Slots from `first` to `last`, both included, and the master that serves them."""

    first: int
    last: int
    master: Address


Layout = tuple[Range, ...]


class Topology(Protocol):
    """Finds the servers."""

    @property
    def period_s(self) -> float | None:
        """How often to look again when all is well; None: never, there is nothing to find."""

    async def find(self, links: Sequence[tuple[Address, Link]]) -> Layout:
        """Where the masters are, asked of `links` where they know; raises RedisUnavailable."""

    def close(self) -> None:
        """Be done with it."""


class Standalone:
    """One server at one address."""

    period_s: float | None = None

    def __init__(self, target: Target) -> None:
        self._layout = (Range(0, SLOTS - 1, target.addresses[0]),)

    async def find(self, links: Sequence[tuple[Address, Link]]) -> Layout:  # noqa: ARG002 - as every topology
        """Where the URL says."""
        return self._layout

    def close(self) -> None:
        """Nothing is open."""


class Sentinels:
    """A master that Sentinels watch over: https://redis.io/docs/latest/develop/reference/sentinel-clients/."""

    period_s: float | None = _PERIOD_S

    def __init__(self, target: Target, opener: Opener) -> None:
        self._service = target.service
        self._addresses = list(target.addresses)
        self._opener = opener
        self._link: Link | None = None

    async def find(self, links: Sequence[tuple[Address, Link]]) -> Layout:  # noqa: ARG002 - as every topology
        """Ask the Sentinel that answered last, then the others."""
        trouble = "no Sentinel answers"
        for address in list(self._addresses):
            try:
                async with asyncio.timeout(_ASK_S):
                    return self._layout(await self._ask(address))
            except (RedisUnavailable, TimeoutError) as error:
                trouble = f"Sentinel {address}: {error.reason if isinstance(error, RedisUnavailable) else 'silent'}"
            self._addresses.append(self._addresses.pop(0))
            self.close()
        raise RedisUnavailable(trouble)

    def close(self) -> None:
        """Drop the connection to a Sentinel."""
        if self._link is not None:
            self._link.cut("closed")
            self._link = None

    async def _ask(self, address: Address) -> Any:  # noqa: ANN401 - whatever it says
        if self._link is None or self._link.is_cut:
            self._link = await self._opener.open(address, _unexpected, sentinel=True)
        return await self._link.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service)

    def _layout(self, answer: object) -> Layout:
        match answer:
            case [bytes() as host, bytes() as port]:
                return (Range(0, SLOTS - 1, Address(host.decode(), int(port))),)
            case ReplyError():
                raise RedisUnavailable(str(answer))
        raise RedisUnavailable(f"it does not know the service {self._service}")


class Cluster:
    """A cluster, by CLUSTER SLOTS of any of its nodes."""

    period_s: float | None = _PERIOD_S

    def __init__(self, target: Target, opener: Opener) -> None:
        self._seeds = target.addresses
        self._known: tuple[Address, ...] = ()
        self._opener = opener

    async def find(self, links: Sequence[tuple[Address, Link]]) -> Layout:
        """Ask the masters that are connected, then any other node that was ever named."""
        for address, link in links:
            if layout := await self._ask(address, link):
                return layout
        for address in dict.fromkeys(self._seeds + self._known):
            if layout := await self._call_upon(address):
                return layout
        raise RedisUnavailable("no node of the cluster can say who serves what")

    def close(self) -> None:
        """Nothing stays open."""

    async def _call_upon(self, address: Address) -> Layout:
        try:
            async with asyncio.timeout(_ASK_S):
                link = await self._opener.open(address, _unexpected)
        except (RedisUnavailable, TimeoutError):
            return ()
        try:
            return await self._ask(address, link)
        finally:
            link.cut("asked")

    async def _ask(self, address: Address, link: Link) -> Layout:
        try:
            async with asyncio.timeout(_ASK_S):
                state, slots = await asyncio.gather(link.ask("CLUSTER", "INFO"), link.ask("CLUSTER", "SLOTS"))
        except (RedisUnavailable, TimeoutError):
            return ()
        if not isinstance(slots, list) or (isinstance(state, bytes) and b"cluster_state:ok" not in state):
            return ()
        self._known = tuple(_address(node, address) for _, _, *nodes in slots for node in nodes)
        return tuple(sorted(Range(first, last, _address(master, address)) for first, last, master, *_ in slots))


def topology(target: Target, opener: Opener) -> Topology:
    """The kind that the URL asks for."""
    match target.kind:
        case Kind.STANDALONE:
            return Standalone(target)
        case Kind.SENTINEL:
            return Sentinels(target, opener)
        case Kind.CLUSTER:
            return Cluster(target, opener)


def _address(node: Sequence[Any], asked: Address) -> Address:
    """A node's address; one that does not know its own name is reached as the node that was asked."""
    host = node[0]
    return Address(asked.host if host in {None, b"", b"?"} else host.decode(), node[1])


def _unexpected(_push: list[Any]) -> None:
    """Nothing is tracked here."""
