"""Trading 212's history: trades with their charges, cash, splits as a closed and an opened position.

Layouts seen: the export of 2023 to 2025 with a currency column beside every amount, and rows of its successor, which
has `Notes` and `ID` before the number of shares, under the older header. Documented (cgt-calc, GhostfolioSidekick): the
one before, with the currency in the header (`Total (EUR)`, `Stamp duty reserve tax (GBP)`), and the charges besides the
conversion fee. Times carry no zone and are UTC: orders at the opening bell of New York stand at 14:30 in winter.

A fill's id is its own (`EOF…`, equity order fill). Prices in pence become pounds. The exchange rate is units of the
price's currency for one of the account's, which is how charges in the account's currency join a trade's; a rate that
does not lead from the price to the total is not used. The stated result counts where it is in the price's currency.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from decimal import Decimal
from typing import Final, NamedTuple

from tradesense.brokers.amounts import (
    NO_AMOUNT,
    PART_OF_A_SPLIT,
    find_loose,
    in_major_units,
    kinds,
    loose_amount,
    loose_number,
    paid_apart,
    product,
    reciprocal,
    why_moved,
)
from tradesense.brokers.contract import Cash, CashKind, DateOrder, Identity, Ignored, Imported, Outcome, Stated
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.numbers import NotANumber, parse_number
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Field, Layout, Row, RowError, Table, number, text, time
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import Instrument
from tradesense.domain.money import ZERO, exact

_CHARGES: Final = (
    "Currency conversion fee",
    "Stamp duty",
    "Stamp duty reserve tax",
    "Transaction fee",
    "Finra fee",
    "PTM levy",
    "French transaction tax",
)
_CURRENCIES: Final = ("EUR", "GBP", "USD", "CHF", "PLN", "CZK", "RON", "HUF", "BGN", "SEK", "NOK", "DKK", "CAD")
_ORDER_FILL: Final = re.compile(r"[A-Z]{3}\d{6,}")
_OLDER_WIDTH: Final = 19
_IN_HEADER: Final = re.compile(r".*\((?P<currency>[A-Z]{3})\)", re.IGNORECASE)
_TOLERANCE: Final = Decimal("0.05")
_KINDS: Final = kinds(
    (CashKind.DIVIDEND, "dividend"),
    (CashKind.INTEREST, "interest"),
    (CashKind.CONVERSION, "currency conversion"),
    (CashKind.DEPOSIT, "deposit|transfer in"),
    (CashKind.WITHDRAWAL, "withdrawal|transfer out"),
    (CashKind.FEE, "fee|cost"),
    (CashKind.TAX, "tax"),
)


def _money(name: str) -> tuple[Field, Field]:
    """A column of money, with the currency in its header or in a column of its own."""
    in_header = tuple(f"{name} ({currency})" for currency in _CURRENCIES)
    return number(name, name, *in_header, optional=True), text(f"{name} in", f"Currency ({name})", optional=True)


class History(StatementFormat):
    """One row per event, the oldest first."""

    broker = "trading212"
    name = "history"
    utc = True
    layout = Layout(
        text("action", "Action"),
        time("at", "Time", "Time (UTC)", order=DateOrder.YEAR_FIRST),
        text("isin", "ISIN", optional=True),
        text("ticker", "Ticker"),
        number("shares", "No. of shares"),
        number("price", "Price / share"),
        text("currency", "Currency (Price / share)"),
        text("rate", "Exchange rate", optional=True),
        text("id", "ID", optional=True),
        text("notes", "Notes", optional=True),
        *_money("Result"),
        *_money("Total"),
        *_money("Currency conversion from amount"),
        *_money("Currency conversion to amount"),
        *(field for name in _CHARGES for field in _money(name)),
    )
    telling = ("Action", "No. of shares", "Price / share", "Currency (Price / share)")

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read beside the other halves of their splits."""
        return _History(table, context).outcome


class _Traded(NamedTuple):
    """What a row trades. `rate` is units of the price's currency for one of `home`, the account's."""

    instrument: Instrument
    quantity: Decimal
    price: Decimal
    home: str
    rate: Decimal | None
    identity: Identity | None


