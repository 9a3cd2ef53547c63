"""Events on Redis or Valkey: a stream per channel for what was sent, a count, and pub/sub for what is sent now.

After Centrifugo's Redis broker (github.com/centrifugal/centrifuge): offset, history and publication are one script.
"""

from collections.abc import Callable, Sequence
from functools import partial
from secrets import token_hex
from typing import Final

from keel.context import budget
from keel.events.contract import (
    EPOCH_S,
    HISTORY,
    HISTORY_S,
    QUEUE_BYTES,
    REPEATED_S,
    BrokerWatcher,
    Notice,
    Place,
    Resumed,
)
from keel.redis.contract import Argument, Redis, Reply, Script
from keel.redis.tags import hash_tag

PRESENT_S: Final = 60.0
MOST_RESUMED: Final = QUEUE_BYTES // 2
"""Bytes that who comes back gets at once; who missed more fetches the whole."""
_PACKAGE: Final = "keel.events"
_RUN_LENGTH: Final = 8


class Scripts:
    """The scripts, read from their files once."""

    publish: Final = Script.load(_PACKAGE, "publish.lua")
    resume: Final = Script.load(_PACKAGE, "resume.lua")
    begin: Final = Script.load(_PACKAGE, "begin.lua")
    appear: Final = Script.load(_PACKAGE, "appear.lua")
    present: Final = Script.load(_PACKAGE, "present.lua")


class RedisBroker:
    """`Broker` over a server, a Sentinel group or a cluster.

    An epoch is named by the channel's own count and by the incarnation of the servers, so that none outlives a restart
    or a failover: a replica that is promoted may be behind, and would give offsets a second time.
    """

    def __init__(self, redis: Redis, namespace: str, *, history: int = HISTORY, history_s: float = HISTORY_S) -> None:
        self._redis = redis
        self._namespace = namespace
        self._history = history
        self._history_ms = round(history_s * 1000)
        self._publish = "SPUBLISH" if redis.is_cluster else "PUBLISH"
        self._servers = ""

    @property
    def available(self) -> bool:
        """Whether the server can be reached."""
        return self._redis.available

    async def publish(self, channel: str, data: bytes, idempotency_key: str | None) -> Place:
        """Count the message, remember it and send it, in one script."""
        keys = self._keys(channel)
        if idempotency_key is not None:
            keys.append(f"{self._namespace}:ei:{hash_tag(channel)}:{idempotency_key}")
        kept = [self._history, self._history_ms, _ms(EPOCH_S)]
        args: list[Argument] = [data, token_hex(8), *kept, self._name(channel), self._publish, _ms(REPEATED_S)]
        return self._place(await self._run(Scripts.publish, keys, args))

    async def resume(self, channel: str, since: Place | None) -> Resumed:
        """Where the channel is, and what was sent since a place."""
        own, servers, offset = "", self._servers, 0
        if since is not None:
            own, _, servers = since.epoch.rpartition(".")
            offset = since.offset
        known = servers == self._servers
        args: list[Argument] = [token_hex(8), _ms(EPOCH_S), own if known else "", offset, MOST_RESUMED]
        match await self._run(Scripts.resume, self._keys(channel), args):
            case [bytes() as epoch, int() as at, int() as recovered, list() as missed]:
                whole = since is None or (known and own != "" and recovered == 1)
                return Resumed(self._place([epoch, at]), whole, [each for each in missed if isinstance(each, bytes)])
            case answer:
                raise _Unexpected(answer)

    async def begin(self, channel: str) -> None:
        """Begin a new epoch, and tell everybody."""
        args: list[Argument] = [token_hex(8), _ms(EPOCH_S), self._name(channel), self._publish]
        await self._run(Scripts.begin, self._keys(channel), args)

    def listen(self, channel: str, receive: Callable[[Notice], None], live: Callable[[], None]) -> Callable[[], None]:
        """Hand over what is published."""
        return self._redis.subscribe(self._name(channel), partial(self._heard, receive), live)

    async def appear(self, channel: str, who: dict[str, str], at_most: int | None = None) -> bool:
        """Note for a minute who is there."""
        entries = [f"{connection} {member}" for connection, member in who.items()]
        args: list[Argument] = [_ms(PRESENT_S), -1 if at_most is None else at_most, *entries]
        return await self._run(Scripts.appear, [self._presence(channel)], args) == 1

    async def disappear(self, channel: str, connection: str, member: str) -> None:
        """Forget a connection."""
        with budget(None):
            await self._redis.call("ZREM", self._presence(channel), f"{connection} {member}")

    async def present(self, channel: str) -> list[str]:
        """The member of every connection that is there."""
        found = await self._run(Scripts.present, [self._presence(channel)], [])
        entries = found if isinstance(found, list) else []
        return [each.decode().partition(" ")[2] for each in entries if isinstance(each, bytes)]

    def watch(self, watcher: BrokerWatcher) -> Callable[[], None]:
        """Tell `watcher` when it comes and goes."""
        return self._redis.watch(_Watch(self, watcher))

    def met(self, identity: str) -> None:
        """The servers are these incarnations."""
        self._servers = identity[:_RUN_LENGTH]

    def _heard(self, receive: Callable[[Notice], None], message: bytes) -> None:
        epoch, offset, data = message.split(b" ", 2)
        receive(Notice(self._place([epoch, int(offset)]), data))

    def _place(self, answer: Reply) -> Place:
        match answer:
            case [bytes() as epoch, int() as offset]:
                return Place(f"{epoch.decode()}.{self._servers}", offset)
            case _:
                raise _Unexpected(answer)

    async def _run(self, script: Script, keys: Sequence[str], args: Sequence[Argument]) -> Reply:
        with budget(None):
            return await self._redis.run(script, keys, args)

    def _keys(self, channel: str) -> list[str]:
        tag = hash_tag(channel)
        return [f"{self._namespace}:eh:{tag}", f"{self._namespace}:ec:{tag}"]

    def _presence(self, channel: str) -> str:
        return f"{self._namespace}:ep:{hash_tag(channel)}"

    def _name(self, channel: str) -> str:
        return f"{self._namespace}:ev:{hash_tag(channel)}"


class _Watch:
    """Learns who the servers are before anybody else hears that they are there."""

    def __init__(self, broker: RedisBroker, watcher: BrokerWatcher) -> None:
        self._broker = broker
        self._watcher = watcher

    def went_up(self, identity: str) -> None:
        self._broker.met(identity)
        self._watcher.came()

    def went_down(self) -> None:
        self._watcher.went()


class _Unexpected(TypeError):
    def __init__(self, answer: object) -> None:
        super().__init__(f"the server answered {type(answer).__name__}, which no script of ours does")


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
