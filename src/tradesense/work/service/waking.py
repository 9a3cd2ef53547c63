"""Waking by taskiq: a message per piece of work, in this process or over Redis streams, to whoever has room for it."""

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Final
from uuid import UUID

from redis.asyncio import Redis
from redis.exceptions import RedisError
from taskiq import AckableMessage, AsyncBroker, BrokerMessage
from taskiq.exceptions import SendTaskError
from taskiq.kicker import AsyncKicker
from taskiq.utils import maybe_awaitable
from taskiq_redis import RedisStreamBroker, RedisStreamClusterBroker, RedisStreamSentinelBroker

from keel.redis.urls import Kind, Target, read_url
from keel.tasks import Tasks
from tradesense.work.service.lanes import Lane

GROUP: Final = "workers"
BLOCK_MS: Final = 2000
"""How long a worker waits for a message in one command."""
ANSWER_S: Final = 5.0
"""How long an answer may take, those that wait for a message included."""
SEND_S: Final = 1.0
KEPT: Final = 10_000
"""About how many messages a stream keeps; those that are forgotten unread are found by looking."""
RETRY_S: Final = 0.5

_AWAY: Final = (RedisError, OSError, SendTaskError, TimeoutError)
_LOG: Final = logging.getLogger(__name__)

MakeBroker = Callable[[str], AsyncBroker]
"""The broker that carries the messages of a lane, by its name."""


class LocalBroker(AsyncBroker):
    """Carries messages within this process."""

    def __init__(self) -> None:
        super().__init__()
        self._messages: asyncio.Queue[bytes] = asyncio.Queue()

    async def kick(self, message: BrokerMessage) -> None:
        """Send a message."""
        self._messages.put_nowait(message.message)

    async def listen(self) -> AsyncGenerator[bytes, None]:
        """The messages as they come."""
        while True:
            yield await self._messages.get()


def local(_lane: str) -> AsyncBroker:
    """Brokers of this process alone."""
    return LocalBroker()


def streams(url: str, namespace: str) -> MakeBroker:
    """Brokers over a stream per lane on the Redis of this URL, whose consumers are one group."""
    target = read_url(url)
    return lambda lane: _stream_broker(target, f"{namespace}:work:{{{lane}}}")


def _stream_broker(target: Target, stream: str) -> AsyncBroker:
    first, options = target.addresses[0], {**target.options, "socket_timeout": ANSWER_S}
    scheme = "rediss" if target.tls else "redis"
    if target.kind is Kind.SENTINEL:
        return RedisStreamSentinelBroker(
            sentinels=[(each.host, each.port) for each in target.addresses],
            master_name=target.service,
            sentinel_kwargs={**target.sentinel_options, "socket_timeout": ANSWER_S, "ssl": target.tls},
            ssl=target.tls,
            queue_name=stream,
            consumer_group_name=GROUP,
            xread_block=BLOCK_MS,
            maxlen=KEPT,
            **options,
        )
    if target.kind is Kind.CLUSTER:
        return RedisStreamClusterBroker(
            url=f"{scheme}://{first}",
            queue_name=stream,
            consumer_group_name=GROUP,
            xread_block=BLOCK_MS,
            maxlen=KEPT,
            **options,
        )
    return RedisStreamBroker(
        url=f"unix://{first.path}" if first.path else f"{scheme}://{first}",
        queue_name=stream,
        consumer_group_name=GROUP,
        xread_block=BLOCK_MS,
        xread_count=1,  # whoever has no room leaves them to others
        maxlen=KEPT,
        **options,
    )


