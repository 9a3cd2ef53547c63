"""The law of events, in memory and over a server that two instances share: whatever happens in whatever order.

Each client sees every message once and in order, or is told that it may have missed some.
"""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, ClassVar, Final
from uuid import uuid4

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from keel.events.contract import Place
from keel.events.hub import Hub
from keel.events.memory import MemoryBroker
from keel.events.redis import RedisBroker
from keel.redis.connecting import connect
from keel.redis.contract import Redis
from keel.tasks import Tasks
from tests.keel.events.reading import Client
from tests.keel.redis.telling import soon

CHANNELS: Final = ("user:1", "user:{2}")
HISTORY: Final = 6
CLIENTS: Final = 4
EXAMPLES: Final = settings(
    max_examples=25, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
processes = st.integers(0, 1)
channels = st.sampled_from(CHANNELS)
clients = st.integers(0, CLIENTS - 1)


class Laws(RuleBasedStateMachine):
    url: ClassVar[str | None] = None

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.hubs: list[Hub] = []
        self.links: list[Redis] = []
        self.clients = [Client(CHANNELS[at % len(CHANNELS)]) for at in range(CLIENTS)]
        self.connected: set[int] = set()
        self.published: dict[str, list[Place]] = {name: [] for name in CHANNELS}
        self.data: dict[Place, bytes] = {}
        self.number = 0
        self.away = 0

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
        return self.runner.run(_within(work))

    @initialize()
    def open(self) -> None:
        self.run(self._open())

    async def _open(self) -> None:
        namespace = f"laws:{uuid4().hex}"
        for _ in range(1 if self.url is None else 2):
            tasks = await self.stack.enter_async_context(Tasks())
            if self.url is None:
                hub = Hub(MemoryBroker(history=HISTORY), tasks)
            else:
                link = await self.stack.enter_async_context(connect(self.url))
                self.links.append(link)
                hub = Hub(RedisBroker(link, namespace, history=HISTORY), tasks)
            self.stack.push_async_callback(hub.close)
            self.hubs.append(hub)

    def teardown(self) -> None:
        self.run(self._end())
        self.runner.close()

    async def _end(self) -> None:
        """Everybody comes back a last time, and is then up to date, or has been told."""
        for at, client in enumerate(self.clients):
            if self.hubs and at not in self.connected:
                await client.connect(self.hub(at))
        for client in self.clients:
            places = self.published[client.channel]
            if self.hubs and places:
                last = places[-1]
                await soon(lambda client=client, last=last: client.log.promise == last, 20)  # type: ignore[misc]
        for client in self.clients:
            await client.leave()
            assert all(self.data[place] == data for place, data in client.log.by_place.items())
        await self.stack.aclose()

    def hub(self, process: int) -> Hub:
        return self.hubs[process % len(self.hubs)]

    @rule(process=processes, channel=channels, count=st.integers(1, 3))
    def publish(self, process: int, channel: str, count: int) -> None:
        self.run(self._publish(process, channel, count))

    @rule(channel=channels)
    def publish_more_than_history(self, channel: str) -> None:
        self.run(self._publish(0, channel, HISTORY + 2))

    async def _publish(self, process: int, channel: str, count: int) -> None:
        for _ in range(count):
            self.number += 1
            published = await self.hub(process).publish(channel, self.number)
            assert published is not None
            assert published.shared
            place = Place(published.epoch, published.offset)
            self.published[channel].append(place)
            self.data[place] = str(self.number).encode()

    @rule(client=clients, process=processes)
    def come(self, client: int, process: int) -> None:
        if client not in self.connected:
            self.connected.add(client)
            self.run(self.clients[client].connect(self.hub(process)))

    @rule(client=clients)
    def leave(self, client: int) -> None:
        self.connected.discard(client)
        self.run(self.clients[client].leave())

    @rule(client=clients, channel=channels)
    def come_while_others_publish(self, client: int, channel: str) -> None:
        async def work() -> None:
            await asyncio.gather(self.clients[client].connect(self.hub(client)), self._publish(1, channel, 3))

        if client not in self.connected:
            self.connected.add(client)
            self.run(work())

    @rule(turns=st.integers(0, 20))
    def pass_time(self, turns: int) -> None:
        async def work() -> None:
            for _ in range(turns):
                await asyncio.sleep(0)

        self.run(work())

    @rule(publishing=st.booleans())
    def lose_the_pushes(self, publishing: bool) -> None:  # noqa: FBT001 - drawn
        if self.url is not None:
            with redis.Redis.from_url(self.url) as server:
                server.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
            if publishing:
                self.run(self._publish(0, CHANNELS[0], 2))

    @rule()
    def forget(self) -> None:
        """The server has lost its channels."""
        if self.url is not None:
            with redis.Redis.from_url(self.url) as server:
                for key in server.scan_iter(match="laws:*:e[hc]:*"):
                    server.delete(key)
        else:
            broker = self.hubs[0]._broker
            assert isinstance(broker, MemoryBroker)
            broker._counts.clear()
        for name in CHANNELS:
            self.run(self._publish(0, name, 1))

    @rule(channel=channels, process=processes)
    def begin_anew(self, channel: str, process: int) -> None:
        """What a process does that delivered messages to its own subscribers alone."""

        async def work() -> None:
            hub = self.hub(process)
            hub._broken[channel] = 1
            await hub.mend(channel)
            await self._publish(process, channel, 1)

        self.run(work())

    @invariant()
    def nobody_waits_for_ever(self) -> None:
        assert all(client._task is None or not client._task.done() for client in self.clients)


async def _within(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever it gives
    async with asyncio.timeout(60):
        return await work


def test_the_law_in_memory() -> None:
    run_state_machine_as_test(Laws, settings=EXAMPLES)


def test_the_law_over_a_server(redis_url: str) -> None:
    class OverAServer(Laws):
        url = redis_url

    run_state_machine_as_test(OverAServer, settings=EXAMPLES)
