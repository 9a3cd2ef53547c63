"""Groupings: which trades and realisations of a ledger belong together by one property."""

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

import numpy as np

from tradesense.domain.buckets import HOLDING_S, PRICE, SIZE, Buckets, R
from tradesense.domain.columns import Bools, ExactColumn, Ints
from tradesense.domain.days import View
from tradesense.domain.ledger import Book, Ledger
from tradesense.domain.local_time import DAY, HOUR, SECOND, months, weekdays
from tradesense.domain.packing import OPEN
from tradesense.domain.risk import r_multiples
from tradesense.domain.trades import TradeId


class By(StrEnum):
    """What to group by. `TAG`, `PLAYBOOK`, `STRATEGY` and `MISTAKE` are labels that the caller brings."""

    SYMBOL = "symbol"
    UNDERLYING = "underlying"
    ASSET_CLASS = "asset_class"
    ACCOUNT = "account"
    SIDE = "side"
    TAG = "tag"
    PLAYBOOK = "playbook"
    STRATEGY = "strategy"
    MISTAKE = "mistake"
    WEEKDAY = "weekday"
    HOUR = "hour"
    MONTH = "month"
    HOLDING_TIME = "holding_time"
    SIZE = "size"
    ENTRY_PRICE = "entry_price"
    R = "r"


LABELS: Final = frozenset({By.TAG, By.PLAYBOOK, By.STRATEGY, By.MISTAKE})
STILL_OPEN: Final = "open"
NO_RISK: Final = "no initial risk"


_WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_EPOCH_YEAR: Final = 1970


class Members(NamedTuple):
    """Which trades are in which group, and what the groups realised.

    `rows` are places among `Ledger.closed`, and `groups` the group of each; `still_open` counts each group's open
    trades. `present` is false for a group without a trade and without an exit.
    """

    keys: list[str | None]
    rows: Ints | slice
    groups: Ints
    still_open: Ints
    gross: ExactColumn
    costs: ExactColumn
    present: Bools


def members(
    view: View,
    by: By,
    labels: Mapping[TradeId, Collection[str]],
    initial_risk: Mapping[TradeId, Decimal],
) -> Members:
    """The groups of a ledger by one property, in their natural order."""
    ledger = view.ledger
    if by in LABELS:
        return _by_label(ledger, labels)
    if by in _TIMES:
        return _by_time(view, _TIMES[by])
    if by in _BOOKS:
        return _by_trade(ledger, *_of_book(ledger, _BOOKS[by]))
    if by is By.R:
        return _by_trade(ledger, *_of_risk(ledger, initial_risk))
    return _by_trade(ledger, *_PROPERTIES[by](ledger))


Grouping = tuple[list[str | None], Ints]


def _of_book(ledger: Ledger, name: Callable[[Book], str]) -> Grouping:
    keys = sorted(set(map(name, ledger.books)))
    number = {key: place for place, key in enumerate(keys)}
    return [*keys], np.array([number[name(book)] for book in ledger.books], np.int64)[ledger.book]


def _of_side(ledger: Ledger) -> Grouping:
    return ["long", "short"], (ledger.direction < 0).astype(np.int64)


def _of_holding(ledger: Ledger) -> Grouping:
    seconds = (ledger.closed_at - ledger.opened_at) / SECOND
    return [*HOLDING_S.keys, STILL_OPEN], _if_closed(ledger, HOLDING_S, HOLDING_S.place(seconds))


def _of_risk(ledger: Ledger, initial_risk: Mapping[TradeId, Decimal]) -> Grouping:
    multiples = r_multiples(ledger, initial_risk)
    groups = np.where(np.isnan(multiples), len(R.keys) + 1, _if_closed(ledger, R, R.place(multiples)))
    return [*R.keys, STILL_OPEN, NO_RISK], groups


def _if_closed(ledger: Ledger, buckets: Buckets, places: Ints) -> Ints:
    """The places of closed trades; those of open ones come after the last bucket."""
    return np.where(ledger.closed_at == OPEN, len(buckets.keys), places)


