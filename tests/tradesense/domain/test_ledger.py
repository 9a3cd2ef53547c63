"""The ledger gives back, exactly, what its trades were."""

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tradesense.domain.books import (
    EURO,
    FUTURE,
    MONDAY,
    STOCK,
    closed,
    identity,
    ledger,
    ledgers,
    some_trades,
    stock,
    trade,
)
from tradesense.domain.ledger import Book, Ledger, MixedCurrencies, join
from tradesense.domain.local_time import instant
from tradesense.domain.money import ZERO, exact
from tradesense.domain.packing import OPEN, UnreadableSegment, pack
from tradesense.domain.trades import Direction, Trade


def rows(ledger: Ledger) -> list[tuple[Any, ...]]:
    legs = list(
        zip(
            ledger.realised.trade.tolist(),
            [instant(at) for at in ledger.realised.at.tolist()],
            ledger.realised.gross.decimals(),
            ledger.realised.costs.decimals(),
            strict=True,
        )
    )
    return [
        (
            book,
            ident.tobytes(),
            opened,
            closed,
            direction,
            quantity,
            price,
            count,
            gross,
            costs,
            still,
            [leg[1:] for leg in legs if leg[0] == place],
        )
        for place, (book, ident, opened, closed, direction, quantity, price, count, gross, costs, still) in enumerate(
            zip(
                [ledger.books[number] for number in ledger.book],
                ledger.ids,
                [instant(at) for at in ledger.opened_at.tolist()],
                [None if at == OPEN else instant(at) for at in ledger.closed_at.tolist()],
                [Direction.LONG if sign == 1 else Direction.SHORT for sign in ledger.direction.tolist()],
                ledger.quantity.tolist(),
                ledger.price.tolist(),
                ledger.executions.tolist(),
                ledger.gross.decimals(),
                ledger.costs.decimals(),
                ledger.open_costs.decimals(),
                strict=True,
            )
        )
    ]


def row(book: Book, trade: Trade) -> tuple[Any, ...]:
    return (
        book,
        trade.id.bytes,
        trade.opened_at,
        trade.closed_at,
        trade.direction,
        float(trade.max_quantity),
        float(trade.entry_value) / float(trade.entry_quantity),
        trade.executions,
        trade.gross,
        trade.costs,
        trade.open_costs,
        [(leg.at, leg.gross, leg.costs) for leg in trade.realisations],
    )


@given(ledgers())
def test_packing_and_joining_gives_the_trades_back(case: tuple[Ledger, list[tuple[Book, Trade]]]) -> None:
    joined, trades = case
    assert rows(joined) == [row(book, one) for book, one in trades]


@given(ledgers(), st.data())
def test_taking_trades_keeps_their_realisations(
    case: tuple[Ledger, list[tuple[Book, Trade]]], data: st.DataObject
) -> None:
    joined, trades = case
    keep = data.draw(st.lists(st.booleans(), min_size=len(trades), max_size=len(trades)))
    taken = joined.take(np.array(keep, np.bool_))
    assert rows(taken) == [row(book, one) for (book, one), kept in zip(trades, keep, strict=True) if kept]


@given(some_trades())
def test_packing_is_deterministic(trades: list[Trade]) -> None:
    assert pack(trades) == pack(list(trades))


@given(ledgers())
def test_what_is_realised_adds_up_to_each_trade(case: tuple[Ledger, list[tuple[Book, Trade]]]) -> None:
    joined, trades = case
    assert joined.realised_gross.decimals() == [one.gross for _, one in trades]
    assert joined.realised_costs.decimals() == [one.costs for _, one in trades]


def test_net_and_result_are_exact() -> None:
    tiny = stock([trade((MONDAY, "0.3", "0.1"), (MONDAY, "0", "0.2")), trade((MONDAY, "0.3", "0.299999999999"))])
    assert tiny.net.decimals() == [ZERO, Decimal("1e-12")]
    assert tiny.result.tolist() == [0, 1]


def test_no_book_makes_an_empty_ledger() -> None:
    empty = join([])
    assert len(empty) == 0
    assert empty.currency is None
    assert empty.by_currency() == {}
    assert empty.net.sum() == 0
    assert stock([]).currencies == []


def test_currencies_are_told_apart_and_never_mixed() -> None:
    mixed = ledger((STOCK, closed("1", "2")), (EURO, closed("4")), (FUTURE, closed("8")))
    parts = mixed.by_currency()
    assert {name: part.net.sum() for name, part in parts.items()} == {"EUR": 4, "USD": 11}
    assert parts["EUR"].currency == "EUR"
    with pytest.raises(MixedCurrencies, match="EUR, USD"):
        _ = mixed.currency


def test_a_book_without_trades_brings_no_currency() -> None:
    assert ledger((STOCK, closed("1")), (EURO, [])).currency == "USD"


def test_trades_are_found_by_id() -> None:
    joined = ledger((STOCK, [trade((MONDAY, "1", "0"), number=7)]), (EURO, [trade((MONDAY, "1", "0"), number=3)]))
    same_low_word = UUID(int=identity(3).int + (1 << 64))
    assert joined.find([identity(3), identity(99), same_low_word, identity(7)]) == {identity(7): 0, identity(3): 1}
    assert joined.find([]) == {}


def test_open_and_closed_trades_are_told_apart() -> None:
    both = stock([*closed("1"), trade((MONDAY, "2", "0"), is_open=True)])
    assert (both.closed.tolist(), both.open.tolist()) == ([0], [1])


@pytest.mark.parametrize("blob", [b"", b"TS", b"XX" + pack([])[2:], pack([])[:2] + b"\xff" + pack([])[3:]])
def test_a_foreign_blob_is_refused(blob: bytes) -> None:
    with pytest.raises(UnreadableSegment):
        join([(STOCK, [blob])])


def test_an_ordinary_trade_packs_into_less_than_a_hundred_bytes() -> None:
    nets = [str(Decimal(place % 1000) / 4) for place in range(4096)]
    assert len(pack(closed(*nets, every=timedelta(minutes=7)))) < 100 * 4096


def test_decimal_context_of_the_caller_does_not_matter() -> None:
    with exact():
        blob = pack(closed("1.25"))
    assert blob == pack(closed("1.25"))
