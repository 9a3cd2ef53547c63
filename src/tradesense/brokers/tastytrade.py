"""tastytrade, transaction history as CSV: today's layout, and that of tastyworks until 2021.

The columns are those of AgileTrossDev/tasty_anaylzer (`README.md`) and of public importers' fixtures, for both
layouts; no real file has been seen here.

- An option's average price is per contract: the price comes from the description (`Sold 1 SPY 09/20/24 Call 99.00 @
  3.70`). A future's value is 0 and its price stands there alone. A share's price is value ÷ quantity where that is
  exact, for the average is rounded to cents.
- An option on a future gives a multiplier of 1; the real one is value ÷ (quantity × price).
- Order numbers are told to the fingerprint, and identify nothing.
- `Receive Deliver` rows: expiry, assignment and exercise close options at 0 (their shares come in rows of their own),
  both halves of a split are one split, reinvested shares without a value come in at a cost of 0, transfers in without
  a cost and changes of symbol are ignored with that reason.
- `Money Movement` rows are cash; futures' daily marks to market are parts of trades and ignored.
"""

import re
from contextlib import suppress
from decimal import Decimal
from typing import ClassVar, Final

from tradesense.brokers.amounts import NO_AMOUNT, kinds, signed, why_moved
from tradesense.brokers.contract import CashKind, DateOrder, Ignored, Imported, Outcome
from tradesense.brokers.figures import figure_in
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.instruments import bounded
from tradesense.brokers.numbers import NumberStyle
from tradesense.brokers.option_texts import read_option
from tradesense.brokers.share_counts import ShareCounts
from tradesense.brokers.statements import Reader, StatementFormat
from tradesense.brokers.tables import Layout, Row, RowError, Table, number, text, time
from tradesense.brokers.times import Moment
from tradesense.domain.contracts import EQUITY_OPTION_MULTIPLIER, contract, multiplier_of
from tradesense.domain.executions import ExecutionKind, Side
from tradesense.domain.instruments import AssetClass, Instrument, Right
from tradesense.domain.money import ZERO, average, exact

_PRICE: Final = re.compile(r"@ ?(?P<price>[\d,.]*\d)")
_CLOSINGS: Final = {
    "expiration": ExecutionKind.EXPIRY,
    "assignment": ExecutionKind.ASSIGNMENT,
    "exercise": ExecutionKind.EXERCISE,
}
_SETTLED: Final = {"cash settled assignment": Side.BUY, "cash settled exercise": Side.SELL}
_SPLITS: Final = frozenset({"forward split", "reverse split"})
_IGNORED: Final = frozenset({"symbol change", "stock merger", "merger"})
_TRANSFERS: Final = frozenset({"acat", "transfer", "internal transfer"})
_KINDS: Final = kinds(
    (CashKind.TAX, r"\btax|withhold"),
    (CashKind.DIVIDEND, r"dividend"),
    (CashKind.INTEREST, r"interest|lending"),
    (CashKind.FEE, r"fee|commission|adjustment"),
    (CashKind.DEPOSIT, r"deposit|withdrawal|transfer|\bach\b|wire"),
)


class Transactions(StatementFormat):
    """The history as tastytrade exports it."""

    broker = "tastytrade"
    name = "transactions"
    newest_first = True
    fees_are_costs: ClassVar[bool] = False
    """Whether a cost is positive in the column of fees."""
    layout = Layout(
        time("at", "Date", "Date/Time", order=DateOrder.MONTH_FIRST),
        text("type", "Type", "Transaction Code"),
        text("sub", "Sub Type", "Transaction Subcode"),
        text("action", "Action", "Buy/Sell", optional=True),
        text("symbol"),
        text("class", "Instrument Type", optional=True),
        text("description"),
        number("value", "Value", "Amount", style=NumberStyle.POINT),
        number("quantity", style=NumberStyle.POINT),
        number("average", "Average Price", "Price", optional=True, style=NumberStyle.POINT),
        number("commissions", optional=True, style=NumberStyle.POINT),
        number("fees", optional=True, style=NumberStyle.POINT),
        number("multiplier", optional=True, style=NumberStyle.POINT),
        text("underlying", "Underlying Symbol", optional=True),
        time("expiry", "Expiration Date", optional=True, order=DateOrder.MONTH_FIRST),
        number("strike", "Strike Price", "Strike", optional=True, style=NumberStyle.POINT),
        text("right", "Call or Put", "Call/Put", optional=True),
        text("order", "Order #", optional=True),
        text("currency", optional=True),
        text("account", "Account Reference", optional=True),
    )
    telling: ClassVar[tuple[str, ...]] = (
        "Sub Type",
        "Instrument Type",
        "Average Price",
        "Root Symbol",
        "Call or Put",
        "Order #",
    )

    def reader(self, table: Table, context: Context) -> Reader:
        """Look for the halves of splits first."""
        return _History(table, context, fees_are_costs=self.fees_are_costs).outcome


