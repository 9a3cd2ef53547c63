"""MetaTrader 4: the account statement as HTML (`Save as Report`), and the same table as CSV.

The layout is as public importers describe genuine statements; no real one has been seen here. A row of Closed
Transactions is a round trip whose ticket is its own: a part that is closed gets its ticket and leaves the rest a new
one. So the ticket and the end name a fill. Open trades are ignored until they are closed, for a partial close changes
them; pending orders that were cancelled, and the remarks and sums between the rows, are no trades. Balance rows are
cash.

Times are the broker's server's.
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Final, NamedTuple

from tradesense.brokers.contract import Identity, Ignored, Match, Options, Outcome, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.fills import Leg, round_trip
from tradesense.brokers.formats import Context
from tradesense.brokers.metatrader import TRADE_TYPES, Ledger, Owner
from tradesense.brokers.numbers import NotANumber, parse_number
from tradesense.brokers.sections import Part, read_parts, table_part
from tradesense.brokers.tables import Layout, Row, number, text, time
from tradesense.domain.money import exact
from tradesense.domain.trades import Direction

_CLOSED: Final = Layout(
    text("ticket"),
    time("opened", "Open Time"),
    text("type"),
    number("size", "Size", "Lots", "Volume"),
    text("item", "Item", "Symbol"),
    number("entry", "Price", "Open Price"),
    time("closed", "Close Time"),
    number("exit", "Close Time", offset=1),
    number("commission", "Commission", "Commis", optional=True),
    number("taxes", optional=True),
    number("swap", optional=True),
    number("profit", "Profit", "Trade P/L"),
)
_TITLE: Final = re.compile(r"[A-Za-z][A-Za-z /]*:")
_REASONS: Final = {"open trades:": "open trade", "working orders:": "working order"}
_SURE: Final = 0.95


class _Section(NamedTuple):
    """Rows under a title or a header; lines `first` to `last`. The header is empty but for closed transactions."""

    reason: str
    header: tuple[str, ...]
    first: int
    last: int


class Statement:
    """An account statement: its closed transactions."""

    broker: ClassVar[str] = "metatrader4"
    name: ClassVar[str] = "statement"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by the header of closed transactions."""
        if _CLOSED.find_header(document.head) is None:
            return None
        return Match(_SURE, "the columns Ticket, Open Time, Type, Size, Item, Close Time, Profit")

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read the closed transactions."""
        owner, sections = _survey(document)
        if not any(section.header for section in sections):
            raise Unreadable("the statement has no closed transactions with ticket, times, type, size, item and profit")
        ledger = Ledger(Context.of(options), owner)
        return read_parts(document, [_part(document, section, ledger, options) for section in sections])


def _survey(document: Document) -> tuple[Owner, list[_Section]]:
    owner, sections = Owner(), list[_Section]()
    for line, cells in document.rows():
        if _CLOSED.locate(cells) is not None:
            sections.append(_Section("", tuple(cells), line + 1, line))
            continue
        title = cells[0].strip().lower() if _TITLE.fullmatch(cells[0].strip()) else ""
        if title and not any(cell.strip() for cell in cells[1:]):
            sections.append(_Section(_REASONS.get(title, "summary"), (), line + 1, line))
        elif sections and cells[0].strip().lower() == "ticket":
            sections[-1] = sections[-1]._replace(first=line + 1, last=line)
        elif sections:
            sections[-1] = sections[-1]._replace(last=line)
        if not any(section.header for section in sections):
            owner = owner.told(" ".join(cells))
    return owner, sections


def _part(document: Document, section: _Section, ledger: Ledger, options: Options) -> Part:
    lines = section.first, section.last
    if not section.header:
        return Part(*lines, section.reason)
    return table_part(document, section.header, lines, _CLOSED, options, lambda row: _closed(row, ledger))


def _closed(row: Row, ledger: Ledger) -> Outcome:
    ticket = row.text("ticket")
    if not ticket.isdigit():
        remark = sum(1 for cell in row.cells if cell.strip()) == 1 and not ticket
        return Ignored(row.line, "remark" if remark else "total")
    type_ = row.required("type").lower()
    if type_ in TRADE_TYPES:
        return _round_trip(row, ticket, type_, ledger)
    if type_.startswith(("buy ", "sell ")):
        return Ignored(row.line, "cancelled")
    moment = row.moment("opened")
    words = [cell.strip() for cell in row.cells[3:] if cell.strip()]
    comment = next((word for word in words if not _is_number(word)), type_)
    return ledger.cash_row(row, type_, row.number("profit"), moment, comment, ticket)


def _is_number(words: str) -> bool:
    try:
        parse_number(words)
    except NotANumber:
        return False
    return True


def _round_trip(row: Row, ticket: str, type_: str, ledger: Ledger) -> Outcome:
    opened, closed = row.moment("opened"), row.moment("closed")
    instrument, exit_ = ledger.instrument(row.required("item")), row.number("exit")
    with exact():
        commission = row.amount("commission") + row.amount("taxes")
    costs = ledger.costs(row, closed, instrument, exit_, commission, row.amount("swap"))
    stated = ledger.stated(instrument, row.number("profit"))
    made = round_trip(
        row,
        instrument,
        Direction.LONG if type_ == "buy" else Direction.SHORT,
        row.number("size"),
        Leg(opened, row.number("entry"), Identity("opened ticket", ticket)),
        Leg(closed, exit_, Identity("closed ticket", ticket)),
        commission=costs.commission,
        fees=costs.swap,
        account=ledger.account,
        stated=stated.amount if stated else None,
    )
    rated = tuple(one._replace(fx_to_account=ledger.rate(instrument, exit_)) for one in made.fills)
    return made._replace(fills=rated, warning=made.warning or costs.warning, also=costs.also)