class TaskiqWaker:
    """Sends and receives the messages of lanes. They say no more than that there is something: what, SQL knows.

    A message is acknowledged when what its receiver found in the queue is done. One that is lost does no harm.
    """

    def __init__(self, tasks: Tasks, make_broker: MakeBroker) -> None:
        self._tasks = tasks
        self._make_broker = make_broker
        self._brokers: dict[str, AsyncBroker] = {}
        self._is_away = False

    def send(self, lane: str, task_id: UUID, otherwise: Callable[[], None]) -> None:
        """Send the message that a lane has something, in the background; call `otherwise` where it cannot be sent."""
        with suppress(RuntimeError):  # this process is ending: it is found by looking
            self._tasks.start(f"waking {lane}", self._send(lane, task_id, otherwise))

    def receive(self, lane: Lane) -> None:
        """Let a lane work at each message that comes, as far as it has room."""

        async def work(_task_id: str) -> None:
            await lane.work()

        self._broker(lane.name).register_task(work, task_name=lane.name)
        self._tasks.start(f"{lane.name}: listening", self._listen_on(lane))

    async def close(self) -> None:
        """Close the connections; what was received must have ended."""
        for broker in self._brokers.values():
            if isinstance(broker, RedisStreamBroker):
                await self._leave(broker)
            await broker.shutdown()
            if isinstance(broker, RedisStreamSentinelBroker):  # which leaves them open
                for sentinel in broker.sentinel.sentinels:
                    await sentinel.aclose()
            if isinstance(broker, RedisStreamClusterBroker):  # which leaves open what a cancelled start had opened
                for nodes in ("nodes_cache", "startup_nodes"):
                    await broker.redis.nodes_manager.aclose(nodes)

    async def _leave(self, broker: RedisStreamBroker) -> None:
        """Be no consumer of the group any more: it remembers every one there has been."""
        try:
            async with asyncio.timeout(SEND_S), Redis(connection_pool=broker.connection_pool) as client:
                await client.xgroup_delconsumer(broker.queue_name, GROUP, broker.consumer_name)
        except _AWAY as error:
            self._note(error)

    def _broker(self, lane: str) -> AsyncBroker:
        if lane not in self._brokers:
            self._brokers[lane] = self._make_broker(lane)
        return self._brokers[lane]

    async def _send(self, lane: str, task_id: UUID, otherwise: Callable[[], None]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await AsyncKicker[[str], None](lane, self._broker(lane), {}).kiq(task_id.hex)
        except _AWAY as error:
            self._note(error)
            otherwise()

    async def _listen_on(self, lane: Lane) -> None:
        while True:
            listening = self._tasks.start(f"{lane.name}: connected", self._listen(lane))
            try:
                await asyncio.wait([listening])
            finally:
                # A cancellation that meets redis-py while it connects anew may be lost.
                while not listening.done():
                    listening.cancel()
                    await asyncio.wait([listening], timeout=RETRY_S / 10)
            await asyncio.sleep(RETRY_S * (1 + random.random()))

    async def _listen(self, lane: Lane) -> None:
        broker = self._broker(lane.name)
        try:
            await broker.startup()  # makes the group, also where the server was emptied
            self._note(None)
            async with aclosing(broker.listen()) as messages:
                await lane.room()
                async for message in messages:
                    self._tasks.start(f"{lane.name}: woken", self._receive(broker, message), finish=True)
                    await lane.room()
        except _AWAY as error:
            self._note(error)

    async def _receive(self, broker: AsyncBroker, message: AckableMessage | bytes) -> None:
        content = message.data if isinstance(message, AckableMessage) else message
        told = broker.formatter.loads(content)
        task = broker.find_task(told.task_name)
        if task is not None:
            await task.original_func(*told.args)
        if isinstance(message, AckableMessage):
            try:
                async with asyncio.timeout(SEND_S):
                    await maybe_awaitable(message.ack())
            except _AWAY as error:
                self._note(error)

    def _note(self, error: Exception | None) -> None:
        """Log the first of many failures, and that they are over."""
        if error is not None and not self._is_away:
            _LOG.warning("nobody can be woken over Redis, so workers look by themselves: %s", type(error).__name__)
        elif error is None and self._is_away:
            _LOG.warning("workers are woken over Redis again")
        self._is_away = error is not None