class TastyworksTransactions(Transactions):
    """The history as tastyworks exported it: fees, commissions among them, are positive."""

    name = "tastyworks"
    fees_are_costs = True
    telling = ("Date/Time", "Transaction Code", "Transaction Subcode", "Open/Close", "Account Reference")


class _History:
    """One file's rows; the halves of a split are understood together."""

    def __init__(self, table: Table, context: Context, *, fees_are_costs: bool) -> None:
        self._context = context
        self._fees_are_costs = fees_are_costs
        self._counts = ShareCounts()
        for row in table.rows():
            with suppress(RowError):
                if _sub(row) in _SPLITS:
                    day = row.moment("at").wall.date()
                    self._counts.half(_split_key(row), row.text("symbol"), row.line, day, _split_half(row))

    def outcome(self, row: Row) -> Outcome:
        """What a row became."""
        moment, type_ = row.moment("at"), row.required("type").lower()
        if type_ == "money movement":
            return self._cash(row, moment)
        if type_ not in ("trade", "receive deliver"):
            raise row.error("type", f"{row.text('type')!r} is no kind of transaction that is known")
        if type_ == "trade":
            return self._trade(row, moment)
        return self._delivery(row, _sub(row), moment)

    def _trade(self, row: Row, moment: Moment) -> Imported:
        instrument = self._instrument(row, moment)
        return self._fill(row, instrument, _side(row), _price(row, instrument), moment, ExecutionKind.TRADE)

    def _delivery(self, row: Row, sub: str, moment: Moment) -> Outcome:
        if sub in _IGNORED:
            return Ignored(row.line, sub)
        instrument = self._instrument(row, moment)
        if sub in _CLOSINGS:
            return self._fill(row, instrument, _side(row, Side.BUY), ZERO, moment, _CLOSINGS[sub])
        if sub in _SPLITS:
            return self._counts.outcome(row, _split_key(row), instrument, moment, _split_half(row))
        if sub in _SETTLED:
            return self._fill(row, instrument, _SETTLED[sub], _settled(row, instrument), moment, ExecutionKind.TRADE)
        return self._arrival(row, sub, instrument, moment)

    def _arrival(self, row: Row, sub: str, instrument: Instrument, moment: Moment) -> Outcome:
        """The shares of an assignment, at a price; or what came without one."""
        if row.amount("value") or row.amount("average") or _PRICE.search(row.text("description")):
            return self._trade(row, moment)
        if sub in _TRANSFERS and _side(row, Side.BUY) is Side.BUY:
            return Ignored(row.line, "transfer in without a cost")
        return self._fill(row, instrument, _side(row), ZERO, moment, ExecutionKind.TRANSFER)

    def _fill(
        self, row: Row, instrument: Instrument, side: Side, price: Decimal, moment: Moment, kind: ExecutionKind
    ) -> Imported:
        made = fill(
            instrument,
            side,
            _quantity(row),
            price,
            moment,
            commission=-row.amount("commissions"),
            fees=row.amount("fees") if self._fees_are_costs else -row.amount("fees"),
            kind=kind,
            account=row.text("account") or None,
            told=row.text("order"),
        )
        return Imported(row.line, (made,))

    def _instrument(self, row: Row, moment: Moment) -> Instrument:
        """What a row trades, by its class, or by its other columns where the layout has no class."""
        class_, symbol = row.text("class").lower(), row.required("symbol")
        instruments, currency = self._context.instruments, row.text("currency") or None
        if class_ == "future option" or (row.has("right") and symbol.strip(".").startswith("/")):
            return self._future_option(row, symbol)
        if row.has("right"):
            return self._equity_option(row, symbol)
        if symbol.startswith("/"):
            return instruments.future(symbol, moment.wall.date())
        if class_ == "cryptocurrency":
            return instruments.named(symbol, moment.wall.date(), currency, asset_class=AssetClass.CRYPTO)
        return instruments.stock(symbol, currency)

    def _equity_option(self, row: Row, symbol: str) -> Instrument:
        parts = read_option(symbol)
        root = parts.root if parts else symbol.split(maxsplit=1)[0]
        multiplier = row.find_number("multiplier") or EQUITY_OPTION_MULTIPLIER
        return self._context.instruments.option(
            root,
            row.moment("expiry").wall.date(),
            row.number("strike"),
            _right(row),
            currency=row.text("currency") or None,
            multiplier=multiplier,
        )

    def _future_option(self, row: Row, symbol: str) -> Instrument:
        """`./MESM6EXK6  260529P5800`: the code before the date tells it from others on the same future."""
        expiry = row.moment("expiry").wall.date()
        code = symbol.strip("./ ").partition(" ")[0]
        underlying = row.text("underlying") or f"/{code}"
        named = contract(underlying, expiry)
        root = named.root if named else code
        known = multiplier_of(root, self._context.options.multipliers) or _implied_multiplier(row)
        if known is None:
            raise row.error("symbol", f"no multiplier is known for the future {root!r}: give one for it")
        strike = row.number("strike")
        option = Instrument(
            symbol=symbol,
            asset_class=AssetClass.OPTION,
            currency=row.text("currency") or "USD",
            root=code,
            multiplier=known,
            underlying=underlying.strip("/"),
            expiry=expiry,
            strike=strike,
            right=_right(row),
        )
        return bounded(option)

    def _cash(self, row: Row, moment: Moment) -> Outcome:
        amount, sub = row.find_number("value"), _sub(row)
        if sub == "mark to market":
            return Ignored(row.line, sub)
        if not amount:
            return Ignored(row.line, NO_AMOUNT)
        kind = signed(why_moved(sub, _KINDS), amount)
        currency = row.text("currency") or self._context.instruments.currency
        description = " ".join(f"{row.text('sub')} {row.text('symbol')} {row.text('description')}".split())
        account = row.text("account") or None
        return cash(row, kind, amount, currency, moment, description=description, account=account)


