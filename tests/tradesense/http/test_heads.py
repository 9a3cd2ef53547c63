"""HEAD, wherever there is a GET."""

import asyncio

import pytest

from tests.application import Person

OF_EACH = {"age", "ratelimit", "x-cache", "x-correlation-id", "x-request-id"}
"""What is another for each request."""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/accounts", 200),
        ("/trades?limit=3", 200),
        ("/portfolio/summary", 200),
        ("/trades/export?format=csv", 200),
        ("/monitoring/health/live", 200),
        ("/trades?limit=many", 422),
        ("/accounts/00000000-0000-7000-8000-000000000000", 404),
        ("/auth/login", 405),
        ("/nowhere", 404),
    ],
)
async def test_head_has_the_headers_of_get_and_no_body(user: Person, path: str, status: int) -> None:
    get, head = await user.get(path), await user.head(path)
    assert (get.status_code, head.status_code, head.content) == (status, status, b"")
    told = [{name: value for name, value in each.headers.items() if name not in OF_EACH} for each in (get, head)]
    assert told[0] == told[1]


async def test_who_has_the_answer_already_is_told_so(user: Person) -> None:
    tag = (await user.head("/portfolio/summary")).headers["ETag"]
    answer = await user.get("/portfolio/summary", headers={"If-None-Match": tag})
    assert answer.status_code == 304
    assert (await user.head("/portfolio/summary", headers={"If-None-Match": tag})).status_code == 304


async def test_the_head_of_a_stream_ends(user: Person) -> None:
    async with asyncio.timeout(10):
        answer = await user.head("/events/stream", params={"channel": f"user:{user.user_id}"})
    assert answer.headers["content-type"].startswith("text/event-stream")


async def test_pages_elsewhere_may_ask_for_it(user: Person) -> None:
    asking = {"Origin": "https://ours.example", "Access-Control-Request-Method": "HEAD"}
    answer = await user.options("/accounts", headers=asking)
    assert "HEAD" in answer.headers["Access-Control-Allow-Methods"]
