"""A trade as a report tells it, under the keys of the API."""

from collections.abc import Iterable
from typing import Any

from tradesense.cli.books import Book
from tradesense.domain.money import average, exact, text
from tradesense.domain.trades import Trade


def trade_rows(trades: Iterable[tuple[Book, Trade]]) -> list[dict[str, Any]]:
    """The trades in the order in which they were opened."""
    with exact():
        return [_row(book, trade) for book, trade in sorted(trades, key=lambda each: (each[1].opened_at, each[1].id))]


def _row(book: Book, trade: Trade) -> dict[str, Any]:
    instrument = book.instrument
    return {
        "id": str(trade.id),
        "account": book.account or None,
        "symbol": instrument.symbol,
        "asset_class": instrument.asset_class.value,
        "multiplier": text(instrument.multiplier),
        "currency": instrument.currency,
        "side": trade.direction.value,
        "quantity": text(trade.max_quantity),
        "entry_price": text(average(trade.entry_value, trade.entry_quantity)),
        "exit_price": text(average(trade.exit_value, trade.exit_quantity)) if trade.exit_quantity else None,
        "opened_at": trade.opened_at.isoformat().replace("+00:00", "Z"),
        "closed_at": trade.closed_at and trade.closed_at.isoformat().replace("+00:00", "Z"),
        "gross_pnl": text(trade.gross),
        "costs": text(trade.costs),
        "net_pnl": text(trade.net),
        "return_on_cost": _return_on_cost(book, trade),
        "status": "open" if trade.closed_at is None else "closed",
        "open_quantity": text(trade.open_quantity),
    }


def _return_on_cost(book: Book, trade: Trade) -> float | None:
    """Net P&L ÷ what the closed part cost to enter; None where it cost nothing."""
    closed = trade.entry_value - trade.open_value
    cost = closed * book.instrument.multiplier
    return float(trade.net) / float(cost) if cost else None
