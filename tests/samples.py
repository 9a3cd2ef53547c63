"""A user with something of everything, and the ids of it by the names that paths and bodies call them."""

import asyncio
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx

from tests.application import Person

DAY: Final = "2026-02-17"
FILLS: Final = """datetime,symbol,side,quantity,price,commission,id
2026-02-17 14:30:00,{symbol},buy,10,100.5,1,{symbol}-1
2026-02-17 15:30:00,{symbol},sell,4,103.25,1,{symbol}-2
2026-02-18 15:00:00,{symbol},sell,6,99,1,{symbol}-3
2026-02-18 16:00:00,{symbol},sell,5,98,1,{symbol}-4
"""
"""A trade that is closed and one that is open."""


@dataclass(frozen=True)
class Samples:
    """Ids of what a user has, by the names of parameters; `date` is a day that they wrote about."""

    ids: dict[str, str]

    def put_into(self, parameters: dict[str, Any]) -> None:
        """Replace the values of parameters that name something by ids of what there is."""
        for name in parameters.keys() & self.ids.keys():
            parameters[name] = self.ids[name]


async def fill(person: Person, symbol: str = "AAPL") -> Samples:
    """Give a user an account with trades of a symbol from a file, and something written about everything."""
    account = await made(person.post("/accounts", json={"name": f"Account of {symbol}", "starting_balance": "10000"}))
    file = {"file": (f"{symbol}.csv", FILLS.format(symbol=symbol).encode(), "text/csv")}
    upload = await made(person.post("/imports", files=file, data={"account_id": account["id"], "timezone": "UTC"}))
    assert (await ended(person, upload["id"]))["status"] == "done"
    playbook = await made(person.post("/playbooks", json={"name": f"{symbol} breakout"}))
    trades = (await made(person.get("/trades", params={"sort": "opened_at"})))["items"]
    annotation = {"notes": f"On {symbol}", "tags": [f"tag of {symbol}"], "playbook": playbook["id"], "rating": 3}
    await made(person.patch(f"/trades/{trades[0]['id']}", json=annotation))
    await made(person.put(f"/journal/{DAY}", json={"notes": f"A day with {symbol}"}))
    executions = (await made(person.get("/executions")))["items"]
    sessions = (await made(person.get("/sessions")))["items"]
    key = await made(person.post("/api-keys", json={"name": f"{symbol} sheet"}))
    return Samples(
        {
            "account_id": account["id"],
            "import_id": upload["id"],
            "playbook_id": playbook["id"],
            "trade_id": trades[0]["id"],
            "execution_id": executions[0]["id"],
            "session_id": sessions[0]["id"],
            "key_id": key["id"],
            "user_id": person.user_id,
            "date": DAY,
            "fingerprint": "f1e2d3c4b5a69788",
            "trace_id": "0af7651916cd43dd8448eb211c80319c",
            "logger": "tradesense.ingest",
            "task_id": str(UUID(int=11)),
        }
    )


async def failed_import(person: Person) -> str:
    """The id of an import that failed, and so may be tried otherwise."""
    upload = await made(person.post("/imports", files={"file": ("empty.csv", b"", "text/csv")}))
    assert (await ended(person, upload["id"]))["status"] == "failed"
    return str(upload["id"])


async def ended(person: Person, import_id: str) -> dict[str, Any]:
    """An import once it has ended."""
    record: dict[str, Any] = {}
    for _ in range(1000):
        record = await made(person.get(f"/imports/{import_id}"))
        if record["status"] not in {"queued", "running"}:
            break
        await asyncio.sleep(0.02)
    return record


async def made(answering: Any) -> Any:  # noqa: ANN401 - an answer to come, and JSON
    """The JSON of an answer that must be a success."""
    answer: httpx.Response = await answering
    assert answer.is_success, answer.text
    return answer.json()
