"""thinkorswim (TD Ameritrade, Schwab), account statement as CSV: sections with titles, of which the ledgers count.

The sample is a real statement of futures options; shares, options, spreads, futures and removals are read as
edgebips/johnny (`johnny/broker/ameritrade/transactions.py`) describes them, of which no real file has been seen here.

- A `TRD` row of Cash Balance, Futures Statements or Forex Statements is a fill. Its reference number is an order's
  (one of the sample's covers two fills), and so no identity.
- A spread's row has one price for several legs. The legs and their prices stand in Account Trade History, found by
  the time, the strategy and the underlying; without them the row fails, for its legs cannot be priced.
- Account Trade History and Account Order History repeat the ledgers (and the former reaches beyond the statement's
  days), positions and summaries are no transactions: ignored by their names.
- Rows that remove options say that they expired, were assigned or exercised. Dividends, interest, transfers and fees
  are cash. Marks to market of futures are parts of trades that the fills tell whole, and a split's row gives no
  ratio: both are ignored.
- Times carry no zone: they are in the zone that the platform was set to.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple

from tradesense.brokers.contract import (
    CashKind,
    DateOrder,
    Fill,
    Ignored,
    Imported,
    Match,
    Options,
    Outcome,
    Unreadable,
)
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import cash, fill
from tradesense.brokers.formats import Context
from tradesense.brokers.sections import Part, read_parts, rows_between, table_part
from tradesense.brokers.tables import Layout, Row, Table, number, text, time
from tradesense.brokers.thinkorswim_legs import LEGS, LegBook, leg_instrument
from tradesense.brokers.thinkorswim_text import (
    CURRENCY,
    Spread,
    Told,
    option_multiplier,
    read_instrument,
    read_removal,
    read_spread,
    read_trade,
)
from tradesense.brokers.times import Moment
from tradesense.domain.contracts import EQUITY_OPTION_MULTIPLIER
from tradesense.domain.executions import Side
from tradesense.domain.instruments import AssetClass
from tradesense.domain.money import ZERO, exact, share
from tradesense.domain.money import text as shown

_LEDGERS: Final = ("cash balance", "futures statements", "forex statements")
_TRADE_HISTORY: Final = "account trade history"
_TABLES: Final = (
    *_LEDGERS,
    _TRADE_HISTORY,
    "account order history",
    "crypto statements",
    "equities",
    "options",
    "futures",
    "futures options",
    "forex",
    "crypto",
    "profits and losses",
)
_LISTS: Final = ("forex account summary", "crypto account summary", "account summary")
_LEDGER: Final = Layout(
    time("date", "Exec Date", "Date", order=DateOrder.MONTH_FIRST),
    text("time", "Exec Time", "Time"),
    text("type"),
    text("ref", "Ref #", optional=True),
    text("description"),
    number("misc", "Misc Fees", "Fees", optional=True),
    number("commissions", "Commissions & Fees", "Commissions", optional=True),
    number("amount"),
)
_CENT: Final = Decimal("0.01")
_CASH_WORDS: Final = (
    ("WITHHOLDING", CashKind.TAX),
    (" TAX", CashKind.TAX),
    ("DIVIDEND", CashKind.DIVIDEND),
    ("INTEREST", CashKind.INTEREST),
    ("FEE", CashKind.FEE),
    ("COMMISSION", CashKind.FEE),
)
_FUNDING_TYPES: Final = frozenset({"EFN", "WIN", "WOU", "FND", "CRC", "CHK", "ACH"})
_FUNDING_WORDS: Final = ("FUNDING", "WIRE", "DEPOSIT", "WITHDRAWAL", "DISBURSEMENT")


class _Section(NamedTuple):
    """Rows of one section: its title in lower case, the header where it has one, and the lines of its rows."""

    title: str
    header: tuple[str, ...]
    first: int
    last: int


class AccountStatement:
    """A statement that thinkorswim's Monitor tab exports."""

    broker: ClassVar[str] = "thinkorswim"
    name: ClassVar[str] = "account-statement"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by the titles of the ledgers and the header under them."""
        titles = {cells[0].strip().lower() for _, cells in document.head if _is_title(cells)}
        if _LEDGER.find_header(document.head) is None or not titles.intersection(_LEDGERS):
            return None
        return Match(0.95, "the sections of an account statement")

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the ledgers."""
        sections = list(_sections(document))
        if not any(section.title in _LEDGERS and section.header for section in sections):
            raise Unreadable("the file has no Cash Balance with date, time, type, description and amount")
        return _Statement(document, sections, options).outcomes()


def _is_title(cells: list[str]) -> bool:
    return cells[0].strip().lower() in (*_TABLES, *_LISTS) and not any(cell.strip() for cell in cells[1:])


def _sections(document: Document) -> Iterator[_Section]:
    """The sections in file order; what stands before the first title is a preamble."""
    current: _Section | None = None
    for line, cells in document.rows():
        if _is_title(cells):
            if current is not None:
                yield current
            current = _Section(cells[0].strip().lower(), (), line + 1, line)
        elif current is not None and current.title in _TABLES and not current.header:
            current = current._replace(header=tuple(cells), first=line + 1, last=line)
        elif current is not None:
            current = current._replace(last=line)
    if current is not None:
        yield current


