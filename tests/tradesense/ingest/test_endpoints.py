"""Imports over HTTP, as a trader's client does it."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.application import Person, Serve
from tests.tradesense.ingest.conftest import generic
from tests.tradesense.ingest.test_importing import FOUR


async def _followed(person: Person, started: httpx.Response) -> dict[str, Any]:
    assert started.status_code == 202, started.text
    while True:
        answer = await person.get(f"/imports/{started.json()['id']}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        if found["status"] not in {"queued", "running"}:
            return found
        await asyncio.sleep(0.02)


async def _upload(person: Person, content: bytes, name: str = "file.csv", **said: str) -> httpx.Response:
    return await person.post("/imports", files={"file": (name, content)}, data=said)


async def test_a_trader_uploads_a_file_and_sees_its_trades(serve: Serve, broker_samples: Path) -> None:
    person = await (await serve()).user()
    started = await _upload(person, (broker_samples / "tradovate/orders.csv").read_bytes(), "orders.csv")
    assert started.headers["Location"] == f"/api/v1/imports/{started.json()['id']}"
    found = await _followed(person, started)
    assert (found["status"], found["broker"], found["format"]) == ("done", "tradovate", "orders")
    assert found["rows"] == found["imported"] + found["duplicates"] + found["error_count"] + sum(
        each["count"] for each in found["ignored"]
    )
    assert found["progress"] == {"rows": 28, "executions": 12, "percent": 100}
    trades = (await person.get("/trades")).json()["items"]
    assert sum(float(trade["gross_pnl"]) for trade in trades) == 1944.5
    assert [each["id"] for each in (await person.get("/imports")).json()["items"]] == [found["id"]]


async def test_a_question_is_answered_by_patch(serve: Serve) -> None:
    person = await (await serve()).user()
    asked = await _followed(person, await _upload(person, generic(["01/02/2026 10:00:00,AAPL,buy,10,100"])))
    assert asked["status"] == "needs_input"
    assert asked["questions"][0]["field"] == "date_order"
    answered = await person.patch(f"/imports/{asked['id']}", json={"date_order": "dmy"})
    assert (await _followed(person, answered))["status"] == "done"
    assert (await person.patch(f"/imports/{asked['id']}", json={"date_order": "dmy"})).status_code == 409


async def test_an_import_is_taken_back(serve: Serve) -> None:
    person = await (await serve()).user()
    found = await _followed(person, await _upload(person, generic(FOUR)))
    gone = await person.delete(f"/imports/{found['id']}")
    assert gone.status_code == 204
    assert "X-Data-Version" in gone.headers
    assert (await person.get("/trades")).json()["items"] == []
    assert (await person.get(f"/imports/{found['id']}")).status_code == 404


async def test_a_preview_shows_what_an_import_would_find(serve: Serve) -> None:
    person = await (await serve()).user()
    shown = await person.post(
        "/imports/preview", files={"file": ("a.csv", generic(FOUR))}, data={"timezone": "America/New_York"}
    )
    assert shown.status_code == 200, shown.text
    found = shown.json()
    assert (found["broker"], found["rows"], found["executions"]) == ("generic", 4, 4)
    assert found["timezone"] == "America/New_York"
    assert found["candidates"][0]["why"]
    assert found["fills"][0]["executed_at"] == "2026-01-05T15:00:00Z"
    assert (await person.get("/imports")).json()["items"] == []


async def test_a_preview_of_an_unknown_table_suggests_a_mapping(serve: Serve) -> None:
    person = await (await serve()).user()
    content = generic(["2026-01-05 10:00:00;AAPL;10;100"], "Execution time;Ticker;Filled quantity;Fill price")
    found = (await person.post("/imports/preview", files={"file": ("a.csv", content)})).json()
    assert [each["field"] for each in found["questions"]] == ["mapping"]
    columns = {each["field"]: each["column"] for each in found["suggested_mapping"]}
    assert columns["symbol"] == "Ticker"
    done = await _followed(person, await _upload(person, content, mapping=json.dumps(columns)))
    assert (done["status"], done["executions"]) == ("done", 1)


async def test_a_preview_of_a_picture_says_what_is_wrong(serve: Serve) -> None:
    person = await (await serve()).user()
    picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(200)
    found = (await person.post("/imports/preview", files={"file": ("a.csv", picture)})).json()
    assert found["error_count"] == 1


@pytest.mark.parametrize(
    ("said", "status", "code"),
    [
        ({"broker": "nobody"}, 422, "broker_unknown"),
        ({"account_id": "0199b7a3-5c1e-7c55-9a3e-8f1de2a45c0b"}, 404, "account_not_found"),
        ({"timezone": "Mars/Olympus"}, 422, "invalid"),
        ({"mapping": "no json"}, 422, "invalid"),
    ],
)
async def test_what_cannot_be_is_refused(serve: Serve, said: dict[str, str], status: int, code: str) -> None:
    person = await (await serve()).user()
    refused = await _upload(person, generic(FOUR), **said)
    assert (refused.status_code, refused.json()["code"]) == (status, code)


async def test_each_mistake_is_told_once_and_in_our_words(serve: Serve) -> None:
    person = await (await serve()).user()
    refused = await person.post("/imports", data={"timezone": "Mars/Olympus"})
    assert refused.json()["errors"] == [
        {"loc": ["body", "file"], "message": "Field required"},
        {
            "loc": ["body", "timezone"],
            "message": "the time zone is not known; use an IANA name such as Europe/Berlin",
        },
    ]


async def test_a_file_beyond_the_limit_is_refused(serve: Serve) -> None:
    person = await (await serve(max_upload_mb=1)).user()
    refused = await _upload(person, b"x" * (1 << 20) + b"x")
    assert (refused.status_code, refused.json()["code"]) == (413, "file_too_large")


async def test_another_users_import_is_not_there(serve: Serve) -> None:
    served = await serve()
    mine, other = await served.user(), await served.user()
    found = await _followed(mine, await _upload(mine, generic(FOUR)))
    path = f"/imports/{found['id']}"
    assert (await other.get(path)).status_code == 404
    assert (await other.patch(path, json={"skip_errors": True})).status_code == 404
    assert (await other.delete(path)).status_code == 404
    assert (await other.get("/imports")).json()["items"] == []
    assert (await mine.get(path)).status_code == 200


async def test_odd_names_and_odd_characters_do_no_harm(serve: Serve) -> None:
    person = await (await serve()).user()
    content = generic(
        ["2026-01-05 10:00:00,A\0B,buy,1,1", "2026-01-05 10:00:00,\ud800,buy,1,1".encode("utf-8", "replace").decode()]
    )
    found = await _followed(person, await _upload(person, content, "a\u202eb.csv"))
    assert found["status"] in {"done", "failed"}
    assert found["file_name"] == "ab.csv"


async def test_imports_come_by_the_page_newest_first(serve: Serve) -> None:
    person = await (await serve()).user()
    ids = [(await _followed(person, await _upload(person, generic(FOUR[:n])))).get("id") for n in (1, 2, 3)]
    seen, cursor = [], ""
    while cursor is not None:
        page = (await person.get("/imports", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [each["id"] for each in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(ids)
