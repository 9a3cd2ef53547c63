"""Saxo's transaction overview: trades inside the Event (`Sell 3 @ 139.74 USD`), amounts as booked.

Layout seen in real exports (SaxoTraderGO, Transactions, CSV or Excel), in English and Dutch, with `Amount` and with the
newer `Booked Amount`; the newer one's last two columns are documented in dickwolff/Export-To-Ghostfolio alone.

The amount is in the account's currency, and so is told apart from the instrument's by the conversion rate: where that
is 1, the trade's cost is what was booked beyond quantity x price. At any other rate the cost is not known, and says so.
The order id is an order's, so fills have no id of their own. The file has days only, the newest first.
"""

import re
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    booked_cost,
    find_loose,
    in_major_units,
    kinds,
    loose_number,
    rounding_of,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.fills import SIDES, cash, fill
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.numbers import NotANumber, NumberStyle, evidence, parse_number
from tradesense.brokers.tables import Layout, Row, fold, number, text, time
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ONE, ZERO

_TRADE: Final = re.compile(
    r"(?P<verb>[^\W\d_]+) (?P<quantity>[-\d.,']+) @ (?P<price>[\d.,']+)(?: (?P<currency>[A-Za-z]{3}))?.*"
)
_KINDS: Final = kinds(
    (CashKind.DIVIDEND, "dividend"),
    (CashKind.TAX, "tax|belasting|skat"),
    (CashKind.FEE, "fee|kosten|commission|gebyr"),
    (CashKind.INTEREST, "interest|rente"),
    (CashKind.DEPOSIT, "deposit|withdraw|transfer|storting|opname|ind?betaling|udbetaling|overforsel"),
)


class Transactions(TableFormat):
    """One row per booking, the newest first."""

    broker = "saxo"
    name = "transactions"
    newest_first = True
    layout = Layout(
        time("at", "Trade Date", "Transactiedatum", order=DateOrder.DAY_FIRST),
        text("name", "Instrument"),
        text("isin", "Instrument ISIN", optional=True),
        text("currency", "Instrument currency"),
        text("symbol", "Instrument Symbol"),
        text("type", "Type", optional=True),
        text("event", "Event"),
        number("amount", "Amount", "Booked Amount"),
        number("rate", "Conversion Rate", optional=True),
        text("order", "Order ID", optional=True),
        text("client", "Client ID", optional=True),
        text("derivative", "From Derivative", optional=True),
    )
    telling = ("Instrument ISIN", "Instrument currency", "Exchange Description", "Conversion Rate")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """A trade where the event names one, money otherwise."""
        trade = _TRADE.fullmatch(row.text("event"))
        return _money(row, context) if trade is None else _trade(row, context, trade)


def _trade(row: Row, context: Context, trade: re.Match[str]) -> Imported:
    amount = loose_number(row, "amount")
    quantity = abs(_number(row, trade["quantity"]))
    price, currency = in_major_units(_number(row, trade["price"]), trade["currency"] or row.required("currency"))
    side = SIDES.get(fold(trade["verb"])) or (Side.BUY if amount < 0 else Side.SELL)
    rate = find_loose(row, "rate") or ONE
    commission, warning = _cost(side, quantity, price, amount) if rate == ONE else (ZERO, _unknown_cost(rate))
    execution = fill(
        _instrument(row, context, currency),
        side,
        quantity,
        price,
        row.moment("at"),
        commission=commission,
        account=row.text("client") or None,
        fx_to_account=None if rate == ONE else rate,
        told=row.text("order"),
    )
    return Imported(row.line, (execution,), warning)


def _cost(side: Side, quantity: Decimal, price: Decimal, amount: Decimal) -> tuple[Decimal, str | None]:
    cost = booked_cost(side, quantity, price, amount)
    if cost >= 0:
        return cost, None
    if -cost <= rounding_of(quantity, price, amount):
        return ZERO, None
    return ZERO, f"the booked amount {amount} is less than quantity × price: its cost is left out"


def _unknown_cost(rate: Decimal) -> str:
    return f"booked at a conversion rate of {rate}, so the file does not tell what the trade cost"


def _number(row: Row, figure: str) -> Decimal:
    try:
        return parse_number(figure, evidence(figure) or NumberStyle.POINT)
    except NotANumber as error:
        raise row.error("event", str(error)) from error


def _instrument(row: Row, context: Context, currency: str) -> Instrument:
    symbol = row.required("symbol").partition(":")[0]
    asset_class = AssetClass.CFD if row.text("derivative").lower() in ("yes", "ja") else AssetClass.STOCK
    return context.instruments.plain(asset_class, symbol, currency, isin=row.text("isin"))


def _money(row: Row, context: Context) -> Outcome:
    event = row.text("event")
    amount = find_loose(row, "amount")
    if "split" in event.lower():
        raise row.error("event", "a split without its ratio: add it by hand, and leave this row out")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    currency = row.text("currency")
    if (find_loose(row, "rate") or ONE) != ONE:
        currency = context.options.currency or currency
    amount, currency = in_major_units(amount, currency or context.instruments.currency)
    kind = signed(why_moved(f"{event} {row.text('type')}", _KINDS), amount)
    return cash(row, kind, amount, currency, row.moment("at"), description=event)
