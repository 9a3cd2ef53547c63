from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from tests.application import Person

Json = dict[str, Any]


@dataclass
class Trader:
    """A user with an account, who enters fills by hand."""

    person: Person
    account_id: str

    async def fill(self, symbol: str, side: str, quantity: str, price: str, at: str, **more: object) -> Json:
        """Enter a fill at a time of 2 March 2026."""
        body = {
            "account_id": self.account_id,
            "symbol": symbol,
            "side": side,
            "quantity": quantity,
            "price": price,
            "executed_at": f"2026-03-02T{at}Z",
            **more,
        }
        answer = await self.person.post("/executions", json=body)
        assert answer.status_code == 201, answer.text
        entered: Json = answer.json()
        return entered

    async def trades(self, **query: str) -> list[Json]:
        """The list of trades."""
        answer = await self.person.get("/trades", params=query)
        assert answer.status_code == 200, answer.text
        items: list[Json] = answer.json()["items"]
        return items

    async def symbols(self, **query: str) -> list[str]:
        """The symbols of the list of trades."""
        return [trade["symbol"] for trade in await self.trades(**query)]


async def opened(person: Person, **account: object) -> Trader:
    """A trader with a new account."""
    answer = await person.post("/accounts", json={"name": "Main", "currency": "USD", **account})
    assert answer.status_code == 201, answer.text
    return Trader(person, answer.json()["id"])


@pytest.fixture
async def trader(user: Person) -> Trader:
    return await opened(user)


ROUND_TRIPS: Sequence[tuple[str, str, str, str, str]] = (
    ("AAPL", "buy", "10", "100", "14:30:00"),
    ("AAPL", "sell", "10", "101.5", "15:00:00"),
    ("MSFT", "sell", "5", "400", "14:40:00"),
    ("MSFT", "buy", "5", "402", "16:00:00"),
    ("MNQM6", "buy", "2", "21000.25", "17:00:00"),
)


@pytest.fixture
async def three_trades(trader: Trader) -> Trader:
    """A win of 15 on AAPL, a loss of 10 on MSFT (short), and an open MNQM6."""
    for trip in ROUND_TRIPS:
        await trader.fill(*trip)
    return trader
