"""XTB's cash operations: trades inside the comment (`OPEN BUY 34/42.5658 @ 11.7480`), amounts as the account has them.

Layouts seen: the CSV of xStation (`ID;Type;Time;Symbol;Comment;Amount`). Documented by dickwolff/Export-To-Ghostfolio:
its successor with a preamble and a total (`Type;Ticker;Instrument;Time;Amount;ID;Comment;Product`) and the workbook's
sheet `CASH OPERATION HISTORY`. The comment of a trade is English in every language of the file.

The price is the instrument's, the amount the account's, and the file names neither currency. The account's is the
person's answer, else that of the exchange of the first trade whose amount is quantity × price. A price is in its
exchange's currency where that has one; the rate to the account's is then amount ÷ (quantity × price). London quotes in
pounds, pence and dollars alike: there a price that does not make the amount is replaced by what was booked per share.
CFDs show up as profits alone (`Profit of position #…`); their fills are in another export.
"""

import re
from decimal import Decimal
from types import MappingProxyType
from typing import Final, NamedTuple

from tradesense.brokers.amounts import NO_AMOUNT, kinds, loose_number, product, signed, why_moved
from tradesense.brokers.contract import CashKind, DateOrder, Identity, Ignored, Imported, Outcome
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, fold, number, text, time
from tradesense.domain.executions import Side
from tradesense.domain.money import average

_TRADE: Final = re.compile(
    r"(?P<what>OPEN|CLOSE) (?P<side>BUY|SELL) (?P<quantity>\d+(?:\.\d+)?)(?:/\d+(?:\.\d+)?)? @ (?P<price>\d+(?:\.\d+)?)"
)
_CENT: Final = Decimal("0.01")
_EXCHANGES: Final = MappingProxyType(
    {"US": "USD", "PL": "PLN", "CZ": "CZK", "CH": "CHF", "DK": "DKK", "SE": "SEK", "NO": "NOK", "HU": "HUF"}
    | dict.fromkeys(("DE", "FR", "ES", "IT", "PT", "NL", "BE", "FI", "AT"), "EUR")
)
"""The currency of an exchange, by the suffix of a symbol; London (`UK`) has several."""

_KINDS: Final = kinds(
    (CashKind.TAX, r"tax|\bwht\b|podatek|imposto|impuesto"),
    (CashKind.DIVIDEND, "dividen[dt]|dywidend"),
    (CashKind.INTEREST, "interest|odsetki|juros|intereses"),
    (CashKind.FEE, "swap|fee|commission|rollover|prowizja|comissao|comision"),
    (CashKind.DEPOSIT, "deposit|withdrawal|transfer|wplata|wyplata|levantamento|retirada|retiro"),
)


class Trade(NamedTuple):
    """What a comment says: the operation, its direction, how much and at which price."""

    what: str
    side: Side
    quantity: Decimal
    price: Decimal


class CashOperations(StatementFormat):
    """One row per booking, the newest first."""

    broker = "xtb"
    name = "cash-operations"
    newest_first = True
    layout = Layout(
        text("id", "ID"),
        text("type", "Type", "Tipo", "Typ"),
        time("at", "Time", "Hora", "Tiempo", "Czas", order=DateOrder.DAY_FIRST),
        text("symbol", "Symbol", "Ticker", "Símbolo"),
        text("comment", "Comment", "Comentário", "Comentario", "Komentarz"),
        number("amount", "Amount", "Montante", "Importe", "Kwota"),
    )
    telling = ("ID", "Type", "Time", "Comment", "Amount")

    def reader(self, table: Table, context: Context) -> Reader:
        """Rows read with the account's currency at hand."""
        home = context.options.currency or _home(table) or context.instruments.currency
        return lambda row: _outcome(row, context, home)


def _home(table: Table) -> str | None:
    """The account's currency: that of the exchange of the first trade whose amount is quantity x price."""
    for row in table.rows():
        try:
            trade = _read(row)
            exchange = _exchange(row.text("symbol"))
            if trade is not None and exchange is not None and _makes(trade, loose_number(row, "amount")):
                return exchange
        except RowError:
            continue
    return None


def _outcome(row: Row, context: Context, home: str) -> Outcome:
    if fold(row.text("type")) in ("total", "suma"):
        return Ignored(row.line, "subtotal")
    trade = _read(row)
    return _money(row, home) if trade is None else _execution(row, context, trade, home)


def _read(row: Row) -> Trade | None:
    found = _TRADE.match(row.text("comment"))
    if found is None:
        return None
    buys = (found["what"] == "OPEN") is (found["side"] == "BUY")
    return Trade(found["what"], Side.BUY if buys else Side.SELL, Decimal(found["quantity"]), Decimal(found["price"]))


def _exchange(symbol: str) -> str | None:
    return _EXCHANGES.get(symbol.rpartition(".")[2].upper())


def _makes(trade: Trade, amount: Decimal) -> bool:
    """Whether quantity × price is the amount, to the cent to which it is rounded."""
    return abs(product(trade.quantity, trade.price) - abs(amount)) <= _CENT


def _execution(row: Row, context: Context, trade: Trade, home: str) -> Imported:
    symbol, amount = row.required("symbol"), loose_number(row, "amount")
    price, currency, rate = _priced(trade, _exchange(symbol), amount, home)
    own_id = row.required("id")
    execution = fill(
        context.instruments.stock(symbol, currency),
        trade.side,
        trade.quantity,
        price,
        row.moment("at"),
        identity=Identity(trade.what.lower(), own_id),
        sequence=int(own_id) if own_id.isdecimal() and len(own_id) < 18 else None,  # noqa: PLR2004  (64 bits)
        fx_to_account=rate,
    )
    converted = None if price == trade.price else "the price's currency is not told: it is what was booked per share"
    return Imported(row.line, (execution,), converted)


def _priced(trade: Trade, exchange: str | None, amount: Decimal, home: str) -> tuple[Decimal, str, Decimal | None]:
    """The price, its currency and the rate to the account's, where they differ."""
    if _makes(trade, amount):
        return trade.price, exchange or home, None
    if exchange is not None and exchange != home:
        return trade.price, exchange, average(abs(amount), product(trade.quantity, trade.price))
    return average(abs(amount), trade.quantity), home, None


def _money(row: Row, home: str) -> Outcome:
    amount = loose_number(row, "amount")
    if not amount:
        return Ignored(row.line, NO_AMOUNT)
    kind = signed(why_moved(row.text("type"), _KINDS), amount)
    told = row.text("id")
    return cash(row, kind, amount, home, row.moment("at"), description=row.text("comment"), told=told)
