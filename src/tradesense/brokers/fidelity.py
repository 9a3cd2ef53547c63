"""Fidelity, account history as CSV: a preamble, the table, a footer; newest first, with a date alone.

`Run Date,Action,Symbol,Description,Type,Price ($),Quantity,…,Amount ($),Cash Balance ($),Settlement Date`, and the
layout of all accounts with `Account`, `Account Number`, `Currency` and `Exchange Quantity`, as public importers'
fixtures have them; no real file has been seen here.

- The action is a sentence: its beginning says what happened (`YOU BOUGHT OPENING TRANSACTION CALL (ACME) …`).
- Options go by `-ACME260117C150`. Expiries and assignments close them at 0; the sign of the quantity is taken for the
  change of the position, which matters to the side that is shown alone.
- A reinvestment is a purchase, unless it is into the core position (at 1.00), which is the account's cash; so are the
  core account's purchases and redemptions.
- A distribution of shares comes in at a cost of 0, for the file says neither the ratio nor whether it is a split; a
  reverse split (`R/S FROM`, `R/S TO`) is one, of both rows. Transfers of shares in give no cost and are ignored.
- A cancelled trade and the trade that it cancels are both ignored.
- In the layout of all accounts some rows have currency, price and quantity in the columns of quantity, currency and
  price: a quantity that is a currency's code gives them away.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from decimal import Decimal
from typing import Final

from tradesense.brokers.amounts import NO_AMOUNT, kinds, signed, why_moved
from tradesense.brokers.cancellations import Cancellations, Entry
from tradesense.brokers.cash_costs import cash_cost
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.figures import figure_in
from tradesense.brokers.fills import cash, fill, sign_of
from tradesense.brokers.footers import is_footer
from tradesense.brokers.formats import Context
from tradesense.brokers.numbers import NumberStyle, is_empty
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.share_counts import ShareCounts
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument
from tradesense.domain.money import ONE, ZERO

_CURRENCY_LENGTH: Final = 3
_SIDES: Final = (
    ("YOU BOUGHT", Side.BUY),
    ("YOU SOLD", Side.SELL),
    ("REINVESTMENT", Side.BUY),
    ("BOUGHT", Side.BUY),
    ("SOLD", Side.SELL),
    ("PURCHASE", Side.BUY),
    ("REDEMPTION PAYOUT", Side.SELL),
)
_CLOSINGS: Final = (
    ("EXPIRED", ExecutionKind.EXPIRY),
    ("ASSIGNED", ExecutionKind.ASSIGNMENT),
    ("EXERCISED", ExecutionKind.EXERCISE),
)
_CANCELS: Final = re.compile(r"(?P<side>BUY|SELL) CANCEL|CXL DESCRIPTION|CANCELLED TRADE")
_REVERSE_SPLIT: Final = re.compile(r"REVERSE SPLIT|\bR/S (?:FROM|TO)\b")
_TRANSFERS: Final = ("TRANSFER", "JOURNAL", "ACAT")
_SWEEPS: Final = ("REDEMPTION FROM CORE", "PURCHASE INTO CORE", "EXCHANGED TO", "EXCHANGE OUT", "EXCHANGE IN")
_KINDS: Final = kinds(
    (CashKind.TAX, r"\btax\b|withh"),
    (CashKind.FEE, r"\bfee\b|fees|service charge"),
    (CashKind.DIVIDEND, r"dividend|cap gain|capital gain|distribution"),
    (CashKind.INTEREST, r"interest"),
    (
        CashKind.DEPOSIT,
        r"electronic funds|transfer|deposit|wire|check|debit|withdraw|contribution|\badjustment\b|bill payment|\bach\b",
    ),
)


class History(StatementFormat):
    """The history of one account or of all."""

    broker = "fidelity"
    name = "history"
    newest_first = True
    layout = Layout(
        time("date", "Run Date", order=DateOrder.MONTH_FIRST),
        text("account_number", "Account Number", optional=True),
        text("account", "Account", optional=True),
        text("action"),
        text("symbol"),
        text("description", "Description", "Security Description"),
        text("type", "Type", "Security Type", optional=True),
        text("quantity"),
        text("currency", optional=True),
        text("price", "Price ($)", "Price"),
        number("commission", "Commission ($)", "Commission", optional=True, style=NumberStyle.POINT),
        number("fees", "Fees ($)", "Fees", optional=True, style=NumberStyle.POINT),
        number("accrued", "Accrued Interest ($)", "Accrued Interest", optional=True, style=NumberStyle.POINT),
        number("amount", "Amount ($)", "Amount", style=NumberStyle.POINT),
    )
    telling = ("Run Date", "Action", "Accrued Interest ($)", "Accrued Interest", "Settlement Date")

    def reader(self, table: Table, context: Context) -> Reader:
        """Look for splits and cancelled trades first."""
        return _History(table, context).outcome


class _History:
    """One file's rows, understood beside each other."""

    def __init__(self, table: Table, context: Context) -> None:
        self._context = context
        self._cancelled = Cancellations(_cancellable(table))
        self._counts = ShareCounts()
        for row in table.rows():
            with suppress(RowError):
                if _REVERSE_SPLIT.search(_action(row)):
                    day = row.moment("date").wall.date()
                    self._counts.half(_split_key(row), row.text("symbol"), row.line, day, _figures(row)[0])

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        if is_footer(row, "date", "action", "symbol", "quantity", "amount"):
            return Ignored(row.line, "footer")
        if row.line in self._cancelled:
            return Ignored(row.line, "cancelled")
        moment, action = row.moment("date"), _action(row)
        if not action:
            raise row.error("action", "the action is missing")
        quantity, price = _figures(row)
        if any(action.startswith(words) for words in _SWEEPS) or _is_core(action, price):
            return Ignored(row.line, "cash sweep")
        if not quantity or not row.has("symbol"):
            return self._cash(row, action, moment)
        return self._securities(row, action, quantity, price, moment)

    def _securities(self, row: Row, action: str, quantity: Decimal, price: Decimal | None, moment: Moment) -> Outcome:
        instrument = self._instrument(row)
        if _REVERSE_SPLIT.search(action):
            return self._counts.outcome(row, _split_key(row), instrument, moment, quantity)
        side, kind = sign_of(quantity), _closing(action, instrument)
        if kind is not None:
            return self._fill(row, instrument, side, quantity, ZERO, moment, kind)
        traded = next((side for words, side in _SIDES if action.startswith(words)), None)
        if traded is not None:
            if price is None:
                raise row.error("price", "the price is missing")
            made = self._fill(row, instrument, traded, quantity, price, moment, ExecutionKind.TRADE)
            beyond = cash_cost(instrument, traded, abs(quantity), price, row.find_number("amount"))
            return made._replace(warning=beyond.warning)
        if any(word in action for word in _TRANSFERS) and quantity > 0:
            return Ignored(row.line, "transfer in without a cost")
        if row.amount("amount"):
            raise row.error("action", f"{row.text('action')!r} is nothing that is known")
        return self._fill(row, instrument, side, quantity, ZERO, moment, ExecutionKind.TRANSFER)

    def _fill(
        self,
        row: Row,
        instrument: Instrument,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        moment: Moment,
        kind: ExecutionKind,
    ) -> Imported:
        made = fill(
            instrument,
            side,
            abs(quantity),
            price,
            moment,
            commission=row.amount("commission"),
            fees=row.amount("fees"),
            kind=kind,
            account=_account(row),
            told=_action(row),
        )
        return Imported(row.line, (made,))

    def _instrument(self, row: Row) -> Instrument:
        symbol, currency = row.required("symbol"), _currency(row)
        parts = read_option(symbol) or (read_option(row.text("description")) if symbol.startswith("-") else None)
        if parts is not None:
            return self._context.instruments.option(*parts, currency=currency)
        return self._context.instruments.stock(symbol, currency)

    def _cash(self, row: Row, action: str, moment: Moment) -> Outcome:
        amount = row.find_number("amount")
        if not amount:
            return Ignored(row.line, NO_AMOUNT)
        kind = signed(why_moved(action, _KINDS), amount)
        currency = _currency(row) or self._context.instruments.currency
        return cash(row, kind, amount, currency, moment, description=row.text("action"), account=_account(row))