def _sub(row: Row) -> str:
    return " ".join(row.text("sub").lower().split())


def _side(row: Row, otherwise: Side | None = None) -> Side:
    """The side of the action (`BUY_TO_OPEN`), else of the sub type (`Buy to Open`)."""
    for words in (row.text("action"), row.text("sub")):
        if words.upper().startswith("BUY"):
            return Side.BUY
        if words.upper().startswith("SELL"):
            return Side.SELL
    if otherwise is None:
        raise row.error("action", f"{row.text('action') or row.text('sub')!r} is neither a purchase nor a sale")
    return otherwise


def _quantity(row: Row) -> Decimal:
    quantity = abs(row.number("quantity"))
    if not quantity:
        raise row.error("quantity", "the quantity is 0, and must be above 0")
    return quantity


def _right(row: Row) -> Right:
    return Right.CALL if row.required("right").upper().startswith("C") else Right.PUT


def _told_price(row: Row) -> Decimal | None:
    found = _PRICE.search(row.text("description"))
    return figure_in(row, "description", found["price"]) if found else None


def _implied_multiplier(row: Row) -> Decimal | None:
    """Value ÷ (quantity × price), where the row has all of them."""
    price, value = _told_price(row), row.amount("value")
    with exact():
        return average(abs(value), _quantity(row) * price) if price and value else None


def _settled(row: Row, instrument: Instrument) -> Decimal:
    with exact():
        return average(abs(row.number("value")), _quantity(row) * instrument.multiplier)


def _price(row: Row, instrument: Instrument) -> Decimal:
    told, value = _told_price(row), row.amount("value")
    if instrument.asset_class is AssetClass.STOCK and value:
        quantity = _quantity(row)
        exactly = average(abs(value), quantity)
        with exact():
            if exactly * quantity == abs(value):
                return exactly
        return abs(row.find_number("average") or told or exactly)
    if told is not None:
        return told
    average_price = row.find_number("average")
    if not average_price:
        raise row.error("description", "the price is missing")
    return average(abs(average_price), instrument.multiplier)


def _split_key(row: Row) -> str:
    return f"{row.text('at')}|{row.text('symbol')}|{_sub(row)}"


def _split_half(row: Row) -> Decimal:
    """The shares of a split's row: above 0 where the new ones open, below where the old ones are closed."""
    quantity = _quantity(row)
    return quantity if "open" in row.text("action").lower() else -quantity