class _Statement:
    """A statement cut into sections, read row by row."""

    def __init__(self, document: Document, sections: list[_Section], options: Options) -> None:
        self._document = document
        self._options = options
        self._context = Context.of(options)
        self._history = next((section for section in sections if section.title == _TRADE_HISTORY), None)
        self._legs: LegBook | None = None
        self._parts = [self._part(section) for section in sections]

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome per row."""
        return read_parts(self._document, self._parts)

    def _part(self, section: _Section) -> Part:
        lines = section.first, section.last
        if section.title in _LEDGERS and _LEDGER.locate(section.header) is not None:
            return table_part(self._document, section.header, lines, _LEDGER, self._options, self._ledger_row)
        return Part(*lines, section.title)

    def _ledger_row(self, row: Row) -> Outcome:
        kind = row.text("type").upper() if len(row.cells) > 1 else ""
        if not kind:
            return _footer(row)
        if kind == "BAL":
            return Ignored(row.line, "balance")
        if kind == "TRD":
            return self._trade(row)
        return self._removal(row) or _cash(row, kind)

    def _trade(self, row: Row) -> Imported:
        moment = row.moment("date", "time")
        told = read_trade(row.text("description"))
        if told is None:
            raise row.error("description", f"{row.text('description')!r} is no trade that is understood")
        spread = read_spread(told.what)
        fills = self._single(row, told, moment) if spread is None else self._spread(row, told, spread, moment)
        return Imported(row.line, fills, _money_warning(fills, row.find_number("amount")))

    def _single(self, row: Row, told: Told, moment: Moment) -> tuple[Fill, ...]:
        made = fill(
            read_instrument(told.what, moment.wall.date(), self._context),
            told.side,
            told.quantity,
            told.price,
            moment,
            commission=-row.amount("commissions"),
            fees=-row.amount("misc"),
            told=row.text("ref"),
        )
        return (made,)

    def _spread(self, row: Row, told: Told, spread: Spread, moment: Moment) -> tuple[Fill, ...]:
        """One fill per leg; the costs go by contracts, and the last leg takes what remains."""
        legs = self._leg_book().take(moment.wall, spread, told)
        multiplier = option_multiplier(told.what) or EQUITY_OPTION_MULTIPLIER
        commission, fees = -row.amount("commissions"), -row.amount("misc")
        made = []
        with exact():
            left = sum((leg.quantity for leg in legs), ZERO)
            for leg in legs:
                commission_share, fee_share = share(commission, leg.quantity, left), share(fees, leg.quantity, left)
                commission, fees, left = commission - commission_share, fees - fee_share, left - leg.quantity
                instrument = leg_instrument(leg, told, multiplier, moment.wall, self._context)
                made.append(
                    fill(
                        instrument,
                        leg.side,
                        leg.quantity,
                        leg.price,
                        moment,
                        commission=commission_share,
                        fees=fee_share,
                        told=row.text("ref"),
                    )
                )
        return tuple(made)

    def _leg_book(self) -> LegBook:
        if self._legs is None:
            self._legs = LegBook(self._history_rows())
        return self._legs

    def _history_rows(self) -> Iterator[Row]:
        section, document = self._history, self._document
        if section is None or LEGS.locate(section.header) is None:
            return
        lines = section.first, section.last
        table = Table(section.header, lambda: rows_between(document, *lines), LEGS, self._options)
        yield from table.rows()

    def _removal(self, row: Row) -> Imported | None:
        """An option that expired, was assigned or exercised; its underlying's shares come in a row of their own."""
        gone = read_removal(row.text("description"))
        if gone is None:
            return None
        if gone.quantity is None:
            raise row.error("description", "the row does not say how many options were removed; add it by hand")
        moment = row.moment("date", "time")
        instrument = read_instrument(gone.what, moment.wall.date(), self._context)
        made = fill(instrument, gone.side, gone.quantity, ZERO, moment, kind=gone.kind, told=row.text("ref"))
        return Imported(row.line, (made,))


def _footer(row: Row) -> Outcome:
    """A row without a type: the section's total."""
    if any(cell.strip().upper().startswith("TOTAL") for cell in row.cells):
        return Ignored(row.line, "total")
    raise row.error("type", "the row has no type: it is cut off, or a delimiter is missing")


def _money_warning(fills: tuple[Fill, ...], amount: Decimal | None) -> str | None:
    """A warning where prices do not make the ledger's amount; futures, which are marked to market, apart."""
    if not amount or any(made.instrument.asset_class is AssetClass.FUTURE for made in fills):
        return None
    with exact():
        made = sum((_cash_flow(one) for one in fills), ZERO)
        if abs(made - amount) <= _CENT * len(fills):
            return None
    return f"the file gives an amount of {shown(amount)}, but its prices make {shown(made)}"


def _cash_flow(made: Fill) -> Decimal:
    value = made.quantity * made.price * made.instrument.multiplier
    return -value if made.side is Side.BUY else value


def _cash(row: Row, type_: str) -> Outcome:
    description = row.text("description")
    words = description.upper()
    if "MARK TO MARKET" in words or "MARK TO THE MARKET" in words:
        return Ignored(row.line, "mark to market")
    amount = row.find_number("amount")
    if not amount:
        return Ignored(row.line, "split" if "SPLIT" in words else "no amount")
    kind = next((kind for word, kind in _CASH_WORDS if word in words), CashKind.OTHER)
    if type_ in _FUNDING_TYPES or any(word in words for word in _FUNDING_WORDS):
        kind = CashKind.DEPOSIT if amount > 0 else CashKind.WITHDRAWAL
    moment = row.moment("date", "time")
    return cash(row, kind, amount, CURRENCY, moment, description=description, told=row.text("ref"))