def _action(row: Row) -> str:
    return " ".join(row.text("action").upper().split())


def _is_core(action: str, price: Decimal | None) -> bool:
    return action.startswith("REINVESTMENT") and price in (None, ONE)


def _closing(action: str, instrument: Instrument) -> ExecutionKind | None:
    if instrument.asset_class is not AssetClass.OPTION:
        return None
    return next((kind for word, kind in _CLOSINGS if action.startswith(word)), None)


def _is_shifted(row: Row) -> bool:
    """Whether the row has currency, price and quantity where quantity, currency and price should be."""
    return row.maps("currency") and len(row.text("quantity")) == _CURRENCY_LENGTH and row.text("quantity").isalpha()


def _figures(row: Row) -> tuple[Decimal, Decimal | None]:
    """Quantity, 0 where there is none, and price."""
    names = ("price", "currency") if _is_shifted(row) else ("quantity", "price")
    quantity, price = (_figure(row, name) for name in names)
    return quantity or ZERO, price


def _figure(row: Row, name: str) -> Decimal | None:
    cell = row.text(name)
    return None if is_empty(cell) else figure_in(row, name, cell)


def _currency(row: Row) -> str | None:
    return row.text("quantity" if _is_shifted(row) else "currency") or None


def _account(row: Row) -> str | None:
    return row.text("account_number") or row.text("account") or None


def _split_key(row: Row) -> str:
    """Both rows of a reverse split have the date and the beginning of the description in common."""
    return f"{row.text('date')}|{row.text('description')[:12].upper()}"


def _cancellable(table: Table) -> Iterator[Entry]:
    """Trades and what cancels them, by symbol, number and price; a cancellation's signs are turned round."""
    for row in table.rows():
        with suppress(RowError):
            action, (quantity, price) = _action(row), _figures(row)
            cancels = _CANCELS.search(action) is not None
            if quantity and (cancels or action.startswith(("YOU BOUGHT", "YOU SOLD"))):
                signed_quantity = -quantity if cancels else quantity
                yield Entry(row.line, (row.text("symbol"), signed_quantity, price), cancels)
