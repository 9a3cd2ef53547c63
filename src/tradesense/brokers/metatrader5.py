"""MetaTrader 5: the trade history report as HTML (UTF-16), XLSX or CSV, and the position history as CSV.

The report has sections Positions, Orders, Deals and more on one page. A deal is a fill, with an id, a commission, a
fee and a swap of its own, and balance operations stand among the deals; so where there are deals, they are read, and
positions and orders, which repeat them, are ignored. A report of positions alone gives two fills a row, without an id
(a position's ticket covers several fills). Positions that are open show as deals alone.

The layout, cells of the class `hidden` included, is as public importers describe genuine reports (English headers; a
header in another language is understood by the shape of the rows under it, whose types are English in all of them);
no real report has been seen here. The position history is the sample's: one leg a row, month first in its times.

Times are the broker's server's. On hedging accounts a long and a short position of one symbol are one book here, so
that single P&Ls may differ from those stated, and their sum does not.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import ClassVar, Final, NamedTuple

from tradesense.brokers.contract import DateOrder, Identity, Ignored, Imported, Match, Options, Outcome, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import Leg, fill, round_trip
from tradesense.brokers.formats import Context, TableFormat
from tradesense.brokers.metatrader import TRADE_TYPES, Ledger, Owner
from tradesense.brokers.sections import Convert, Part, read_parts, table_part
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.executions import Side
from tradesense.domain.money import ZERO, exact
from tradesense.domain.trades import Direction

_POSITIONS: Final = Layout(
    time("opened", "Time"),
    text("position", "Position", "Ticket"),
    text("symbol"),
    text("type"),
    number("volume"),
    number("entry", "Price"),
    time("closed", "T / P", offset=1),
    number("exit", "T / P", offset=2),
    number("commission", optional=True),
    number("swap", optional=True),
    number("profit"),
)
_DEALS: Final = Layout(
    time("at", "Time"),
    text("deal"),
    text("symbol"),
    text("type"),
    text("direction"),
    number("volume"),
    number("price"),
    number("commission", optional=True),
    number("fee", optional=True),
    number("swap", optional=True),
    number("profit"),
    text("comment", optional=True),
)
_DEALS_HEADER: Final = (
    *("Time", "Deal", "Symbol", "Type", "Direction", "Volume", "Price", "Order"),
    *("Commission", "Fee", "Swap", "Profit", "Balance", "Comment"),
)
_POSITIONS_HEADER: Final = (
    *("Time", "Position", "Symbol", "Type", "Volume", "Price", "S / L", "T / P"),
    *("Time", "Price", "Commission", "Swap", "Profit"),
)
_FEE_COLUMN: Final = _DEALS_HEADER.index("Fee")
_TIME: Final = re.compile(r"\d{4}\.\d{2}\.\d{2} \d{2}:\d{2}(?::\d{2})?")
_DIRECTIONS: Final = frozenset({"in", "out", "in/out", "out by"})
_SURE: Final = 0.95
_ORDERS: Final = "order"
_OPEN: Final = "open position"
_KNOWN: Final = ("deal", "position", _ORDERS, _OPEN)
_NUMBER: Final = re.compile(r"[\d .,]+")


class _Section(NamedTuple):
    """Rows under one header, of deals, positions or what is ignored; lines `first` to `last`."""

    kind: str
    header: tuple[str, ...]
    first: int
    last: int


class Report:
    """The trade history report."""

    broker: ClassVar[str] = "metatrader5"
    name: ClassVar[str] = "report"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by the header of positions or deals, or by the shape of their rows."""
        for _, cells in document.head:
            if _kind_of_header(cells) in ("deal", "position") or _kind_of_row(cells):
                return Match(_SURE, "the positions and deals of a trade history report")
        return None

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the deals, or the positions where there are no deals."""
        owner, sections = _survey(document)
        kinds = {section.kind for section in sections if section.last >= section.first}
        if not kinds & {"deal", "position"}:
            raise Unreadable("the report has neither positions nor deals; export the history of another period")
        ledger = Ledger(Context.of(options), owner)
        read = "deal" if "deal" in kinds else "position"
        return read_parts(document, [_part(document, section, read, ledger, options) for section in sections])


def _survey(document: Document) -> tuple[Owner, list[_Section]]:
    """Whose report it is, and its sections in file order; what stands before the first header is the report's head."""
    owner, sections, title = Owner(), list[_Section](), ""
    for line, cells in document.rows():
        filled = [cell.strip() for cell in cells if cell.strip()]
        started = any(section.header for section in sections)
        kind, shaped = _kind_of_header(cells), _kind_of_row(cells)
        if kind:
            kind = _OPEN if title == "open positions" else kind
            sections.append(_Section(kind, tuple(cells), line + 1, line))
        elif shaped and (not sections or sections[-1].kind not in (*_KNOWN, shaped)):
            sections.append(_Section(shaped, _canonical(shaped, len(cells)), line, line))
        elif len(filled) == 1 and not filled[0][0].isdigit() and not _continues(sections, cells):
            title = filled[0].lower()
            sections.append(_Section(title, (), line + 1, line))
        elif started:
            sections[-1] = sections[-1]._replace(last=line)
        else:
            owner = owner.told(" ".join(filled))
    return owner, sections


def _continues(sections: list[_Section], cells: list[str]) -> bool:
    """Whether a lone text is a remark or a cut-off row within a table, and no title: titles stand in the first cell."""
    return bool(sections) and bool(sections[-1].header) and not cells[0].strip()


def _kind_of_header(cells: list[str]) -> str:
    if _DEALS.locate(cells) is not None:
        return "deal"
    if _POSITIONS.locate(cells) is not None:
        return "position"
    names = {cell.strip().lower() for cell in cells}
    return _ORDERS if {"order", "symbol", "state"} <= names or {"open time", "order"} <= names else ""


