"""The ledger: every trade and every realisation of some books as columns, which all statistics read."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple, Self
from uuid import UUID

import numpy as np

from tradesense.domain.columns import Bools, ExactColumn, Floats, Ints
from tradesense.domain.instruments import AssetClass
from tradesense.domain.packing import OPEN, Ids, unpack


class Book(NamedTuple):
    """What all trades of one book (account and instrument) have in common."""

    account: str
    symbol: str
    underlying: str
    asset_class: AssetClass
    currency: str


class MixedCurrencies(ValueError):
    """Money in several currencies cannot be added up; see `Ledger.by_currency`."""


class Realised(NamedTuple):
    """What exits realised: when (µs since 1970 UTC), of which trade of the ledger, and how much."""

    at: Ints
    trade: Ints
    gross: ExactColumn
    costs: ExactColumn


@dataclass(frozen=True, eq=False)
class Ledger:
    """Columns of trades, and of what they realised. `direction` is 1 for long and -1 for short.

    `gross` and `costs` are all that a trade has realised. Where a period was selected, `realised` holds what was
    realised in it, and `counted` is false for a trade that is here only because of that (see `filters`).
    """

    books: tuple[Book, ...]
    book: Ints
    ids: Ids
    opened_at: Ints
    closed_at: Ints
    direction: Ints
    quantity: Floats
    price: Floats
    executions: Ints
    gross: ExactColumn
    costs: ExactColumn
    open_costs: ExactColumn
    counted: Bools
    realised: Realised

    def __len__(self) -> int:
        return len(self.book)

    @cached_property
    def currencies(self) -> list[str]:
        """The currencies of the trades, in alphabetical order."""
        used = np.flatnonzero(np.bincount(self.book, minlength=len(self.books)))
        return sorted({self.books[number].currency for number in used})

    @property
    def currency(self) -> str | None:
        """The one currency of all trades, or None where there is no trade; raises `MixedCurrencies`."""
        if len(self.currencies) > 1:
            raise MixedCurrencies(f"the ledger has {', '.join(self.currencies)}")
        return self.currencies[0] if self.currencies else None

    @cached_property
    def net(self) -> ExactColumn:
        """Gross less costs."""
        return self.gross - self.costs

    @cached_property
    def result(self) -> Ints:
        """1 for a win, 0 for breakeven and -1 for a loss, by net; it is final for trades that are closed."""
        return self.net.signs()

    @cached_property
    def closed(self) -> Ints:
        """The places of the trades that count and are closed."""
        return np.flatnonzero(self.counted & (self.closed_at != OPEN))

    @cached_property
    def closed_net(self) -> ExactColumn:
        """Net of the trades in `closed`."""
        return self.net.take(self.closed)

    @cached_property
    def closed_floats(self) -> Floats:
        """Net of the trades in `closed`, as floats for statistics."""
        return self.closed_net.floats()

    @cached_property
    def closed_result(self) -> Ints:
        """The `result` of the trades in `closed`."""
        return self.result[self.closed]

    @cached_property
    def open(self) -> Ints:
        """The places of the trades that count and are open."""
        return np.flatnonzero(self.counted & (self.closed_at == OPEN))

    @cached_property
    def realised_gross(self) -> ExactColumn:
        """What of each trade's gross lies in `realised`."""
        return self.realised.gross.sum_by(self.realised.trade, len(self))

    @cached_property
    def realised_costs(self) -> ExactColumn:
        """What of each trade's costs lies in `realised`."""
        return self.realised.costs.sum_by(self.realised.trade, len(self))

    def take(self, trades: Bools, realised: Bools | None = None, counted: Bools | None = None) -> Self:
        """The ledger of the trades where `trades` is true, with their realisations or those where `realised` is true.

        Every realisation that is kept must be of a trade that is kept.
        """
        keep = trades[self.realised.trade] if realised is None else realised
        places = np.cumsum(trades) - 1
        return replace(
            self,
            book=self.book[trades],
            ids=self.ids[trades],
            opened_at=self.opened_at[trades],
            closed_at=self.closed_at[trades],
            direction=self.direction[trades],
            quantity=self.quantity[trades],
            price=self.price[trades],
            executions=self.executions[trades],
            gross=self.gross.take(trades),
            costs=self.costs.take(trades),
            open_costs=self.open_costs.take(trades),
            counted=(self.counted if counted is None else counted)[trades],
            realised=Realised(
                at=self.realised.at[keep],
                trade=places[self.realised.trade[keep]],
                gross=self.realised.gross.take(keep),
                costs=self.realised.costs.take(keep),
            ),
        )

    def by_currency(self) -> dict[str, Self]:
        """A ledger for each currency, in alphabetical order."""
        if len(self.currencies) <= 1:
            return dict.fromkeys(self.currencies, self)
        currency = np.array(
            [self.currencies.index(book.currency) if book.currency in self.currencies else -1 for book in self.books]
        )
        return {name: self.take(currency[self.book] == place) for place, name in enumerate(self.currencies)}

    def find(self, ids: Collection[UUID]) -> dict[UUID, int]:
        """The places of those of the trades that the ledger has."""
        wanted = {trade.bytes: trade for trade in ids}
        if not wanted:
            return {}
        likely = np.flatnonzero(np.isin(_low_words(self.ids), _low_words(np.frombuffer(b"".join(wanted), "V16"))))
        found = zip(self.ids[likely].tolist(), likely.tolist(), strict=True)
        return {wanted[key]: place for key, place in found if key in wanted}


def join(parts: Iterable[tuple[Book, Iterable[bytes]]]) -> Ledger:
    """The ledger of some books, each with the blobs of its segments (see `packing.pack`), in the order given.

    Raises `UnreadableSegment`.
    """
    books: list[Book] = []
    numbers: list[int] = []
    blobs: list[bytes] = []
    for book, segments in parts:
        before = len(blobs)
        blobs.extend(segments)
        numbers.extend([len(books)] * (len(blobs) - before))
        books.append(book)
    columns, counts = unpack(blobs)
    return Ledger(
        books=tuple(books),
        book=np.repeat(np.array(numbers, np.int64), counts),
        ids=columns.ids,
        opened_at=columns.opened_at,
        closed_at=columns.closed_at,
        direction=columns.direction,
        quantity=columns.quantity,
        price=columns.price,
        executions=columns.executions,
        gross=columns.gross,
        costs=columns.costs,
        open_costs=columns.open_costs,
        counted=np.ones(sum(counts), np.bool_),
        realised=Realised(
            columns.realised_at,
            columns.realised_trade,
            columns.realised_gross,
            columns.realised_costs,
        ),
    )


def _low_words(ids: Ids) -> Ints:
    """The last 8 bytes of each id, which differ in nearly all ids."""
    return np.ascontiguousarray(ids).view(np.int64)[1::2]
