"""Coinbase's transaction report: purchases and sales of coins, conversions as two legs, transfers, rewards.

Layout seen: the report of 2023 to 2025 (`ID,Timestamp,Transaction Type,…`), with the currency's symbol before every
amount. Documented (BittyTax, public importers): the one before it, without ids, with `Spot Price Currency`, and the
types besides those of the sample. A preamble above the header is skipped.

A price is the file's own where it makes the subtotal; else it is subtotal ÷ quantity (to 12 decimals): the price at
the transaction is then the market's, and the subtotal what was paid. A conversion sells at the total, whose excess
over the subtotal is its cost, and buys at the subtotal. Rewards and received coins come in at their value of that
time; coins that are sent leave at their own cost.
"""

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from tradesense.brokers.amounts import find_loose, half_unit, kinds, loose_amount, product, signed, why_moved
from tradesense.brokers.contract import CashKind, DateOrder, Fill, Identity, Ignored, Imported, Outcome
from tradesense.brokers.figures import figure_in
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.tables import Layout, Row, fold, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ZERO, average, exact

_CONVERTED: Final = re.compile(
    r"Converted (?P<sold>[\d.,]+) (?P<from>\S+) to (?P<bought>[\d.,]+) (?P<to>\S+?)\.?", re.IGNORECASE
)
_MONEY: Final = frozenset({"EUR", "USD", "GBP", "CHF", "CAD", "AUD", "JPY", "SGD", "BRL", "PLN", "TRY", "SEK", "NOK"})
_SIDES: Final = MappingProxyType(
    {"buy": Side.BUY, "advancedtradebuy": Side.BUY, "advancetradebuy": Side.BUY}
    | {"sell": Side.SELL, "advancedtradesell": Side.SELL, "advancetradesell": Side.SELL}
    | {"retailsimpledust": Side.SELL, "cardspend": Side.SELL}
)
_INTERNAL: Final = ("pro deposit", "pro withdrawal", "exchange deposit", "exchange withdrawal", "vault", "retail")
_INCOMING: Final = ("income", "reward", "earn", "receive", "airdrop", "deposit", "inflation", "incentive")
_OUTGOING: Final = ("send", "withdrawal", "donation")
_KINDS: Final = kinds(
    (CashKind.DEPOSIT, "deposit|withdrawal|receive|send"),
    (CashKind.INTEREST, "income|reward|interest"),
    (CashKind.FEE, "fee|subscription"),
)


class Transactions(TableFormat):
    """One row per transaction, the newest first."""

    broker = "coinbase"
    name = "transactions"
    newest_first = True
    layout = Layout(
        text("id", "ID", optional=True),
        time("at", "Timestamp", order=DateOrder.YEAR_FIRST),
        text("type", "Transaction Type"),
        text("asset", "Asset"),
        number("quantity", "Quantity Transacted"),
        text("currency", "Price Currency", "Spot Price Currency"),
        number("price", "Price at Transaction", "Spot Price at Transaction"),
        number("subtotal", "Subtotal"),
        number("total", "Total (inclusive of fees*", "Total"),
        number("fees", "Fees and/or Spread", "Fees", optional=True),
        text("notes", "Notes", optional=True),
    )
    telling = ("Timestamp", "Transaction Type", "Quantity Transacted", "Subtotal")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """Two legs of a conversion, one fill of a trade or a transfer, or money."""
        kind = row.required("type").lower()
        if kind == "convert":
            return _conversion(row, context)
        if row.required("asset").upper() in _MONEY:
            return _money(row, kind)
        if kind.startswith(_INTERNAL) and fold(kind) not in _SIDES:
            return Ignored(row.line, "internal transfer")
        side = _SIDES.get(fold(kind))
        return _transfer(row, context, kind) if side is None else _trade(row, context, side)


def _coin(row: Row, context: Context, name: str) -> Instrument:
    return context.instruments.plain(AssetClass.CRYPTO, name, row.required("currency"))


def _identity(row: Row, leg: str = "") -> Identity | None:
    return Identity("transaction", row.text("id") + leg) if row.has("id") else None


def _trade(row: Row, context: Context, side: Side) -> Imported:
    quantity = abs(row.number("quantity"))
    subtotal = abs(find_loose(row, "subtotal") or ZERO)
    total, fees = abs(loose_amount(row, "total")), find_loose(row, "fees")
    if fees is None:
        with exact():
            fees = total - subtotal if side is Side.BUY else subtotal - total
    execution = fill(
        _coin(row, context, row.required("asset")),
        side,
        quantity,
        _price(row, quantity, subtotal),
        row.moment("at"),
        commission=fees,
        identity=_identity(row),
    )
    return Imported(row.line, (execution,))


def _price(row: Row, quantity: Decimal, subtotal: Decimal) -> Decimal:
    """The file's price where it makes the subtotal at the subtotal's decimals, else what was paid per coin."""
    price = find_loose(row, "price") or ZERO
    if not subtotal or (price and abs(product(quantity, price) - subtotal) <= half_unit(subtotal)):
        return price
    if not quantity:
        raise row.error("quantity", "the quantity must not be 0")
    return average(subtotal, quantity)


def _conversion(row: Row, context: Context) -> Imported:
    found = _CONVERTED.fullmatch(row.text("notes"))
    if found is None:
        raise row.error("notes", "a conversion's note must say what was converted to what")
    subtotal, total = abs(loose_amount(row, "subtotal")), abs(loose_amount(row, "total"))
    given = max(subtotal, total)
    with exact():
        legs = (
            _leg(row, context, Side.SELL, found["from"], found["sold"], given, given - subtotal),
            _leg(row, context, Side.BUY, found["to"], found["bought"], subtotal, ZERO),
        )
    fills = tuple(leg for leg in legs if leg is not None)
    if not fills:
        raise row.error("notes", "a conversion of money into money is no trade")
    return Imported(row.line, fills)


def _leg(
    row: Row, context: Context, side: Side, coin: str, quantity: str, value: Decimal, commission: Decimal
) -> Fill | None:
    """One side of a conversion; none for money, which is what the other side is priced in."""
    if coin.upper() in _MONEY:
        return None
    amount = figure_in(row, "notes", quantity)
    if not amount:
        raise row.error("notes", "a conversion of nothing")
    return fill(
        _coin(row, context, coin),
        side,
        amount,
        average(value, amount),
        row.moment("at"),
        commission=commission,
        identity=_identity(row, f"/{side.value}"),
    )


def _transfer(row: Row, context: Context, kind: str) -> Imported:
    quantity = row.number("quantity")
    incoming = any(word in kind for word in _INCOMING)
    if not incoming and not any(word in kind for word in _OUTGOING):
        raise row.error("type", f"{row.text('type')!r} is no type of transaction that is known")
    incoming = incoming if quantity > 0 else False
    price = _price(row, abs(quantity), abs(loose_amount(row, "subtotal"))) if incoming else ZERO
    execution = fill(
        _coin(row, context, row.required("asset")),
        Side.BUY if incoming else Side.SELL,
        abs(quantity),
        price,
        row.moment("at"),
        kind=ExecutionKind.TRANSFER,
        identity=_identity(row),
    )
    return Imported(row.line, (execution,))


def _money(row: Row, kind: str) -> Outcome:
    amount = row.number("quantity")
    if any(word in kind for word in _OUTGOING):
        amount = -abs(amount)
    why = signed(why_moved(kind, _KINDS), amount)
    words, told = row.text("notes") or row.text("type"), row.text("id")
    return cash(row, why, amount, row.required("asset").upper(), row.moment("at"), description=words, told=told)
