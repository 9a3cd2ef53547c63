"""DEGIRO's account statement (`Account.csv`): every booking of the cash account, trades in words among them.

Layout seen: the Dutch export, with rows in seven languages, two number styles, an order's id that goes on in the next
row, and a word broken by a wrong encoding. The headers of other languages are documented by public importers alone
(LibreFolio, Stonks, Export-To-Ghostfolio): the order of the columns is the same in all of them.

Rows of one order belong together: what it cost stands in rows of its own, which count as ignored, while their amount
joins the order's first execution; in the account's currency it is converted by the rate of the order's own currency
exchange, and without one stays a fee of its own. The exchange itself is a conversion of cash. A trade after a label
(`PRODUCTWIJZIGING : Koop …`) that moved no money is a corporate action (see `degiro_events`), or a transfer.
An order's id is never a fill's. Times have no zone and no seconds. There is no ticker: the ISIN identifies.
"""

from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import (
    COST_OF_AN_EXECUTION,
    NO_AMOUNT,
    find_loose,
    in_major_units,
    kinds,
    mended,
    plain_text,
    product,
    reciprocal,
    signed,
    why_moved,
)
from tradesense.brokers.contract import CashKind, Ignored, Imported, Outcome
from tradesense.brokers.degiro_events import RENAMED, Event, fates
from tradesense.brokers.degiro_terms import PLACES, Trade, instrument, makes_amount, read_trade
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.statements import LocalisedFormat, Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.money import ZERO, exact

_CHANGE: Final = (
    *("Change", "Mutatie", "Änderung", "Mouvements", "Variación", "Variazioni", "Mudança", "Zmiana", "Pohyb"),
)
_DESCRIPTION: Final = (
    *("Description", "Omschrijving", "Beschreibung", "Descripción", "Descrizione", "Descrição", "Opis", "Popis"),
)
_INTERNAL: Final = ("cash sweep", "flatexdegiro bank", "processed flatex withdrawal")
_RESERVED: Final = ("reservation", "reservering", "reservierung", "reserva ")
_MONEY_MARKET: Final = ("fonds monetaires", "money market", "geldmarkt")
_KINDS: Final = kinds(
    (CashKind.CONVERSION, r"valuta creditering|valuta debitering|fx credit|fx debit|fx-gutschrift|fx-belastung"),
    (CashKind.CONVERSION, r"wahrungswechsel|operation de change|cambio de divisa|(credito|prelievo) fx|fx vyuctovani"),
    (CashKind.CONVERSION, r"(credito|levantamento) de divisa"),
    (CashKind.TAX, r"dividendbelasting|dividend tax|dividendensteuer|quellensteuer|impots?\b|taxes? sur|retencion"),
    (
        CashKind.TAX,
        r"ritenuta|imposta|imposto|impuesto|dan z dividend|transactiebelasting|transaktionssteuer|stamp duty",
    ),
    (CashKind.DIVIDEND, r"dividend|fund distribution|ausschuttung"),
    (CashKind.INTEREST, r"interest|rente\b|zinsen|interets?|intereses|interessi|juros|\burok"),
    (CashKind.OTHER, r"courtesy|rebate|promoti|rabatt"),
    (CashKind.FEE, r"kosten|\bfees?\b|gebuhr|frais|costi|custo|costes|comiss|comision|poplatek|adr/gdr|taxas? de"),
    (CashKind.DEPOSIT, r"deposit|storting|einzahlung|versement|ingreso|\bvklad|overboeking|bonifico"),
    (CashKind.DEPOSIT, r"withdrawal|terugstorting|auszahlung|retrait|retirada|prelievo|levantamento"),
)


