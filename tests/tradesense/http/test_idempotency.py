import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import pairwise

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from tests.application import Person, Served
from tradesense.http.idempotency import LARGEST_ANSWER, Fingerprint, Idempotency

KEY = {"Idempotency-Key": "order-17"}


@dataclass
class Orders:
    """An application that counts what it has done."""

    done: int = 0
    status: int = 201
    fails: bool = False
    reads: bool = True
    size: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    may_end: asyncio.Event | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.reads:
            await Request(scope, receive).body()
        self.begun.set()
        if self.may_end is not None:
            await self.may_end.wait()
        if self.fails:
            raise ValueError("broken")
        self.done += 1
        headers = {"Location": f"/orders/{self.done}", "ETag": '"1"', "X-Data-Version": "7", "X-Other": "no"}
        response: Response = JSONResponse({"order": self.done}, self.status, headers)
        if self.size:
            response = Response(b"x" * self.size, self.status, headers)
        await response(scope, receive, send)


@pytest.fixture
def orders() -> Orders:
    return Orders()


@pytest.fixture
async def shop(app: Served, user: Person, orders: Orders) -> AsyncIterator[httpx.AsyncClient]:
    """The orders behind the layer, asked by a user."""
    minded = Idempotency(orders, without=("/login",))

    async def with_state(scope: Scope, receive: Receive, send: Send) -> None:
        await minded({**scope, "state": dict(app.state)}, receive, send)

    transport = httpx.ASGITransport(with_state)
    headers = {"Authorization": user.headers["Authorization"]}
    async with httpx.AsyncClient(transport=transport, base_url="http://test", headers=headers) as client:
        yield client


async def test_a_request_with_a_key_is_done_once_and_answered_the_same(shop: httpx.AsyncClient, orders: Orders) -> None:
    first, again = [await shop.post("/orders", json={"cups": 1}, headers=KEY) for _ in range(2)]
    assert orders.done == 1
    assert (first.status_code, first.content) == (again.status_code, again.content)
    for name in ("content-type", "etag", "location", "x-data-version"):
        assert first.headers[name] == again.headers[name]
    assert (again.headers["idempotency-replayed"], "idempotency-replayed" in first.headers) == ("true", False)


async def test_requests_without_a_key_or_with_another_are_done_each(shop: httpx.AsyncClient, orders: Orders) -> None:
    for headers in ({}, {}, {"Idempotency-Key": "a"}, {"Idempotency-Key": "b"}):
        await shop.post("/orders", headers=headers)
    await shop.get("/orders", headers=KEY)
    await shop.get("/orders", headers=KEY)
    for _ in range(2):
        await shop.post("/login", headers=KEY)
    assert orders.done == 8


@pytest.mark.parametrize(
    ("path", "content", "kind"),
    [("/orders", b"other", "text/plain"), ("/others", b"one", "text/plain"), ("/orders", b"one", "text/html")],
)
async def test_a_key_is_not_taken_for_another_request(
    shop: httpx.AsyncClient, orders: Orders, path: str, content: bytes, kind: str
) -> None:
    await shop.post("/orders", content=b"one", headers={**KEY, "Content-Type": "text/plain"})
    answer = await shop.post(path, content=content, headers={**KEY, "Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (422, "idempotency_key_reused")
    assert orders.done == 1


async def test_a_body_that_the_endpoint_did_not_read_belongs_to_the_request(
    shop: httpx.AsyncClient, orders: Orders
) -> None:
    orders.reads = False
    first, again = [await shop.post("/orders", content=b"unread", headers=KEY) for _ in range(2)]
    assert first.content == again.content
    assert (await shop.post("/orders", content=b"else", headers=KEY)).status_code == 422


async def test_two_users_may_use_the_same_key(app: Served, shop: httpx.AsyncClient, orders: Orders) -> None:
    await shop.post("/orders", headers=KEY)
    other = await app.user()
    await shop.post("/orders", headers={**KEY, "Authorization": other.headers["Authorization"]})
    assert orders.done == 2


async def test_an_uploads_boundary_may_differ(shop: httpx.AsyncClient, orders: Orders) -> None:
    async def upload(content: bytes) -> httpx.Response:
        return await shop.post("/orders", files={"file": ("a.csv", content)}, data={"zone": "UTC"}, headers=KEY)

    first, again, other = [await upload(content) for content in (b"a,b", b"a,b", b"a,c")]
    assert (first.content, orders.done) == (again.content, 1)
    assert other.status_code == 422


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_a_fingerprint_does_not_depend_on_how_a_body_is_cut(body: bytes, cuts: list[int]) -> None:
    marks = [b"bound", b"another-boundary"]

    def digest(boundary: bytes, pieces: list[int]) -> bytes:
        kind = b"multipart/form-data; boundary=" + boundary
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/",
            "query_string": b"",
            "headers": [(b"content-type", kind)],
        }
        fingerprint = Fingerprint(scope)
        whole = b"--" + boundary + b"\r\n" + body + b"--" + boundary + b"--"
        edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in pieces)})
        for begin, end in pairwise(edges):
            fingerprint.update(whole[begin:end])
        return fingerprint.digest()

    if not any(part in body for part in (b"bound", b"another-boundary")):
        assert digest(marks[0], cuts) == digest(marks[0], []) == digest(marks[1], cuts)


