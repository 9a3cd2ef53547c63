"""Which server a command goes to, and where it goes next when that one sends it on."""

import asyncio
import hashlib
import logging
import time
from collections.abc import Iterable
from typing import Any, Final, Protocol

from hiredis import ReplyError
from redis.crc import key_slot

from keel.redis.connections import Opener
from keel.redis.contract import Argument, RedisUnavailable
from keel.redis.link import Request, Unheard, packed
from keel.redis.node import Node
from keel.redis.observer import Observer, State
from keel.redis.pushline import Hearer, Wishes
from keel.redis.topology import SLOTS, Layout, Topology
from keel.redis.urls import Address
from keel.tasks import Tasks

_LOG: Final = logging.getLogger(__name__)
MOST_HOPS: Final = 5
_RETRY_S: Final = 0.01
_SOON_S: Final = 0.05
"""Between two looks for the servers, however many doubts there are."""
_DOWN_PERIOD_S: Final = 0.25
_AWAY: Final = {"READONLY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"}


class Call(Request):
    """A command of a caller's. `instead` is sent where the server has forgotten the script that the command names."""

    __slots__ = ("hops", "instead", "key", "node", "router")

    router: "Router"
    key: Argument | None
    node: Node
    hops: int
    instead: tuple[Argument, ...] | None

    def refuse(self, error: ReplyError) -> None:
        """The server answered with an error, which may be advice."""
        if not self.router.advised(self, str(error)):
            super().refuse(error)


class Owner(Hearer, Protocol):
    """Whoever calls."""

    def servers_changed(self, *, anew: bool) -> None:
        """A server came or went, or the slots moved. `anew`: a connection was made."""