class Account(LocalisedFormat, StatementFormat):
    """One row per booking, the newest first."""

    broker = "degiro"
    name = "account"
    newest_first = True
    layout = Layout(
        *PLACES,
        text("description", *_DESCRIPTION),
        number("fx", "FX", "Tipo", "T.", "Tasso*", optional=True),
        text("currency", *_CHANGE),
        number("amount", *_CHANGE, offset=1),
        text("order", "Order Id", "Order-ID", "ID Ordre", "ID Orden", "ID Ordine", "ID da Ordem", optional=True),
    )

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read beside the others of their order."""
        return _Statement(table, context).outcome


class _Order(NamedTuple):
    """What the rows of one order tell together: the first execution's line and currency, the costs, and the rate.

    `rate` is units of `foreign` for one of the account's currency.
    """

    line: int = 0
    currency: str = ""
    foreign: str = ""
    rate: Decimal | None = None
    costs: tuple[tuple[str, Decimal], ...] = ()


class _Costs(NamedTuple):
    """What an order tells of one of its executions."""

    order: str = ""
    commission: Decimal = ZERO
    fx_to_account: Decimal | None = None


_NONE: Final = _Costs()


class _Statement:
    def __init__(self, table: Table, context: Context) -> None:
        self._instruments = context.instruments
        self._whole_ids: dict[int, str] = {}
        self._orders: dict[str, _Order] = {}
        self._fates = fates(self._survey(table))

    def _survey(self, table: Table) -> Iterator[Event]:
        """Learn what belongs together; give what happened without an order."""
        above: Row | None = None
        for row in table.rows():
            if above is not None and _continues(row):
                with suppress(RowError):
                    self._whole_ids[above.line] = above.text("order") + row.text("order")
            else:
                yield from self._look(above)
                above = row
        yield from self._look(above)

    def _look(self, row: Row | None) -> Iterator[Event]:
        with suppress(RowError):
            if row is None:
                return
            order, amount = self._order_id(row), find_loose(row, "amount")
            trade = read_trade(row.text("description"), amount)
            if trade is not None and trade.event and not amount:
                yield Event(row.line, row.text("day"), row.text("isin"), trade)
            elif order:
                self._join(order, row, trade, amount or ZERO)

    def _order_id(self, row: Row) -> str:
        return self._whole_ids.get(row.line) or row.text("order")

    def _join(self, order_id: str, row: Row, trade: Trade | None, amount: Decimal) -> None:
        order = self._orders.get(order_id, _Order())
        rate = find_loose(row, "fx")
        if trade is not None:
            order = order if order.line else order._replace(line=row.line, currency=trade.currency)
        elif rate:
            order = order._replace(foreign=row.text("currency"), rate=rate)
        elif not _is_exchange(row):
            order = order._replace(costs=(*order.costs, (row.text("currency"), -amount)))
        self._orders[order_id] = order

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        if _continues(row):
            return Ignored(row.line, "continuation of the row above")
        amount = find_loose(row, "amount")
        trade = read_trade(row.text("description"), amount)
        words = plain_text(row.text("description"))
        if trade is None or any(market in words for market in _MONEY_MARKET):
            return self._booking(row, words, amount)
        if trade.event:
            return self._event(row, trade, amount)
        return self._execution(row, trade, amount, self._costs(row, trade))

    def _costs(self, row: Row, trade: Trade) -> _Costs:
        """What the order cost, at its first execution, and the rate of its currency exchange."""
        order_id = self._order_id(row)
        order = self._orders.get(order_id)
        if order is None:
            return _Costs(order_id)
        commission = ZERO
        if order.line == row.line:
            with exact():
                commission = sum((_converted(order, currency, cost) or ZERO for currency, cost in order.costs), ZERO)
        return _Costs(order_id, commission, reciprocal(order.rate) if order.foreign == trade.currency else None)

    def _execution(self, row: Row, trade: Trade, amount: Decimal | None, costs: _Costs = _NONE) -> Imported:
        """A fill, with a warning where it is not what was booked."""
        named = instrument(self._instruments, row.text("product"), row.text("isin"), trade.currency)
        execution = fill(
            named,
            trade.side,
            trade.quantity,
            trade.price,
            row.moment("day", "time"),
            commission=costs.commission,
            fx_to_account=costs.fx_to_account,
            told=costs.order,
        )
        if not amount or makes_amount(product(trade.quantity, named.multiplier), trade.price, amount):
            return Imported(row.line, (execution,))
        return Imported(row.line, (execution,), f"the booked amount {amount} is not quantity × price")

    def _event(self, row: Row, trade: Trade, amount: Decimal | None) -> Outcome:
        """A corporate action: a trade where money moved, else what its other half makes of it, else a transfer."""
        fate = self._fates.get(row.line)
        if amount:
            return self._execution(row, trade, amount)
        if fate is not None and fate.renamed:
            return self._execution(row, trade, None)._replace(warning=RENAMED)
        if fate is not None and fate.reason is not None:
            return Ignored(row.line, fate.reason)
        if fate is not None and fate.old is not None:
            return self._moved(row, trade, fate.old, ExecutionKind.SPLIT)
        return self._moved(row, trade, ZERO if trade.side is Side.SELL else trade.price, ExecutionKind.TRANSFER)

    def _moved(self, row: Row, trade: Trade, price: Decimal, kind: ExecutionKind) -> Imported:
        named = instrument(self._instruments, row.text("product"), row.text("isin"), trade.currency)
        moment = row.moment("day", "time")
        return Imported(row.line, (fill(named, trade.side, trade.quantity, price, moment, kind=kind),))

    def _booking(self, row: Row, words: str, amount: Decimal | None) -> Outcome:
        moment, order_id = row.moment("day", "time"), self._order_id(row)
        if any(internal in words for internal in _INTERNAL):
            return Ignored(row.line, "internal transfer")
        if any(reserved in words for reserved in _RESERVED):
            return Ignored(row.line, "reservation")
        if not amount:
            return Ignored(row.line, NO_AMOUNT)
        order = self._orders.get(order_id, _Order())
        costs = bool(order.line) and not _is_exchange(row)
        if costs and _converted(order, row.text("currency"), amount) is not None:
            return Ignored(row.line, COST_OF_AN_EXECUTION)
        kind = CashKind.FEE if costs else _kind(row, words, amount)
        description = " ".join(part for part in (mended(row.text("description")), row.text("product")) if part)
        amount, currency = in_major_units(amount, row.required("currency"))
        return cash(row, kind, amount, currency, moment, description=description, told=order_id)


def _kind(row: Row, words: str, amount: Decimal) -> CashKind:
    return CashKind.CONVERSION if row.has("fx") else signed(why_moved(words, _KINDS), amount)


def _continues(row: Row) -> bool:
    """Whether a row only goes on with the order's id of the row above."""
    try:
        return not row.text("day") and not row.text("description") and row.has("order")
    except RowError:
        return False


def _is_exchange(row: Row) -> bool:
    return row.has("fx") or why_moved(row.text("description"), _KINDS) is CashKind.CONVERSION


def _converted(order: _Order, currency: str, cost: Decimal) -> Decimal | None:
    """A cost in the currency of the order's execution; None where no rate of the order leads there."""
    cost, currency = in_major_units(cost, currency)
    if currency == order.currency:
        return cost
    if order.rate is not None and order.foreign == order.currency:
        return product(cost, order.rate)
    return None
