"""How the parts of sessions are put together, by what there is: a durable store, a server, both or neither."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from keel.clock import Clock, SystemClock
from keel.redis.contract import Redis
from keel.sessions.contract import DurableSessions, Lifetimes
from keel.sessions.memory import LocalCopies, MemorySessions
from keel.sessions.redis import SharedCopies
from keel.sessions.scripts import Server
from keel.sessions.standalone import RedisSessions
from keel.sessions.standing import Standing
from keel.sessions.store import Sessions
from keel.tasks import Tasks


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Where sessions are for good, and how long they live.

    Without a `durable` store they are on the server, or in this process where there is none. One that is given calls
    `Sessions.forget` for what has ended.
    """

    durable: DurableSessions | None = None
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    clock: Clock = field(default_factory=SystemClock)


@contextmanager
def sessions(redis: Redis | None, namespace: str, tasks: Tasks, options: SessionOptions) -> Iterator[Sessions]:
    """The sessions, as long as the block lasts."""
    local, clock, lifetimes = LocalCopies(), options.clock, options.lifetimes
    if redis is None:
        durable = options.durable or MemorySessions(clock, lifetimes, local.forget)
        yield Sessions(durable, local, clock, lifetimes, noted_every=lifetimes.check)
        return
    server = Server(redis, namespace)
    standing = Standing(server, local, tasks, has_epoch=options.durable is not None)
    with ExitStack() as stack:
        stack.callback(redis.track(server.keys.tracked, standing))
        stack.callback(redis.watch(standing))
        if options.durable is None:
            alone = RedisSessions(server, clock, lifetimes, local.forget)
            yield Sessions(alone, local, clock, lifetimes, noted_every=lifetimes.touch)
        else:
            shared = SharedCopies(server, standing, options.durable, clock, lifetimes)
            yield Sessions(shared, local, clock, lifetimes, noted_every=lifetimes.touch, shared=shared)