def _kind_of_row(cells: list[str]) -> str:
    """What a row is by its shape alone, whatever language the headers have; empty for what is neither."""
    if len(cells) < 12 or not _TIME.fullmatch(cells[0].strip()) or not cells[1].strip().isdigit():  # noqa: PLR2004
        return ""
    type_, fifth, ninth = cells[3].strip().lower(), cells[4].strip().lower(), cells[8].strip()
    if type_ not in TRADE_TYPES:
        return ""
    if fifth in _DIRECTIONS:
        return "deal"
    return "position" if _NUMBER.fullmatch(fifth) and _NUMBER.fullmatch(cells[5]) and _TIME.fullmatch(ninth) else ""


def _canonical(kind: str, width: int) -> tuple[str, ...]:
    """The English header of a section with this many columns; reports before 2020 have no column of fees."""
    if kind == "position":
        return _POSITIONS_HEADER
    if width >= len(_DEALS_HEADER):
        return _DEALS_HEADER
    return _DEALS_HEADER[:_FEE_COLUMN] + _DEALS_HEADER[_FEE_COLUMN + 1 :]


def _part(document: Document, section: _Section, read: str, ledger: Ledger, options: Options) -> Part:
    lines = section.first, section.last
    if section.kind != read:
        return Part(*lines, section.kind if section.kind in _KNOWN else "summary")
    layout, convert = (_DEALS, _deal) if read == "deal" else (_POSITIONS, _position)

    def converted(row: Row) -> Outcome:
        return convert(row, ledger)

    reader: Convert = converted
    return table_part(document, section.header, lines, layout, options, reader)


def _deal(row: Row, ledger: Ledger) -> Outcome:
    type_ = row.text("type").lower()
    if not type_:
        return _total(row)
    if "cancel" in type_:
        return Ignored(row.line, "cancelled")
    moment, own_id = row.moment("at"), row.text("deal")
    if type_ not in TRADE_TYPES:
        return ledger.cash_row(row, type_, row.number("profit"), moment, row.text("comment"), own_id)
    instrument, price = ledger.instrument(row.required("symbol")), row.number("price")
    with exact():
        commission = row.amount("commission") + row.amount("fee")
    costs = ledger.costs(row, moment, instrument, price, commission, row.amount("swap"))
    closing = row.text("direction").lower() != "in"
    made = fill(
        instrument,
        Side.BUY if type_ == "buy" else Side.SELL,
        row.number("volume"),
        price,
        moment,
        commission=costs.commission,
        fees=costs.swap,
        identity=Identity("deal", own_id) if own_id else None,
        account=ledger.account,
        stated=ledger.stated(instrument, row.amount("profit")) if closing else None,
        fx_to_account=ledger.rate(instrument, price),
    )
    return Imported(row.line, (made,), costs.warning, costs.also)


def _total(row: Row) -> Outcome:
    """The sums under a table; a row with a time and no type is one that was cut off."""
    if _TIME.match(row.cells[0].strip()):
        raise row.error("type", "the type is missing")
    return Ignored(row.line, "total")


def _position(row: Row, ledger: Ledger) -> Outcome:
    type_ = row.text("type").lower()
    if not type_:
        return _total(row)
    if type_ not in TRADE_TYPES:
        return Ignored(row.line, type_)
    opened, closed = row.moment("opened"), row.moment("closed")
    instrument, exit_ = ledger.instrument(row.required("symbol")), row.number("exit")
    costs = ledger.costs(row, closed, instrument, exit_, row.amount("commission"), row.amount("swap"))
    stated = ledger.stated(instrument, row.number("profit"))
    made = round_trip(
        row,
        instrument,
        Direction.LONG if type_ == "buy" else Direction.SHORT,
        row.number("volume"),
        Leg(opened, row.number("entry")),
        Leg(closed, exit_),
        commission=costs.commission,
        fees=costs.swap,
        account=ledger.account,
        stated=stated.amount if stated else None,
        told=row.text("position"),
    )
    rated = tuple(one._replace(fx_to_account=ledger.rate(instrument, exit_)) for one in made.fills)
    return made._replace(fills=rated, warning=made.warning or costs.warning, also=costs.also)


class PositionHistory(TableFormat):
    """The list of a position's legs, one a row, as some brokers' portals export it."""

    broker = "metatrader5"
    name = "position-history"
    layout = Layout(
        text("symbol"),
        text("account", "Account Number", "Login", optional=True),
        text("position"),
        text("status", "Position Status", optional=True),
        time("at", "Date Time", order=DateOrder.MONTH_FIRST),
        text("type", "Transaction Type"),
        number("volume", "Trade Volume Lots", "Volume Lots"),
        number("price", "Open Price", "Price"),
        number("profit", optional=True),
    )
    telling = ("Position Status", "Transaction Type", "Trade Volume Lots")

    def outcome(self, row: Row, context: Context) -> Outcome:
        """One fill per leg."""
        words = row.required("type").lower().split()
        ledger = Ledger(context, Owner(row.text("account")))
        if not TRADE_TYPES.intersection(words):
            return Ignored(row.line, " ".join(words))
        instrument = ledger.instrument(row.required("symbol"))
        profit: Decimal = row.amount("profit")
        made = fill(
            instrument,
            Side.BUY if "buy" in words else Side.SELL,
            row.number("volume"),
            row.number("price"),
            row.moment("at"),
            account=ledger.account,
            stated=ledger.stated(instrument, profit) if "out" in words or profit != ZERO else None,
            told=row.text("position"),
        )
        return Imported(row.line, (made,))
