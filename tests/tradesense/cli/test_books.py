"""Files put together without a database."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

import pytest

from tradesense.brokers.contract import CashKind, CashMovement, Options
from tradesense.brokers.reading import Reading
from tradesense.cli.books import Books, Money
from tradesense.cli.exports import read_export
from tradesense.cli.report_figures import figures
from tradesense.domain.executions import ExecutionKind
from tradesense.domain.matching import Method

UTC = ZoneInfo("UTC")
HEADER = "datetime,symbol,side,quantity,price,commission,fees,multiplier,currency,account,id\n"
ROUND_TRIP = "2026-01-05 15:00,MESH6,buy,2,6000,1,0.5,5,USD,A,1\n2026-01-05 15:30,MESH6,sell,2,6010,1,0.5,5,USD,A,2\n"


class ReadText(Protocol):
    def __call__(self, text: str) -> Reading: ...


@pytest.fixture
def read_text(tmp_path: Path) -> Iterator[ReadText]:
    path = tmp_path / "fills.csv"
    with ExitStack() as stack:

        def read(text: str) -> Reading:
            path.write_text(text)
            return stack.enter_context(read_export(path, "auto", Options(UTC)).reading)

        yield read


def test_the_same_file_twice_adds_nothing(read_text: ReadText) -> None:
    books = Books()
    assert books.add(read_text(HEADER + ROUND_TRIP)) == (2, set())
    assert books.add(read_text(HEADER + ROUND_TRIP)) == (0, {2, 3})
    (book,) = books
    (trade,), excesses = book.trades(Method.FIFO)
    assert (trade.gross, trade.costs, excesses) == (Decimal(100), Decimal(3), [])


def test_an_overlapping_file_adds_only_what_is_new(read_text: ReadText) -> None:
    books = Books()
    books.add(read_text(HEADER + ROUND_TRIP))
    later = "2026-01-05 16:00,MESH6,sell,1,6020,1,0.5,5,USD,A,3\n"
    assert books.add(read_text(HEADER + ROUND_TRIP + later)) == (1, {2, 3})
    (book,) = books
    assert len(book.executions) == 3


def test_accounts_named_in_a_file_have_books_of_their_own(read_text: ReadText) -> None:
    books = Books()
    books.add(read_text(HEADER + ROUND_TRIP + ROUND_TRIP.replace(",A,", ",B,")))
    assert sorted(book.account for book in books) == ["A", "B"]


def test_a_trade_has_the_same_id_whenever_it_is_computed(read_text: ReadText) -> None:
    ids = []
    for _ in range(2):
        books = Books()
        books.add(read_text(HEADER + ROUND_TRIP))
        ids += [trade.id for book in books for trade in book.trades(Method.FIFO)[0]]
    assert ids[0] == ids[1]


def test_money_is_signed_by_side_and_kept_by_currency(read_text: ReadText) -> None:
    books = Books()
    books.add(read_text(HEADER + ROUND_TRIP + "2026-01-06 10:00,SAP,buy,3,200.5,2,,1,EUR,A,9\n"))
    assert books.money() == {
        "USD": Money(Decimal(100), Decimal(3)),
        "EUR": Money(Decimal("-601.5"), Decimal(2)),
    }


def test_a_currency_whose_fills_made_no_trade_has_the_same_figures_as_any_other(read_text: ReadText) -> None:
    books = Books()
    books.add(read_text(HEADER + ROUND_TRIP + "2026-01-06 10:00,SAP,buy,3,200.5,2,,1,EUR,A,9\n"))
    (euros,) = (book for book in books if book.instrument.currency == "EUR")
    for identity, execution in euros.executions.items():
        euros.executions[identity] = execution._replace(kind=ExecutionKind.EXPIRY)
    found = figures(books, Method.FIFO, UTC, {"EUR": Decimal(500)}, datetime(2026, 2, 1, tzinfo=UTC))
    assert len(found.trades) == 1
    dollars, none = found.by_currency["USD"], found.by_currency["EUR"]
    assert dollars.keys() == none.keys()
    assert (none["currency"], none["trades"], none["net_pnl"], none["costs_paid"]) == ("EUR", 0, "0", "2")
    assert (none["win_rate"], none["reasons"]["win_rate"]) == (None, "no closed trades")
    assert (none["starting_balance"], none["equity"], dollars["starting_balance"]) == ("500", "500", None)


def test_a_transfer_moves_no_cash(read_text: ReadText) -> None:
    books = Books()
    books.add(read_text(HEADER + ROUND_TRIP))
    (book,) = books
    for identity, execution in book.executions.items():
        book.executions[identity] = execution._replace(kind=ExecutionKind.TRANSFER)
    assert books.money()["USD"] == Money(Decimal(0), Decimal(3))


def test_deposits_and_withdrawals_flow_on_the_day_of_the_zone_and_nothing_else_does() -> None:
    books = Books()
    at = datetime(2026, 1, 6, 2, tzinfo=UTC)
    for number, (kind, amount, currency) in enumerate(
        [
            (CashKind.DEPOSIT, "1000", "USD"),
            (CashKind.WITHDRAWAL, "-250.5", "USD"),
            (CashKind.DIVIDEND, "7", "USD"),
            (CashKind.DEPOSIT, "99", "EUR"),
        ]
    ):
        movement = CashMovement(kind, Decimal(amount), currency, at, "2026-01-06 02:00", str(number))
        books.movements[bytes([number])] = movement
    assert books.flows("USD", ZoneInfo("America/New_York")) == {date(2026, 1, 5): Decimal("749.5")}


def test_a_fill_told_earlier_in_sequence_by_another_file_takes_that_place(read_text: ReadText) -> None:
    reading = read_text(HEADER + ROUND_TRIP)
    books = Books()
    books.add(reading)
    (book,) = books
    entry = next(iter(reading.fills()))
    earlier = entry._replace(sequence=entry.sequence - 1)
    before = book.executions[entry.identity].order
    assert not book.add(earlier, books.comparison)
    assert book.executions[entry.identity].order < before