class _History:
    def __init__(self, table: Table, context: Context) -> None:
        self._table = table
        self._context = context
        self._closed = _split_halves(self._aligned(row) for row in table.rows())

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        row = self._aligned(row)
        action = row.required("action").lower()
        if action.startswith("stock split"):
            return self._split(row, closes="close" in action)
        if action.endswith((" buy", " sell")):
            return self._trade(row, Side.BUY if action.endswith("buy") else Side.SELL)
        if row.has("shares") and not action.startswith("dividend"):
            return self._transfer(row, action)
        return self._cash(row, action)

    def _aligned(self, row: Row) -> Row:
        """A row in the header's order: one of the newer layout has notes and id before the number of shares."""
        cells = row.cells
        if len(cells) != _OLDER_WIDTH:
            return row
        if not row.has("shares") and _ORDER_FILL.fullmatch(row.text("price")):
            return Row(row.line, [*cells[:5], *cells[7:17], *cells[5:7], *cells[17:]], self._table.columns)
        return row

    def _currency(self, row: Row, name: str) -> str | None:
        """The currency of an amount: its column's, else the one in the amount's header."""
        own = row.text(f"{name} in")
        column = self._table.columns.get(name)
        found = _IN_HEADER.fullmatch(column.header) if column is not None else None
        return own or (found["currency"].upper() if found else None)

    def _traded(self, row: Row) -> _Traded:
        price, currency = in_major_units(loose_number(row, "price"), row.required("currency"))
        quantity, own_id = loose_number(row, "shares"), row.text("id")
        home = self._currency(row, "Total") or currency
        return _Traded(
            self._context.instruments.stock(row.required("ticker"), currency, row.text("isin")),
            quantity,
            price,
            home,
            _rate(row, quantity, price) if home != currency else None,
            Identity("fill", own_id) if own_id else None,
        )

    def _trade(self, row: Row, side: Side) -> Imported:
        traded, moment = self._traded(row), row.moment("at")
        currency = traded.instrument.currency
        costs, apart = ZERO, dict[str, Decimal]()
        for charge, charged_in in self._charges(row, traded.home):
            if charged_in == currency:
                costs += charge
            elif charged_in == traded.home and traded.rate is not None:
                costs += product(charge, traded.rate)
            else:
                apart[charged_in] = apart.get(charged_in, ZERO) + charge
        execution = fill(
            traded.instrument,
            side,
            traded.quantity,
            traded.price,
            moment,
            fees=costs,
            identity=traded.identity,
            stated=self._stated(row, side, currency),
            fx_to_account=reciprocal(traded.rate),
        )
        outcome = Imported(row.line, (execution,))
        for charged_in, charge in apart.items():
            outcome = paid_apart(outcome, row, charge, charged_in, moment)
        return outcome

    def _charges(self, row: Row, home: str) -> list[tuple[Decimal, str]]:
        """The charges of a row, positive, each with its currency."""
        found = ((find_loose(row, name), self._currency(row, name)) for name in _CHARGES)
        return [in_major_units(abs(charge), currency or home) for charge, currency in found if charge]

    def _stated(self, row: Row, side: Side, currency: str) -> Stated | None:
        result = find_loose(row, "Result")
        if side is Side.BUY or result is None or self._currency(row, "Result") != currency:
            return None
        return Stated(result, net=True)

    def _split(self, row: Row, *, closes: bool) -> Outcome:
        """The opened half carries the split: as many shares as it opened for every one that was closed."""
        partner = self._closed.get(row.line)
        if partner is None:
            raise row.error("action", "the other half of the split is not in the file: export a period that has both")
        if closes:
            return Ignored(row.line, PART_OF_A_SPLIT)
        traded = self._traded(row)
        execution = fill(
            traded.instrument,
            Side.BUY,
            traded.quantity,
            partner,
            row.moment("at"),
            kind=ExecutionKind.SPLIT,
            identity=traded.identity,
        )
        return Imported(row.line, (execution,))

    def _transfer(self, row: Row, action: str) -> Imported:
        """Shares that come without being bought (a distribution, a transfer in) or leave without being sold."""
        traded = self._traded(row)
        leaves = action.endswith((" out", " removed"))
        execution = fill(
            traded.instrument,
            Side.SELL if leaves else Side.BUY,
            traded.quantity,
            ZERO if leaves else traded.price,
            row.moment("at"),
            kind=ExecutionKind.TRANSFER,
            identity=traded.identity,
            fx_to_account=reciprocal(traded.rate),
        )
        return Imported(row.line, (execution,))

    def _cash(self, row: Row, action: str) -> Outcome:
        kind = why_moved(action, _KINDS)
        if kind is CashKind.CONVERSION and row.has("Currency conversion from amount"):
            return self._conversion(row)
        amount = loose_amount(row, "Total")
        if not amount:
            return Ignored(row.line, NO_AMOUNT)
        amount = -abs(amount) if kind is CashKind.WITHDRAWAL else amount
        return self._movement(row, kind, amount, self._currency(row, "Total"))

    def _conversion(self, row: Row) -> Cash:
        """A conversion moves two currencies in one row."""
        out, into = "Currency conversion from amount", "Currency conversion to amount"
        paid = self._movement(row, CashKind.CONVERSION, -abs(loose_number(row, out)), self._currency(row, out))
        received = self._movement(row, CashKind.CONVERSION, abs(loose_number(row, into)), self._currency(row, into))
        return paid._replace(also=(received.movement,))

    def _movement(self, row: Row, kind: CashKind, amount: Decimal, currency: str | None) -> Cash:
        words = " ".join(part for part in (row.text("action"), row.text("ticker")) if part)
        told, currency = row.text("id"), currency or self._context.instruments.currency
        return cash(row, kind, amount, currency, row.moment("at"), description=words, told=told)


def _split_halves(rows: Iterable[Row]) -> dict[int, Decimal]:
    """For the line of each half of a split, the shares of the other: halves of one ISIN meet in file order."""
    halves: dict[tuple[str, bool], list[tuple[int, Decimal]]] = defaultdict(list)
    for row in rows:
        with suppress(RowError):
            action = row.text("action").lower()
            if action.startswith("stock split"):
                share = row.text("isin") or row.text("ticker")
                halves[share, "close" in action].append((row.line, loose_number(row, "shares")))
    return {
        line: shares
        for (share, closes), ours in halves.items()
        for (line, _), (_, shares) in zip(ours, halves.get((share, not closes), ()), strict=False)
    }


def _rate(row: Row, quantity: Decimal, price: Decimal) -> Decimal | None:
    """The exchange rate, if quantity x price by it comes near the total; prices in pence have it in pence, too."""
    try:
        rate, _ = in_major_units(parse_number(row.text("rate")), row.text("currency"))
    except NotANumber:
        return None
    total = abs(loose_amount(row, "Total"))
    if not rate or not total:
        return None
    with exact():
        value, booked = quantity * price, total * rate
        return rate if abs(value - booked) <= max(value, booked) * _TOLERANCE else None
