"""Server-sent events."""

from datetime import timedelta

import pytest

from tests.application import Person, Serve, Served
from tests.tradesense.events.talking import Listener, listener, own, socket, talking, token_of
from tradesense.events.live import stream
from tradesense.events.live.socket import QUEUE_BYTES


def of(served: Served, person: Person, query: str = "", **headers: str) -> Listener:
    return listener(served, token_of(person), f"channel={own(person)}{query}", **headers)


async def test_a_listener_hears_what_is_published_each_with_its_place(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with of(app, user) as client:
        await client.opened()
        assert client.started["status"] == 200
        assert client.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert client.headers["cache-control"] == "no-store, no-transform"
        assert client.headers["x-accel-buffering"] == "no"
        assert "content-length" not in client.headers
        place, began = await client.event()
        assert (began["type"], began["recovered"]) == ("subscribed", True)
        assert place == f"{began['epoch']}:{began['offset']}"
        await events.publish(own(user), {"n": 1})
        place, heard = await client.event()
        assert (heard["type"], heard["channel"], heard["data"]) == ("message", own(user), {"n": 1})
        assert (heard["epoch"], heard["offset"]) == (began["epoch"], began["offset"] + 1)
        assert place == f"{heard['epoch']}:{heard['offset']}"


@pytest.mark.parametrize("by", ["header", "query"])
async def test_a_listener_that_comes_back_gets_what_it_missed(app: Served, user: Person, by: str) -> None:
    events = app.state["keel"].events
    async with of(app, user) as client:
        await client.opened()
        place, _ = await client.event()
    for number in range(2):
        await events.publish(own(user), {"n": number})
    again = of(app, user, last_event_id=place) if by == "header" else of(app, user, f"&since={place}")
    async with again as client:
        await client.opened()
        assert (await client.event())[1]["recovered"] is True
        assert [(await client.event())[1]["data"]["n"] for _ in range(2)] == [0, 1]
    async with of(app, user, last_event_id="nonsense") as client:
        await client.opened()
        assert (await client.event())[1]["recovered"] is False


async def test_anothers_channel_is_refused_before_anything_is_sent(app: Served, user: Person) -> None:
    other = await app.user()
    async with listener(app, token_of(user), f"channel={own(other)}") as client:
        await client.opened()
        assert (client.started["status"], (await client.body())["code"]) == (404, "channel_not_found")
    async with listener(app, "nobodys", f"channel={own(user)}") as client:
        await client.opened()
        assert client.started["status"] == 401


async def test_listeners_and_sockets_are_counted_together(serve: Serve) -> None:
    app = await serve(live_connections=1)
    user = await app.user()
    async with of(app, user) as first:
        await first.opened()
        async with of(app, user) as second:
            await second.opened()
            assert (second.started["status"], (await second.body())["code"]) == (429, "too_many_connections")
        async with socket(app, token_of(user)) as third:
            assert (await third.refused()).code == 429


async def test_a_silent_stream_is_kept_alive_by_comments(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.02)
    async with of(app, user) as client:
        await client.opened()
        await client.event()
        assert (await client.sent())["body"] == b":\n\n"


async def test_a_stream_ends_with_its_session_and_says_so(app: Served, user: Person) -> None:
    async with of(app, user) as client:
        await client.opened()
        await client.event()
        await user.post("/auth/logout")
        assert await client.ended() == "session_ended"
        await client.finished()


async def test_a_stream_outlives_neither_its_sessions_time_nor_the_instance(app: Served, user: Person) -> None:
    other = await app.user()
    async with of(app, user) as client, talking(app, other):
        await client.opened()
        await client.event()
        app.clock.forward(timedelta(days=8))
        assert await client.ended() == "session_ended"
    await user.log_in(user.email)
    async with of(app, user) as client:
        await client.opened()
        await client.event()
        await app.state["lines"].close()
        assert await client.ended() == "shutdown"


async def test_a_listener_that_never_reads_is_closed(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with of(app, user) as client:
        await client.opened()
        await client.event()
        client.reads.clear()
        for number in range(QUEUE_BYTES // 30_000 + 2):
            await events.publish(own(user), {"n": number, "x": "x" * 30_000})
        await client.finished()
