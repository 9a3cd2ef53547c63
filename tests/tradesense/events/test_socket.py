"""The WebSocket: what may be asked, by whom, and how it ends."""

import asyncio
from datetime import timedelta

import pytest

from tests.application import ORIGIN, Person, Serve, Served
from tests.tradesense.events.talking import Closed, own, socket, talking, token_of
from tradesense.events.live.socket import BURST, MOST_TEXT, QUEUE_BYTES

BROKEN = '{"type": "ping", "id": "\\ud800"}'
"""Half of a surrogate pair."""


async def key_of(person: Person, scope: str = "read", **more: str) -> tuple[str, str]:
    made = (await person.post("/api-keys", json={"name": "sheet", "scope": scope, **more})).json()
    return made["token"], made["id"]


async def upload(person: Person) -> str:
    made = await person.post("/imports", files={"file": ("a.csv", b"a,b\n1,2\n", "text/csv")})
    import_id: str = made.json()["id"]
    return import_id


async def test_a_subscriber_hears_what_is_published_in_order_with_its_place(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with talking(app, user) as client:
        began = await client.subscribed(own(user), id=7)
        assert began == {
            "type": "subscribed",
            "id": 7,
            "channel": own(user),
            "epoch": began["epoch"],
            "offset": began["offset"],
            "recovered": True,
        }
        for number in range(3):
            await events.publish(own(user), {"type": "test", "n": number})
        heard = [await client.said() for _ in range(3)]
        assert [each["data"] for each in heard] == [{"type": "test", "n": number} for number in range(3)]
        assert [each["offset"] for each in heard] == [began["offset"] + 1 + number for number in range(3)]
        client.say(type="unsubscribe", channel=own(user), id="u")
        assert await client.said() == {"type": "unsubscribed", "id": "u", "channel": own(user)}
        await events.publish(own(user), {"type": "test"})
        client.say(type="ping")
        assert await client.said() == {"type": "pong"}


async def test_who_comes_back_gets_what_was_missed_or_is_told_that_it_is_not_known(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with talking(app, user) as client:
        began = await client.subscribed(own(user))
    for number in range(3):
        await events.publish(own(user), {"n": number})
    place = {"epoch": began["epoch"], "offset": began["offset"] + 1}
    for since in (place, f"{place['epoch']}:{place['offset']}"):
        async with talking(app, user) as client:
            again = await client.subscribed(own(user), since=since)
            assert (again["recovered"], again["offset"]) == (True, place["offset"])
            assert [(await client.said())["data"] for _ in range(2)] == [{"n": 1}, {"n": 2}]
    for nowhere in ({**place, "epoch": "gone"}, "nonsense"):
        async with talking(app, user) as client:
            again = await client.subscribed(own(user), since=nowhere)
            assert (again["recovered"], again["offset"]) == (False, began["offset"] + 3)


async def test_what_cannot_be_done_is_said_and_ends_nothing(app: Served, user: Person) -> None:
    async with talking(app, user) as client:
        for text in ("nonsense", "[]", "{}", '{"type": "dance"}', '{"type": "subscribe"}', BROKEN):
            client.tell({"type": "websocket.receive", "text": text})
            assert (await client.said())["code"] == "malformed"
        assert (await client.subscribed("x" * 101))["code"] == "malformed"
        assert (await client.subscribed(own(user), since={"epoch": "e", "offset": -1}))["code"] == "malformed"
        await client.subscribed(own(user))
        again = await client.subscribed(own(user), id=1)
        assert again == {
            "type": "error",
            "id": 1,
            "code": "already_subscribed",
            "detail": again["detail"],
            "channel": own(user),
        }
        client.say(type="unsubscribe", channel="user:x")
        assert (await client.said())["code"] == "not_subscribed"
        client.say(type="ping", id="still here")
        assert await client.said() == {"type": "pong", "id": "still here"}


async def test_anothers_channel_is_not_told_from_one_that_is_not_there(app: Served, user: Person) -> None:
    other = await app.user()
    theirs, mine = await upload(other), await upload(user)
    refused = []
    async with talking(app, user) as client:
        for channel in (
            own(other),
            f"import:{theirs}",
            f"import:{user.user_id}",
            "connections",
            f"connections:{user.user_id}",
            f"import:{mine.upper()}",
            f"trade:{mine}",
            "",
        ):
            answer = await client.subscribed(channel)
            assert answer.pop("channel") == channel
            refused.append(answer)
        assert refused == [
            {"type": "error", "code": "channel_not_found", "detail": "There is no such channel."} for _ in refused
        ]
        assert (await client.subscribed(f"import:{mine}"))["type"] == "subscribed"


async def test_a_connection_hears_so_many_channels_and_no_more(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tradesense.events.live.socket.MOST_CHANNELS", 1)
    async with talking(app, user) as client:
        assert (await client.subscribed(own(user)))["type"] == "subscribed"
        assert (await client.subscribed("import:x"))["code"] == "too_many_channels"
        client.say(type="unsubscribe", channel=own(user))
        assert (await client.said())["type"] == "unsubscribed"
        assert (await client.subscribed(own(user)))["type"] == "subscribed"


@pytest.mark.parametrize(
    ("text", "ending"),
    [
        (f'{{"type": "ping", "id": "{"x" * MOST_TEXT}"}}', Closed(1009, "too_large")),
        (None, Closed(1003, "not_text")),
    ],
    ids=["too large", "binary"],
)
async def test_what_no_client_of_ours_sends_ends_the_connection(
    app: Served, user: Person, text: str | None, ending: Closed
) -> None:
    async with talking(app, user) as client:
        client.tell({"type": "websocket.receive", "text": text, "bytes": None if text else b"x"})
        assert await client.closed() == ending
        await client.finished()


async def test_who_sends_too_much_is_cut_off(app: Served, user: Person) -> None:
    async with talking(app, user) as client:
        for _ in range(BURST + 20):
            client.say(type="ping")
        assert await client.closed() == Closed(4429, "too_many_messages")


async def test_a_client_that_never_reads_is_closed_and_nobody_else_notices(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with talking(app, user) as slow, talking(app, user) as other:
        for each in (slow, other):
            await each.subscribed(own(user))
        slow.reads.clear()
        for number in range(QUEUE_BYTES // 30_000 + 2):
            await events.publish(own(user), {"n": number, "x": "x" * 30_000})
            assert (await other.said())["data"]["n"] == number
        await slow.finished()
        assert await events.presence(own(user)) == {f"user:{user.user_id}": 1}


async def test_a_slow_client_that_reads_again_is_told_why_it_is_closed(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with talking(app, user) as slow:
        await slow.subscribed(own(user))
        slow.reads.clear()
        for number in range(QUEUE_BYTES // 30_000 + 2):
            await events.publish(own(user), {"n": number, "x": "x" * 30_000})
        slow.reads.set()
        assert await slow.closed() == Closed(4408, "slow")


async def test_a_client_that_goes_leaves_nothing_behind(app: Served, user: Person) -> None:
    events = app.state["keel"].events
    async with talking(app, user) as client:
        await client.subscribed(own(user))
    async with asyncio.timeout(30):
        while any([await events.presence(each) for each in (own(user), "connections")]):  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.005)
    running = app.state["keel"].tasks.names
    assert not [each for each in running if "hearing" in each]


async def test_whoever_is_not_known_is_refused_before_the_handshake(app: Served) -> None:
    for client, status, code in (
        (socket(app), 401, "login_required"),
        (socket(app, "nobodys"), 401, "session_unknown"),
        (socket(app, subprotocols=["bearer"]), 401, "login_required"),
        (socket(app, subprotocols=["bearer", "nobodys"]), 401, "session_unknown"),
    ):
        async with client:
            refused = await client.refused()
            assert refused.problem is not None
            assert (refused.code, refused.problem["code"]) == (status, code)
    async with socket(app, can_deny=False) as client:
        assert (await client.refused()).code == 1013


async def test_a_token_is_offered_as_a_subprotocol_and_not_repeated(app: Served, user: Person) -> None:
    key, _ = await key_of(user)
    for token in (token_of(user), key):
        async with socket(app, subprotocols=["bearer", token]) as client:
            await client.opened()
            assert client.started["subprotocol"] == "bearer"
            assert (await client.subscribed(own(user)))["type"] == "subscribed"


async def test_another_sites_page_cannot_use_the_cookie(app: Served, user: Person) -> None:
    cookie = {"cookie": f"tradesense={token_of(user)}"}
    for headers in ({"origin": ORIGIN}, {"origin": ORIGIN, "sec-fetch-site": "same-origin"}, {}):
        async with socket(app, headers={**cookie, **headers}) as client:
            await client.opened()
    for headers in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": ORIGIN.replace("8000", "9000")},
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
    ):
        async with socket(app, headers={**cookie, **headers}) as client:
            refused = await client.refused()
            assert (refused.code, (refused.problem or {})["code"]) == (403, "cross_site_request"), headers


async def test_handshakes_are_counted_like_requests(serve: Serve) -> None:
    app = await serve(rate_limits="on", limit_api="60/min burst 1", limit_register="1000/s")
    user = await app.user()
    async with talking(app, user), socket(app, token_of(user)) as second:
        refused = await second.refused()
        assert (refused.code, (refused.problem or {})["code"]) == (429, "limit_exceeded")


async def test_a_user_has_so_many_connections_and_no_more(serve: Serve) -> None:
    app = await serve(live_connections=2)
    user, other = await app.user(), await app.user()
    async with talking(app, user), talking(app, other):
        async with talking(app, user), socket(app, token_of(user)) as third:
            refused = await third.refused()
            assert refused.problem is not None
            assert (refused.code, refused.problem["code"]) == (429, "too_many_connections")
        async with asyncio.timeout(30):
            while True:
                async with socket(app, token_of(user)) as again:
                    again.tell({"type": "websocket.connect"})
                    if (await again.sent())["type"] == "websocket.accept":
                        break


async def test_a_session_that_ends_takes_its_connections_with_it(app: Served, user: Person) -> None:
    elsewhere = await app.person()
    await elsewhere.log_in(user.email)
    async with talking(app, elsewhere) as theirs, talking(app, user) as mine:
        assert (await user.delete("/sessions", params={"keep": "current"})).status_code == 204
        assert await theirs.closed() == Closed(4401, "session_ended")
        mine.say(type="ping")
        assert (await mine.said())["type"] == "pong"


async def test_a_key_that_is_deleted_takes_its_connections_with_it(app: Served, user: Person) -> None:
    (token, id_), (another, _) = await key_of(user), await key_of(user)
    async with socket(app, token) as client, socket(app, another) as other:
        await client.opened()
        await other.opened()
        assert (await user.delete(f"/api-keys/{id_}")).status_code == 204
        assert await client.closed() == Closed(4401, "session_ended")
        other.say(type="ping")
        assert (await other.said())["type"] == "pong"


async def test_a_user_who_is_disabled_is_cut_off_with_keys_and_all(app: Served, user: Person) -> None:
    token, _ = await key_of(user)
    async with socket(app, token) as by_key, talking(app, user) as by_session:
        await by_key.opened()
        await app.state["users"].disable(user.email)
        assert await by_session.closed() == Closed(4401, "session_ended")
        assert await by_key.closed() == Closed(4401, "session_ended")


async def test_what_expires_takes_its_connections_with_it(app: Served, user: Person) -> None:
    token, _ = await key_of(user, expires_at="2026-03-02T13:00:00Z")
    async with socket(app, token) as by_key, talking(app, user) as by_session:
        await by_key.opened()
        app.clock.forward(timedelta(hours=1))
        assert await by_key.closed() == Closed(4401, "session_ended")
        await user.get("/auth/me")
        app.clock.forward(app.state["logins"].lifetimes.idle - timedelta(minutes=1))
        by_session.say(type="ping")
        assert (await by_session.said())["type"] == "pong"
        app.clock.forward(timedelta(minutes=2))
        assert await by_session.closed() == Closed(4401, "session_ended")


async def test_whose_session_cannot_be_looked_at_is_not_let_stay(
    app: Served, user: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_token: str) -> None:
        raise OSError("the database is away")

    async with talking(app, user) as client:
        monkeypatch.setattr(app.state["lines"], "_verify", away)
        await user.post("/auth/logout")
        assert await client.closed() == Closed(1013, "unavailable")


async def test_everybody_is_sent_away_when_the_instance_ends(app: Served, user: Person) -> None:
    async with talking(app, user) as client:
        await client.subscribed(own(user))
        await app.state["lines"].close()
        assert await client.closed() == Closed(1012, "shutdown")
        async with socket(app, token_of(user)) as late:
            refused = await late.refused()
            assert (refused.code, (refused.problem or {})["code"]) == (503, "shutting_down")


async def test_who_is_connected_is_shown_to_administrators(app: Served, user: Person) -> None:
    other = await app.user()
    assert (await user.get("/events/connections")).json()["code"] == "admin_required"
    await app.state["users"].promote(user.email)
    async with talking(app, user), talking(app, other), talking(app, other):
        first = (await user.get("/events/connections", params={"limit": 1})).json()
        rest = (await user.get("/events/connections", params={"cursor": first["next"]})).json()
        assert rest["next"] is None
        assert {each["email"]: each["connections"] for each in first["items"] + rest["items"]} == {
            user.email: 1,
            other.email: 2,
        }
