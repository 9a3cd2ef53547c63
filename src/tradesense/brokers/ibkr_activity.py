"""Interactive Brokers, activity statement as CSV: a section per kind of row, each with headers of its own.

Read as the samples have it (`Trades`, `Financial Instrument Information`), and for the other sections as
cdump/investments (`investments/report_parsers/ib.py`) and other public importers describe them; English statements.

- `Order` rows are the fills; the executions, closed lots, subtotals and totals under them repeat them. There is no id
  of a fill. Realised P&L is after costs; negative commissions are costs.
- The multiplier and the ISIN of a symbol stand in the information section, wherever that is in the file.
- Forex rows are conversions unless they carry an open or close code; their commission is in the currency that its
  column names (`Comm in USD`).
- Dividends, interest, fees, taxes, deposits and withdrawals are cash; every other section is ignored by its name.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import ClassVar, Final, NamedTuple

from tradesense.brokers.contract import Failed, Ignored, Match, Options, Outcome, Unreadable
from tradesense.brokers.documents import Document
from tradesense.brokers.formats import Context
from tradesense.brokers.ibkr_actions import CorporateActions, action_of
from tradesense.brokers.ibkr_rows import Report
from tradesense.brokers.ibkr_terms import CASH, Asset, cash_kind, category_of, codes_of
from tradesense.brokers.numbers import NotANumber, parse_number
from tradesense.brokers.sections import Convert, Part, read_parts, rows_between, table_part
from tradesense.brokers.tables import Layout, Row, RowError, Table, fold, number, text, time

_TRADES: Final = "trades"
_ACTIONS: Final = "corporate actions"
_TRANSFERS: Final = "transfers"
_INSTRUMENTS: Final = "financial instrument information"
_CASH_SECTIONS: Final = (
    "dividends",
    "payment in lieu of dividends",
    "withholding tax",
    "871(m) withholding",
    "interest",
    "broker interest paid",
    "broker interest received",
    "bond interest paid",
    "bond interest received",
    "fees",
    "other fees",
    "advisor fees",
    "broker fees",
    "transaction fees",
    "commission adjustments",
    "price adjustments",
    "deposits & withdrawals",
    "bill pay",
)
_REPEATED: Final = {
    "trade": "execution of an order",
    "closedlot": "closed lot",
    "washsale": "wash sale",
    "symbolsummary": "symbol summary",
    "assetsummary": "asset summary",
}
_ADDED_UP: Final = {"subtotal": "subtotal", "total": "total", "notes": "note", "note": "note"}
_COMMISSION_IN: Final = "comm in "
_ISIN_LENGTH: Final = 12
_LAYOUTS: Final = {
    _TRADES: Layout(
        text("discriminator", "DataDiscriminator", optional=True),
        text("category", "Asset Category"),
        text("currency"),
        text("account", optional=True),
        text("symbol"),
        time("at", "Date/Time"),
        number("quantity"),
        number("price", "T. Price"),
        number("money", "Proceeds", "Notional Value", optional=True),
        number("proceeds", optional=True),
        number("commission", "Comm/Fee", "Comm in*", "Commission", optional=True),
        number("realised", "Realized P/L", "Realized P&L", optional=True),
        text("codes", "Code", optional=True),
    ),
    _ACTIONS: Layout(
        text("category", "Asset Category"),
        text("currency"),
        text("account", optional=True),
        time("at", "Date/Time", "Report Date"),
        text("description"),
        number("quantity"),
        number("proceeds", optional=True),
        number("value", optional=True),
        number("realised", "Realized P/L", optional=True),
        text("codes", "Code", optional=True),
    ),
    _TRANSFERS: Layout(
        text("category", "Asset Category"),
        text("currency"),
        text("account", optional=True),
        text("symbol"),
        time("at", "Date", "Date/Time"),
        text("direction"),
        number("quantity", "Qty", "Quantity"),
        number("price", "Xfer Price", optional=True),
        number("value", "Market Value", optional=True),
        number("amount", "Cash Amount", optional=True),
    ),
    **dict.fromkeys(
        _CASH_SECTIONS,
        Layout(
            text("currency"),
            text("account", optional=True),
            time("at", "Date", "Settle Date", "Date/Time"),
            number("amount"),
            text("description", optional=True),
        ),
    ),
}


class _Run(NamedTuple):
    """Rows of one section under one header: lines `first` to `last`."""

    section: str
    header: Sequence[str]
    first: int
    last: int


class _Information(NamedTuple):
    """What the statement knows of a symbol."""

    multiplier: Decimal | None
    isin: str


@dataclass(slots=True)
class _Survey:
    """What one pass over the statement tells: where its sections are, whose it is, and what its symbols mean."""

    runs: list[_Run] = field(default_factory=list)
    known: dict[tuple[str, str], _Information] = field(default_factory=dict)
    account: str | None = None
    base: str = ""

    @classmethod
    def of(cls, document: Document) -> "_Survey":
        """Pass over a statement."""
        survey = cls()
        for line, cells in document.rows():
            survey._add(line, cells)
        return survey

    def _add(self, line: int, cells: list[str]) -> None:
        section, mark = cells[0].strip().lower(), cells[1].strip() if len(cells) > 1 else ""
        if mark == "Header" or not self.runs or self.runs[-1].section != section:
            header = cells if mark == "Header" else ()
            self.runs.append(_Run(section, header, line + 1 if header else line, line))
            return
        run = self.runs[-1] = self.runs[-1]._replace(last=line)
        if mark != "Data":
            return
        if section == _INSTRUMENTS:
            self._learn({fold(name): cell.strip() for name, cell in zip(run.header, cells, strict=False)})
        elif section == "account information" and len(cells) > 3:  # noqa: PLR2004  (field name, field value)
            self._identify(cells[2].strip(), cells[3].strip())

    def _identify(self, name: str, value: str) -> None:
        if name == "Account":
            self.account = value.partition(" ")[0]
        elif name == "Base Currency":
            self.base = value

    def _learn(self, told: dict[str, str]) -> None:
        category = category_of(told.get("assetcategory", ""))
        isin = told.get("securityid", "")
        try:
            multiplier = parse_number(told.get("multiplier", "")) or None
        except NotANumber:
            multiplier = None
        information = _Information(multiplier, isin if len(isin) == _ISIN_LENGTH and isin[:2].isalpha() else "")
        for name in (*told.get("symbol", "").split(","), told.get("description", "")):
            if name.strip():
                self.known.setdefault((category, name.strip()), information)


class ActivityStatement:
    """An activity statement: its trades, corporate actions, transfers and cash."""

    broker: ClassVar[str] = "ibkr"
    name: ClassVar[str] = "activity"
    newest_first: ClassVar[bool] = False

    def detect(self, document: Document) -> Match | None:
        """Match by the section and the row's mark in the first two columns."""
        marks = {(cells[0].strip(), cells[1].strip()) for _, cells in document.head if len(cells) > 1}
        if ("Trades", "Header") in marks:
            return Match(0.95, "the section Trades with its header")
        if ("Statement", "Header") in marks or ("Financial Instrument Information", "Header") in marks:
            return Match(0.85, "the sections of an activity statement")
        return None

    def read(self, document: Document, options: Options) -> Iterator[Outcome]:
        """Read every section that moves shares or money."""
        survey = _Survey.of(document)
        if not any(run.header and run.section in _LAYOUTS for run in survey.runs):
            raise Unreadable("the file has no section of an activity statement with trades or cash; export it as CSV")
        return _Statement(document, survey, options).outcomes()