async def test_what_was_refused_is_judged_anew(shop: httpx.AsyncClient, orders: Orders) -> None:
    orders.status = 409
    await shop.post("/orders", headers=KEY)
    orders.status = 201
    answer = await shop.post("/orders", headers=KEY)
    assert (answer.status_code, orders.done) == (201, 2)


async def test_what_failed_is_tried_anew(shop: httpx.AsyncClient, orders: Orders) -> None:
    orders.fails = True
    with pytest.raises(ValueError, match="broken"):
        await shop.post("/orders", headers=KEY)
    orders.fails = False
    assert (await shop.post("/orders", headers=KEY)).status_code == 201


async def test_a_request_meanwhile_is_told_to_wait(shop: httpx.AsyncClient, orders: Orders) -> None:
    orders.may_end = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        first = group.create_task(shop.post("/orders", headers=KEY))
        await orders.begun.wait()
        second = await shop.post("/orders", headers=KEY)
        orders.may_end.set()
    assert (second.status_code, second.json()["code"]) == (409, "idempotency_key_in_use")
    assert second.headers["retry-after"] == "1"
    third = await shop.post("/orders", headers=KEY)
    assert third.content == (await first).content
    assert orders.done == 1


@pytest.mark.parametrize("key", [" ", "a b", "x" * 256, "\xe9"])
async def test_a_key_must_be_well_formed(shop: httpx.AsyncClient, key: str) -> None:
    answer = await shop.post("/orders", headers={b"Idempotency-Key": key.encode("latin-1")})
    assert (answer.status_code, answer.json()["code"]) == (400, "idempotency_key_malformed")


async def test_an_answer_too_large_to_remember_is_given_all_the_same(shop: httpx.AsyncClient, orders: Orders) -> None:
    orders.size = LARGEST_ANSWER + 1
    for _ in range(2):
        assert len((await shop.post("/orders", headers=KEY)).content) == orders.size
    assert orders.done == 2


async def test_a_key_of_somebody_unknown_is_the_endpoints_business(shop: httpx.AsyncClient, orders: Orders) -> None:
    answers = [await shop.post("/orders", headers={**KEY, "Authorization": "Bearer made-up"}) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert orders.done == 2


async def test_a_key_is_forgotten_after_a_day(app: Served, shop: httpx.AsyncClient, orders: Orders) -> None:
    await shop.post("/orders", headers=KEY)
    app.clock.forward(timedelta(hours=23))
    await shop.post("/orders", headers=KEY)
    assert orders.done == 1
    app.clock.forward(timedelta(hours=1, seconds=1))
    await shop.post("/orders", headers=KEY)
    assert orders.done == 2
    app.clock.forward(timedelta(hours=25))
    remembered = app.state["remembered"]
    assert await remembered.forget_expired(remembered._database.write) == 1
