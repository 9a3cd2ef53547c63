"""The way in: a connection to the Redis behind a URL, for as long as it is needed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from keel.redis.client import Client
from keel.redis.connections import Opener
from keel.redis.contract import Redis
from keel.redis.node import MEND_S
from keel.redis.observer import NullObserver, Observer
from keel.redis.router import Router
from keel.redis.topology import topology
from keel.redis.urls import Kind, read_url
from keel.tasks import Tasks


@asynccontextmanager
async def connect(
    url: str,
    *,
    max_connections: int = 50,
    timeout: timedelta = timedelta(seconds=5),  # noqa: ASYNC109 - of each attempt to connect, not of this call
    observer: Observer | None = None,
) -> AsyncIterator[Redis]:
    """Redis at `url` (see `keel.redis.urls.read_url`), until the block is left.

    It is entered as soon as it is known whether the server is there, 250 ms later at most; if it is not, it is tried
    in the background. `max_connections` caps what is opened at a time: two per master, and one to a Sentinel.
    `timeout` is how long one attempt to connect may take. Raises ValueError where the URL or the cap makes no sense.
    """
    target = read_url(url)
    if max_connections < 3:  # noqa: PLR2004 - commands, pushes, and whoever knows the servers
        raise ValueError("Redis takes three connections at least")
    client = Client(is_cluster=target.kind is Kind.CLUSTER)
    opener = Opener(target, timeout, max_connections)
    async with Tasks() as tasks:
        client.router = Router(
            topology(target, opener),
            opener,
            client,
            observer or NullObserver(),
            tasks,
            in_cluster=client.is_cluster,
        )
        try:
            await _begin(client.router, tasks)
            yield client
        finally:
            client.close()
            await tasks.close()
            await opener.closed()


async def _begin(router: Router, tasks: Tasks) -> None:
    tasks.start("redis: where the servers are", router.follow())
    try:
        async with asyncio.timeout(MEND_S):
            await router.settled.wait()
    except TimeoutError:
        return