class _Statement:
    """A surveyed statement, read row by row."""

    def __init__(self, document: Document, survey: _Survey, options: Options) -> None:
        self._document = document
        self._known = survey.known
        self._report = Report(Context.of(options), survey.base, survey.account)
        self._parts = [self._part(run, options) for run in survey.runs]
        self._strays = {run.last for run in survey.runs if not run.header}
        self._actions = CorporateActions(self._action_rows())

    def outcomes(self) -> Iterator[Outcome]:
        """One outcome per row; a last row of no section, with no end of the line, is one that was cut off."""
        for outcome in read_parts(self._document, self._parts):
            lost = outcome.line == self._document.unterminated and outcome.line in self._strays
            yield Failed(outcome.line, None, "the row belongs to no section: the file is cut off") if lost else outcome

    def _part(self, run: _Run, options: Options) -> Part:
        layout = _LAYOUTS.get(run.section)
        if layout is None or layout.locate(run.header) is None:
            return Part(run.first, run.last, run.section)
        converters: dict[str, Convert] = {
            _TRADES: partial(self._trade, paid_in=_commission_currency(run.header)),
            _ACTIONS: self._action,
            _TRANSFERS: self._transfer,
        }
        convert = converters.get(run.section, partial(self._cash, section=run.section))
        return table_part(self._document, run.header, (run.first, run.last), layout, options, convert)

    def _action_rows(self) -> Iterator[Row]:
        for part in self._parts:
            if part.table is not None and part.convert == self._action:
                yield from _rows(self._document, part, part.table)

    def _trade(self, row: Row, *, paid_in: str) -> Outcome:
        if (repeated := _repeated(row)) is not None:
            return repeated
        discriminator = row.text("discriminator").lower()
        if discriminator in _REPEATED:
            return Ignored(row.line, _REPEATED[discriminator])
        if discriminator not in ("", "order"):
            raise row.error("discriminator", f"{row.text('discriminator')!r} is no kind of row that is known")
        codes = codes_of(row.text("codes"))
        if "Ca" in codes:
            return Ignored(row.line, "cancelled")
        asset, moment = self._asset(row), row.moment("at")
        if category_of(asset.category) == CASH and not codes & {"O", "C"}:
            return self._report.conversion(row, moment, paid_in)
        return self._report.execution(row, asset, moment, codes, None, paid_in)

    def _asset(self, row: Row) -> Asset:
        category, symbol = row.required("category"), row.required("symbol")
        known = self._known.get((category_of(category), symbol), _Information(None, ""))
        name = self._actions.name(symbol)
        return Asset(category, name, row.required("currency"), known.multiplier, known.isin)

    def _cash(self, row: Row, *, section: str) -> Outcome:
        if (repeated := _repeated(row)) is not None:
            return repeated
        amount = row.number("amount")
        if not amount:
            return Ignored(row.line, "no amount")
        kind = cash_kind(section, amount)
        return self._report.moved(
            row, kind, amount, row.required("currency"), row.moment("at"), row.text("description") or section
        )

    def _action(self, row: Row) -> Outcome:
        return _repeated(row) or self._actions.outcome(row, action_of(row), row.moment("at"), self._report)

    def _transfer(self, row: Row) -> Outcome:
        return _repeated(row) or self._report.transfer(row, self._asset(row), row.moment("at"))


def _rows(document: Document, part: Part, table: Table) -> Iterator[Row]:
    for line, cells in rows_between(document, part.first, part.last):
        yield Row(line, cells, table.columns)


def _repeated(row: Row) -> Ignored | None:
    """A row that adds others up: marked so in the second column, or `Total` where the first value should be."""
    mark = row.cells[1].strip().lower() if len(row.cells) > 1 else ""
    if mark in _ADDED_UP:
        return Ignored(row.line, _ADDED_UP[mark])
    if mark != "data":
        raise RowError("the row has no mark in its second cell that is known: it is cut off, or a delimiter is missing")
    first = row.cells[2].strip().lower() if len(row.cells) > 2 else ""  # noqa: PLR2004  (after section and mark)
    return Ignored(row.line, "total") if first.startswith("total") or first == "subtotal" else None


def _commission_currency(header: Sequence[str]) -> str:
    """The currency that a column of commissions names; empty for the trade's own."""
    named = next((cell.strip() for cell in header if cell.strip().lower().startswith(_COMMISSION_IN)), "")
    return named[len(_COMMISSION_IN) :].strip()
