"""A trade as a report tells it, under the keys of the API."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from tradesense.cli.books import Book
from tradesense.domain.money import average, exact, text
from tradesense.domain.trades import Trade


def trade_rows(trades: Iterable[tuple[Book, Trade]]) -> list[dict[str, Any]]:
    """The trades in the order in which they were opened."""
    with exact():
        return [_row(book, trade) for book, trade in sorted(trades, key=lambda each: (each[1].opened_at, each[1].id))]


def _row(book: Book, trade: Trade) -> dict[str, Any]:
    """One trade; run it inside `money.exact()`."""
    instrument = book.instrument
    cost = float(trade.entry_value * instrument.multiplier)
    closed_at = trade.closed_at
    return {
        "id": str(trade.id),
        "account": book.account or None,
        "symbol": instrument.symbol,
        "asset_class": instrument.asset_class.value,
        "multiplier": text(instrument.multiplier),
        "currency": instrument.currency,
        "side": trade.direction.value,
        "status": "open" if closed_at is None else "closed",
        "quantity": text(trade.max_quantity),
        "total_quantity": text(trade.entry_quantity),
        "open_quantity": text(trade.open_quantity),
        "entry_price": text(average(trade.entry_value, trade.entry_quantity)),
        "exit_price": text(average(trade.exit_value, trade.exit_quantity)) if trade.exit_quantity else None,
        "opened_at": _instant(trade.opened_at),
        "closed_at": None if closed_at is None else _instant(closed_at),
        "holding_s": None if closed_at is None else (closed_at - trade.opened_at).total_seconds(),
        "gross_pnl": text(trade.gross),
        "costs": text(trade.costs),
        "net_pnl": text(trade.net),
        "open_costs": text(trade.open_costs),
        "return_on_cost": float(trade.net) / cost if cost else None,
        "executions": trade.executions,
    }


def _instant(at: datetime) -> str:
    """RFC 3339, in UTC."""
    return at.isoformat().replace("+00:00", "Z")