_BOOKS: Final[Mapping[By, Callable[[Book], str]]] = MappingProxyType(
    {
        By.SYMBOL: lambda book: book.symbol,
        By.UNDERLYING: lambda book: book.underlying,
        By.ASSET_CLASS: lambda book: book.asset_class.value,
        By.ACCOUNT: lambda book: book.account,
    }
)
_PROPERTIES: Final[Mapping[By, Callable[[Ledger], Grouping]]] = MappingProxyType(
    {
        By.SIDE: _of_side,
        By.HOLDING_TIME: _of_holding,
        By.SIZE: lambda ledger: ([*SIZE.keys], SIZE.place(ledger.quantity)),
        By.ENTRY_PRICE: lambda ledger: ([*PRICE.keys], PRICE.place(ledger.price)),
    }
)


def _month_name(month: int) -> str:
    return f"{_EPOCH_YEAR + month // 12}-{month % 12 + 1:02}"


class _Time(NamedTuple):
    """A property of a local time in µs: its number, and the key of a number."""

    number: Callable[[Ints], Ints]
    key: Callable[[int], str]


_TIMES: Final[Mapping[By, _Time]] = MappingProxyType(
    {
        By.WEEKDAY: _Time(lambda clock: weekdays(clock // DAY), lambda number: _WEEKDAYS[number]),
        By.HOUR: _Time(lambda clock: clock % DAY // HOUR, lambda number: f"{number:02}"),
        By.MONTH: _Time(lambda clock: months(clock // DAY), _month_name),
    }
)


def _by_trade(ledger: Ledger, keys: list[str | None], groups: Ints) -> Members:
    return Members(
        keys,
        slice(None),
        groups[ledger.closed],
        np.bincount(groups[ledger.open], minlength=len(keys)),
        ledger.realised_gross.sum_by(groups, len(keys)),
        ledger.realised_costs.sum_by(groups, len(keys)),
        np.bincount(groups, minlength=len(keys)) > 0,
    )


def _by_time(view: View, time: _Time) -> Members:
    exits, closings = time.number(view.realised_clock), time.number(view.closed_clock)
    numbers = np.concatenate([exits, closings])
    first = int(numbers.min()) if len(numbers) else 0
    present = np.bincount(numbers - first)
    realised = view.ledger.realised
    return Members(
        [time.key(first + number) for number in range(len(present))],
        slice(None),
        closings - first,
        np.zeros(len(present), np.int64),
        realised.gross.sum_by(exits - first, len(present)),
        realised.costs.sum_by(exits - first, len(present)),
        present > 0,
    )


def _by_label(ledger: Ledger, labels: Mapping[TradeId, Collection[str]]) -> Members:
    keys: list[str | None] = [*sorted({label for several in labels.values() for label in several}), None]
    number = {key: place for place, key in enumerate(keys)}
    labelled = {place: set(labels[TradeId(trade)]) for trade, place in ledger.find(labels).items()}
    pairs = [(place, number[label]) for place, several in labelled.items() for label in several]
    without = np.ones(len(ledger), np.bool_)
    without[[place for place, _ in pairs]] = False
    bare = np.flatnonzero(without)
    trades = np.concatenate([np.array([place for place, _ in pairs], np.int64), bare])
    groups = np.concatenate([np.array([group for _, group in pairs], np.int64), np.full(len(bare), len(keys) - 1)])
    rows = np.full(len(ledger), -1)
    rows[ledger.closed] = np.arange(len(ledger.closed))
    is_closed = rows[trades] >= 0
    is_open = ~is_closed & ledger.counted[trades]
    return Members(
        keys,
        rows[trades[is_closed]],
        groups[is_closed],
        np.bincount(groups[is_open], minlength=len(keys)),
        ledger.realised_gross.take(trades).sum_by(groups, len(keys)),
        ledger.realised_costs.take(trades).sum_by(groups, len(keys)),
        np.bincount(groups, minlength=len(keys)) > 0,
    )
