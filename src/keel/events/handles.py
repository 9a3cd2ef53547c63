"""The events of the Keel that is running."""

from contextlib import AbstractAsyncContextManager

from keel.current import current
from keel.events.contract import QUEUE_BYTES, Published, Stream


async def publish(
    channel: str, data: object, *, idempotency_key: str | None = None, coalesce: str | None = None
) -> Published | None:
    """Send `data`, as JSON, to all who subscribe to `channel`; see `Events.publish`."""
    return await current().events.publish(channel, data, idempotency_key=idempotency_key, coalesce=coalesce)


def subscribe(
    channel: str,
    *,
    since: tuple[str, int] | None = None,
    member: str | None = None,
    at_most: int | None = None,
    heartbeat_s: float | None = None,
    queue_bytes: int = QUEUE_BYTES,
) -> AbstractAsyncContextManager[Stream]:
    """Receive what is published on `channel`, from now on or since an epoch and an offset; see `Events.subscribe`.

    async with subscribe("user:7", since=(epoch, offset)) as stream:
        async for item in stream: ...
    """
    return current().events.subscribe(
        channel, since=since, member=member, at_most=at_most, heartbeat_s=heartbeat_s, queue_bytes=queue_bytes
    )
