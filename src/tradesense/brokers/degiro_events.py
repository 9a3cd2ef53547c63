"""What DEGIRO's corporate actions come to: a sale and a purchase without an order, told together.

Of one security on one day they are a split, or nothing where the number stays. Of two securities of one value, the
position goes on under another name; the file does not tell its cost, so what it had gained is realised there.
"""

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import PART_OF_A_SPLIT, product
from tradesense.brokers.degiro_terms import Trade
from tradesense.domain.executions import Side

NOTHING_CHANGED: Final = "a change of the product alone"
RENAMED: Final = "the position goes on under another name: its gain so far is realised here, at the change's price"
_CENT: Final = Decimal("0.01")


class Event(NamedTuple):
    """One half of a corporate action: its row, its day, its security and the trade in which it is told."""

    line: int
    day: str
    isin: str
    trade: Trade


class Fate(NamedTuple):
    """What becomes of a half: ignored for a reason, the split of `old` units, or a trade under another name."""

    reason: str | None = None
    old: Decimal | None = None
    renamed: bool = False


def fates(events: Iterable[Event]) -> dict[int, Fate]:
    """What becomes of the halves that meet on one day under one label, by line."""
    groups: dict[tuple[str, str], tuple[list[Event], list[Event]]] = defaultdict(lambda: ([], []))
    for event in events:
        groups[event.day, event.trade.event][event.trade.side is Side.SELL].append(event)
    found: dict[int, Fate] = {}
    for bought, sold in groups.values():
        for purchase in bought:
            sale = _other_half(purchase, sold)
            if sale is not None:
                sold.remove(sale)
                found |= _pair(purchase, sale)
    return found


def _other_half(purchase: Event, sold: list[Event]) -> Event | None:
    same = (sale for sale in sold if sale.isin == purchase.isin)
    worth = (sale for sale in sold if abs(_value(sale) - _value(purchase)) <= _CENT)
    return next(same, None) or next(worth, None)


def _value(event: Event) -> Decimal:
    return product(event.trade.quantity, event.trade.price)


def _pair(purchase: Event, sale: Event) -> dict[int, Fate]:
    if purchase.isin != sale.isin:
        return {purchase.line: Fate(renamed=True), sale.line: Fate(renamed=True)}
    if purchase.trade.quantity == sale.trade.quantity:
        return dict.fromkeys((purchase.line, sale.line), Fate(NOTHING_CHANGED))
    return {purchase.line: Fate(old=sale.trade.quantity), sale.line: Fate(PART_OF_A_SPLIT)}
