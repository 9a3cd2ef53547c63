"""DEGIRO's transactions (`Transactions.csv`): one row per execution, costs beside it.

Layouts documented by public importers and by exports that people published (tresor-import's issues, Stonks,
LibreFolio): the current one (`…,Price,,Local value,,Value EUR,Exchange rate,AutoFX Fee,…,Total EUR,Order ID,`), the one
before with a currency after every amount, and that of 2020 with the currency before it. None has been seen here. An
amount's currency stands in a column without a name, or in the header. The order's id often stands one column further
than its header says; it is an order's, so fills have no id of their own.

The exchange rate is units of the price's currency for one of the account's: costs join the trade by it, and without it
stay apart. In a file with order ids, rows without one are corporate actions (see `degiro_events`).
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import (
    find_loose,
    in_major_units,
    loose_amount,
    loose_number,
    paid_apart,
    product,
    reciprocal,
)
from tradesense.brokers.contract import Ignored, Imported, Outcome
from tradesense.brokers.degiro_events import RENAMED, Event, fates
from tradesense.brokers.degiro_terms import PLACES, Trade, instrument
from tradesense.brokers.fills import fill
from tradesense.brokers.formats import Context
from tradesense.brokers.statements import LocalisedFormat, Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO, exact

_PRICE: Final = ("Price", "Koers", "Kurs", "Precio", "Cours", "Quotazione", "Prezzo", "Preço", "Preços", "Cena")
_FEE: Final = (
    "Transaction and/or third*",
    "Transaction costs*",
    "Transactiekosten*",
    "Transaktionsgebühr*",
    "Transaktionskost*",
    "Gebühr",
    "Costes de transacción*",
    "Frais de courtage*",
    "Frais de transaction*",
    "Costi di transazione*",
    "Custos de transação*",
)
_CURRENCY: Final = re.compile(r"[A-Z]{3}|GBp")
_IN_HEADER: Final = re.compile(r".*[\s_](?P<currency>[A-Za-z]{3})")
_ORDER: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]*", re.IGNORECASE)
_MOST_POUNDS: Final = 10
"""Pounds for one unit of any account's currency; a rate beyond is in pence."""


class Transactions(LocalisedFormat, StatementFormat):
    """One row per execution, the newest first."""

    broker = "degiro"
    name = "transactions"
    newest_first = True
    layout = Layout(
        *PLACES,
        number(
            "quantity",
            "Quantity",
            "Aantal",
            "Anzahl",
            "Número",
            "Cantidad",
            "Quantité",
            "Quantità",
            "Quantidade",
            "Počet",
        ),
        number("price", *_PRICE),
        text("currency", *_PRICE, offset=1),
        number(
            "rate",
            "Exchange rate",
            "Wisselkoers",
            "Wechselkurs",
            "Tipo de cambio",
            "Taux de change",
            "Tasso di cambio",
            "Taxa de câmbio",
            "Směnný kurz",
            optional=True,
        ),
        number(
            "autofx",
            "AutoFX*",
            "Comisión AutoFX",
            "Frais AutoFX",
            "Commissione AutoFX",
            "Taxa Autofx",
            "Custo AutoFX",
            optional=True,
        ),
        number("fee", *_FEE),
        text("fee_currency", *_FEE, offset=1),
        text(
            "order",
            "Order ID",
            "Order-ID",
            "ID Orden",
            "ID Ordre",
            "ID Ordine",
            "ID da Ordem",
            "ID objednávky",
            optional=True,
        ),
    )

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read beside the other halves of corporate actions."""
        return _Transactions(table, context).outcome


class _Transactions:
    def __init__(self, table: Table, context: Context) -> None:
        self._table = table
        self._context = context
        events = []
        self._has_orders = False
        for row in table.rows():
            with suppress(RowError):
                if _order(row):
                    self._has_orders = True
                elif not loose_amount(row, "fee"):
                    events.append(
                        Event(row.line, f"{row.text('day')} {row.text('time')}", row.text("isin"), _trade(row))
                    )
        self._fates = fates(events) if self._has_orders else {}

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        trade, fee = _trade(row), loose_amount(row, "fee")
        fate = self._fates.get(row.line)
        if fate is not None and fate.reason is not None:
            return Ignored(row.line, fate.reason)
        if fate is not None and fate.old is not None:
            return self._moved(row, trade._replace(price=fate.old), ExecutionKind.SPLIT)
        if self._has_orders and not _order(row) and not trade.price and not fee:
            return self._moved(row, trade, ExecutionKind.TRANSFER)
        traded = self._executed(row, trade, fee)
        return traded if fate is None else traded._replace(warning=RENAMED)

    def _moved(self, row: Row, trade: Trade, kind: ExecutionKind) -> Imported:
        """Units that come or go without a price; an option that goes has expired."""
        named = instrument(self._context.instruments, row.text("product"), row.text("isin"), trade.currency)
        if named.asset_class is AssetClass.OPTION and kind is ExecutionKind.TRANSFER:
            kind = ExecutionKind.EXPIRY
        moment = row.moment("day", "time")
        return Imported(row.line, (fill(named, trade.side, trade.quantity, trade.price, moment, kind=kind),))

    def _executed(self, row: Row, trade: Trade, fee: Decimal) -> Imported:
        rate, moment = self._rate(row), row.moment("day", "time")
        with exact():
            cost = -(fee + loose_amount(row, "autofx"))
        cost, currency = in_major_units(cost, self._fee_currency(row) or trade.currency)
        joined = cost if currency == trade.currency else None
        if joined is None and rate is not None:
            joined = product(cost, rate)
        execution = fill(
            instrument(self._context.instruments, row.text("product"), row.text("isin"), trade.currency),
            trade.side,
            trade.quantity,
            trade.price,
            moment,
            commission=joined or ZERO,
            fx_to_account=reciprocal(rate) if currency != trade.currency else None,
            told=_order(row),
        )
        outcome = Imported(row.line, (execution,))
        return outcome if joined is not None else paid_apart(outcome, row, cost, currency, moment)

    def _rate(self, row: Row) -> Decimal | None:
        """Units of the price's currency for one of the account's; for prices in pence, of pounds."""
        rate = find_loose(row, "rate")
        pence = in_major_units(ZERO, row.text("currency"))[1] != row.text("currency").upper()
        return in_major_units(rate, "GBX")[0] if rate and pence and rate > _MOST_POUNDS else rate or None

    def _fee_currency(self, row: Row) -> str:
        """The currency of the costs: in the column after them, else in their header."""
        beside = row.text("fee_currency")
        if _CURRENCY.fullmatch(beside):
            return beside
        found = _IN_HEADER.fullmatch(self._table.columns["fee"].header)
        return found["currency"].upper() if found else self._context.options.currency or ""


def _trade(row: Row) -> Trade:
    quantity = loose_number(row, "quantity")
    price, currency = in_major_units(loose_number(row, "price"), row.required("currency"))
    if not _CURRENCY.fullmatch(currency):
        raise row.error("price", f"{currency!r} after the price is no currency")
    return Trade("", Side.BUY if quantity > 0 else Side.SELL, abs(quantity), price, currency)


def _order(row: Row) -> str:
    """The order's id, under its header or in the column after it."""
    last = (cell.strip() for cell in row.cells[-2:])
    return next((cell for cell in last if _ORDER.fullmatch(cell)), row.text("order"))
