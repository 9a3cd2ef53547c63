"""Filters: the part of a ledger that a question is about."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from tradesense.domain.columns import Bools, Ints
from tradesense.domain.instruments import AssetClass
from tradesense.domain.ledger import Book, Ledger
from tradesense.domain.local_time import DAY, day_number, local
from tradesense.domain.packing import OPEN
from tradesense.domain.trades import Direction, TradeId


class Result(StrEnum):
    """How a closed trade ended, by net P&L."""

    WIN = "win"
    LOSS = "loss"
    BREAKEVEN = "breakeven"


class Status(StrEnum):
    """Whether a trade is over."""

    OPEN = "open"
    CLOSED = "closed"


SIGNS: Final = {Result.WIN: 1, Result.LOSS: -1, Result.BREAKEVEN: 0}


@dataclass(frozen=True, slots=True)
class Filter:
    """What to select; None asks for nothing. A trade must meet all that is asked for.

    `results` select closed trades alone. `trades` are ids that the caller found by other means (tags, playbooks).
    `first` and `last` are days, both included: a closed trade belongs to the day on which it closed, what it realised
    to the day on which that happened; so a partial exit counts in its own period. A trade that is open belongs to every
    period that does not end before it was opened.
    """

    accounts: Collection[str] | None = None
    symbols: Collection[str] | None = None
    underlyings: Collection[str] | None = None
    asset_classes: Collection[AssetClass] | None = None
    direction: Direction | None = None
    results: Collection[Result] | None = None
    status: Status | None = None
    first: date | None = None
    last: date | None = None
    trades: Collection[TradeId] | None = None


def select(ledger: Ledger, wanted: Filter, zone: ZoneInfo) -> Ledger:
    """The part of the ledger that the filter asks for; days are the zone's."""
    trades = _by_book(ledger, wanted) & _by_trade(ledger, wanted)
    if wanted.first is None and wanted.last is None:
        return ledger if trades.all() else ledger.take(trades)
    in_period = _period(wanted, zone)
    is_open = ledger.closed_at == OPEN
    realised = trades[ledger.realised.trade] & in_period(ledger.realised.at)
    counted = np.zeros(len(ledger), np.bool_)
    counted[~is_open] = in_period(ledger.closed_at[~is_open])
    if wanted.last is None:
        counted[is_open] = True
    else:
        counted[is_open] = local(ledger.opened_at[is_open], zone) < (day_number(wanted.last) + 1) * DAY
    counted &= trades & ledger.counted
    present = counted.copy()
    present[ledger.realised.trade[realised]] = True
    return ledger.take(present, realised, counted)


def _by_book(ledger: Ledger, wanted: Filter) -> Bools:
    def matches(book: Book) -> bool:
        return (
            (wanted.accounts is None or book.account in wanted.accounts)
            and (wanted.symbols is None or book.symbol in wanted.symbols)
            and (wanted.underlyings is None or book.underlying in wanted.underlyings)
            and (wanted.asset_classes is None or book.asset_class in wanted.asset_classes)
        )

    return np.array([matches(book) for book in ledger.books], np.bool_)[ledger.book]


def _by_trade(ledger: Ledger, wanted: Filter) -> Bools:
    trades = np.ones(len(ledger), np.bool_)
    if wanted.direction is not None:
        trades &= ledger.direction == (1 if wanted.direction is Direction.LONG else -1)
    if wanted.status is not None:
        trades &= (ledger.closed_at == OPEN) == (wanted.status is Status.OPEN)
    if wanted.results is not None:
        trades &= np.isin(ledger.result, [SIGNS[result] for result in wanted.results]) & (ledger.closed_at != OPEN)
    if wanted.trades is not None:
        named = np.zeros(len(ledger), np.bool_)
        named[list(ledger.find(wanted.trades).values())] = True
        trades &= named
    return trades


def _period(wanted: Filter, zone: ZoneInfo) -> Callable[[Ints], Bools]:
    """Whether instants lie between the first and the last day."""

    def in_period(at: Ints) -> Bools:
        inside = np.ones(len(at), np.bool_)
        clock = local(at, zone)
        if wanted.first is not None:
            inside &= clock >= day_number(wanted.first) * DAY
        if wanted.last is not None:
            inside &= clock < (day_number(wanted.last) + 1) * DAY
        return inside

    return in_period
