"""Answers that are kept: when they are served, and when they are worth nothing any more."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Final

import pytest

from tests.application import Person, Serve, Served
from tests.samples import fill
from tests.tradesense.analytics.stored import VT, Fill, Store, store
from tests.tradesense.http.test_versions import COUNTED
from tradesense.http.openapi import operations

WON: Final = (Fill("2026-03-02T10:00", 1, 100), Fill("2026-03-02T11:00", -1, 110))
KEPT: Final = (
    "/portfolio/summary",
    "/portfolio/positions",
    "/analytics/summary",
    "/analytics/equity",
    "/analytics/calendar",
    "/analytics/breakdown?by=symbol",
    "/analytics/distribution",
    "/analytics/monte-carlo?paths=10",
)
LABELLED: Final = (
    "/analytics/summary?tag=late",
    "/analytics/equity?tag=late",
    "/analytics/calendar?playbook=Fade",
    "/analytics/distribution?playbook=Faded",
    "/analytics/breakdown?by=tag",
    "/analytics/breakdown?by=playbook",
    "/analytics/breakdown?by=r",
    "/analytics/breakdown?by=mistake",
)
ORDERS: Final = "datetime,symbol,side,quantity,price\n2026-03-02 10:00,VT,buy,1,100\n2026-03-02 11:00,VT,sell,1,110\n"


async def seen(person: Person, path: str, **headers: str) -> tuple[int, str | None]:
    answer = await person.get(path, headers=headers)
    return answer.status_code, answer.headers.get("X-Cache")


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():  # noqa: ASYNC110 - what it waits for is no event
            await asyncio.sleep(0.01)


@pytest.fixture
async def stored(app: Served, user: Person) -> Store:
    filled = store(app, user)
    await filled.book(await filled.account(), VT, *WON)
    return filled


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("path", KEPT)
async def test_a_second_answer_comes_from_the_cache_and_is_the_same(user: Person, path: str) -> None:
    first, second = await user.get(path), await user.get(path)
    assert (first.status_code, first.headers["X-Cache"], second.headers["X-Cache"]) == (200, "miss", "hit")
    assert first.content == second.content
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "private" in second.headers["Cache-Control"]


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("path", KEPT)
async def test_who_has_the_answer_is_told_that_it_still_holds(user: Person, path: str) -> None:
    etag = (await user.get(path)).headers["ETag"]
    again = await user.get(path, headers={"If-None-Match": etag})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("path", KEPT)
async def test_a_write_makes_every_answer_of_its_user_worthless(user: Person, stored: Store, path: str) -> None:
    await user.get(path)
    await stored.book(await stored.account("Other"), VT, *WON)
    assert await seen(user, path) == (200, "miss")


@pytest.mark.parametrize("path", KEPT)
async def test_a_write_of_another_user_does_not(app: Served, user: Person, path: str) -> None:
    await user.get(path)
    other = await app.user()
    await store(app, other).account()
    assert await seen(user, path) == (200, "hit")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("path", KEPT)
async def test_nobody_is_served_what_was_kept_for_another(app: Served, user: Person, path: str) -> None:
    mine = await user.get(path)
    other = await app.user()
    theirs = await other.get(path)
    assert theirs.headers["X-Cache"] == "miss"
    assert theirs.content != mine.content or path == "/portfolio/positions"
    assert (await (await app.person()).get(path)).status_code == 401


@pytest.mark.usefixtures("stored")
async def test_who_has_logged_out_is_refused_what_was_kept(user: Person) -> None:
    await user.get("/portfolio/summary")
    await user.post("/auth/logout")
    assert (await user.get("/portfolio/summary")).status_code == 401


@pytest.mark.usefixtures("stored")
async def test_a_version_that_is_there_is_served_from_the_cache_and_one_that_is_not_is_refused(user: Person) -> None:
    version = (await user.get("/portfolio/summary")).json()["version"]
    assert await seen(user, "/portfolio/summary", **{"X-Data-Version": str(version)}) == (200, "hit")
    assert await seen(user, "/portfolio/summary", **{"X-Data-Version": str(version + 1)}) == (412, None)
    for unreadable in ("one", "9" * 19 + "9", "9" * 5000):
        assert await seen(user, "/portfolio/summary", **{"X-Data-Version": unreadable}) == (422, None)


@pytest.mark.usefixtures("stored")
async def test_what_was_kept_yesterday_is_computed_anew(app: Served, user: Person) -> None:
    await user.get("/portfolio/summary")
    app.clock.forward(timedelta(days=1))
    answer = await user.get("/portfolio/summary")
    assert (answer.headers["X-Cache"], answer.json()["today"]["day"]) == ("miss", "2026-03-03")


async def test_parameters_that_the_endpoint_does_not_have_make_no_new_entries(user: Person) -> None:
    await user.get("/portfolio/summary")
    assert await seen(user, "/portfolio/summary?nonce=1") == (200, "hit")
    assert await seen(user, "/portfolio/summary?currency=EUR") == (200, "miss")


async def test_what_is_imported_is_computed_before_it_is_asked_for(app: Served, user: Person) -> None:
    taken = await user.post("/imports", files={"file": ("fills.csv", ORDERS)})
    assert taken.status_code == 202
    groups = app.state["keel"].cache.stats
    await until(lambda: (found := groups().groups.get("analytics")) is not None and found.loads >= 3)
    await until(lambda: app.state["keel"].cache.stats().groups["portfolio"].loads >= 2)
    answer = await user.get("/portfolio/summary")
    assert (answer.json()["net_pnl"], answer.headers["X-Cache"]) == ("10", "hit")


async def test_answers_of_active_users_are_computed_at_the_start(serve: Serve) -> None:
    first = await serve()
    user = await first.user()
    second = await serve()
    await until(lambda: second.state["keel"].cache.stats().total.loads >= 5)
    again = await second.person()
    again.headers["Authorization"] = user.headers["Authorization"]
    assert await seen(again, "/analytics/summary") == (200, "hit")


async def test_without_a_cache_every_answer_is_computed(serve: Serve) -> None:
    user = await (await serve(cache="off")).user()
    assert [await seen(user, "/portfolio/summary") for _ in range(2)] == [(200, "miss")] * 2


async def test_instances_with_a_redis_share_answers_and_writes(
    serve: Serve, redis_url: str, redis_namespace: str
) -> None:
    shared = {"redis_url": redis_url, "environment": redis_namespace}
    here, there = await serve(**shared), await serve(**shared)
    await until(lambda: {each.state["keel"].cache.stats().mode for each in (here, there)} == {"live"})
    user = await here.user()
    guest = await there.person()
    guest.headers["Authorization"] = user.headers["Authorization"]
    assert await seen(user, "/portfolio/summary") == (200, "miss")
    assert await seen(guest, "/portfolio/summary") == (200, "hit")
    written = await user.post("/accounts", json={"name": "Second"})
    carried = {"X-Data-Version": written.headers["X-Data-Version"]}
    assert await seen(guest, "/portfolio/summary", **carried) == (200, "miss")
    assert await seen(user, "/portfolio/summary") == (200, "hit")


async def test_answers_go_on_without_the_redis(serve: Serve, redis_url: str) -> None:
    assert redis_url
    user = await (await serve(redis_url="redis://127.0.0.1:1/0")).user()
    assert [(await seen(user, "/portfolio/summary"))[0] for _ in range(3)] == [200] * 3


async def shown(person: Person) -> dict[str, object]:
    """All that is kept, but for which write it is as new as."""
    return {path: {**(await person.get(path)).json(), "version": None} for path in (*KEPT, *LABELLED)}


async def test_what_is_kept_is_what_would_be_computed_whatever_was_written(serve: Serve) -> None:
    kept, computed = await serve(), await serve(cache="off")
    user, same = await kept.user(), await computed.person()
    same.headers["Authorization"] = user.headers["Authorization"]
    samples = await fill(user)
    urls = {each["operationId"]: (path, method) for path, method, each in operations(kept.app.openapi())}
    for name, body in COUNTED.items():
        assert await shown(user) == await shown(same), f"before {name}"
        path, method = urls[name]
        sent = {**(body or {}), **({"account_id": samples.ids["account_id"]} if name == "add_execution" else {})}
        answer = await user.request(method, path.removeprefix("/api/v1").format(**samples.ids), json=sent or None)
        assert answer.is_success, f"{name}: {answer.text}"
    assert await shown(user) == await shown(same)


async def test_a_note_leaves_what_is_kept_and_a_label_what_does_not_go_by_it(user: Person) -> None:
    samples = await fill(user)
    paths = (*KEPT, *LABELLED)
    for path in paths:
        await user.get(path)
    await user.put("/journal/2026-03-02", json={"notes": "Patience."})
    assert [(await seen(user, path))[1] for path in paths] == ["hit"] * len(paths)
    await user.patch(f"/trades/{samples.ids['trade_id']}", json={"tags": ["late"]})
    found = {path: (await seen(user, path))[1] for path in paths}
    assert {path for path, how in found.items() if how == "miss"} == {"/analytics/summary", *LABELLED}


async def test_a_version_that_is_carried_back_is_that_of_the_answer_at_least(user: Person) -> None:
    await user.get("/portfolio/summary")
    written = await user.put("/journal/2026-03-02", json={"notes": "Patience."})
    answer = await user.get("/portfolio/summary", headers={"X-Data-Version": written.headers["X-Data-Version"]})
    assert answer.json()["version"] == int(written.headers["X-Data-Version"])