class Router:
    """The servers behind one URL."""

    def __init__(
        self,
        topology: Topology,
        opener: Opener,
        owner: Owner,
        observer: Observer,
        tasks: Tasks,
        *,
        in_cluster: bool,
    ) -> None:
        self.masters: tuple[Node, ...] = ()
        self.settled = asyncio.Event()
        self.reason = "its servers are not known yet"
        self._topology = topology
        self._opener = opener
        self._owner = owner
        self._observer = observer
        self._tasks = tasks
        self._in_cluster = in_cluster
        self._loop = asyncio.get_running_loop()
        self._layout: Layout = ()
        self._nodes: dict[Address, Node] = {}
        self._by_slot: list[Node | None] = [None] * SLOTS
        self._covered = False
        self._doubtful = asyncio.Event()

    @property
    def state(self) -> State:
        """How all of them stand together."""
        states = {node.state for node in self.masters}
        if not self.masters or State.DOWN in states or not self._covered:
            return State.DOWN
        return State.MENDING if State.MENDING in states else State.UP

    @property
    def identity(self) -> str:
        """A fingerprint of the masters' run ids and of what they serve."""
        runs = sorted(node.facts.run_id for node in self.masters)
        return hashlib.blake2b(repr((runs, self._layout)).encode(), digest_size=16).hexdigest()

    @property
    def tracks(self) -> bool:
        """Whether every master tells of changes by client tracking."""
        return all(node.facts.tracks for node in self.masters)

    @property
    def confirms_tracking(self) -> bool:
        """Whether every master says again and again what it tracks."""
        return bool(self.masters) and all(node.pushes.confirms for node in self.masters)

    def node_for(self, key: Argument | None) -> Node | None:
        """The master that serves a key (any, where there is none); None where nobody does."""
        if len(self.masters) == 1 and not self._in_cluster:
            return self.masters[0]
        if key is None:
            return self.masters[0] if self.masters else None
        return self._by_slot[slot_of(key)]

    def send(self, call: Call) -> None:
        """Send a call on its way."""
        node = self.node_for(call.key)
        if node is None:
            call.fail(self.reason if not self.masters else "nobody serves its slot")
            return
        call.node = node
        node.send(call)

    def flush(self, key: Argument) -> None:
        """Write what was sent to the key's master in this tick."""
        node = self.node_for(key)
        if node is not None:
            node.flush()

    def wish(self, prefixes: frozenset[str], channels: Iterable[bytes]) -> None:
        """Have every master send the changes under `prefixes`, and each the messages of its `channels`."""
        places = {node: set[bytes]() for node in self.masters}
        for channel in channels:
            if (node := self.node_for(channel)) in places:
                places[node].add(channel)
        for node, its in places.items():
            node.pushes.wish(Wishes(prefixes, not self.tracks, frozenset(its), self._in_cluster))

    def is_tracked(self, prefix: str) -> bool:
        """Whether every change under a prefix is heard."""
        return self._covered and bool(self.masters) and all(prefix in node.pushes.tracked for node in self.masters)

    def hears(self, channel: bytes) -> bool:
        """Whether a channel's messages are heard."""
        node = self.node_for(channel)
        return node is not None and channel in node.pushes.heard_channels

    def advised(self, call: Call, error: str) -> bool:
        """Do what an error advises, if it does; else the caller gets it."""
        code, _, rest = error.partition(" ")
        if code == "NOSCRIPT" and call.instead is not None:
            call.packed, call.instead = packed(*call.instead), None
            call.node.send(call)
        elif code in _AWAY:
            call.fail(error)
            call.node.trip(error)
        elif code == "BUSY":
            call.fail(error)
        elif code == "TRYAGAIN":
            self._loop.call_later(_RETRY_S, self._again, call)
        elif code in {"MOVED", "ASK"} and self._in_cluster:
            self._redirect(call, code, rest)
        else:
            return False
        return True

    def node_came(self, node: Node) -> None:
        """A server can be called (anew)."""
        if node in self.masters:
            self._owner.servers_changed(anew=True)
            self._settle()

    def node_went(self, node: Node) -> None:
        """A server is in doubt, or away."""
        self.doubt()
        if node in self.masters:
            self._owner.servers_changed(anew=False)
            self._settle()

    def heard(self, push: list[Any]) -> None:
        """A push of a server's."""
        self._owner.heard(push)

    def subscribed(self, channel: bytes) -> None:
        """A server has begun to send a channel's messages."""
        self._owner.subscribed(channel)

    def tracking_changed(self) -> None:
        """A server tracks more or less."""
        self._owner.tracking_changed()

    def doubt(self) -> None:
        """Look for the servers again, soon."""
        self._doubtful.set()

    async def follow(self) -> None:
        """Look for the servers, again and again; ends at once where there is only one place to look."""
        while True:
            self._doubtful.clear()
            await self._look()
            if self._topology.period_s is None:
                return
            await asyncio.sleep(_SOON_S)
            period_s = self._topology.period_s if self.state is State.UP else _DOWN_PERIOD_S
            try:
                async with asyncio.timeout(period_s):
                    await self._doubtful.wait()
            except TimeoutError:
                continue

    def close(self) -> None:
        """Be done with all of them."""
        self._topology.close()
        for node in self._nodes.values():
            node.close()

    async def _look(self) -> None:
        links = [(node.address, node.link) for node in self.masters if node.link is not None]
        try:
            layout = await self._topology.find(links)
            self._check(layout)
        except RedisUnavailable as error:
            if error.reason != self.reason:
                self.reason = error.reason
                _LOG.warning("redis: looking for the servers failed: %s", error.reason)
            self.settled.set()
        else:
            self._follow(layout)

    def _check(self, layout: Layout) -> None:
        needed = 2 * len({each.master for each in layout})
        if needed > self._opener.most:
            allowed = f"{self._opener.most} connections are allowed"
            raise RedisUnavailable(f"there are {needed // 2} masters, which take {needed}, and {allowed}")

    def _follow(self, layout: Layout) -> None:
        masters = {each.master for each in layout}
        changed = layout != self._layout
        for address, node in list(self._nodes.items()):
            if address not in masters and (node in self.masters or node.idle):
                node.close()
                del self._nodes[address]
        if not changed:
            return
        self._layout = layout
        self.masters = tuple(self._node_at(address) for address in sorted(masters, key=str))
        self._by_slot = [None] * SLOTS
        for each in layout:
            self._by_slot[each.first : each.last + 1] = [self._nodes[each.master]] * (each.last + 1 - each.first)
        self._covered = None not in self._by_slot
        self._owner.servers_changed(anew=False)

    def _node_at(self, address: Address) -> Node:
        """The server at an address, met before or not."""
        if (node := self._nodes.get(address)) is None:
            node = Node(address, self._opener, self, self._observer, in_cluster=self._in_cluster)
            self._nodes[address] = node
            node.start(self._tasks)
        return node

    def _settle(self) -> None:
        if self.state is not State.MENDING:
            self.settled.set()

    def _redirect(self, call: Call, code: str, rest: str) -> None:
        """Follow `MOVED slot host:port` or `ASK slot host:port`; the host is left out where it is the same."""
        if code == "MOVED":
            self.doubt()
        call.hops += 1
        if call.hops > MOST_HOPS:
            call.fail("it was sent from server to server")
            return
        slot, _, place = rest.partition(" ")
        host, _, port = place.rpartition(":")
        node = self._node_at(Address(host or call.node.address.host, int(port)))
        call.node = node
        if code == "MOVED":
            self._by_slot[int(slot)] = node
            node.send(call)
        else:
            node.send(Unheard("ASKING"), call)

    def _again(self, call: Call) -> None:
        if call.deadline <= time.monotonic():
            call.fail("no answer in time")
        elif not call.future.done():
            call.hops = 0
            self.send(call)


def slot_of(key: Argument) -> int:
    """The hash slot of a key, by its `{tag}` where it has one (cluster specification, "key distribution model")."""
    return key_slot(key if isinstance(key, bytes) else str(key).encode())
